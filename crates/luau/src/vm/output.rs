//! What a script prints, and what is said about it on standard error.
//!
//! Both are written straight to the system, not through the standard library: that takes a descriptor which cannot be
//! written for one that was, and begins a write anew that a signal has cut off, however long nobody reads.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::ending::{Ending, Endings};

/// So many bytes are gathered before they are written.
const GATHERED: usize = 64 << 10;

pub(crate) struct Output {
    printed: RefCell<Vec<u8>>,
    /// Whether standard error may have colours.
    color: bool,
    /// Told when nothing can be written any more, and asked whether to go on writing.
    endings: Rc<Endings>,
}

impl Output {
    pub(crate) fn new(color: bool, endings: Rc<Endings>) -> Self {
        Self { printed: RefCell::new(Vec::with_capacity(GATHERED)), color, endings }
    }

    /// Writes a line to standard output; it is seen when the host next sleeps, and soon while the script runs.
    pub(crate) fn print(&self, line: &[u8]) {
        if self.printed.borrow().len() + line.len() >= GATHERED {
            self.flush();
        }
        let mut printed = self.printed.borrow_mut();
        printed.extend_from_slice(line);
        printed.push(b'\n');
    }

    /// Writes what was printed. When that cannot be, the script is to end, as other commands do.
    pub(crate) fn flush(&self) {
        let mut printed = self.printed.borrow_mut();
        if printed.is_empty() {
            return;
        }
        let written = self.write(io::stdout().as_fd(), &printed);
        printed.clear();
        printed.shrink_to(GATHERED);
        drop(printed);
        if let Err(error) = written
            && self.fails(error)
        {
            self.error(&format!(
                "sunsocket run: cannot write to standard output: {}",
                io::Error::from(error).to_string().split(" (os error").next().unwrap_or_default()
            ));
        }
    }

    /// Whether the failure is to be told. One that nobody reads ends by a signal, without a word.
    fn fails(&self, error: Errno) -> bool {
        if error == Errno::PIPE {
            self.endings.end(Ending::NoReader);
            return false;
        }
        let is_first = self.endings.last().is_none();
        self.endings.end(Ending::NoOutput);
        is_first
    }

    /// Writes to standard error, after everything that was printed before. Where that fails there is nowhere to say so.
    fn complain(&self, line: &str, color: &str) {
        self.flush();
        let line = if self.color { format!("\x1b[{color}m{line}\x1b[0m\n") } else { format!("{line}\n") };
        if let Err(Errno::PIPE) = self.write(io::stderr().as_fd(), line.as_bytes()) {
            self.endings.end(Ending::NoReader);
        }
    }

    pub(crate) fn warn(&self, line: &str) {
        self.complain(line, "33");
    }

    pub(crate) fn error(&self, text: &str) {
        self.complain(text, "31");
    }

    /// Writes all of it, unless the script is to end meanwhile: nobody may be reading.
    fn write(&self, to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            match rustix::io::write(to, bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::INTR) if self.endings.look().is_none() => {}
                Err(Errno::INTR) => return Ok(()),
                // Somebody who shares the descriptor has made it one that does not wait.
                Err(Errno::AGAIN) => match poll(&mut [PollFd::new(&to, PollFlags::OUT)], None) {
                    Err(Errno::INTR) if self.endings.look().is_some() => return Ok(()),
                    _ => {}
                },
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
