//! What a layer asks of the transport below it: TLS goes over any.

use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sync::Arc;

/// What a poller watches for a transport: the descriptor stays open for as long as this lives.
#[derive(Clone, Debug)]
pub(crate) struct Source(Arc<OwnedFd>);

impl Source {
    pub(super) fn new(socket: &Arc<OwnedFd>) -> Self {
        Self(Arc::clone(socket))
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The receiving half below; its methods are those of [`super::Reader`].
pub(super) trait ReadHalf: fmt::Debug + Send {
    fn fd(&self) -> BorrowedFd<'_>;
    fn source(&self) -> Source;
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    fn has_buffered(&self) -> bool;
}

/// The sending half below; its methods are those of [`super::Writer`].
pub(super) trait WriteHalf: fmt::Debug + Send {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;
    fn wants_write(&self) -> bool;
    fn held(&self) -> usize;
    fn flush(&mut self) -> io::Result<bool>;
    fn shutdown_write(&mut self);
    fn shutdown(&mut self);
}
