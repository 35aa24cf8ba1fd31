//! One VM: its coroutines, its output, and whether it is to end. One thread, so cells and no locks.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::{Rc, Weak};
use std::time::Instant;

use mlua::{Function, IntoLua, Lua, MultiValue, Thread, Value, thread::ThreadStatus};

use super::ending::{Ending, Endings};
use super::errors;
use super::frames::Frames;
use super::loader::Loader;
use super::output::Output;
use super::scheduler::Scheduler;
use super::suspension::Suspensions;

pub(crate) struct Vm {
    pub(crate) lua: Lua,
    /// When the script began.
    pub(crate) began: Instant,
    pub(crate) scheduler: RefCell<Scheduler>,
    pub(crate) suspensions: Suspensions,
    /// What compiles texts, once the script's globals are made.
    pub(crate) loader: OnceCell<Loader>,
    pub(crate) output: Output,
    /// Functions that the prelude gives back to us, and those made of them.
    pub(crate) functions: RefCell<HashMap<&'static str, Function>>,
    /// The script's main coroutine, and whether it failed.
    pub(crate) main: RefCell<Option<Thread>>,
    pub(crate) failed: Cell<bool>,
    /// Whether the script is to end before its end.
    pub(crate) endings: Rc<Endings>,
    /// Whether the first error that nobody catches ends it.
    exit_on_error: bool,
    /// Counts the turns of the host's loop: while it does not change, the script has not paused.
    pub(crate) turns: Cell<u64>,
}

impl Vm {
    /// `fps`: how many frames a second has. `signal`: which one came, if any.
    pub(crate) fn new(
        color: bool,
        fps: u32,
        exit_on_error: bool,
        signal: Box<dyn FnMut() -> Option<i32>>,
    ) -> io::Result<Rc<Self>> {
        let began = Instant::now();
        let endings = Rc::new(Endings::new(signal));
        let vm = Rc::new(Self {
            began,
            lua: Lua::new(),
            scheduler: RefCell::new(Scheduler::new(Frames::new(began, fps))),
            suspensions: Suspensions::default(),
            loader: OnceCell::new(),
            output: Output::new(color, Rc::clone(&endings))?,
            functions: RefCell::default(),
            main: RefCell::default(),
            failed: Cell::new(false),
            endings,
            exit_on_error,
            turns: Cell::new(0),
        });
        vm.lua.set_app_data(Rc::downgrade(&vm));
        Ok(vm)
    }

    /// Whether the script is to end, as far as is known: nobody is asked anew.
    pub(crate) fn is_ending(&self) -> bool {
        self.endings.last().is_some()
    }

    /// A function by the name that it is kept under.
    pub(crate) fn function(&self, name: &'static str) -> mlua::Result<Function> {
        let functions = self.functions.borrow();
        functions.get(name).cloned().ok_or_else(|| mlua::Error::runtime(format!("the host has no {name}")))
    }

    /// Compiles a text; see [`Loader::compile`].
    pub(crate) fn compile(&self, source: &[u8], name: &str) -> Result<Function, String> {
        let loader = self.loader.get().ok_or("the script's globals are not made yet")?;
        loader.compile(&self.lua, source, name)
    }

    /// Compiles the text of a file, and keeps it for what errors say of it.
    pub(crate) fn compile_file(&self, source: &[u8], name: &str) -> Result<Function, String> {
        let function = self.compile(source, name)?;
        if let Some(loader) = self.loader.get() {
            loader.keep_source(name, source);
        }
        Ok(function)
    }

    /// Reports an error that nobody has caught. Once the script is to end, errors are the doing of that.
    pub(crate) fn report(&self, text: &str) {
        if self.is_ending() {
            return;
        }
        self.output.error(text);
        if self.exit_on_error {
            self.endings.end(Ending::Error);
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
        result.unwrap_or_else(|error| {
            self.failed(thread, &errors::message(&error));
            Value::Nil
        })
    }
}

/// A function of the host's as a member of a class, by the name that it is kept under.
pub(crate) struct Kept(pub(crate) &'static str);

impl IntoLua for Kept {
    fn into_lua(self, lua: &Lua) -> mlua::Result<Value> {
        kept(lua, self.0).map(Value::Function)
    }
}

/// What a function of the prelude makes, by the name that the function is kept under.
pub(crate) struct Made(pub(crate) &'static str);

impl IntoLua for Made {
    fn into_lua(self, lua: &Lua) -> mlua::Result<Value> {
        kept(lua, self.0)?.call(())
    }
}

fn kept(lua: &Lua, name: &'static str) -> mlua::Result<Function> {
    let vm = lua.app_data_ref::<Weak<Vm>>().and_then(|vm| vm.upgrade());
    vm.ok_or_else(|| mlua::Error::runtime("the script has ended"))?.function(name)
}
