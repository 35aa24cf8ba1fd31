//! A script from its start to its end.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{Lua, MultiValue, Value, VmState};
use sunsocket_net::{Reactor, Role};

use crate::delivery::Delivered;
use crate::host::{Configure, Host};
use crate::{delivery, error, globals, modules};

/// How often a script that does not pause is looked at for an interrupt, and how many steps it may take in between
/// without a look at the clock.
const INTERRUPT_LOOK: Duration = Duration::from_millis(10);
const INTERRUPT_STEPS: u32 = 4096;
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
}

/// Runs the script until no coroutine will run any more and no socket is open. `interrupted` is asked at least every 100 ms.
/// Returns the exit status: 0; 1 when the main coroutine failed; 130 after an interrupt.
pub fn run(options: RunOptions, interrupted: impl FnMut() -> bool + 'static) -> i32 {
    let RunOptions { path, args, configure, color } = options;
    let reactor = match Reactor::new(Role::Thread) {
        Ok(reactor) => reactor,
        Err(error) => {
            eprintln!("sunsocket: cannot start: {error}");
            return 1;
        }
    };
    let host = Host::new(Lua::new(), reactor, configure, color, Box::new(interrupted));
    let status = match start(&host, &path, &args) {
        Ok(()) => turn_until_idle(&host),
        Err(problem) => {
            host.report(&problem);
            1
        }
    };
    host.flush();
    status
}

/// Compiles the script and schedules its main coroutine.
fn start(host: &Rc<Host>, path: &Path, args: &[Vec<u8>]) -> Result<(), String> {
    let said = |error: mlua::Error| error::message(&error);
    let lua = &host.lua;
    host.script.replace(path.to_owned());
    globals::install(host).map_err(said)?;
    lua.set_memory_limit(memory_limit()).map_err(said)?;
    // From here on the libraries are read-only, and the script's globals are its own.
    lua.sandbox(true).map_err(said)?;
    let main = lua.create_thread(modules::load(lua, path)?).map_err(said)?;
    let args: mlua::Result<Vec<_>> =
        args.iter().map(|arg| lua.create_string(arg).map(Value::String)).collect();
    host.main.replace(Some(main.clone()));
    host.scheduler.borrow_mut().defer(main, MultiValue::from_vec(args.map_err(said)?));
    interrupt_long_runs(host);
    Ok(())
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

/// A script that does not pause can be interrupted all the same: the VM asks at loops and calls.
fn interrupt_long_runs(host: &Rc<Host>) {
    let asker = Rc::downgrade(host);
    let steps = Cell::new(0u32);
    let looked = Cell::new(Instant::now());
    host.lua.set_interrupt(move |_| {
        steps.set(steps.get().wrapping_add(1));
        let Some(host) = asker.upgrade() else { return Ok(VmState::Continue) };
        if !host.was_interrupted() {
            if !steps.get().is_multiple_of(INTERRUPT_STEPS) || looked.get().elapsed() < INTERRUPT_LOOK {
                return Ok(VmState::Continue);
            }
            looked.set(Instant::now());
            // What was printed is to be seen while the script goes on.
            host.flush();
        }
        // Again and again once it has come: a pcall of the script's must not swallow it.
        if host.is_ending() { Err(mlua::Error::runtime("interrupted")) } else { Ok(VmState::Continue) }
    });
}

/// The loop: coroutines that are due, then whatever the reactor brings.
fn turn_until_idle(host: &Rc<Host>) -> i32 {
    loop {
        if host.is_ending() {
            host.flush();
            host.reactor.close_all(Instant::now() + CLOSE_TIMEOUT);
            return 130;
        }
        host.cycle.set(host.cycle.get() + 1);
        let due = host.scheduler.borrow_mut().take_due(Instant::now());
        if !due.is_empty() {
            let _dispatch = host.reactor.dispatch();
            for (thread, args) in due {
                host.resume(&thread, args);
                if host.was_interrupted() {
                    break;
                }
            }
        }
        if host.is_ending() {
            continue;
        }
        let now = Instant::now();
        let until = if host.scheduler.borrow().has_due() {
            now
        } else if host.scheduler.borrow().is_idle() && host.sockets.borrow().is_empty() {
            return i32::from(host.failed.get());
        } else {
            host.flush();
            host.scheduler.borrow().next_wake().map_or(now + SLICE, |wake| wake.min(now + SLICE))
        };
        turn(host, until);
    }
}

/// One turn of the reactor, and what it brought.
fn turn(host: &Rc<Host>, until: Instant) {
    host.reactor.turn(Some(until));
    let _dispatch = host.reactor.dispatch();
    while let Some(connection) = host.reactor.next_ready() {
        if delivery::deliver(host, &connection) == Delivered::Some {
            // Its turn comes again, behind the others that are ready; coroutines that are due come first.
            connection.request_delivery();
            break;
        }
        if connection.close_was_reported() {
            host.sockets.borrow_mut().remove(&connection.id());
        }
        if host.was_interrupted() {
            break;
        }
    }
}
