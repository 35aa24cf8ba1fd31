//! The socket as a script sees it: userdata with the class' members, and fields of the script's own.

use std::rc::Rc;

use mlua::{AnyUserData, Lua, MetaMethod, Table, Thread, UserData, UserDataFields, UserDataMethods, Value};
use sunsocket_net::{ConnectOptions, MessageKind, Room, State, Which};

use super::signal::Signal;
use crate::session::Session;
use crate::socket::Socket;
use crate::vm::errors::type_name;
use crate::vm::machine::Kept;
use crate::vm::raising::raising;

/// Begins to connect: what is wrong with the URL, or the number of the suspension for which the coroutine yields. It is
/// resumed with the socket, or with nil and the failure.
pub(crate) fn start_connect(
    session: &Rc<Session>,
    url: &str,
    thread: Thread,
) -> (Option<String>, Option<u64>) {
    let connection = ConnectOptions::new(url).and_then(|mut options| {
        (session.configure)(&mut options);
        session.reactor.connect(options)
    });
    let connection = match connection {
        Ok(connection) => connection,
        Err(error) => return (Some(error.to_string()), None),
    };
    let id = connection.id();
    let (number, suspension) = session.vm.suspensions.enter(thread);
    let socket = Socket::new(connection, Rc::clone(&suspension));
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
    (None, Some(number))
}

/// What a script holds.
pub(crate) struct SocketObject {
    socket: Rc<Socket>,
    on_message: AnyUserData,
    on_close: AnyUserData,
    fields: Table,
}

/// The names that a script cannot give to fields of its own.
const MEMBERS: [&str; 4] = ["OnMessage", "OnClose", "Send", "Close"];

impl SocketObject {
    pub(crate) fn create(lua: &Lua, socket: &Rc<Socket>) -> mlua::Result<AnyUserData> {
        let signal = |which| lua.create_userdata(Signal { socket: Rc::clone(socket), which });
        lua.create_userdata(Self {
            socket: Rc::clone(socket),
            on_message: signal(Which::Message)?,
            on_close: signal(Which::Close)?,
            fields: lua.create_table()?,
        })
    }
}

/// Makes the methods that raise; they are kept by their names.
pub(crate) fn install(session: &Rc<Session>) -> mlua::Result<()> {
    let close = raising(&session.vm, |_, (object, code, reason): (Value, Value, Value)| {
        let Some(socket) = of(&object) else {
            return Err(mlua::Error::runtime("Close is called with a colon on a WebSocket: ws:Close()"));
        };
        let (code, reason) = close_arguments(&code, &reason).map_err(mlua::Error::runtime)?;
        socket
            .connection
            .close(code, &reason)
            .map(drop)
            .map_err(|error| mlua::Error::runtime(error.to_string()))
    })?;
    let set_field = raising(&session.vm, |_, (object, name, value): (AnyUserData, Value, Value)| {
        if let Value::String(text) = &name
            && MEMBERS.iter().any(|member| text.as_bytes() == member.as_bytes())
        {
            let text = format!("{} is a member of the WebSocket and cannot be replaced", text.display());
            return Err(mlua::Error::runtime(text));
        }
        object.borrow::<SocketObject>()?.fields.raw_set(name, value)
    })?;
    let mut functions = session.vm.functions.borrow_mut();
    functions.insert("Close", close);
    functions.insert("set_field", set_field);
    Ok(())
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

impl UserData for SocketObject {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type, "WebSocket");
        fields.add_meta_field(MetaMethod::NewIndex, Kept("set_field"));
        fields.add_field_method_get("OnMessage", |_, object| Ok(object.on_message.clone()));
        fields.add_field_method_get("OnClose", |_, object| Ok(object.on_close.clone()));
        fields.add_field("Send", Kept("send"));
        fields.add_field("Close", Kept("Close"));
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |_, object, name: Value| {
            object.fields.raw_get::<Value>(name)
        });
        methods.add_meta_method(MetaMethod::ToString, |_, object, ()| {
            Ok(format!("WebSocket {}", object.socket.connection.url()))
        });
    }
}

/// Sends: what is wrong, if anything, and whether the sender should wait for room.
pub(crate) fn send(_: &Lua, (object, message): (Value, Value)) -> mlua::Result<(Option<String>, bool)> {
    let wrong = |text: String| Ok((Some(text), false));
    let Some(socket) = of(&object) else {
        return wrong("Send is called with a colon on a WebSocket: ws:Send(message)".to_owned());
    };
    let sent = match &message {
        Value::String(text) => {
            let bytes = text.as_bytes();
            let kind =
                if std::str::from_utf8(&bytes).is_ok() { MessageKind::Text } else { MessageKind::Binary };
            socket.connection.send(kind, &bytes, None)
        }
        Value::Buffer(buffer) => socket.connection.send(MessageKind::Binary, &buffer.to_vec(), None),
        other => {
            return wrong(format!(
                "Send takes a string (or a buffer), not {}; use tostring() or HttpService:JSONEncode()",
                type_name(other)
            ));
        }
    };
    match sent {
        Ok(room) => Ok((None, room == Room::Full)),
        Err(error) => wrong(error.to_string()),
    }
}

/// The socket behind a script's value.
fn of(value: &Value) -> Option<Rc<Socket>> {
    let Value::UserData(object) = value else { return None };
    object.borrow::<SocketObject>().ok().map(|object| Rc::clone(&object.socket))
}

/// A coroutine waits for room, until its suspension with this number ends; if there is room already, that is in the next
/// cycle.
pub(crate) fn wait_for_room(session: &Session, object: &Value, thread: Thread) -> Option<u64> {
    let socket = of(object)?;
    let (number, suspension) = session.vm.suspensions.enter(thread);
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
    Some(number)
}
