//! A ready connection to its coroutines and handlers: doing what the takers say.
//!
//! Handlers run in recycled coroutines: one of them (`run_handlers` of the prelude) asks [`next_handler`] for handler after
//! handler, message after message, so that a handler that does not yield costs no coroutine and no resumption of its own.
//! One that yields keeps its coroutine, and the next message goes on in another.

use std::rc::Rc;

use mlua::{Function, MultiValue, Thread, Value, thread::ThreadStatus};
use sunsocket_net::{Asker, Connection, Next};

use crate::advice;
use crate::class::object;
use crate::session::{Batch, Session};
use crate::socket::Socket;
use crate::vm::errors;
use crate::vm::scheduler::Sleeper;

/// How many handlers of one connection are called before others, and coroutines that are due, have their turn.
const FAIR: u32 = 1024;

/// What a resting coroutine yields. No script can make the value: it has no way to light userdata.
pub(crate) const REST: mlua::LightUserData = mlua::LightUserData(std::ptr::null_mut());

/// Whether everything that was due has been delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    All,
    Some,
}

/// What is due on one connection, in order: opened, messages, closed.
pub(crate) fn deliver(session: &Rc<Session>, connection: &Connection) -> Delivered {
    let Some(socket) = session.sockets.borrow().get(&connection.id()).cloned() else { return Delivered::All };
    if connection.take_opened() {
        opened(session, &socket);
    }
    if connection.take_writable() {
        let waiting = std::mem::take(&mut *socket.room.borrow_mut());
        let mut scheduler = session.vm.scheduler.borrow_mut();
        for suspension in waiting {
            scheduler.defer(Sleeper::Suspended(suspension, MultiValue::new()));
        }
    }
    if connection.take_dropped() {
        session.vm.output.warn(&format!(
            "messages from {} are being dropped, the oldest first: the hold is full and nothing listens to OnMessage",
            connection.url()
        ));
    }
    socket.takers().begin_turn();
    let delivered = fire(session, &socket);
    socket.takers().end_turn();
    if delivered == Delivered::All && socket.glance.close_fires() && !socket.has_message() {
        socket.tell_end(&session.vm);
        // Nothing will fire any more.
        let handlers = socket.takers().let_go();
        drop(handlers);
    }
    socket.update_interest();
    delivered
}

fn opened(session: &Rc<Session>, socket: &Rc<Socket>) {
    let Some(suspension) = socket.opening.borrow_mut().take() else { return };
    let vm = &session.vm;
    let failure = socket.connection.closed().filter(|_| socket.connection.handshake_ref().is_none());
    if failure.is_some() {
        // Never open, so nothing to close: no signal of it can be seen.
        session.sockets.borrow_mut().remove(&socket.connection.id());
    } else if !suspension.waits() {
        // Nobody will ever see it. 1001: the one who wanted it has gone away.
        let _ = socket.connection.close(1001, "");
        return;
    }
    let outcome = match failure {
        None => object::create(vm, socket).map(|object| vec![object]),
        Some(closed) => {
            let text =
                closed.error.map_or_else(|| "cannot connect".to_owned(), |error| advice::text_of(&error));
            vm.lua.create_string(&text).map(|text| vec![Value::Nil, Value::String(text)])
        }
    };
    match outcome {
        Ok(values) if suspension.wake() => {
            session.resume(&suspension.thread, MultiValue::from_vec(values));
        }
        Ok(_nobody_waits) => {}
        Err(error) => vm.failed(&suspension.thread, &errors::message(&error)),
    }
}

/// Runs handlers until there is none left to run, or the budget is spent.
fn fire(session: &Rc<Session>, socket: &Rc<Socket>) -> Delivered {
    let batch = Batch { socket: Rc::clone(socket), budget: FAIR, is_cut: false, next: None };
    session.batch.replace(Some(batch));
    while !session.vm.is_ending() && look_ahead(session) {
        let thread = match rested(session) {
            Ok(thread) => thread,
            Err(error) => {
                session.vm.report(&errors::message(&error));
                break;
            }
        };
        let turn = session.handler_turn.get();
        let value = session.resume(&thread, MultiValue::from_vec(vec![Value::Number(turn as f64)]));
        if is_rest(&value) {
            session.idle.borrow_mut().push(thread);
        } else {
            // It failed, or its handler yielded: the coroutine is the handler's from here on.
            session.handler_turn.set(turn + 1);
        }
    }
    session.running.replace(None);
    match session.batch.replace(None) {
        Some(Batch { is_cut: true, .. }) => Delivered::Some,
        _ => Delivered::All,
    }
}

