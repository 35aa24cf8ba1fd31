//! What a script does with a socket: `WebSocket.connect`, `Send` and `Close`, as far as they do not yield.

use std::rc::Rc;

use mlua::{AnyUserData, Lua, Thread, Value};
use sunsocket_net::{ConnectOptions, MessageKind, Room, State};

use super::{object, send};
use crate::advice;
use crate::session::Session;
use crate::socket::Socket;
use crate::vm::errors::type_name;
use crate::vm::suspension::Token;

/// Begins to connect: what is wrong with the URL, or the token of the suspension for which the coroutine yields. It is
/// resumed with the socket, or with nil and the failure.
pub(crate) fn start_connect(
    session: &Rc<Session>,
    url: &str,
    thread: Thread,
) -> (Option<String>, Option<Token>) {
    let connection = ConnectOptions::new(url).and_then(|mut options| {
        (session.configure)(&mut options);
        session.reactor.connect(options)
    });
    let connection = match connection {
        Ok(connection) => connection,
        Err(error) => return (Some(advice::text_of(&error)), None),
    };
    let id = connection.id();
    let (token, suspension) = session.vm.suspensions.enter(thread);
    let socket = Socket::new(connection, Rc::clone(&suspension), &session.ahead);
    session.sockets.borrow_mut().insert(id, Rc::clone(&socket));
    let sockets = Rc::downgrade(session);
    suspension.on_leave(move |woken| {
        // Given up: by `task.cancel`, or by somebody who resumed the coroutine.
        if !woken && socket.opening.borrow_mut().take().is_some() {
            if let Some(session) = sockets.upgrade() {
                session.sockets.borrow_mut().remove(&id);
            }
            socket.connection.abort();
        }
    });
    (None, Some(token))
}

/// Closes: what is wrong, if anything. What was not delivered yet is not delivered any more.
pub(crate) fn close(
    _: &Lua,
    (handle, code, reason): (AnyUserData, Value, Value),
) -> mlua::Result<Option<String>> {
    let socket = object::of(&handle)?;
    let (code, reason) = match close_arguments(&code, &reason) {
        Ok(arguments) => arguments,
        Err(problem) => return Ok(Some(problem)),
    };
    Ok(match socket.connection.close(code, &reason) {
        Ok(begins) => {
            if begins {
                socket.discard();
            }
            None
        }
        Err(error) => Some(advice::text_of(&error)),
    })
}

/// The arguments of `Close`: 1000 and no reason when they are not there.
fn close_arguments(code: &Value, reason: &Value) -> Result<(u16, String), String> {
    let code = match code {
        Value::Nil => 1000,
        Value::Integer(code) => {
            u16::try_from(*code).map_err(|_| format!("Close: {code} is no close code"))?
        }
        Value::Number(code) if code.fract() == 0.0 && (0.0..=65535.0).contains(code) => *code as u16,
        Value::Number(code) => return Err(format!("Close: {code} is no close code")),
        other => return Err(format!("Close takes a number as its code, not {}", type_name(other))),
    };
    let reason = match reason {
        Value::Nil => String::new(),
        Value::String(reason) => {
            reason.to_str().map_err(|_| "Close: the reason is not valid UTF-8".to_owned())?.to_owned()
        }
        other => return Err(format!("Close takes a string as its reason, not {}", type_name(other))),
    };
    Ok((code, reason))
}

/// Sends: what is wrong, if anything, and whether the sender should wait for room.
pub(crate) fn send(_: &Lua, (handle, message): (AnyUserData, Value)) -> mlua::Result<(Option<String>, bool)> {
    let socket = object::of(&handle)?;
    let sent = match &message {
        Value::String(text) => send::send(&socket, &text.as_bytes()),
        Value::Buffer(buffer) => socket.connection.send(MessageKind::Binary, &buffer.to_vec(), None),
        other => {
            let text = format!(
                "Send takes a string (or a buffer), not {}; use tostring() or HttpService:JSONEncode()",
                type_name(other)
            );
            return Ok((Some(text), false));
        }
    };
    Ok(match sent {
        Ok(room) => (None, room == Room::Full),
        Err(error) => (Some(advice::text_of(&error)), false),
    })
}

/// A coroutine waits for room, until its suspension with this token ends; if there is room already, that is in the next
/// cycle.
pub(crate) fn wait_for_room(session: &Session, handle: &AnyUserData, thread: Thread) -> mlua::Result<Token> {
    let socket = object::of(handle)?;
    let (token, suspension) = session.vm.suspensions.enter(thread);
    socket.room.borrow_mut().push(Rc::clone(&suspension));
    socket.connection.sender_waits();
    if !socket.connection.is_full() || socket.connection.state() == State::Closed {
        socket.connection.request_room_report();
    }
    suspension.on_leave(move |woken| {
        if !woken {
            socket.room.borrow_mut().retain(|other| other.waits());
        }
    });
    Ok(token)
}
