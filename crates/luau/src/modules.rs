//! `require` of files beside the script.

use std::fs;
use std::path::{Path, PathBuf};

/// The file that `path` names in a script whose chunk is `source`.
///
/// # Errors
/// What was looked for, and where.
pub(crate) fn find(path: &str, source: &str) -> Result<PathBuf, String> {
    let requirer = Path::new(source.trim_start_matches(['@', '=']));
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
        Some(found) => Ok(fs::canonicalize(found).unwrap_or_else(|_| found.clone())),
        None => {
            let looked: Vec<_> = candidates[..2].iter().map(|path| path.display().to_string()).collect();
            Err(format!("require({path:?}): no such file; looked for {}", looked.join(" and ")))
        }
    }
}

/// A module's source.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}
