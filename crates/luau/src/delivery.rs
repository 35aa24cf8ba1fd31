//! A ready connection to its coroutines and handlers.
//!
//! Handlers run in recycled coroutines: one of them (`run_handlers` of the prelude) asks [`next_handler`] for handler after
//! handler, message after message, so that a handler that does not yield costs no coroutine and no resumption of its own.
//! One that yields keeps its coroutine, and the next message goes on in another.

use std::rc::Rc;

use mlua::{Function, LuaString, MultiValue, Thread, Value, thread::ThreadStatus};
use sunsocket_net::{Connection, Firing};

use crate::error;
use crate::host::Host;
use crate::signal::{self, Which};
use crate::socket::{Socket, SocketObject};

/// How many messages of one connection are fired before others, and coroutines that are due, have their turn.
const FAIR: u32 = 1024;

/// Whether everything that was due has been delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    All,
    Some,
}

/// What is being fired.
pub(crate) struct Batch {
    socket: Rc<Socket>,
    /// How many more messages may be fired now.
    budget: u32,
    /// The message whose handlers are being called.
    message: Option<(LuaString, Firing)>,
    /// OnClose's handlers, in reverse.
    close: Vec<Function>,
}

/// What is due on one connection, in order: opened, messages, closed.
pub(crate) fn deliver(host: &Rc<Host>, connection: &Connection) -> Delivered {
    let Some(socket) = host.sockets.borrow().get(&connection.id()).cloned() else { return Delivered::All };
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
            "messages from {} are being dropped, the oldest first: the hold is full and nothing listens to OnMessage",
            connection.url()
        ));
    }
    fire(host, Batch { socket: Rc::clone(&socket), budget: FAIR, message: None, close: Vec::new() });
    if !socket.signal(Which::Message).is_idle() && connection.has_message() {
        return Delivered::Some;
    }
    if connection.take_closed() || connection.close_was_reported() {
        closed(host, &socket);
    }
    Delivered::All
}

fn opened(host: &Rc<Host>, socket: &Rc<Socket>) {
    let Some(thread) = socket.opening.borrow_mut().take() else { return };
    let failure = socket.connection.closed().filter(|_| socket.connection.handshake().is_none());
    if failure.is_some() {
        // Never open, so nothing to close: no signal of it can be seen.
        host.sockets.borrow_mut().remove(&socket.connection.id());
    } else if thread.status() != ThreadStatus::Resumable {
        // Nobody will ever see it. 1001: the one who wanted it has gone away.
        let _ = socket.connection.close(1001, "");
        return;
    }
    let outcome = match failure {
        None => SocketObject::create(host, socket).map(|object| vec![Value::UserData(object)]),
        Some(closed) => {
            let text = closed.error.map_or_else(|| "cannot connect".to_owned(), |error| error.to_string());
            host.lua.create_string(&text).map(|text| vec![Value::Nil, Value::String(text)])
        }
    };
    match outcome {
        Ok(values) => {
            host.resume(&thread, MultiValue::from_vec(values));
        }
        Err(error) => host.failed(&thread, &error::message(&error)),
    }
}

/// Runs handlers until there is none left to run, or the budget is spent.
fn fire(host: &Rc<Host>, batch: Batch) {
    host.batch.replace(Some(batch));
    while host.has_handler() && !host.was_interrupted() {
        let thread = match rested(host) {
            Ok(thread) => thread,
            Err(error) => {
                host.report(&error::message(&error));
                break;
            }
        };
        let turn = host.handler_turn.get();
        let value = host.resume(&thread, MultiValue::from_vec(vec![Value::Number(turn as f64)]));
        if host.is_rest(&value) {
            host.idle.borrow_mut().push(thread);
        } else {
            // It failed, or its handler yielded: the coroutine is the handler's from here on.
            host.handler_turn.set(turn + 1);
        }
    }
    host.running.replace(None);
    host.batch.replace(None);
}

