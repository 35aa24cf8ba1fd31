//! The globals that yield: what Rust lends to `prelude.luau`, and what comes back.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use mlua::{Function, LuaString, Table, Thread, Value};

use crate::host::{Host, REST};
use crate::{delivery, error, modules, signal, socket};

const SOURCE: &str = include_str!("../prelude.luau");

pub(super) fn install(host: &Rc<Host>) -> mlua::Result<()> {
    let lua = &host.lua;
    let functions: Table =
        lua.load(SOURCE).set_name("=sunsocket-prelude").call((lend(host)?, Value::LightUserData(REST)))?;
    let mut kept = HashMap::new();
    for name in ["run_handlers", "send", "wait_signal"] {
        kept.insert(name, functions.get::<Function>(name)?);
    }
    host.prelude.replace(kept);
    let globals = lua.globals();
    for name in ["task", "wait", "spawn", "delay", "require", "loadstring", "getgenv"] {
        globals.set(name, functions.get::<Value>(name)?)?;
    }
    let class = lua.create_table()?;
    class.set("connect", functions.get::<Function>("connect")?)?;
    class.set_readonly(true);
    globals.set("WebSocket", class)
}

/// What the prelude calls.
fn lend(host: &Rc<Host>) -> mlua::Result<Table> {
    let lua = &host.lua;
    let lent = lua.create_table()?;
    lent.set("globals", lua.globals())?;
    let this = Rc::clone(host);
    lent.set("next_handler", lua.create_function(move |_, ()| delivery::next_handler(&this))?)?;
    let this = Rc::clone(host);
    lent.set("in_handler", lua.create_function(move |_, _: Thread| Ok(delivery::in_handler(&this)))?)?;
    let this = Rc::clone(host);
    lent.set(
        "start_connect",
        lua.create_function(move |_, (url, thread): (LuaString, Thread)| {
            Ok(socket::start_connect(&this, &url.to_string_lossy(), thread))
        })?,
    )?;
    lent.set("send", lua.create_function(socket::send)?)?;
    lent.set(
        "wait_for_room",
        lua.create_function(|_, (object, thread): (Value, Thread)| {
            socket::wait_for_room(&object, thread);
            Ok(())
        })?,
    )?;
    lent.set("wait_signal", lua.create_function(signal::wait)?)?;

    let this = Rc::clone(host);
    lent.set(
        "report",
        lua.create_function(move |_, text: LuaString| {
            this.report(&mlua::Error::runtime(text.to_string_lossy()));
            Ok(())
        })?,
    )?;
    let this = Rc::clone(host);
    lent.set(
        "rest",
        lua.create_function(move |_, thread: Thread| {
            this.idle.borrow_mut().push(thread);
            Ok(())
        })?,
    )?;
    let this = Rc::clone(host);
    lent.set(
        "defer",
        lua.create_function(move |_, (thread, args): (Thread, mlua::Variadic<Value>)| {
            this.scheduler.borrow_mut().defer(thread, args.into_iter().collect());
            Ok(())
        })?,
    )?;
    let this = Rc::clone(host);
    lent.set(
        "sleep",
        lua.create_function(move |_, (thread, seconds, args): (Thread, f64, mlua::Variadic<Value>)| {
            this.scheduler.borrow_mut().sleep(thread, seconds, args.into_iter().collect());
            Ok(())
        })?,
    )?;
    let this = Rc::clone(host);
    lent.set(
        "cancel",
        lua.create_function(move |_, thread: Thread| Ok(this.scheduler.borrow_mut().cancel(&thread)))?,
    )?;

    lent.set(
        "find_module",
        lua.create_function(|lua, (path, source): (String, String)| {
            Ok(match modules::find(&path, &source) {
                Ok(found) => (Some(lua.create_string(found.to_string_lossy().as_bytes())?), None),
                Err(problem) => (None, Some(problem)),
            })
        })?,
    )?;
    lent.set(
        "load_module",
        lua.create_function(|lua, key: String| {
            let compiled = modules::read(Path::new(&key)).and_then(|source| {
                let chunk = lua.load(source).set_name(format!("@{key}"));
                chunk.into_function().map_err(|failure| error::message(&failure))
            });
            Ok(match compiled {
                Ok(function) => (Some(function), None),
                Err(problem) => (None, Some(problem)),
            })
        })?,
    )?;
    lent.set(
        "compile",
        lua.create_function(|lua, (source, name): (LuaString, String)| {
            let chunk = lua.load(source.as_bytes().to_vec()).set_name(name);
            Ok(match chunk.into_function() {
                Ok(function) => (Some(function), None),
                Err(failure) => (None, Some(error::message(&failure))),
            })
        })?,
    )?;
    Ok(lent)
}
