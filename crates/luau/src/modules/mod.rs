//! `require` of files beside the script, by the rules of Luau's require-by-string.
//!
//! A path leads from module to module, and a module is a file `name.luau` or a folder `name` with an `init.luau` in it. `./`
//! is beside the module that asks: for an `init.luau` that is beside its folder. `@self` is the module itself, `@name` an
//! alias of a `.luaurc`. More than the rules have it, a path without any of these counts as one with `./`, and a file may be
//! named with its ending.

mod aliases;

use std::fs;
use std::path::{Component, Path, PathBuf};

use mlua::{Function, Lua};

use crate::vm::machine::Vm;

/// A file that `require` has found.
pub(crate) struct Found {
    /// The same for every way to it.
    pub(crate) key: PathBuf,
    /// What it is called in errors: relative if the script was named so, as one would name it from the same folder.
    pub(crate) name: PathBuf,
}

/// The file that `path` names in the script with the name `requirer`.
///
/// # Errors
/// What was looked for, and where.
pub(crate) fn find(lua: &Lua, path: &str, requirer: &Path) -> Result<Found, String> {
    let problem = |what: String| format!("require({path:?}): {what}");
    let base = base(lua, &path.replace('\\', "/"), requirer).map_err(problem)?;
    let candidates = candidates(&base);
    let mut found = candidates.iter().filter(|candidate| candidate.is_file());
    // A file with its ending is meant by that name alone.
    match (found.next().or_else(|| is_named_whole(&base).then_some(&base)), found.next()) {
        (Some(found), None) => Ok(Found {
            key: fs::canonicalize(found).unwrap_or_else(|_| found.clone()),
            name: shortest(found),
        }),
        (Some(one), Some(other)) => Err(problem(format!(
            "{} and {} are both there: rename one of them",
            shortest(one).display(),
            shortest(other).display()
        ))),
        (None, _) => {
            let looked: Vec<_> = candidates.iter().map(|path| shortest(path).display().to_string()).collect();
            let (last, others) = looked.split_last().map_or(("", &[][..]), |(last, others)| (last, others));
            Err(problem(format!("no such file; looked for {} and {last}", others.join(", "))))
        }
    }
}

/// Where the module is, as far as that is said without an ending.
fn base(lua: &Lua, path: &str, requirer: &Path) -> Result<PathBuf, String> {
    let folder = requirer.parent().unwrap_or_else(|| Path::new(""));
    let is_init = requirer.file_stem().is_some_and(|stem| stem == "init");
    let Some(aliased) = path.strip_prefix('@') else {
        return Ok(if is_init { folder.join("..").join(path) } else { folder.join(path) });
    };
    let (alias, rest) = aliased.split_once('/').unwrap_or((aliased, ""));
    let to = match alias {
        _ if alias.eq_ignore_ascii_case("self") && is_init => folder.to_owned(),
        _ if alias.eq_ignore_ascii_case("self") => requirer.with_extension(""),
        _ => aliases::resolve(lua, alias, folder)?,
    };
    Ok(if rest.is_empty() { to } else { to.join(rest) })
}

/// The files that may be the module.
fn candidates(base: &Path) -> Vec<PathBuf> {
    let with = |ending: &str| {
        let mut name = base.components().as_path().as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let mut candidates = vec![base.join("init.luau"), base.join("init.lua")];
    // A folder above has no name here.
    if base.file_name().is_some() {
        candidates.splice(..0, [with(".luau"), with(".lua")]);
    }
    candidates
}

/// Whether that is a file of a script, with its ending.
fn is_named_whole(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "luau" || ending == "lua") && path.is_file()
}

/// The path without detours (`./`, `folder/../`), as far as it leads to the same file: behind a symbolic link `..` leads
/// elsewhere.
fn shortest(path: &Path) -> PathBuf {
    let mut short = PathBuf::new();
    for part in path.components() {
        match (part, short.components().next_back()) {
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                short.pop();
            }
            _ => short.push(part),
        }
    }
    match (fs::canonicalize(&short), fs::canonicalize(path)) {
        (Ok(there), Ok(here)) if there == here => short,
        _ => path.components().filter(|part| *part != Component::CurDir).collect(),
    }
}

/// Compiles a file.
///
/// # Errors
/// Why it cannot be read, or where its syntax is wrong.
pub(crate) fn load(vm: &Vm, path: &Path) -> Result<Function, String> {
    let source = fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    vm.compile_file(&without_prefix(&source), &format!("@{}", path.display()))
}

/// The source without the byte order mark that some editors put before it, and with a `#!` line as a comment.
fn without_prefix(source: &[u8]) -> Vec<u8> {
    let source = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
    match source.strip_prefix(b"#!") {
        Some(rest) => [b"--", rest].concat(),
        None => source.to_vec(),
    }
}
