//! A ready connection to its coroutines and handlers.
//!
//! Handlers run in recycled coroutines: one of them (`run_handlers` of the prelude) asks [`next_handler`] for handler after
//! handler, message after message, so that a handler that does not yield costs no coroutine and no resumption of its own.
//! One that yields keeps its coroutine, and the next message goes on in another.

use std::rc::Rc;

use mlua::{Function, LuaString, MultiValue, Thread, Value};
use sunsocket_net::{Connection, Firing, State};

use crate::host::Host;
use crate::signal::Which;
use crate::socket::{Socket, SocketObject};

/// What is being fired.
pub(crate) struct Batch {
    socket: Rc<Socket>,
    /// The message whose handlers are being called.
    message: Option<(LuaString, Firing)>,
    /// OnClose's handlers, in reverse.
    close: Vec<Function>,
}

/// Everything that is due on one connection, in order: opened, messages, closed.
pub(crate) fn deliver(host: &Rc<Host>, connection: &Connection) {
    let Some(socket) = host.sockets.borrow().get(&connection.id()).cloned() else { return };
    if connection.take_opened() {
        opened(host, &socket);
    }
    if connection.take_writable() {
        let waiting = std::mem::take(&mut *socket.room.borrow_mut());
        let mut scheduler = host.scheduler.borrow_mut();
        waiting.into_iter().for_each(|thread| scheduler.defer(thread, MultiValue::new()));
    }
    if connection.take_dropped() {
        host.warn(&format!(
            "messages from {} are being dropped, the oldest first: the hold is full and nothing has listened to OnMessage",
            connection.url()
        ));
    }
    fire(host, Batch { socket: Rc::clone(&socket), message: None, close: Vec::new() });
    if connection.take_closed() || connection.close_was_reported() {
        closed(host, &socket);
    }
}

fn opened(host: &Rc<Host>, socket: &Rc<Socket>) {
    let Some(thread) = socket.opening.borrow_mut().take() else { return };
    let outcome = match socket.connection.closed().filter(|_| socket.connection.handshake().is_none()) {
        None => SocketObject::create(host, socket).map(|object| vec![Value::UserData(object)]),
        Some(closed) => {
            let text = closed.error.map_or_else(|| "cannot connect".to_owned(), |error| error.to_string());
            // Never open, so nothing to close: no signal of it can be seen.
            host.sockets.borrow_mut().remove(&socket.connection.id());
            host.lua.create_string(&text).map(|text| vec![Value::Nil, Value::String(text)])
        }
    };
    match outcome {
        Ok(values) => host.resume(&thread, MultiValue::from_vec(values)),
        Err(error) => host.report(&error),
    }
}

/// Runs handlers until there is none left to run.
fn fire(host: &Rc<Host>, batch: Batch) {
    let before = host.batch.replace(Some(batch));
    while host.has_handler() {
        let thread = match rested(host) {
            Ok(thread) => thread,
            Err(error) => {
                host.report(&error);
                break;
            }
        };
        match thread.resume::<Value>(()) {
            Ok(value) if host.is_rest(&value) => host.idle.borrow_mut().push(thread),
            // The handler yielded: its coroutine is its own from here on.
            Ok(_) => {}
            Err(error) => host.report(&error),
        }
        warn_if_busy(host);
    }
    host.running.replace(None);
    host.batch.replace(before);
}

fn rested(host: &Rc<Host>) -> mlua::Result<Thread> {
    let idle = host.idle.borrow_mut().pop();
    match idle {
        Some(thread) => Ok(thread),
        None => host.lua.create_thread(host.function("run_handlers")?),
    }
}

impl Host {
    /// Whether `next_handler` would find one.
    fn has_handler(&self) -> bool {
        let batch = self.batch.borrow();
        let Some(batch) = &*batch else { return false };
        let signal = batch.socket.signal(Which::Message);
        !batch.close.is_empty()
            || batch.message.is_some()
            || ((!signal.listeners.borrow().is_empty() || !signal.waiters.borrow().is_empty())
                && batch.socket.connection.has_message())
    }
}

/// The next handler and its argument; nothing when all have run.
pub(crate) fn next_handler(host: &Rc<Host>) -> mlua::Result<(Option<Function>, Option<LuaString>)> {
    warn_if_busy(host);
    let mut current = host.batch.borrow_mut();
    let Some(batch) = &mut *current else { return Ok((None, None)) };
    if let Some(handler) = batch.close.pop() {
        host.running.replace(Some(handler.clone()));
        return Ok((Some(handler), None));
    }
    let signal = batch.socket.signal(Which::Message);
    loop {
        if let Some((message, firing)) = &mut batch.message {
            let next = signal.listeners.borrow_mut().next(firing);
            if let Some((_, handler)) = next {
                host.running.replace(Some(handler.clone()));
                return Ok((Some(handler), Some(message.clone())));
            }
            batch.message = None;
            if signal.listeners.borrow().is_empty() {
                batch.socket.attend();
            }
        }
        let waiters = std::mem::take(&mut *signal.waiters.borrow_mut());
        if waiters.is_empty() && signal.listeners.borrow().is_empty() {
            return Ok((None, None));
        }
        let Some(message) = batch.socket.take(&host.lua)? else {
            *signal.waiters.borrow_mut() = waiters;
            return Ok((None, None));
        };
        // Everybody who waits gets the same message, in the next cycle.
        for thread in waiters {
            let value = MultiValue::from_vec(vec![Value::String(message.clone())]);
            host.scheduler.borrow_mut().defer(thread, value);
        }
        let firing = signal.listeners.borrow().fire();
        batch.message = Some((message, firing));
    }
}

/// Whether the coroutine is one that runs handlers right now, without having yielded.
pub(crate) fn in_handler(host: &Rc<Host>) -> bool {
    host.running.borrow().is_some()
}

fn closed(host: &Rc<Host>, socket: &Rc<Socket>) {
    let signal = socket.signal(Which::Close);
    loop {
        let waiters = std::mem::take(&mut *signal.waiters.borrow_mut());
        for thread in waiters {
            host.scheduler.borrow_mut().defer(thread, MultiValue::new());
        }
        let mut handlers = signal.listeners.borrow_mut().clear();
        if handlers.is_empty() {
            break;
        }
        handlers.reverse();
        fire(host, Batch { socket: Rc::clone(socket), message: None, close: handlers });
    }
    if socket.connection.state() == State::Closed && !socket.connection.has_message() {
        let handlers = socket.signal(Which::Message).listeners.borrow_mut().clear();
        drop(handlers);
        // Coroutines that wait for a message of this socket wait in vain.
        socket.signal(Which::Message).waiters.borrow_mut().clear();
    }
}

fn warn_if_busy(host: &Rc<Host>) {
    let Some(report) = host.reactor.take_busy_report() else { return };
    let name = host.running.borrow().as_ref().map_or_else(
        || "the script".to_owned(),
        |handler| {
            let info = handler.info();
            let source = info.short_src.unwrap_or_default();
            let line = info.line_defined.map_or_else(String::new, |line| format!(":{line}"));
            format!("the handler at {source}{line}")
        },
    );
    host.warn(&format!(
        "{name} was busy for {:.1} s; pings were answered meanwhile, but nothing else ran",
        report.away.as_secs_f64()
    ));
}
