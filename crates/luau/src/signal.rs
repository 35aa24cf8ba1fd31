//! `RBXScriptSignal` and `RBXScriptConnection`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use mlua::{
    AnyUserData, Function, IntoLua, Lua, MetaMethod, Thread, UserData, UserDataFields, UserDataMethods,
    Value, thread::ThreadStatus,
};
use sunsocket_net::{ListenerId, Listeners};

use crate::error::{raising, type_name};
use crate::host::{Host, Kept};
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
    /// The cycle in which several coroutines that waited are resumed with one message. Whoever of them waits again in it
    /// waits for the others too, so that they all get the next one.
    pub(crate) shared_in: Cell<u64>,
}

impl SignalState {
    /// Whether nobody listens or waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiters.borrow().is_empty() && self.listeners.borrow().is_empty()
    }

    /// Forgets coroutines that were ended while they waited: what they will not take is not lost.
    pub(crate) fn forget_ended(&self) {
        let mut waiters = self.waiters.borrow_mut();
        if !waiters.is_empty() {
            waiters.retain(|thread| thread.status() == ThreadStatus::Resumable);
        }
    }
}

/// What a script sees of a signal.
pub(crate) struct Signal {
    pub(crate) socket: Rc<Socket>,
    pub(crate) which: Which,
}

/// What `Connect` returns.
pub(crate) struct SignalConnection {
    socket: Rc<Socket>,
    which: Which,
    id: ListenerId,
}

/// Makes the methods of both; they are kept by their names.
pub(crate) fn install(host: &Rc<Host>) -> mlua::Result<()> {
    for (name, once) in [("Connect", false), ("Once", true)] {
        let this = Rc::clone(host);
        let method = raising(host, move |lua, (signal, handler): (Value, Value)| {
            connect(&this, lua, &signal, handler, once)
        })?;
        host.functions.borrow_mut().insert(name, method);
    }
    let disconnect = raising(host, |_, connection: Value| {
        let object = connection.as_userdata().and_then(|object| object.borrow::<SignalConnection>().ok());
        let Some(connection) = object else {
            return Err(mlua::Error::runtime(
                "Disconnect is called with a colon on a connection: connection:Disconnect()",
            ));
        };
        connection.disconnect();
        Ok(())
    })?;
    host.functions.borrow_mut().insert("Disconnect", disconnect);
    Ok(())
}

fn connect(
    host: &Rc<Host>,
    lua: &Lua,
    signal: &Value,
    handler: Value,
    once: bool,
) -> mlua::Result<AnyUserData> {
    let name = if once { "Once" } else { "Connect" };
    let (socket, which) = match signal.as_userdata().and_then(|signal| signal.borrow::<Signal>().ok()) {
        Some(signal) => (Rc::clone(&signal.socket), signal.which),
        None => {
            return Err(mlua::Error::runtime(format!(
                "{name} is called with a colon on a signal: ws.OnMessage:{name}(handler)"
            )));
        }
    };
    let Value::Function(handler) = handler else {
        return Err(mlua::Error::runtime(format!("{name} takes a function, not {}", type_name(&handler))));
    };
    let id = {
        let mut listeners = socket.signal(which).listeners.borrow_mut();
        if once { listeners.once(handler) } else { listeners.connect(handler) }
    };
    if socket.connection.close_was_reported() {
        // Late: OnClose fires once more for it, soon, and what is held goes to it.
        host.sockets.borrow_mut().insert(socket.connection.id(), Rc::clone(&socket));
        socket.connection.request_delivery();
    }
    socket.attend();
    lua.create_userdata(SignalConnection { socket, which, id })
}

impl UserData for Signal {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type, "RBXScriptSignal");
        for (name, kept) in [("Connect", "Connect"), ("Once", "Once"), ("Wait", "wait_signal")] {
            fields.add_field(name, Kept(kept));
            fields.add_field(name.to_ascii_lowercase(), Kept(kept));
        }
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
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
        for name in ["Disconnect", "disconnect"] {
            fields.add_field(name, Kept("Disconnect"));
        }
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok("Connection"));
    }
}

/// Whether a coroutine may go on at once, with which value and which failure; when not, it is remembered and must yield.
pub(crate) fn wait(
    host: &Host,
    lua: &Lua,
    (signal, thread): (Value, Thread),
) -> mlua::Result<(bool, Value, Value)> {
    let object = signal.as_userdata().and_then(|signal| signal.borrow::<Signal>().ok());
    let Some(signal) = object else {
        let text = "Wait is called with a colon on a signal: ws.OnMessage:Wait()".into_lua(lua)?;
        return Ok((true, Value::Nil, text));
    };
    let socket = &signal.socket;
    let closed = socket.connection.close_was_reported();
    match signal.which {
        Which::Close if closed => return Ok((true, Value::Nil, Value::Nil)),
        Which::Close => {}
        Which::Message => {
            socket.connection.pull();
            // What is held goes to the first who asks, unless there are others that it will fire for.
            let state = socket.signal(Which::Message);
            if state.listeners.borrow().is_empty()
                && state.shared_in.get() != host.cycle.get()
                && let Some(message) = socket.take(lua)?
            {
                return Ok((true, Value::String(message), Value::Nil));
            }
            if closed && !socket.connection.has_message() {
                return Ok((true, Value::Nil, no_message(lua, socket)?));
            }
        }
    }
    socket.signal(signal.which).waiters.borrow_mut().push(thread);
    socket.attend();
    Ok((false, Value::Nil, Value::Nil))
}

/// Why `OnMessage:Wait()` raises.
pub(crate) fn no_message(lua: &Lua, socket: &Socket) -> mlua::Result<Value> {
    let url = socket.connection.url();
    let why =
        socket.connection.closed().map_or_else(String::new, |closed| format!(" with code {}", closed.code));
    format!("OnMessage:Wait(): the connection to {url} has closed{why}: no message will come").into_lua(lua)
}
