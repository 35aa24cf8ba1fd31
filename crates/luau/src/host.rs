//! What all parts of one running script share. One thread, so cells and no locks.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use mlua::{Function, IntoLua, Lua, MultiValue, Thread, Value, thread::ThreadStatus};
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
    /// Counts the resumption cycles.
    pub(crate) cycle: Cell<u64>,
    /// Sockets that are connecting or open, or whose OnClose has not fired yet, by their connection's number.
    pub(crate) sockets: RefCell<HashMap<u64, Rc<Socket>>>,
    /// Coroutines that have run a handler to its end and can run another.
    pub(crate) idle: RefCell<Vec<Thread>>,
    /// The messages that are being fired, while they are.
    pub(crate) batch: RefCell<Option<Batch>>,
    /// Counts the coroutines that left off running handlers: each runs them in a turn of its own.
    pub(crate) handler_turn: Cell<u64>,
    /// Functions that the prelude gives back to us, and those made of them.
    pub(crate) functions: RefCell<HashMap<&'static str, Function>>,
    /// The handler that began last, for a warning.
    pub(crate) running: RefCell<Option<Function>>,
    /// The script's file.
    pub(crate) script: RefCell<PathBuf>,
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
        let host = Rc::new(Self {
            lua,
            reactor,
            configure,
            scheduler: RefCell::default(),
            cycle: Cell::new(0),
            sockets: RefCell::default(),
            idle: RefCell::default(),
            batch: RefCell::default(),
            handler_turn: Cell::new(0),
            functions: RefCell::default(),
            running: RefCell::default(),
            script: RefCell::default(),
            main: RefCell::default(),
            failed: Cell::new(false),
            interrupted: RefCell::new(interrupted),
            ending: Cell::new(false),
            output: RefCell::new(io::BufWriter::with_capacity(64 << 10, io::stdout())),
            color,
        });
        host.lua.set_app_data(Rc::downgrade(&host));
        host
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

    /// A function by the name that it is kept under.
    pub(crate) fn function(&self, name: &'static str) -> mlua::Result<Function> {
        let functions = self.functions.borrow();
        functions.get(name).cloned().ok_or_else(|| mlua::Error::runtime(format!("the host has no {name}")))
    }

    /// Writes a line to standard output; it is seen when the host next sleeps, and soon while the script runs.
    pub(crate) fn print(&self, line: &[u8]) {
        let mut output = self.output.borrow_mut();
        // A reader that has gone away (`| head`) is no business of the script's.
        let _ = output.write_all(line).and_then(|()| output.write_all(b"\n"));
    }

    pub(crate) fn flush(&self) {
        let mut output = self.output.borrow_mut();
        if !output.buffer().is_empty() {
            let _ = output.flush();
        }
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

    /// Reports an error. Once an interrupt came, errors are its doing.
    pub(crate) fn report(&self, text: &str) {
        if !self.was_interrupted() {
            self.complain(text, "31");
        }
    }

    /// An error has ended a coroutine.
    pub(crate) fn failed(&self, thread: &Thread, text: &str) {
        self.report(text);
        if self.main.borrow().as_ref() == Some(thread) {
            self.failed.set(true);
        }
    }

    /// Resumes a coroutine and returns what it yields; an error is reported and ends it alone. One that has ended meanwhile,
    /// by `task.cancel` or `coroutine.close`, is left in peace.
    pub(crate) fn resume(&self, thread: &Thread, mut args: MultiValue) -> Value {
        if thread.status() != ThreadStatus::Resumable {
            return Value::Nil;
        }
        args.push_front(Value::Thread(thread.clone()));
        let result = self.function("run").and_then(|run| run.call::<Value>(args));
        self.warn_if_busy();
        result.unwrap_or_else(|error| {
            self.failed(thread, &error::message(&error));
            Value::Nil
        })
    }

    /// Says that the script did not pause for long, if so, and in which handler.
    pub(crate) fn warn_if_busy(&self) {
        let Some(report) = self.reactor.take_busy_report() else { return };
        let name = self.running.borrow().as_ref().map_or_else(
            || "the script".to_owned(),
            |handler| {
                let info = handler.info();
                let source = info.short_src.unwrap_or_default();
                let line = info.line_defined.map_or_else(String::new, |line| format!(":{line}"));
                format!("the handler at {source}{line}")
            },
        );
        self.warn(&format!(
            "{name} was busy for {:.1} s; pings were answered meanwhile, but nothing else ran",
            report.away.as_secs_f64()
        ));
    }

    /// Whether a coroutine that yielded this rests, waiting for the next handler to run.
    pub(crate) fn is_rest(&self, value: &Value) -> bool {
        matches!(value, Value::LightUserData(mark) if mark.0 == REST.0)
    }
}

/// A function of the host's as a member of a class, by the name that it is kept under.
pub(crate) struct Kept(pub(crate) &'static str);

impl IntoLua for Kept {
    fn into_lua(self, lua: &Lua) -> mlua::Result<Value> {
        let host = lua.app_data_ref::<Weak<Host>>().and_then(|host| host.upgrade());
        let host = host.ok_or_else(|| mlua::Error::runtime("the script has ended"))?;
        host.function(self.0).map(Value::Function)
    }
}

/// What a resting coroutine yields. No script can make the value: it has no way to light userdata.
pub(crate) const REST: mlua::LightUserData = mlua::LightUserData(std::ptr::null_mut());
