//! What a script may have meant where it calls or indexes nil, or calls a method that is not there.
//!
//! Luau says "attempt to call a nil value" and where, but not what was nil: by then it is a value like any other. The line of
//! the script says it: `places` looks there for names that are called or indexed, and a name whose value is nil right now is the
//! one. Where that leaves a doubt nothing is said. All of it happens when an error is raised anyway, and costs nothing before.

mod known;
mod lexer;
mod nearest;
mod places;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use mlua::{Lua, Table, Value};

use crate::vm::loader::Loader;
use known::about;
use nearest::nearest;
use places::{Suspect, Text};

/// What went wrong at a place.
#[derive(Clone, Copy)]
pub(crate) enum Fault<'a> {
    /// nil was called.
    Called,
    /// nil was indexed with this key.
    Indexed(&'a str),
}

/// What members of the class' objects are mistaken for.
const SIGNALS: [&str; 2] = ["OnMessage", "OnClose"];
const METHODS: [&str; 2] = ["Send", "Close"];

/// Lines that are remembered.
const MOST: usize = 1024;

/// The names that stand behind the script's globals, and the globals.
pub(crate) struct Names<'a> {
    pub(crate) globals: &'a Table,
    pub(crate) libraries: &'a Table,
}

impl Names<'_> {
    fn get(&self, name: &str) -> Value {
        let value = self.globals.raw_get(name).unwrap_or(Value::Nil);
        if value.is_nil() { self.libraries.raw_get(name).unwrap_or(Value::Nil) } else { value }
    }

    fn all(&self) -> Vec<String> {
        [self.globals, self.libraries].into_iter().flat_map(keys).collect()
    }
}

fn keys(table: &Table) -> Vec<String> {
    table
        .pairs::<Value, Value>()
        .filter_map(|pair| Some(pair.ok()?.0.as_string()?.to_string_lossy()))
        .collect()
}

/// What the lines say that errors came from, so that a script that lets many errors happen pays for its lines once.
#[derive(Default)]
pub(crate) struct Lines(RefCell<HashMap<At, Rc<[Suspect]>>>);

/// A chunk's name, a line, and what nil was indexed with there.
type At = (Rc<str>, usize, String);

impl Lines {
    fn suspects(&self, place: &Place, fault: Fault<'_>) -> Rc<[Suspect]> {
        let key = match fault {
            // No key of an index.
            Fault::Called => "(",
            Fault::Indexed(key) => key,
        };
        let at = (Rc::clone(&place.name), place.line, key.to_owned());
        if let Some(suspects) = self.0.borrow().get(&at) {
            return Rc::clone(suspects);
        }
        let text = Text::new(&place.source);
        let suspects: Rc<[Suspect]> = match fault {
            Fault::Called => text.called(place.line),
            Fault::Indexed(key) => text.indexed(place.line, key),
        }
        .into();
        let mut lines = self.0.borrow_mut();
        if lines.len() == MOST {
            lines.clear();
        }
        lines.insert(at, Rc::clone(&suspects));
        suspects
    }

    /// In words what was nil at a place, and what to use instead; `None`: that cannot be said for certain.
    pub(crate) fn explain(&self, place: &Place, fault: Fault<'_>, names: &Names<'_>) -> Option<String> {
        let suspects = self.suspects(place, fault);
        let mut said: Vec<String> = Vec::new();
        for suspect in suspects.iter() {
            match judge(suspect, fault, names) {
                Verdict::Innocent => {}
                Verdict::Guilty(words) => said.push(words),
                Verdict::Doubt => return None,
            }
        }
        said.dedup();
        // Two at once: which of them it was cannot be seen.
        if said.len() == 1 { said.pop() } else { None }
    }
}

/// Whether a suspect was nil.
enum Verdict {
    Innocent,
    /// It was, and what to use instead.
    Guilty(String),
    /// It may have been.
    Doubt,
}

fn judge(suspect: &Suspect, fault: Fault<'_>, names: &Names<'_>) -> Verdict {
    match suspect {
        Suspect::Local => Verdict::Doubt,
        Suspect::Global(name) => {
            if !names.get(name).is_nil() {
                return Verdict::Innocent;
            }
            Verdict::Guilty(match (about(name), nearest(name, names.all())) {
                (Some(instead), _) => format!("`{name}` is not there: {instead}"),
                (None, Some(near)) => format!("there is no global `{name}`; did you mean `{near}`?"),
                (None, None) => format!("there is no global `{name}`"),
            })
        }
        Suspect::Member(base, name) => {
            let Value::Table(table) = names.get(base) else { return Verdict::Innocent };
            if !table.raw_get::<Value>(name.as_str()).is_ok_and(|value| value.is_nil()) {
                return Verdict::Innocent;
            }
            let whole = format!("{base}.{name}");
            let near = nearest(name, keys(&table)).filter(|_| about(&whole).is_none());
            Verdict::Guilty(match (near, about(&whole).or_else(|| about(&format!("{base}.*")))) {
                (Some(near), _) => format!("there is no `{whole}`; did you mean `{base}.{near}`?"),
                (None, Some(instead)) => format!("`{whole}` is not there: {instead}"),
                (None, None) => format!("there is no `{whole}`"),
            })
        }
        Suspect::Field(name) => {
            let near = match fault {
                Fault::Called => nearest(name, METHODS),
                Fault::Indexed(key) if is_of_signals(key) => nearest(name, SIGNALS),
                Fault::Indexed(_) => None,
            };
            near.map_or(Verdict::Innocent, |near| {
                Verdict::Guilty(format!("there is no `{name}`; did you mean `{near}`?"))
            })
        }
    }
}

fn is_of_signals(key: &str) -> bool {
    ["connect", "once", "wait"].iter().any(|name| name.eq_ignore_ascii_case(key))
}

/// What to use in place of `key` as a member of an object called `name`, which has these members.
pub(crate) fn meant(key: &str, name: &str, members: Vec<String>) -> Option<String> {
    let known = about(&format!("{name}.{key}"));
    match known.map(str::to_owned).or_else(|| Some(format!("did you mean `{}`?", nearest(key, members)?))) {
        None => about(&format!("{name}.*")).map(str::to_owned),
        meant => meant,
    }
}

/// Whether a method of this name is called at a place, and not only read.
pub(crate) fn calls_method(place: &Place, key: &str) -> bool {
    Text::new(&place.source).calls_method(place.line, key)
}

/// A line of a chunk.
pub(crate) struct Place {
    name: Rc<str>,
    source: Rc<str>,
    line: usize,
}

impl Place {
    /// Where the function stands that is so many levels up, if its text is known and its globals are the script's.
    pub(crate) fn at(lua: &Lua, loader: &Loader, level: usize) -> Option<Self> {
        let (name, line) = lua.inspect_stack(level, |frame| {
            let environment = frame.function().environment();
            let is_own = environment.is_some_and(|environment| environment == *loader.globals());
            is_own.then(|| Some((frame.source().source?.into_owned(), frame.current_line()?)))?
        })??;
        // A string that was compiled without a name of its own has itself as its name.
        let name: Rc<str> = name.into();
        let source = loader.source(&name).unwrap_or_else(|| Rc::clone(&name));
        Some(Self { name, source, line })
    }
}
