//! Messages on their way to a socket's one handler, handed to the prelude as a list.
//!
//! Asking the takers for each message, and bringing each to Luau by mlua's conversions, costs more than the handler: 0.3 us
//! of the 0.6 of a message of 64 bytes. While a socket has one handler and nobody else is to be thought of, messages leave
//! the hold together, become strings in a table that `run_handlers` goes through, and the handler is called from there.
//!
//! Any call of a script's may change that (another handler, a `Wait`, a `Close`). All of them go through
//! `Socket::takers`, at whose end this is asked whether things still are as they were: if not, the messages that the
//! handler has not had go back to the takers, as the oldest.
#![allow(
    unsafe_code,
    reason = "strings are made in the table without mlua's reference and protection for each"
)]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlua::{Function, Lua, LuaString, Table, ffi};
use sunsocket_net::{Connection, HeldLimit, Straight, Taken};

/// The most messages in one list, and bytes in them but for the last.
const MOST: HeldLimit = HeldLimit { messages: 256, bytes: 256 << 10 };
/// How long the handlers of one list may take: at its end the host looks whether anything else is due.
const LONGEST: Duration = Duration::from_millis(1);
/// A turn that never is.
const NEVER: f64 = -1.0;

pub(crate) struct Ahead {
    /// The messages, from 1 on. `at`: the one that was handed over last; `count`: how many there are; `turn`: in which turn
    /// of the coroutines that run handlers it may be gone through.
    table: Table,
    list: RefCell<Option<List>>,
    /// How many messages the next list may have, by how long handlers took up to now.
    most: Cell<usize>,
}

/// The list that is being gone through.
struct List {
    /// The connection's number.
    of: u64,
    handler: Function,
    straight: Straight,
    count: usize,
    began: Instant,
}

impl Ahead {
    pub(crate) fn new(lua: &Lua) -> mlua::Result<Rc<Self>> {
        let table = lua.create_table_with_capacity(MOST.messages, 3)?;
        for name in ["at", "count", "turn"] {
            table.raw_set(name, 0)?;
        }
        Ok(Rc::new(Self { table, list: RefCell::default(), most: Cell::new(1) }))
    }

    /// For the prelude.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// The handler, if there is something left for it: a handler that yields leaves the rest to another coroutine.
    pub(crate) fn handler(&self) -> mlua::Result<Option<Function>> {
        let at = self.at()?;
        let mut list = self.list.borrow_mut();
        if list.as_ref().is_some_and(|list| at >= list.count)
            && let Some(List { count, began, .. }) = list.take()
        {
            let each = began.elapsed() / u32::try_from(count).unwrap_or(u32::MAX).max(1);
            let most = LONGEST.as_nanos() / each.as_nanos().max(1);
            self.most.set(usize::try_from(most).unwrap_or(usize::MAX).clamp(1, MOST.messages));
        }
        Ok(list.as_ref().map(|list| list.handler.clone()))
    }

    /// The list may be gone through in this turn, and in no other.
    pub(crate) fn allow(&self, turn: f64) -> mlua::Result<()> {
        self.table.raw_set("turn", turn)
    }

    /// Nobody goes through the list until it is allowed again.
    pub(crate) fn forbid(&self) -> mlua::Result<()> {
        self.allow(NEVER)
    }

    /// Makes a list of what is held for the `sole` handler (`Takers::sole_handler`); says how many messages it has, which are
    /// no more than `most`.
    pub(crate) fn begin(
        &self,
        lua: &Lua,
        connection: &Arc<Connection>,
        (handler, straight): (Function, Straight),
        most: u32,
    ) -> mlua::Result<Option<u32>> {
        let most = HeldLimit { messages: self.most.get().min(most as usize), ..MOST };
        let Some(mut taken) = connection.take_many(most) else { return Ok(None) };
        let made = Cell::new(0);
        let filled = fill(lua, &self.table, &taken, &made);
        let count = made.get();
        // One that could not be made is gone, as everywhere; those behind it stay held.
        taken.read(count + usize::from(filled.is_err()));
        drop(taken);
        self.table.raw_set("at", 0)?;
        self.table.raw_set("count", count)?;
        if count > 0 {
            let of = connection.id();
            self.list.replace(Some(List { of, handler, straight, count, began: Instant::now() }));
        }
        filled.map(|()| u32::try_from(count).ok())
    }

    /// Something about the takers of a connection may have changed: what the one handler has not had is for them again, unless
    /// everything is as it was.
    #[must_use = "these messages are lost otherwise"]
    pub(crate) fn settle(&self, connection: &Connection) -> Vec<LuaString> {
        let Ok(mut list) = self.list.try_borrow_mut() else { return Vec::new() };
        if list.as_ref().is_none_or(|list| list.of != connection.id() || list.straight.holds()) {
            return Vec::new();
        }
        // What is left of the list is in the table: to take it out there cannot fail.
        let (Some(List { count, .. }), Ok(at)) = (list.take(), self.at()) else { return Vec::new() };
        let _ = self.forbid();
        let rest = (at + 1..=count).filter_map(|at| {
            let message = self.table.raw_get::<LuaString>(at).ok();
            self.table.raw_set(at, false).ok().and(message)
        });
        rest.collect()
    }

    fn at(&self) -> mlua::Result<usize> {
        self.table.raw_get("at")
    }
}

/// Puts the messages into the table, from 1 on; `made` counts.
fn fill(lua: &Lua, table: &Table, taken: &Taken<'_>, made: &Cell<usize>) -> mlua::Result<()> {
    // SAFETY: the table is the one value on the stack, at 1, which has room for a second one (mlua sees to that). Both calls
    // raise when memory is short, which mlua catches around all of this; nothing here has to be dropped then, for the
    // messages are borrowed.
    unsafe {
        lua.exec_raw(table, |state| {
            for message in taken.iter() {
                let payload: &[u8] = &message.payload;
                ffi::lua_pushlstring(state, payload.as_ptr().cast(), payload.len());
                ffi::lua_rawseti(state, 1, (made.get() + 1) as ffi::lua_Integer);
                made.set(made.get() + 1);
            }
            ffi::lua_settop(state, 0);
        })
    }
}
