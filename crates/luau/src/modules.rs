//! `require` of files beside the script.

use std::fs;
use std::path::{Component, Path, PathBuf};

use mlua::Function;

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
pub(crate) fn find(path: &str, requirer: &Path) -> Result<Found, String> {
    let folder = requirer.parent().unwrap_or_else(|| Path::new("."));
    let base = folder.join(path);
    let with = |ending: &str| {
        let mut name = base.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    let candidates =
        [with(".luau"), with(".lua"), base.join("init.luau"), base.join("init.lua"), base.clone()];
    match candidates.iter().find(|candidate| candidate.is_file()) {
        Some(found) => Ok(Found {
            key: fs::canonicalize(found).unwrap_or_else(|_| found.clone()),
            name: shortest(found),
        }),
        None => {
            let looked: Vec<_> = candidates[..2].iter().map(|path| path.display().to_string()).collect();
            Err(format!("require({path:?}): no such file; looked for {}", looked.join(" and ")))
        }
    }
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
        _ => path.to_owned(),
    }
}

/// Compiles a file.
///
/// # Errors
/// Why it cannot be read, or where its syntax is wrong.
pub(crate) fn load(vm: &Vm, path: &Path) -> Result<Function, String> {
    let source = fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    vm.compile(&without_prefix(&source), &format!("@{}", path.display()))
}

/// The source without the byte order mark that some editors put before it, and with a `#!` line as a comment.
fn without_prefix(source: &[u8]) -> Vec<u8> {
    let source = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
    match source.strip_prefix(b"#!") {
        Some(rest) => [b"--", rest].concat(),
        None => source.to_vec(),
    }
}
