//! `RBXScriptSignal` and `RBXScriptConnection`.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use mlua::{
    AnyUserData, Function, Lua, MetaMethod, Thread, UserData, UserDataFields, UserDataMethods, Value,
};
use sunsocket_net::{ListenerId, Listeners};

use crate::host::Host;
use crate::socket::Socket;

/// Which of a socket's two signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Message,
    Close,
}

/// The listeners and waiting coroutines of one signal.
#[derive(Default)]
pub(crate) struct SignalState {
    pub(crate) listeners: RefCell<Listeners<Function>>,
    pub(crate) waiters: RefCell<Vec<Thread>>,
}

/// What a script sees of a signal.
pub(crate) struct Signal {
    pub(crate) host: Weak<Host>,
    pub(crate) socket: Rc<Socket>,
    pub(crate) which: Which,
}

/// What `Connect` returns.
pub(crate) struct SignalConnection {
    socket: Rc<Socket>,
    which: Which,
    id: ListenerId,
}

fn connect(lua: &Lua, (signal, handler): (AnyUserData, Value), once: bool) -> mlua::Result<AnyUserData> {
    let Value::Function(handler) = handler else {
        let name = if once { "Once" } else { "Connect" };
        return Err(mlua::Error::runtime(format!("{name} takes a function, not {}", handler.type_name())));
    };
    let (socket, which) = {
        let signal = signal.borrow::<Signal>()?;
        (Rc::clone(&signal.socket), signal.which)
    };
    let id = {
        let mut listeners = socket.signal(which).listeners.borrow_mut();
        if once { listeners.once(handler) } else { listeners.connect(handler) }
    };
    socket.attend();
    if which == Which::Close && socket.connection.close_was_reported() {
        // Late, and called once, soon.
        socket.connection.request_delivery();
    }
    lua.create_userdata(SignalConnection { socket, which, id })
}

impl UserData for Signal {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type, "RBXScriptSignal");
        for name in ["Wait", "wait"] {
            fields.add_field_method_get(name, |_, signal| {
                let host =
                    signal.host.upgrade().ok_or_else(|| mlua::Error::runtime("the script has ended"))?;
                host.function("wait_signal")
            });
        }
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        for name in ["Connect", "connect"] {
            methods.add_function(name, |lua, args| connect(lua, args, false));
        }
        for name in ["Once", "once"] {
            methods.add_function(name, |lua, args| connect(lua, args, true));
        }
        methods.add_meta_method(MetaMethod::ToString, |_, signal, ()| {
            Ok(if signal.which == Which::Message { "Signal OnMessage" } else { "Signal OnClose" })
        });
    }
}

impl SignalConnection {
    fn disconnect(&self) {
        let removed = self.socket.signal(self.which).listeners.borrow_mut().disconnect(self.id);
        drop(removed);
        self.socket.attend();
    }
}

impl UserData for SignalConnection {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type, "RBXScriptConnection");
        for name in ["Connected", "connected"] {
            fields.add_field_method_get(name, |_, connection| {
                let signal = connection.socket.signal(connection.which);
                Ok(signal.listeners.borrow().is_connected(connection.id))
            });
        }
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        for name in ["Disconnect", "disconnect"] {
            methods.add_method(name, |_, connection, ()| {
                connection.disconnect();
                Ok(())
            });
        }
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok("Connection"));
    }
}

/// Whether a coroutine may go on at once, and with what; otherwise it is remembered and must yield.
pub(crate) fn wait(lua: &Lua, (signal, thread): (AnyUserData, Thread)) -> mlua::Result<(bool, Value)> {
    let signal = signal
        .borrow::<Signal>()
        .map_err(|_| mlua::Error::runtime("Wait is called with a colon on a signal: ws.OnMessage:Wait()"))?;
    let socket = &signal.socket;
    match signal.which {
        Which::Close if socket.connection.close_was_reported() => return Ok((true, Value::Nil)),
        Which::Close => {}
        Which::Message => {
            socket.connection.pull();
            // What is held goes to the first who asks, unless there are handlers that it will fire for.
            if socket.signal(Which::Message).listeners.borrow().is_empty()
                && let Some(message) = socket.take(lua)?
            {
                return Ok((true, Value::String(message)));
            }
            if socket.connection.close_was_reported() {
                let text = "the connection has closed: no message will come";
                return Err(mlua::Error::runtime(text));
            }
        }
    }
    socket.signal(signal.which).waiters.borrow_mut().push(thread);
    socket.attend();
    Ok((false, Value::Nil))
}
