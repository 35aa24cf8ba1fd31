//! What `@name` at the beginning of a path stands for: the `aliases` of `.luaurc` files.
//!
//! Luau's RFC on aliases decides: the files are looked for from the folder of the file that asks upwards, the nearest that has
//! the name counts, names are the same in capitals, and an alias may begin with another one.

use std::fs;
use std::path::{Path, PathBuf};

use mlua::{Lua, Table, Value};

use crate::json::{self, Grammar};

const FILE: &str = ".luaurc";

/// The folder or module that an alias stands for.
///
/// # Errors
/// Where it was looked for, or what is wrong with a file.
pub(super) fn resolve(lua: &Lua, alias: &str, folder: &Path) -> Result<PathBuf, String> {
    let mut seen = Vec::new();
    let (mut name, mut from) = (alias.to_ascii_lowercase(), folder.to_owned());
    let mut rest = PathBuf::new();
    loop {
        if seen.contains(&name) {
            seen.push(name);
            return Err(format!("its aliases lead in a circle: @{}", seen.join(" -> @")));
        }
        let (found_in, value) = find(lua, &name, &from)?;
        let Some(other) = value.strip_prefix('@') else { return Ok(found_in.join(value).join(rest)) };
        seen.push(name);
        let (next, behind) = other.split_once('/').unwrap_or((other, ""));
        rest = if rest.as_os_str().is_empty() { PathBuf::from(behind) } else { Path::new(behind).join(rest) };
        (name, from) = (next.to_ascii_lowercase(), found_in);
    }
}

/// The folder of the nearest file that has the alias, and what it says.
fn find(lua: &Lua, name: &str, folder: &Path) -> Result<(PathBuf, String), String> {
    let mut folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() };
    let mut others = Vec::new();
    // By "..", which the system follows: a path that was given stays as it was given in what errors say.
    let levels = fs::canonicalize(&folder).map_or(0, |whole| whole.components().count());
    for _ in 0..levels {
        let file = folder.join(FILE);
        if let Some(aliases) = read(lua, &file)? {
            for pair in aliases.pairs::<String, Value>() {
                let (key, value) = pair.map_err(|error| unusable(&file, &error.to_string()))?;
                if !key.eq_ignore_ascii_case(name) {
                    others.push(format!("@{key}"));
                    continue;
                }
                let Value::String(value) = value else {
                    return Err(unusable(&file, &format!("the alias {key:?} is not a string")));
                };
                return Ok((folder, value.to_string_lossy()));
            }
        }
        folder.push("..");
    }
    others.sort();
    others.dedup();
    let known = if others.is_empty() { String::new() } else { format!("; there is {}", others.join(", ")) };
    Err(format!("no {FILE} from the folder of this file upwards has the alias @{name}{known}"))
}

/// The aliases in a file; `None` if it is not there or has none.
fn read(lua: &Lua, file: &Path) -> Result<Option<Table>, String> {
    if !file.is_file() {
        return Ok(None);
    }
    let text = fs::read(file).map_err(|error| unusable(file, &error.to_string()))?;
    let config = json::decode(lua, &text, Grammar::Relaxed).map_err(|what| unusable(file, &what))?;
    let Value::Table(config) = config else { return Err(unusable(file, "it is not an object")) };
    match config.raw_get("aliases") {
        Ok(Value::Table(aliases)) => Ok(Some(aliases)),
        Ok(Value::Nil) => Ok(None),
        _ => Err(unusable(file, "its \"aliases\" are not an object")),
    }
}

fn unusable(file: &Path, what: &str) -> String {
    format!("{} cannot be used: {what}", super::shortest(file).display())
}
