//! `Send` of a string, without mlua's conversions: with them it takes twice as long.
#![allow(
    unsafe_code,
    reason = "the string and the socket are borrowed from the VM's stack, without a reference in mlua for each"
)]

use std::ffi::c_int;
use std::panic::{self, AssertUnwindSafe};

use mlua::{Function, ffi};
use sunsocket_net::{Error, MessageKind, Room};

use crate::socket::Socket;
use crate::vm::machine::Vm;

/// For the prelude: takes the place of a socket and a message. Returns nothing when it was sent; nil and true when it was, and
/// the sender should wait for room; false when it was not, because it is no string or something is wrong: then `send` of
/// `class::socket` does it, or says what.
pub(crate) fn function(vm: &Vm) -> mlua::Result<Function> {
    // SAFETY: it is called by the prelude alone, with the place that it keeps together with the handle that owns the socket.
    unsafe { vm.lua.create_c_function(send_string) }
}

/// # Safety
/// `state` is the VM's, and the first argument a place of `class::object`, whose socket lives.
unsafe extern "C-unwind" fn send_string(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as above; the string stays where it is while it stands on the stack, which nothing here touches before it was
    // read. A panic must not go through the VM, hence it is caught, and the other way reports it.
    unsafe {
        let place = ffi::lua_tolightuserdata(state, 1).cast_const().cast::<Socket>();
        if place.is_null() || ffi::lua_type(state, 2) != ffi::LUA_TSTRING {
            ffi::lua_pushboolean(state, 0);
            return 1;
        }
        let mut length = 0;
        let text = ffi::lua_tolstring(state, 2, &raw mut length);
        let message = std::slice::from_raw_parts(text.cast::<u8>(), length);
        match panic::catch_unwind(AssertUnwindSafe(|| send(&*place, message))) {
            Ok(Ok(Room::Plenty)) => 0,
            Ok(Ok(Room::Full)) => {
                ffi::lua_pushnil(state);
                ffi::lua_pushboolean(state, 1);
                2
            }
            Ok(Err(_)) | Err(_) => {
                ffi::lua_pushboolean(state, 0);
                1
            }
        }
    }
}

/// A string leaves as text where it can, and as binary otherwise.
pub(super) fn send(socket: &Socket, message: &[u8]) -> Result<Room, Error> {
    let kind = if std::str::from_utf8(message).is_ok() { MessageKind::Text } else { MessageKind::Binary };
    socket.connection.send(kind, message, None)
}
