//! Why a script ends though it could go on, and who says so.

use std::cell::{Cell, RefCell};

/// Why a script is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A signal of the system's asks for it: Ctrl-C, or SIGTERM as service managers send it.
    Signal(i32),
    /// Nobody reads what it prints any more.
    NoReader,
    /// What it prints cannot be written.
    NoOutput,
    /// An error that nobody caught, where the script is to end with the first one.
    Error,
}

/// The exit status of a program that nobody reads the output of: it ends by the signal SIGPIPE, 13.
const NO_READER: i32 = 128 + 13;

impl Ending {
    /// The exit status. For a signal it is what shells say of a program that the signal has ended.
    pub(crate) fn status(self) -> i32 {
        match self {
            Self::Signal(signal) => 128 + signal,
            Self::NoReader => NO_READER,
            Self::NoOutput | Self::Error => 1,
        }
    }
}

/// Whether the script is to end. The first reason counts.
pub(crate) struct Endings {
    /// Says which signal came, if any.
    signal: RefCell<Box<dyn FnMut() -> Option<i32>>>,
    ending: Cell<Option<Ending>>,
    /// Has the script that runs notice at once, as soon as there is one.
    notice: Cell<fn()>,
}

impl Endings {
    pub(crate) fn new(signal: Box<dyn FnMut() -> Option<i32>>) -> Self {
        Self { signal: RefCell::new(signal), ending: Cell::new(None), notice: Cell::new(|| ()) }
    }

    /// How the script that runs is to notice that it is to end.
    pub(crate) fn notice_by(&self, notice: fn()) {
        self.notice.set(notice);
    }

    /// From here on the script is to end.
    pub(crate) fn end(&self, why: Ending) {
        if self.ending.get().is_none() {
            self.ending.set(Some(why));
            (self.notice.get())();
        }
    }

    /// Why, if so; asks whether a signal came until there is an answer.
    pub(crate) fn look(&self) -> Option<Ending> {
        if self.ending.get().is_none()
            && let Some(signal) = (self.signal.borrow_mut())()
        {
            self.end(Ending::Signal(signal));
        }
        self.ending.get()
    }

    /// The last answer.
    pub(crate) fn last(&self) -> Option<Ending> {
        self.ending.get()
    }
}
