//! `crates/net/src/io` over a `Pipe`. Like TLS it can hold plaintext that the poller does not know of.

use std::collections::VecDeque;
use std::io;

use crate::pipe::Pipe;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, thread};

#[derive(Clone, Debug)]
pub(crate) struct Source(Arc<Pipe>);

impl Source {
    pub(crate) fn fd(&self) -> &Arc<Pipe> {
        &self.0
    }
}

#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
}

impl Transport {
    pub(crate) fn new(pipe: Arc<Pipe>, record: Option<usize>) -> Self {
        let reader = Reader { pipe: Arc::clone(&pipe), record, held: VecDeque::new(), endless: None };
        Self { reader, writer: Writer { pipe } }
    }

    /// The same, in which this frame comes again and again, from its first byte on, until `stops` says that it is enough.
    pub(crate) fn endless(pipe: Arc<Pipe>, record: usize, frame: Vec<u8>, stops: Arc<AtomicBool>) -> Self {
        let mut transport = Self::new(pipe, Some(record));
        transport.reader.endless = Some((frame, stops));
        transport
    }

    pub(crate) fn into_halves(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }
}

#[derive(Debug)]
pub(crate) struct Reader {
    pipe: Arc<Pipe>,
    /// The most that one read takes, when more is held back here.
    record: Option<usize>,
    held: VecDeque<u8>,
    endless: Option<(Vec<u8>, Arc<AtomicBool>)>,
}

impl Reader {
    pub(crate) fn source(&self) -> Source {
        Source(Arc::clone(&self.pipe))
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(record) = self.record else {
            let bytes = self.pipe.client_read(buffer.len())?;
            buffer[..bytes.len()].copy_from_slice(&bytes);
            return Ok(bytes.len());
        };
        if self.held.is_empty() {
            match (self.pipe.client_read(usize::MAX), &self.endless) {
                (Err(error), Some((frame, stops)))
                    if error.kind() == io::ErrorKind::WouldBlock && !stops.load(Ordering::SeqCst) =>
                {
                    self.held.extend(frame);
                    // Time passes: who never lets others run would keep the rest of the world from going on.
                    thread::yield_now();
                }
                (bytes, _) => self.held.extend(bytes?),
            }
        }
        let count = record.min(buffer.len()).min(self.held.len());
        for (to, byte) in buffer.iter_mut().zip(self.held.drain(..count)) {
            *to = byte;
        }
        Ok(count)
    }

    pub(crate) fn read_append(&mut self, buffer: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        let start = buffer.len();
        buffer.resize(start + max, 0);
        let read = self.read(&mut buffer[start..]);
        buffer.truncate(start + *read.as_ref().unwrap_or(&0));
        read
    }

    pub(crate) fn has_buffered(&self) -> bool {
        let flows = self.endless.as_ref().is_some_and(|(_, stops)| !stops.load(Ordering::SeqCst));
        !self.held.is_empty() || flows
    }

    pub(crate) fn owes_write(&self) -> bool {
        false
    }
}

#[derive(Debug)]
pub(crate) struct Writer {
    pipe: Arc<Pipe>,
}

impl Writer {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pipe.client_write(bytes)
    }

    /// Takes some of the first piece: nobody may count on more.
    pub(crate) fn write_vectored(&mut self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match pieces.iter().find(|piece| !piece.is_empty()) {
            Some(piece) => self.pipe.client_write(piece),
            None => Ok(0),
        }
    }

    pub(crate) fn wants_write(&self) -> bool {
        false
    }

    pub(crate) fn held(&self) -> usize {
        0
    }

    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    pub(crate) fn shutdown_write(&mut self) {
        self.pipe.client_done();
    }

    pub(crate) fn shutdown(&mut self) {
        self.pipe.client_done();
    }
}
