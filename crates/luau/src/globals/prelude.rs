//! The globals that yield: what Rust lends to `prelude.luau`, and what comes back.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use mlua::{Function, LuaString, Table, Thread, Value};

use crate::host::{Host, REST};
use crate::{delivery, json, modules, signal, socket};

const SOURCE: &str = include_str!("../prelude.luau");

pub(super) fn install(host: &Rc<Host>) -> mlua::Result<()> {
    let lua = &host.lua;
    let functions: Table =
        lua.load(SOURCE).set_name("=sunsocket-prelude").call((lend(host)?, Value::LightUserData(REST)))?;
    let mut kept = HashMap::new();
    for name in ["run", "run_handlers", "raising", "send", "wait_signal"] {
        kept.insert(name, functions.get::<Function>(name)?);
    }
    host.functions.replace(kept);
    let globals = lua.globals();
    for name in ["print", "warn", "task", "wait", "spawn", "delay", "require", "loadstring", "getgenv"] {
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
    let this = Rc::clone(host);
    lent.set("next_handler", lua.create_function(move |_, turn: f64| delivery::next_handler(&this, turn))?)?;
    let this = Rc::clone(host);
    lent.set("in_handler", lua.create_function(move |_, ()| Ok(delivery::in_handler(&this)))?)?;
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
    let this = Rc::clone(host);
    lent.set("wait_signal", lua.create_function(move |lua, args| signal::wait(&this, lua, args))?)?;

    let this = Rc::clone(host);
    lent.set(
        "failed",
        lua.create_function(move |_, (thread, text): (Thread, LuaString)| {
            this.failed(&thread, &text.to_string_lossy());
            Ok(())
        })?,
    )?;
    lent.set("json", lua.create_function(|_, value: Value| Ok(json::encode(&value).ok()))?)?;
    let this = Rc::clone(host);
    lent.set(
        "print",
        lua.create_function(move |_, line: LuaString| {
            this.print(&line.as_bytes());
            Ok(())
        })?,
    )?;
    let this = Rc::clone(host);
    lent.set(
        "warn",
        lua.create_function(move |_, line: LuaString| {
            this.warn(&line.to_string_lossy());
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
        lua.create_function(move |_, thread: Thread| {
            this.scheduler.borrow_mut().cancel(&thread);
            socket::forget(&this, &thread);
            Ok(())
        })?,
    )?;

    let this = Rc::clone(host);
    lent.set(
        "find_module",
        lua.create_function(move |lua, path: String| {
            // Who calls `require`, perhaps through pcall. Not by debug.info: that shortens a long path.
            let source = |level| lua.inspect_stack(level, |frame| frame.source().source.map(Cow::into_owned));
            let requirer = (2..)
                .map_while(source)
                .find_map(|source| source?.strip_prefix('@').map(PathBuf::from))
                .unwrap_or_else(|| this.script.borrow().clone());
            Ok(match modules::find(&path, &requirer) {
                Ok(found) => (Some(lua.create_string(found.to_string_lossy().as_bytes())?), None),
                Err(problem) => (None, Some(problem)),
            })
        })?,
    )?;
    lent.set(
        "load_module",
        lua.create_function(|lua, key: String| Ok(either(modules::load(lua, Path::new(&key)))))?,
    )?;
    lent.set(
        "compile",
        lua.create_function(|lua, (source, name): (LuaString, String)| {
            Ok(either(modules::compile(lua, source.as_bytes().to_vec(), name)))
        })?,
    )?;
    lent.set("environment", lua.create_function(|lua, ()| Ok(lua.globals()))?)?;
    let start = Instant::now();
    lent.set("time", lua.create_function(move |_, ()| Ok(start.elapsed().as_secs_f64()))?)?;
    Ok(lent)
}

/// A function, or nil and what is wrong.
fn either(compiled: Result<Function, String>) -> (Option<Function>, Option<String>) {
    match compiled {
        Ok(function) => (Some(function), None),
        Err(problem) => (None, Some(problem)),
    }
}