/// Whether a coroutine that yielded this rests, waiting for the next handler to run.
fn is_rest(value: &Value) -> bool {
    matches!(value, Value::LightUserData(mark) if mark.0 == REST.0)
}

/// A coroutine that runs handlers. A script can end those that rest, if it kept one.
fn rested(session: &Session) -> mlua::Result<Thread> {
    loop {
        let idle = session.idle.borrow_mut().pop();
        match idle {
            Some(thread) if thread.status() == ThreadStatus::Resumable => return Ok(thread),
            Some(_) => {}
            None => return session.vm.lua.create_thread(session.vm.function("run_handlers")?),
        }
    }
}

/// Whether there is a handler to be called.
fn look_ahead(session: &Session) -> bool {
    let mut current = session.batch.borrow_mut();
    let Some(batch) = &mut *current else { return false };
    loop {
        match find(session, batch) {
            Ok(next) => {
                batch.next = next;
                return batch.next.is_some();
            }
            Err(error) => session.vm.report(&errors::message(&error)),
        }
    }
}

/// A script has the coroutine that it runs in: from here on it is the handler's. It ends with the handler, and the next one
/// runs in another.
pub(crate) fn leave_to_handler(session: &Session) -> mlua::Result<()> {
    session.handler_turn.set(session.handler_turn.get() + 1);
    session.ahead.forbid()
}

/// The next handler and its argument (nil: OnClose, which has none; true: each message of the list in `session.ahead`); nil
/// when all have run; false when the coroutine that asks has left off running handlers, because one of them yielded.
pub(crate) fn next_handler(session: &Session, turn: f64) -> mlua::Result<(Value, Value)> {
    if turn != session.handler_turn.get() as f64 {
        return Ok((Value::Boolean(false), Value::Nil));
    }
    session.warn_if_busy();
    let mut current = session.batch.borrow_mut();
    let Some(batch) = &mut *current else { return Ok((Value::Nil, Value::Nil)) };
    let next = match batch.next.take() {
        Some(next) => Some(next),
        None => find(session, batch)?,
    };
    let Some((handler, argument)) = next else { return Ok((Value::Nil, Value::Nil)) };
    if argument == Value::Boolean(true) {
        session.ahead.allow(turn)?;
    }
    session.running.replace(Some(handler.clone()));
    Ok((Value::Function(handler), argument))
}

/// Does what the takers say, as far as the next handler.
fn find(session: &Session, batch: &mut Batch) -> mlua::Result<Option<(Function, Value)>> {
    let (vm, socket) = (&session.vm, &batch.socket);
    loop {
        if let Some(handler) = session.ahead.handler()? {
            return Ok(Some((handler, Value::Boolean(true))));
        }
        if batch.is_cut || batch.budget == 0 || session.sockets_had_their_turn() {
            batch.is_cut = true;
            return Ok(None);
        }
        if socket.glance.may_be_straight()
            && let Some(sole) = { socket.takers().sole_handler() }
            && let Some(count) = session.ahead.begin(&vm.lua, &socket.connection, sole, batch.budget)?
        {
            batch.budget -= count;
            continue;
        }
        match socket.next(&vm.lua, Asker::Driver)? {
            None => return Ok(None),
            Some(Next::Give(ticket, waits, message)) => socket.give(vm, ticket, waits, message),
            Some(Next::End(waits)) => socket.end(vm, waits)?,
            // Everybody who was given a message goes on in the next cycle.
            Some(Next::Pause) => batch.is_cut = true,
            Some(Next::Call(handler, message)) => {
                batch.budget -= 1;
                return Ok(Some((handler, Value::String(message))));
            }
            Some(Next::CallClose(handler)) => {
                // Before what the handlers say of it.
                socket.tell_end(vm);
                return Ok(Some((handler, Value::Nil)));
            }
        }
    }
}

/// Whether a handler runs right now that has not yielded.
pub(crate) fn in_handler(session: &Session) -> bool {
    session.running.borrow().is_some()
}
