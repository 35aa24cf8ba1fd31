//! The class for threads: the dispatcher, which runs handlers, and the threads that wait.

pub(crate) mod connecting;
pub(crate) mod dispatcher;
pub(crate) mod waiting;
