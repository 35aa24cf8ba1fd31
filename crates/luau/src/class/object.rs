//! The socket as a script holds it: an object that the prelude makes (`prelude/object.luau`), because one with a table of
//! members of its own is found its methods in by the VM itself, without a call, and is collected with what it refers to.

use std::rc::Rc;

use mlua::{AnyUserData, LightUserData, Value};
use sunsocket_net::Which;

use super::signal::Signal;
use crate::socket::Socket;
use crate::vm::machine::Vm;

/// What the prelude keeps for the object, and gives back to Rust: the socket.
struct Handle(Rc<Socket>);

impl mlua::UserData for Handle {}

/// Makes the object.
pub(crate) fn create(vm: &Vm, socket: &Rc<Socket>) -> mlua::Result<Value> {
    let signal = |which| vm.lua.create_userdata(Signal { socket: Rc::clone(socket), which });
    let handle = vm.lua.create_userdata(Handle(Rc::clone(socket)))?;
    // Where the socket is, for `send`; it stays there for as long as the handle is kept, and the prelude keeps both together.
    let place = LightUserData(Rc::as_ptr(socket).cast_mut().cast());
    let name = format!("WebSocket {}", socket.connection.url());
    vm.function("make_socket")?.call((handle, place, signal(Which::Message)?, signal(Which::Close)?, name))
}

/// The socket of a handle.
pub(crate) fn of(handle: &AnyUserData) -> mlua::Result<Rc<Socket>> {
    Ok(Rc::clone(&handle.borrow::<Handle>()?.0))
}
