//! What all parts of one running script share. One thread, so cells and no locks.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;

use mlua::{Function, Lua, Thread, Value};
use sunsocket_net::{ConnectOptions, Reactor};

use crate::delivery::Batch;
use crate::error;
use crate::scheduler::Scheduler;
use crate::socket::Socket;

/// Sets what is the same for every connection of the script.
pub(crate) type Configure = Box<dyn Fn(&mut ConnectOptions)>;

pub(crate) struct Host {
    pub(crate) lua: Lua,
    pub(crate) reactor: Arc<Reactor>,
    pub(crate) configure: Configure,
    pub(crate) scheduler: RefCell<Scheduler>,
    /// Sockets that are connecting or open, or whose OnClose has not fired yet, by their connection's number.
    pub(crate) sockets: RefCell<HashMap<u64, Rc<Socket>>>,
    /// Coroutines that have run a handler to its end and can run another.
    pub(crate) idle: RefCell<Vec<Thread>>,
    /// The messages that are being fired, while they are.
    pub(crate) batch: RefCell<Option<Batch>>,
    /// Functions that the prelude gives back to us.
    pub(crate) prelude: RefCell<HashMap<&'static str, Function>>,
    /// The handler that began last, for a warning.
    pub(crate) running: RefCell<Option<Function>>,
    /// The script's main coroutine, and whether it failed.
    pub(crate) main: RefCell<Option<Thread>>,
    pub(crate) failed: Cell<bool>,
    /// Asks whether somebody wants the script to end, and whether the answer was ever yes.
    interrupted: RefCell<Box<dyn FnMut() -> bool>>,
    ending: Cell<bool>,
    output: RefCell<io::BufWriter<io::Stdout>>,
    color: bool,
}

impl Host {
    pub(crate) fn new(
        lua: Lua,
        reactor: Arc<Reactor>,
        configure: Configure,
        color: bool,
        interrupted: Box<dyn FnMut() -> bool>,
    ) -> Rc<Self> {
        Rc::new(Self {
            lua,
            reactor,
            configure,
            scheduler: RefCell::default(),
            sockets: RefCell::default(),
            idle: RefCell::default(),
            batch: RefCell::default(),
            prelude: RefCell::default(),
            running: RefCell::default(),
            main: RefCell::default(),
            failed: Cell::new(false),
            interrupted: RefCell::new(interrupted),
            ending: Cell::new(false),
            output: RefCell::new(io::BufWriter::with_capacity(64 << 10, io::stdout())),
            color,
        })
    }

    /// Whether the script is to end. Asks anew each time until the answer is yes.
    pub(crate) fn is_ending(&self) -> bool {
        if !self.ending.get() && (self.interrupted.borrow_mut())() {
            self.ending.set(true);
        }
        self.ending.get()
    }

    /// The last answer.
    pub(crate) fn was_interrupted(&self) -> bool {
        self.ending.get()
    }

    /// A function of the prelude.
    pub(crate) fn function(&self, name: &'static str) -> mlua::Result<Function> {
        let functions = self.prelude.borrow();
        functions.get(name).cloned().ok_or_else(|| mlua::Error::runtime(format!("the prelude has no {name}")))
    }

    /// Writes a line to standard output; it is seen when the host next sleeps, at the latest.
    pub(crate) fn print(&self, line: &[u8]) {
        let mut output = self.output.borrow_mut();
        // A reader that has gone away (`| head`) is no business of the script's.
        let _ = output.write_all(line).and_then(|()| output.write_all(b"\n"));
    }

    pub(crate) fn flush(&self) {
        let _ = self.output.borrow_mut().flush();
    }

    /// Writes to standard error, after everything that was printed before.
    pub(crate) fn complain(&self, line: &str, color: &str) {
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

    /// An error that ended a coroutine.
    pub(crate) fn report(&self, error: &mlua::Error) {
        if self.was_interrupted() {
            // It is the interrupt itself that ends the coroutine.
            return;
        }
        self.complain(&error::describe(error), "31");
    }

    /// Resumes a coroutine; its error is reported and ends it alone.
    pub(crate) fn resume(self: &Rc<Self>, thread: &Thread, args: mlua::MultiValue) {
        let result = thread.resume::<Value>(args);
        if let Some(report) = self.reactor.take_busy_report() {
            self.warn(&format!(
                "the script ran for {:.1} s without a pause; pings were answered meanwhile, but nothing else ran",
                report.away.as_secs_f64()
            ));
        }
        match result {
            Ok(value) => {
                // A handler's coroutine that has come to its end after a pause can run the next.
                if self.is_rest(&value) {
                    self.idle.borrow_mut().push(thread.clone());
                }
            }
            Err(error) => {
                self.report(&error);
                if self.main.borrow().as_ref() == Some(thread) {
                    self.failed.set(true);
                }
            }
        }
    }

    /// Whether a coroutine that yielded this rests, waiting for the next handler to run.
    pub(crate) fn is_rest(&self, value: &Value) -> bool {
        matches!(value, Value::LightUserData(mark) if mark.0 == REST.0)
    }
}

/// What a resting coroutine yields. No script can make the value: it has no way to light userdata.
pub(crate) const REST: mlua::LightUserData = mlua::LightUserData(std::ptr::null_mut());
