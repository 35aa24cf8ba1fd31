//! Asking a proxy for a tunnel to the server, over a transport that leads to the proxy.

use std::os::fd::BorrowedFd;
use std::task::Poll;

use sunsocket_wire::{Refusal, Tunnel};

use super::exchange::{receive, send};
use crate::error::in_words;
use crate::io::Transport;
use crate::sys::poller::Interest;

/// A tunnel that is being asked for.
#[derive(Debug)]
pub(super) struct Tunneling {
    transport: Transport,
    tunnel: Tunnel,
    /// What is being sent, and how many bytes of it the transport has taken.
    out: Vec<u8>,
    sent: usize,
    input: Vec<u8>,
}

impl Tunneling {
    /// Nothing is sent yet.
    pub(super) fn new(transport: Transport, mut tunnel: Tunnel) -> Self {
        let out = tunnel.transmit();
        Self { transport, tunnel, out, sent: 0, input: Vec::new() }
    }

    /// Goes on as far as the transport lets it. Ready: the tunnel is open.
    ///
    /// # Errors
    /// There is none, and what the proxy did.
    pub(super) fn step(&mut self) -> Poll<Result<(), Refusal>> {
        loop {
            // Where sending fails, the proxy may have said why before.
            if send(&mut self.transport, &self.out, &mut self.sent).is_pending() {
                return Poll::Pending;
            }
            let what = match receive(&mut self.transport, &mut self.input) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(true)) => {
                    if self.tunnel.receive(&mut self.input)? {
                        return Poll::Ready(Ok(()));
                    }
                    let next = self.tunnel.transmit();
                    if !next.is_empty() {
                        (self.out, self.sent) = (next, 0);
                    }
                    continue;
                }
                Poll::Ready(Ok(false)) if self.input.is_empty() => {
                    "dropped the connection without an answer".to_owned()
                }
                Poll::Ready(Ok(false)) => "dropped the connection inside its answer".to_owned(),
                Poll::Ready(Err(error)) => format!("was lost ({})", in_words(&error)),
            };
            return Poll::Ready(Err(Refusal { text: what, response: None, again: None }));
        }
    }

    pub(super) fn socket(&self) -> (BorrowedFd<'_>, Interest) {
        let write = self.sent < self.out.len() || self.transport.writer.wants_write();
        (self.transport.fd(), Interest { read: !write, write })
    }

    pub(super) fn into_transport(self) -> Transport {
        self.transport
    }
}
