//! Loads texts as chunks, so that the libraries are found fast in them and the script's globals as they are.
//!
//! While the VM loads a chunk, it looks up what the chunk imports (`print`, `math.floor`), among the globals of the
//! coroutine that loads it, and keeps what it finds. Among the script's own globals that would be wrong: the next moment they
//! may be others. So one coroutine loads every chunk whose globals are the libraries alone, which are read-only, and the
//! chunk gets the script's globals as its environment.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use mlua::{Function, Lua, LuaString, Table, Thread, chunk::ChunkMode};

use super::errors;

pub(crate) struct Loader {
    thread: Thread,
    globals: Table,
    libraries: Table,
    /// The texts of files, by their chunks' names: what an error says is looked up there.
    sources: RefCell<HashMap<String, Rc<str>>>,
}

/// A function, or nil and what is wrong.
pub(crate) type Either = (Option<Function>, Option<String>);

impl Loader {
    /// `thread` runs `load_chunks` of the prelude, and was made before the script's globals were.
    pub(crate) fn new(thread: Thread, globals: Table, libraries: Table) -> Self {
        Self { thread, globals, libraries, sources: RefCell::default() }
    }

    pub(crate) fn globals(&self) -> &Table {
        &self.globals
    }

    pub(crate) fn libraries(&self) -> &Table {
        &self.libraries
    }

    /// The text of a file, by its chunk's name.
    pub(crate) fn source(&self, name: &str) -> Option<Rc<str>> {
        self.sources.borrow().get(name).cloned()
    }

    pub(crate) fn keep_source(&self, name: &str, source: &[u8]) {
        self.sources.borrow_mut().insert(name.to_owned(), String::from_utf8_lossy(source).into());
    }

    /// Compiles a text. What looks like bytecode is not taken for it: the VM trusts bytecode, and a file may hold anything.
    ///
    /// # Errors
    /// Where its syntax is wrong.
    pub(crate) fn compile(&self, lua: &Lua, source: &[u8], name: &str) -> Result<Function, String> {
        if source.first().is_some_and(|byte| *byte < b'\t') {
            return Err(format!("{}: this is binary, not a script", name.trim_start_matches(['@', '='])));
        }
        let loaded: mlua::Result<Either> =
            lua.create_string(source).and_then(|source| self.thread.resume((source, name, &self.globals)));
        match loaded.map_err(|error| errors::message(&error))? {
            (Some(function), _) => Ok(function),
            (None, problem) => Err(problem.unwrap_or_default()),
        }
    }
}

/// What `load_chunks` calls.
pub(crate) fn load(lua: &Lua, (source, name, globals): (LuaString, String, Table)) -> mlua::Result<Either> {
    let chunk = lua.load(source.as_bytes().to_vec()).set_mode(ChunkMode::Text).set_name(name);
    Ok(either(chunk.set_environment(globals).into_function().map_err(|failure| errors::message(&failure))))
}

pub(crate) fn either(compiled: Result<Function, String>) -> Either {
    match compiled {
        Ok(function) => (Some(function), None),
        Err(problem) => (None, Some(problem)),
    }
}
