//! A script from its start to its end.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{Lua, MultiValue, Value, VmState};
use sunsocket_net::{Reactor, Role};

use crate::host::{Configure, Host};
use crate::{delivery, globals};

/// How often a script that does not pause is looked at for an interrupt, and how many steps it may take in between
/// without a look at the clock.
const INTERRUPT_LOOK: Duration = Duration::from_millis(10);
const INTERRUPT_STEPS: u32 = 4096;
/// The longest that open sockets may take to close after an interrupt.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the host sleeps without asking whether an interrupt came.
const SLICE: Duration = Duration::from_millis(100);

/// What to run, and how.
pub struct RunOptions {
    /// The script.
    pub path: PathBuf,
    /// Its arguments, `...` in it.
    pub args: Vec<String>,
    /// Sets what is the same for every connection: addresses, certificates, headers.
    pub configure: Configure,
    /// Whether standard error may have colours.
    pub color: bool,
}

/// Runs the script until no coroutine will run any more and no socket is open. `interrupted` is asked at least every 100 ms.
/// Returns the exit status: 0; 1 when the main coroutine failed; 130 after an interrupt.
pub fn run(options: RunOptions, interrupted: impl FnMut() -> bool + 'static) -> i32 {
    let RunOptions { path, args, configure, color } = options;
    let source = match fs::read(&path) {
        Ok(source) => source,
        Err(error) => {
            eprintln!("sunsocket: cannot read the script {}: {error}", path.display());
            return 2;
        }
    };
    let reactor = match Reactor::new(Role::Thread) {
        Ok(reactor) => reactor,
        Err(error) => {
            eprintln!("sunsocket: cannot start: {error}");
            return 1;
        }
    };
    let host = Host::new(Lua::new(), reactor, configure, color, Box::new(interrupted));
    let status = match start(&host, &source, &path, &args) {
        Ok(()) => turn_until_idle(&host),
        Err(error) => {
            host.report(&error);
            1
        }
    };
    host.flush();
    status
}

/// Compiles the script and schedules its main coroutine.
fn start(host: &Rc<Host>, source: &[u8], path: &Path, args: &[String]) -> mlua::Result<()> {
    globals::install(host)?;
    let lua = &host.lua;
    // A script may begin with `#!`, to be run as a command.
    let source = match source.strip_prefix(b"#!") {
        Some(rest) => [b"--", rest].concat(),
        None => source.to_vec(),
    };
    let chunk = lua.load(source).set_name(format!("@{}", path.display())).into_function()?;
    let main = lua.create_thread(chunk)?;
    let args =
        args.iter().map(|arg| lua.create_string(arg).map(Value::String)).collect::<mlua::Result<Vec<_>>>()?;
    host.main.replace(Some(main.clone()));
    host.scheduler.borrow_mut().defer(main, MultiValue::from_vec(args));
    interrupt_long_runs(host);
    Ok(())
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

/// One turn of the reactor, and everything that it brought.
fn turn(host: &Rc<Host>, until: Instant) {
    host.reactor.turn(Some(until));
    let _dispatch = host.reactor.dispatch();
    while let Some(connection) = host.reactor.next_ready() {
        delivery::deliver(host, &connection);
        if connection.close_was_reported() {
            host.sockets.borrow_mut().remove(&connection.id());
        }
        if host.was_interrupted() {
            break;
        }
    }
}
