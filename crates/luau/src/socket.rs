//! One connection's Luau side: who takes its messages, and which coroutines wait for anything else.

use std::cell::{Cell, RefCell, RefMut};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::sync::Arc;

use mlua::{Function, IntoLua, Lua, LuaString, MultiValue, Value};
use sunsocket_net::{
    Asker, Connection, ErrorKind, Glance, Next, Source, State, Takers, Ticket, Waiter, Which,
};

use crate::advice;
use crate::ahead::Ahead;
use crate::vm::machine::Vm;
use crate::vm::scheduler::Sleeper;
use crate::vm::suspension::Suspension;

/// A coroutine that waits for a value of a signal.
pub(crate) struct Waits {
    pub(crate) suspension: Rc<Suspension>,
    pub(crate) which: Which,
}

impl Waiter for Waits {
    fn needs_driver(&self) -> bool {
        true
    }
}

type SocketTakers = Takers<LuaString, Function, Waits>;

pub(crate) struct Socket {
    pub(crate) connection: Arc<Connection>,
    takers: RefCell<SocketTakers>,
    ahead: Rc<Ahead>,
    pub(crate) glance: Arc<Glance>,
    /// The coroutine in `WebSocket.connect`.
    pub(crate) opening: RefCell<Option<Rc<Suspension>>>,
    /// Coroutines in `Send` that wait for room.
    pub(crate) room: RefCell<Vec<Rc<Suspension>>>,
    end_was_told: Cell<bool>,
}

impl Socket {
    pub(crate) fn new(connection: Arc<Connection>, opening: Rc<Suspension>, ahead: &Rc<Ahead>) -> Rc<Self> {
        let takers = SocketTakers::new();
        let glance = Arc::clone(takers.glance());
        Rc::new(Self {
            connection,
            takers: RefCell::new(takers),
            ahead: Rc::clone(ahead),
            glance,
            opening: RefCell::new(Some(opening)),
            room: RefCell::default(),
            end_was_told: Cell::new(false),
        })
    }

    /// Who takes the messages. What was taken ahead for the one handler is settled when this ends.
    pub(crate) fn takers(&self) -> Settled<'_> {
        Settled { socket: self, takers: self.takers.borrow_mut() }
    }

    /// Whether a message is held, or was given back.
    pub(crate) fn has_message(&self) -> bool {
        self.connection.has_message_for(&self.glance)
    }

    /// A local Close: what was taken off the hold and not fired goes with what is held.
    pub(crate) fn discard(&self) {
        let discarded = self.takers().discard();
        drop(discarded);
    }

    /// Tells the connection whether messages are to be reported.
    pub(crate) fn update_interest(&self) {
        let needs_reports = self.takers().needs_reports();
        self.connection.listen_for(needs_reports, &self.glance);
    }

    /// What is next for whoever asks.
    pub(crate) fn next(
        &self,
        lua: &Lua,
        asker: Asker,
    ) -> mlua::Result<Option<Next<LuaString, Function, Waits>>> {
        self.takers().next(asker, &mut Hold { lua, connection: &self.connection, asker })
    }

    /// The next held message, where nobody else is to be thought of.
    pub(crate) fn take_free(&self, lua: &Lua) -> mlua::Result<Option<LuaString>> {
        if self.glance.is_free() { take(lua, &self.connection) } else { Ok(None) }
    }

    /// A coroutine that waited is to go on in the next cycle, with a message. One that was ended without a word takes
    /// none: the next one gets it.
    pub(crate) fn give(&self, vm: &Vm, ticket: Ticket, waits: Waits, message: LuaString) {
        if waits.suspension.waits() {
            let args = MultiValue::from_vec(vec![Value::String(message)]);
            vm.scheduler.borrow_mut().defer(Sleeper::Suspended(waits.suspension, args));
        } else {
            self.takers().leave(ticket);
        }
    }

    /// A coroutine that waited for a message that will not come, or for the close, is to go on in the next cycle.
    pub(crate) fn end(&self, vm: &Vm, waits: Waits) -> mlua::Result<()> {
        let args = match waits.which {
            Which::Close => MultiValue::new(),
            Which::Message => MultiValue::from_vec(vec![Value::Nil, self.no_message(&vm.lua)?]),
        };
        vm.scheduler.borrow_mut().defer(Sleeper::Suspended(waits.suspension, args));
        Ok(())
    }

    /// Says how the connection has ended, once, where that is not how one should: the class has no way to tell a script.
    pub(crate) fn tell_end(&self, vm: &Vm) {
        // One that was never open has ended connect, with an error.
        if self.end_was_told.replace(true) || self.connection.handshake_ref().is_none() {
            return;
        }
        let Some(closed) = self.connection.closed() else { return };
        let text = match &closed.error {
            // Where this side has failed it, the error has the code.
            Some(error) if matches!(error.kind(), ErrorKind::Protocol | ErrorKind::MessageTooBig) => {
                advice::text_of(error)
            }
            Some(error) => format!("{} (code {})", advice::text_of(error), closed.code),
            // Otherwise the script has closed it, and knows with which code.
            None if closed.by_peer && !matches!(closed.code, 1000 | 1001) => {
                format!("the connection to {} was closed {}", self.connection.url(), closed.by_whom())
            }
            None => return,
        };
        vm.output.warn(&text);
    }

    /// Why `OnMessage:Wait()` raises.
    pub(crate) fn no_message(&self, lua: &Lua) -> mlua::Result<Value> {
        let url = self.connection.url();
        let why =
            self.connection.closed().map_or_else(String::new, |closed| format!(" with code {}", closed.code));
        format!("OnMessage:Wait(): the connection to {url} has closed{why}: no message will come")
            .into_lua(lua)
    }
}

/// See [`Socket::takers`].
pub(crate) struct Settled<'a> {
    socket: &'a Socket,
    takers: RefMut<'a, SocketTakers>,
}

impl Deref for Settled<'_> {
    type Target = SocketTakers;

    fn deref(&self) -> &SocketTakers {
        &self.takers
    }
}

impl DerefMut for Settled<'_> {
    fn deref_mut(&mut self) -> &mut SocketTakers {
        &mut self.takers
    }
}

impl Drop for Settled<'_> {
    fn drop(&mut self) {
        let rest = self.socket.ahead.settle(&self.socket.connection);
        if !rest.is_empty() {
            self.takers.give_back(rest);
        }
    }
}

/// The hold, as whoever asks sees it.
struct Hold<'a> {
    lua: &'a Lua,
    connection: &'a Arc<Connection>,
    asker: Asker,
}

impl Source for Hold<'_> {
    type Message = LuaString;
    type Error = mlua::Error;

    fn has_closed(&mut self) -> bool {
        match self.asker {
            // That it has closed is reported once, and not while a message is owed.
            Asker::Driver => self.connection.take_closed() || self.connection.close_was_reported(),
            Asker::Waiter => self.connection.state() == State::Closed,
        }
    }

    fn take(&mut self) -> mlua::Result<Option<LuaString>> {
        take(self.lua, self.connection)
    }
}

/// The next held message, its bytes unchanged.
fn take(lua: &Lua, connection: &Arc<Connection>) -> mlua::Result<Option<LuaString>> {
    connection.take(|message| lua.create_string(&message.payload)).transpose()
}
