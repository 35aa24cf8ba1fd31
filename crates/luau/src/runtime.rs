//! A script from its start to its end.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::Value;
use sunsocket_net::{Reactor, Role};

use crate::delivery::{self, Delivered};
use crate::session::{Configure, Session};
use crate::vm::ending::Ending;
use crate::vm::machine::Vm;
use crate::vm::scheduler::Sleeper;
use crate::vm::{errors, interrupt};
use crate::{cycle, globals, memory, modules};

/// The longest that open sockets may take to close when the script is ended.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the host sleeps without asking whether a signal came.
const SLICE: Duration = Duration::from_millis(100);

/// What to run, and how.
pub struct RunOptions {
    /// The script.
    pub path: PathBuf,
    /// Its arguments, `...` in it.
    pub args: Vec<Vec<u8>>,
    /// Sets what is the same for every connection: addresses, certificates, headers.
    pub configure: Configure,
    /// Whether standard error may have colours.
    pub color: bool,
    /// How many frames a second has, in which coroutines go on that wait for a time.
    pub fps: u32,
    /// Whether the first error that nobody catches ends the script.
    pub exit_on_error: bool,
}

/// Runs the script until no coroutine will run any more and no socket is open. `signal` is asked at least every 100 ms whether
/// a signal came that is to end the script, and which.
///
/// Returns the exit status: 0; 1 when the main coroutine failed, or standard output cannot be written; 128 and the number of
/// the signal; 141 (128 and SIGPIPE) when nobody reads standard output any more.
pub fn run(options: RunOptions, signal: impl FnMut() -> Option<i32> + 'static) -> i32 {
    let RunOptions { path, args, configure, color, fps, exit_on_error } = options;
    let reactor = match Reactor::new(Role::Thread) {
        Ok(reactor) => reactor,
        Err(error) => {
            cannot_start(&error);
            return 1;
        }
    };
    let vm = match Vm::new(color, fps, exit_on_error, Box::new(signal)) {
        Ok(vm) => vm,
        Err(error) => {
            cannot_start(&error);
            return 1;
        }
    };
    let session = match Session::new(vm, reactor, configure, path) {
        Ok(session) => session,
        Err(error) => {
            cannot_start(&error);
            return 1;
        }
    };
    let status = match start(&session, &args) {
        Ok(()) => turn_until_idle(&session),
        Err(problem) => {
            session.vm.report(&problem);
            1
        }
    };
    session.vm.output.flush();
    // Also what came with the very last line.
    session.vm.endings.last().map_or(status, Ending::status)
}

/// Not by the standard library's macro: that panics where standard error cannot be written.
fn cannot_start(error: &dyn fmt::Display) {
    let _ = writeln!(io::stderr(), "sunsocket: cannot start: {error}");
}

/// Compiles the script and schedules its main coroutine.
fn start(session: &Rc<Session>, args: &[Vec<u8>]) -> Result<(), String> {
    let said = |error: mlua::Error| errors::message(&error);
    let lua = &session.vm.lua;
    globals::install(session).map_err(said)?;
    lua.set_memory_limit(memory::limit()).map_err(said)?;
    let main = lua.create_thread(modules::load(&session.vm, &session.script)?).map_err(said)?;
    let args: mlua::Result<Vec<_>> =
        args.iter().map(|arg| lua.create_string(arg).map(Value::String)).collect();
    session.vm.main.replace(Some(main.clone()));
    let args = args.map_err(said)?.into_iter().collect();
    session.vm.scheduler.borrow_mut().defer(Sleeper::Thread(main, args));
    interrupt::install(&session.vm).map_err(said)
}

/// The loop: coroutines that are due, then whatever the reactor brings.
fn turn_until_idle(session: &Rc<Session>) -> i32 {
    let vm = &session.vm;
    loop {
        if let Some(ending) = vm.endings.look() {
            vm.output.flush();
            session.reactor.close_all(Instant::now() + CLOSE_TIMEOUT);
            return ending.status();
        }
        vm.turns.set(vm.turns.get() + 1);
        cycle::run(session);
        if vm.endings.look().is_some() {
            continue;
        }
        let now = Instant::now();
        let until = if vm.scheduler.borrow().has_due() {
            now
        } else if session.sockets.borrow().is_empty() && vm.scheduler.borrow().is_idle() {
            return i32::from(vm.failed.get());
        } else {
            vm.output.flush();
            if vm.is_ending() {
                continue;
            }
            vm.scheduler.borrow().next_frame().map_or(now + SLICE, |begin| begin.min(now + SLICE))
        };
        turn(session, until);
    }
}

/// One turn of the reactor, and what it brought.
fn turn(session: &Rc<Session>, until: Instant) {
    session.reactor.turn(Some(until));
    let _dispatch = session.reactor.dispatch();
    session.turn.begin(None);
    while let Some(connection) = session.reactor.next_ready() {
        if delivery::deliver(session, &connection) == Delivered::Some {
            // Its turn comes again, behind the others that are ready; coroutines that are due come first.
            connection.request_delivery();
            break;
        }
        if connection.close_was_reported() {
            session.sockets.borrow_mut().remove(&connection.id());
        }
        if session.vm.is_ending() || session.sockets_had_their_turn() {
            break;
        }
    }
}