/// A coroutine that runs handlers. A script can end those that rest, if it kept one.
fn rested(host: &Rc<Host>) -> mlua::Result<Thread> {
    loop {
        let idle = host.idle.borrow_mut().pop();
        match idle {
            Some(thread) if thread.status() == ThreadStatus::Resumable => return Ok(thread),
            Some(_) => {}
            None => return host.lua.create_thread(host.function("run_handlers")?),
        }
    }
}

impl Host {
    /// Whether `next_handler` would find one.
    fn has_handler(&self) -> bool {
        let batch = self.batch.borrow();
        let Some(batch) = &*batch else { return false };
        !batch.close.is_empty()
            || batch.message.is_some()
            || (batch.budget > 0
                && !batch.socket.signal(Which::Message).is_idle()
                && batch.socket.connection.has_message())
    }
}

/// The next handler and its argument; nil when all have run; false when the coroutine that asks has left off running
/// handlers, because one of them yielded.
pub(crate) fn next_handler(host: &Rc<Host>, turn: f64) -> mlua::Result<(Value, Value)> {
    if turn != host.handler_turn.get() as f64 {
        return Ok((Value::Boolean(false), Value::Nil));
    }
    host.warn_if_busy();
    let found = |handler: Function, argument: Value| {
        host.running.replace(Some(handler.clone()));
        Ok((Value::Function(handler), argument))
    };
    let none = Ok((Value::Nil, Value::Nil));
    let mut current = host.batch.borrow_mut();
    let Some(batch) = &mut *current else { return none };
    if let Some(handler) = batch.close.pop() {
        return found(handler, Value::Nil);
    }
    let signal = batch.socket.signal(Which::Message);
    loop {
        if let Some((message, firing)) = &mut batch.message {
            let next = signal.listeners.borrow_mut().next(firing);
            if let Some((_, handler)) = next {
                return found(handler, Value::String(message.clone()));
            }
            batch.message = None;
            batch.socket.attend();
        }
        signal.forget_ended();
        if batch.budget == 0 || signal.is_idle() {
            return none;
        }
        let Some(message) = batch.socket.take(&host.lua)? else { return none };
        batch.budget -= 1;
        // Everybody who waits gets the same message, in the next cycle; whoever waits again then gets the next one.
        let waiters = std::mem::take(&mut *signal.waiters.borrow_mut());
        if waiters.len() > 1 {
            signal.shared_in.set(host.cycle.get() + 1);
        }
        for thread in waiters {
            let value = MultiValue::from_vec(vec![Value::String(message.clone())]);
            host.scheduler.borrow_mut().defer(thread, value);
            batch.budget = 0;
        }
        let firing = signal.listeners.borrow().fire();
        batch.message = Some((message, firing));
    }
}

/// Whether a handler runs right now that has not yielded.
pub(crate) fn in_handler(host: &Rc<Host>) -> bool {
    host.running.borrow().is_some()
}

fn closed(host: &Rc<Host>, socket: &Rc<Socket>) {
    let signal = socket.signal(Which::Close);
    loop {
        for thread in std::mem::take(&mut *signal.waiters.borrow_mut()) {
            host.scheduler.borrow_mut().defer(thread, MultiValue::new());
        }
        let mut handlers = signal.listeners.borrow_mut().clear();
        if handlers.is_empty() {
            break;
        }
        handlers.reverse();
        fire(host, Batch { socket: Rc::clone(socket), budget: 0, message: None, close: handlers });
    }
    if !socket.connection.has_message() {
        let handlers = socket.signal(Which::Message).listeners.borrow_mut().clear();
        drop(handlers);
        let waiters = std::mem::take(&mut *socket.signal(Which::Message).waiters.borrow_mut());
        for thread in waiters {
            match signal::no_message(&host.lua, socket) {
                Ok(text) => {
                    let values = MultiValue::from_vec(vec![Value::Nil, text]);
                    host.scheduler.borrow_mut().defer(thread, values);
                }
                Err(error) => host.failed(&thread, &error::message(&error)),
            }
        }
    }
}
