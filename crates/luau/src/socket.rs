//! The socket as a script sees it: userdata with the class' members, and fields of the script's own.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use mlua::{AnyUserData, Lua, MetaMethod, Table, Thread, UserData, UserDataFields, UserDataMethods, Value};
use sunsocket_net::{ConnectOptions, Connection, MessageKind, Room, State};

use crate::host::Host;
use crate::signal::{Signal, SignalState, Which};

/// One connection's Luau side.
pub(crate) struct Socket {
    pub(crate) connection: Arc<Connection>,
    message: SignalState,
    close: SignalState,
    /// The coroutine in `WebSocket.connect`.
    pub(crate) opening: RefCell<Option<Thread>>,
    /// Coroutines in `Send` that wait for room.
    pub(crate) room: RefCell<Vec<Thread>>,
}

impl Socket {
    pub(crate) fn signal(&self, which: Which) -> &SignalState {
        match which {
            Which::Message => &self.message,
            Which::Close => &self.close,
        }
    }

    /// Tells the connection whether messages are to be reported.
    pub(crate) fn attend(&self) {
        let listens =
            !self.message.listeners.borrow().is_empty() || !self.message.waiters.borrow().is_empty();
        self.connection.listen(listens);
    }

    /// The next held message, its bytes unchanged.
    pub(crate) fn take(&self, lua: &Lua) -> mlua::Result<Option<mlua::LuaString>> {
        self.connection.take(|message| lua.create_string(&message.payload)).transpose()
    }
}

/// Begins to connect: `Some` is what is wrong with the URL. Otherwise the coroutine is resumed later, with the socket or with
/// nil and the failure.
pub(crate) fn start_connect(host: &Rc<Host>, url: &str, thread: Thread) -> Option<String> {
    let connection = ConnectOptions::new(url).and_then(|mut options| {
        (host.configure)(&mut options);
        host.reactor.connect(options)
    });
    let connection = match connection {
        Ok(connection) => connection,
        Err(error) => return Some(error.to_string()),
    };
    let socket = Rc::new(Socket {
        connection,
        message: SignalState::default(),
        close: SignalState::default(),
        opening: RefCell::new(Some(thread)),
        room: RefCell::default(),
    });
    let id = socket.connection.id();
    host.sockets.borrow_mut().insert(id, Rc::clone(&socket));
    None
}

/// What a script holds.
pub(crate) struct SocketObject {
    socket: Rc<Socket>,
    on_message: AnyUserData,
    on_close: AnyUserData,
    fields: Table,
    host: Weak<Host>,
}

impl SocketObject {
    pub(crate) fn create(host: &Rc<Host>, socket: &Rc<Socket>) -> mlua::Result<AnyUserData> {
        let lua = &host.lua;
        let signal = |which| {
            lua.create_userdata(Signal { host: Rc::downgrade(host), socket: Rc::clone(socket), which })
        };
        lua.create_userdata(Self {
            socket: Rc::clone(socket),
            on_message: signal(Which::Message)?,
            on_close: signal(Which::Close)?,
            fields: lua.create_table()?,
            host: Rc::downgrade(host),
        })
    }
}

impl UserData for SocketObject {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type, "WebSocket");
        fields.add_field_method_get("OnMessage", |_, object| Ok(object.on_message.clone()));
        fields.add_field_method_get("OnClose", |_, object| Ok(object.on_close.clone()));
        fields.add_field_method_get("Send", |_, object| {
            let host = object.host.upgrade().ok_or_else(|| mlua::Error::runtime("the script has ended"))?;
            host.function("send")
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("Close", |_, object, (code, reason): (Option<f64>, Option<String>)| {
            let code = code.unwrap_or(1000.0);
            if code.fract() != 0.0 || !(0.0..=65535.0).contains(&code) {
                return Err(mlua::Error::runtime(format!(
                    "Close takes a whole number as its code, not {code}"
                )));
            }
            object
                .socket
                .connection
                .close(code as u16, reason.as_deref().unwrap_or_default())
                .map_err(|error| mlua::Error::runtime(error.to_string()))
        });
        methods.add_meta_method(MetaMethod::Index, |_, object, name: Value| {
            object.fields.raw_get::<Value>(name)
        });
        methods.add_meta_method(MetaMethod::NewIndex, |_, object, (name, value): (Value, Value)| {
            if let Value::String(text) = &name
                && ["OnMessage", "OnClose", "Send", "Close"]
                    .iter()
                    .any(|member| text.as_bytes() == member.as_bytes())
            {
                let text = format!("{} is a member of the WebSocket and cannot be replaced", text.display());
                return Err(mlua::Error::runtime(text));
            }
            object.fields.raw_set(name, value)
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
                other.type_name()
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

/// Remembers a coroutine that waits for room; if there is room already it is resumed in the next cycle.
pub(crate) fn wait_for_room(object: &Value, thread: Thread) {
    if let Some(socket) = of(object) {
        socket.room.borrow_mut().push(thread);
        socket.connection.sender_waits();
        if !socket.connection.is_full() || socket.connection.state() == State::Closed {
            socket.connection.request_room_report();
        }
    }
}
