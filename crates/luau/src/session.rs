//! One running script: a VM, the reactor that its sockets belong to, and who takes their messages.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use mlua::{Function, MultiValue, Thread, Value};
use sunsocket_net::{ConnectOptions, Reactor, State};

use crate::ahead::Ahead;
use crate::socket::Socket;
use crate::turn::Turn;
use crate::vm::machine::Vm;

/// Sets what is the same for every connection of the script.
pub(crate) type Configure = Box<dyn Fn(&mut ConnectOptions)>;

pub(crate) struct Session {
    pub(crate) vm: Rc<Vm>,
    pub(crate) reactor: Arc<Reactor>,
    pub(crate) configure: Configure,
    /// Sockets that are connecting or open, or whose OnClose has not fired yet, by their connection's number.
    pub(crate) sockets: RefCell<HashMap<u64, Rc<Socket>>>,
    /// Coroutines that have run a handler to its end and can run another.
    pub(crate) idle: RefCell<Vec<Thread>>,
    /// The messages that are being fired, while they are.
    pub(crate) batch: RefCell<Option<Batch>>,
    /// Those of them that go to one handler as a list.
    pub(crate) ahead: Rc<Ahead>,
    /// How long coroutines, or handlers, have run.
    pub(crate) turn: Turn,
    /// Counts the coroutines that left off running handlers: each runs them in a turn of its own.
    pub(crate) handler_turn: Cell<u64>,
    /// The handler that began last, for a warning.
    pub(crate) running: RefCell<Option<Function>>,
    /// The script's file.
    pub(crate) script: PathBuf,
    failure_was_told: Cell<bool>,
}

/// What is being fired.
pub(crate) struct Batch {
    pub(crate) socket: Rc<Socket>,
    /// How many more handlers may be called now.
    pub(crate) budget: u32,
    /// Something is left, for the next turn.
    pub(crate) is_cut: bool,
    /// The next call, if somebody has looked for it already.
    pub(crate) next: Option<(Function, Value)>,
}

impl Session {
    pub(crate) fn new(
        vm: Rc<Vm>,
        reactor: Arc<Reactor>,
        configure: Configure,
        script: PathBuf,
    ) -> mlua::Result<Rc<Self>> {
        let ahead = Ahead::new(&vm.lua)?;
        Ok(Rc::new(Self {
            vm,
            reactor,
            configure,
            sockets: RefCell::default(),
            idle: RefCell::default(),
            batch: RefCell::default(),
            ahead,
            turn: Turn::new(),
            handler_turn: Cell::new(0),
            running: RefCell::default(),
            script,
            failure_was_told: Cell::new(false),
        }))
    }

    /// Resumes a coroutine and returns what it yields.
    pub(crate) fn resume(&self, thread: &Thread, args: MultiValue) -> Value {
        let value = self.vm.resume(thread, args);
        if self.vm.failed.get() {
            self.say_that_it_goes_on();
        }
        self.warn_if_busy();
        value
    }

    /// Whether handlers leave off for now, because coroutines are due and the sockets had their turn. While no coroutine waits
    /// for its own, the clock is not asked.
    pub(crate) fn sockets_had_their_turn(&self) -> bool {
        let scheduler = self.vm.scheduler.borrow();
        if !scheduler.is_waited_for() {
            return false;
        }
        let now = Instant::now();
        self.turn.is_over_for_sockets(now) && scheduler.is_due(now)
    }

    /// The main coroutine has failed, and that is no end while a socket is open.
    fn say_that_it_goes_on(&self) {
        if self.failure_was_told.replace(true) || self.vm.is_ending() {
            return;
        }
        let is_open = |socket: &&Rc<Socket>| socket.connection.state() == State::Open;
        match self.sockets.borrow().values().filter(is_open).count() {
            0 => {}
            1 => self.vm.output.warn("the script goes on: 1 socket is open"),
            count => self.vm.output.warn(&format!("the script goes on: {count} sockets are open")),
        }
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
        self.vm.output.warn(&format!(
            "{name} was busy for {:.1} s; pings were answered meanwhile, but nothing else ran",
            report.away.as_secs_f64()
        ));
    }
}
