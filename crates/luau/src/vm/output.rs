//! What a script prints, and what is said about it on standard error.
//!
//! Both are written as files: the standard library's own handles take a descriptor that is closed for one that was
//! written, and begin a write anew that a signal has cut off, however long nobody reads.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::rc::Rc;

use rustix::event::{PollFd, PollFlags, poll};

use super::ending::{Ending, Endings};

/// So many bytes are gathered before they are written.
const GATHERED: usize = 64 << 10;

pub(crate) struct Output {
    stdout: File,
    stderr: File,
    printed: RefCell<Vec<u8>>,
    /// Whether standard error may have colours.
    color: bool,
    /// Told when nothing can be written any more, and asked whether to go on writing.
    endings: Rc<Endings>,
}

impl Output {
    /// # Errors
    /// There is no descriptor left, or one of the two is closed.
    pub(crate) fn new(color: bool, endings: Rc<Endings>) -> io::Result<Self> {
        Ok(Self {
            stdout: io::stdout().as_fd().try_clone_to_owned()?.into(),
            stderr: io::stderr().as_fd().try_clone_to_owned()?.into(),
            printed: RefCell::new(Vec::with_capacity(GATHERED)),
            color,
            endings,
        })
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
        let written = self.write(&self.stdout, &printed);
        printed.clear();
        printed.shrink_to(GATHERED);
        drop(printed);
        if let Err(error) = written
            && self.fails(&error)
        {
            let text = error.to_string();
            let words = text.split(" (os error").next().unwrap_or_default();
            self.error(&format!("sunsocket run: cannot write to standard output: {words}"));
        }
    }

    /// Whether the failure is to be told. One that nobody reads ends by a signal, without a word.
    fn fails(&self, error: &io::Error) -> bool {
        if error.kind() == ErrorKind::BrokenPipe {
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
        if let Err(error) = self.write(&self.stderr, line.as_bytes())
            && error.kind() == ErrorKind::BrokenPipe
        {
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
    fn write(&self, mut to: &File, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let interrupted = match to.write(bytes) {
                Ok(count) => {
                    bytes = &bytes[count..];
                    false
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => true,
                // Somebody who shares the descriptor has made it one that does not wait.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(to, PollFlags::OUT)], None).is_err()
                }
                Err(error) => return Err(error),
            };
            if interrupted && self.endings.look().is_some() {
                return Ok(());
            }
        }
        Ok(())
    }
}
