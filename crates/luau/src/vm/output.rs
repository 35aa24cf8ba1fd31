//! What a script prints, and what is said about it on standard error.

use std::cell::RefCell;
use std::io::{self, Write};

pub(crate) struct Output {
    stdout: RefCell<io::BufWriter<io::Stdout>>,
    /// Whether standard error may have colours.
    color: bool,
}

impl Output {
    pub(crate) fn new(color: bool) -> Self {
        Self { stdout: RefCell::new(io::BufWriter::with_capacity(64 << 10, io::stdout())), color }
    }

    /// Writes a line to standard output; it is seen when the host next sleeps, and soon while the script runs.
    pub(crate) fn print(&self, line: &[u8]) {
        let mut stdout = self.stdout.borrow_mut();
        // A reader that has gone away (`| head`) is no business of the script's.
        let _ = stdout.write_all(line).and_then(|()| stdout.write_all(b"\n"));
    }

    pub(crate) fn flush(&self) {
        let mut stdout = self.stdout.borrow_mut();
        if !stdout.buffer().is_empty() {
            let _ = stdout.flush();
        }
    }

    /// Writes to standard error, after everything that was printed before.
    fn complain(&self, line: &str, color: &str) {
        self.flush();
        let mut stderr = io::stderr().lock();
        let _ = if self.color {
            writeln!(stderr, "\x1b[{color}m{line}\x1b[0m")
        } else {
            writeln!(stderr, "{line}")
        };
    }

    pub(crate) fn warn(&self, line: &str) {
        self.complain(line, "33");
    }

    pub(crate) fn error(&self, text: &str) {
        self.complain(text, "31");
    }
}
