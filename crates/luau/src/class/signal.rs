//! `RBXScriptSignal` and `RBXScriptConnection`.

use std::rc::Rc;

use mlua::{AnyUserData, IntoLua, Lua, MetaMethod, Thread, UserData, UserDataFields, UserDataMethods, Value};
use sunsocket_net::{Asker, ListenerId, Next, Outcome, Which};

use crate::session::Session;
use crate::socket::{Socket, Waits};
use crate::vm::errors::type_name;
use crate::vm::machine::{Kept, Made, Vm};
use crate::vm::raising::raising;
use crate::vm::suspension::Token;

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
pub(crate) fn install(session: &Rc<Session>) -> mlua::Result<()> {
    for (name, once) in [("Connect", false), ("Once", true)] {
        let this = Rc::clone(session);
        let method = raising(&session.vm, move |lua, (signal, handler): (Value, Value)| {
            connect(&this, lua, &signal, handler, once)
        })?;
        session.vm.functions.borrow_mut().insert(name, method);
    }
    let disconnect = raising(&session.vm, |_, connection: Value| {
        let object = connection.as_userdata().and_then(|object| object.borrow::<SignalConnection>().ok());
        let Some(connection) = object else {
            return Err(mlua::Error::runtime(
                "Disconnect is called with a colon on a connection: connection:Disconnect()",
            ));
        };
        connection.disconnect();
        Ok(())
    })?;
    session.vm.functions.borrow_mut().insert("Disconnect", disconnect);
    Ok(())
}

fn connect(
    session: &Rc<Session>,
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
    let id = socket.takers().connect(which, handler, once);
    if socket.connection.close_was_reported() {
        // Late: OnClose fires once more for it, soon, and what is held goes to it.
        come_late(session, &socket);
    }
    socket.update_interest();
    lua.create_userdata(SignalConnection { socket, which, id })
}

impl UserData for Signal {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type, "RBXScriptSignal");
        fields.add_meta_field(MetaMethod::Index, Made("signal_members"));
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
        let removed = self.socket.takers().disconnect(self.which, self.id);
        drop(removed);
        self.socket.update_interest();
    }
}

impl UserData for SignalConnection {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type, "RBXScriptConnection");
        fields.add_meta_field(MetaMethod::Index, Made("connection_members"));
        for name in ["Connected", "connected"] {
            fields.add_field_method_get(name, |_, connection| {
                Ok(connection.socket.takers().is_connected(connection.which, connection.id))
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

/// Has the socket delivered once more, though its OnClose has fired.
fn come_late(session: &Session, socket: &Rc<Socket>) {
    session.sockets.borrow_mut().insert(socket.connection.id(), Rc::clone(socket));
    socket.connection.request_delivery();
}

/// How a `Wait` begins: with a value, with what is wrong, or with the token of a suspension, for which the coroutine must
/// yield. All nil: OnClose, which has fired.
type Waited = (Value, Value, Option<Token>);

/// A coroutine waits for the next value of a signal.
pub(crate) fn wait(
    session: &Rc<Session>,
    lua: &Lua,
    (signal, thread): (Value, Thread),
) -> mlua::Result<Waited> {
    let object = signal.as_userdata().and_then(|signal| signal.borrow::<Signal>().ok());
    let Some(signal) = object else {
        let text = "Wait is called with a colon on a signal: ws.OnMessage:Wait()".into_lua(lua)?;
        return Ok((Value::Nil, text, None));
    };
    match signal.which {
        Which::Message => wait_for_message(session, &signal.socket, thread),
        Which::Close if signal.socket.connection.close_was_reported() => Ok((Value::Nil, Value::Nil, None)),
        Which::Close => {
            let (token, suspension) = session.vm.suspensions.enter(thread);
            let waits = Waits { suspension: Rc::clone(&suspension), which: Which::Close };
            let ticket = signal.socket.takers().wait_for_close(waits);
            let socket = Rc::clone(&signal.socket);
            suspension.on_leave(move |_woken| {
                socket.takers().leave(ticket);
            });
            Ok((Value::Nil, Value::Nil, Some(token)))
        }
    }
}

fn wait_for_message(session: &Rc<Session>, socket: &Rc<Socket>, thread: Thread) -> mlua::Result<Waited> {
    let vm: &Vm = &session.vm;
    socket.connection.pull();
    // Where messages come faster than they are taken, a loop of `Wait` would never yield.
    let gives_way = session.turn.is_over_for_coroutine() && socket.has_message();
    if !gives_way && let Some(message) = socket.take_free(&vm.lua)? {
        return Ok((Value::String(message), Value::Nil, None));
    }
    let (token, suspension) = vm.suspensions.enter(thread);
    let own = Rc::clone(&suspension);
    let ticket = socket.takers().wait(Waits { suspension, which: Which::Message });
    // What is held is for everybody who waits, unless there are handlers that it will fire for.
    while !gives_way && let Some(next) = socket.next(&vm.lua, Asker::Waiter)? {
        match next {
            Next::Give(other, waits, message) if other != ticket => socket.give(vm, other, waits, message),
            Next::End(waits) if !Rc::ptr_eq(&waits.suspension, &own) => socket.end(vm, waits)?,
            _its_own => {}
        }
    }
    let outcome = socket.takers().collect(ticket);
    if !matches!(outcome, Outcome::Waits) {
        vm.suspensions.leave(token);
    }
    match outcome {
        Outcome::Given(message) => Ok((Value::String(message), Value::Nil, None)),
        Outcome::Ended => Ok((Value::Nil, socket.no_message(&vm.lua)?, None)),
        Outcome::Waits => {
            let socket = Rc::clone(socket);
            let late = socket.connection.close_was_reported();
            if late {
                come_late(session, &socket);
            } else if gives_way {
                socket.connection.request_delivery();
            }
            socket.update_interest();
            own.on_leave(move |woken| {
                if woken {
                    socket.takers().took(ticket);
                } else if socket.takers().leave(ticket) {
                    // What it was given goes to the next who takes messages.
                    socket.connection.request_delivery();
                }
                socket.update_interest();
            });
            Ok((Value::Nil, Value::Nil, Some(token)))
        }
    }
}
