//! A script from its start to its end.

use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::Value;
use sunsocket_net::{Reactor, Role};

use crate::delivery::{self, Delivered};
use crate::session::{Configure, Session};
use crate::vm::machine::Vm;
use crate::vm::scheduler::Sleeper;
use crate::vm::{errors, interrupt};
use crate::{cycle, globals, modules};

/// The longest that open sockets may take to close after an interrupt.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// What a machine is taken to have that does not say.
const UNKNOWN_MEMORY: u64 = 4 << 30;
/// How long the host sleeps without asking whether an interrupt came.
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
}

/// Runs the script until no coroutine will run any more and no socket is open. `interrupted` is asked at least every 100 ms.
/// Returns the exit status: 0; 1 when the main coroutine failed; 130 after an interrupt.
pub fn run(options: RunOptions, interrupted: impl FnMut() -> bool + 'static) -> i32 {
    let RunOptions { path, args, configure, color, fps } = options;
    let reactor = match Reactor::new(Role::Thread) {
        Ok(reactor) => reactor,
        Err(error) => {
            eprintln!("sunsocket: cannot start: {error}");
            return 1;
        }
    };
    let vm = Vm::new(color, fps, Box::new(interrupted));
    let session = match Session::new(vm, reactor, configure, path) {
        Ok(session) => session,
        Err(error) => {
            eprintln!("sunsocket: cannot start: {error}");
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
    status
}

/// Compiles the script and schedules its main coroutine.
fn start(session: &Rc<Session>, args: &[Vec<u8>]) -> Result<(), String> {
    let said = |error: mlua::Error| errors::message(&error);
    let lua = &session.vm.lua;
    globals::install(session).map_err(said)?;
    lua.set_memory_limit(memory_limit()).map_err(said)?;
    let main = lua.create_thread(modules::load(&session.vm, &session.script)?).map_err(said)?;
    let args: mlua::Result<Vec<_>> =
        args.iter().map(|arg| lua.create_string(arg).map(Value::String)).collect();
    session.vm.main.replace(Some(main.clone()));
    let args = args.map_err(said)?.into_iter().collect();
    session.vm.scheduler.borrow_mut().defer(Sleeper::Thread(main, args));
    interrupt::install(&session.vm).map_err(said)
}

/// How many bytes the VM may hold: half of the machine's memory, or of what this process may have. Past it a script gets an
/// error; without it the process is ended by an allocation that fails, or by the system for want of memory.
fn memory_limit() -> usize {
    let total = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let kibibytes: u64 = text
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))?
            .split_whitespace()
            .next()?
            .parse()
            .ok()?;
        Some(kibibytes * 1024)
    });
    let allowed = rustix::process::getrlimit(rustix::process::Resource::As).current;
    let bytes = total.into_iter().chain(allowed).min().unwrap_or(UNKNOWN_MEMORY) / 2;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The loop: coroutines that are due, then whatever the reactor brings.
fn turn_until_idle(session: &Rc<Session>) -> i32 {
    let vm = &session.vm;
    loop {
        if vm.is_ending() {
            vm.output.flush();
            session.reactor.close_all(Instant::now() + CLOSE_TIMEOUT);
            return 130;
        }
        cycle::run(session);
        if vm.is_ending() {
            continue;
        }
        let now = Instant::now();
        let until = if vm.scheduler.borrow().has_due() {
            now
        } else if session.sockets.borrow().is_empty() && vm.scheduler.borrow().is_idle() {
            return i32::from(vm.failed.get());
        } else {
            vm.output.flush();
            vm.scheduler.borrow().next_frame().map_or(now + SLICE, |begin| begin.min(now + SLICE))
        };
        turn(session, until);
    }
}

/// One turn of the reactor, and what it brought.
fn turn(session: &Rc<Session>, until: Instant) {
    session.reactor.turn(Some(until));
    let _dispatch = session.reactor.dispatch();
    session.sockets_turn.set(None);
    while let Some(connection) = session.reactor.next_ready() {
        if delivery::deliver(session, &connection) == Delivered::Some {
            // Its turn comes again, behind the others that are ready; coroutines that are due come first.
            connection.request_delivery();
            break;
        }
        if connection.close_was_reported() {
            session.sockets.borrow_mut().remove(&connection.id());
        }
        if session.vm.was_interrupted() || session.sockets_had_their_turn() {
            break;
        }
    }
}
