//! The sockets of one attempt, as a poller watches them.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use super::attempt::Attempt;
use crate::io::Transport;
use crate::sys::poller::Poller;

/// Descriptors that the poller watches, if their sockets are still there: the system forgets a socket that is dropped, and
/// gives its number to the next one.
#[derive(Debug, Default)]
pub(crate) struct Watched(Vec<RawFd>);

impl Watched {
    /// Has the poller watch what the attempt waits for now.
    ///
    /// # Errors
    /// The poller's.
    pub(crate) fn update(&mut self, attempt: &Attempt, poller: &Poller, key: u64) -> io::Result<()> {
        let mut watching = Vec::new();
        let mut updated = Ok(());
        attempt.each_socket(&mut |socket, interest| {
            let descriptor = socket.as_raw_fd();
            // Whether the descriptor is still the socket that it was, the poller knows.
            let is_known = self.0.contains(&descriptor) && poller.modify(socket, key, interest).is_ok();
            if !is_known && let Err(error) = poller.add(socket, key, interest) {
                updated = Err(error);
            }
            watching.push(descriptor);
        });
        self.0 = watching;
        updated
    }

    /// The attempt has ended with an open connection, which will be watched under a key of its own.
    pub(crate) fn let_go(&mut self, opened: &Transport, poller: &Poller) {
        if std::mem::take(&mut self.0).contains(&opened.fd().as_raw_fd()) {
            poller.delete(opened.fd());
        }
    }
}
