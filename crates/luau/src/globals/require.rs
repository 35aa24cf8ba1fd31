//! `require` of files beside the script.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::lending::Lending;
use crate::modules::{self, Found};
use crate::session::Session;
use crate::vm::loader::either;

pub(super) fn install(session: &Rc<Session>, lent: &Lending) -> mlua::Result<()> {
    let vm = &session.vm;
    let script = session.script.clone();
    let text = |path: &Path| path.to_string_lossy().into_owned();
    lent.lend(vm, "find_module", move |lua, path: String| {
        // Who calls `require`, perhaps through pcall. Not by debug.info: that shortens a long path.
        let source = |level| lua.inspect_stack(level, |frame| frame.source().source.map(Cow::into_owned));
        let requirer = (2..)
            .map_while(source)
            .find_map(|source| source?.strip_prefix('@').map(PathBuf::from))
            .unwrap_or_else(|| script.clone());
        Ok(match modules::find(lua, &path, &requirer) {
            Ok(Found { key, name }) => (Some(text(&key)), text(&name)),
            Err(problem) => (None, problem),
        })
    })?;
    let this = Rc::downgrade(vm);
    lent.lend(vm, "load_module", move |_, name: String| {
        let vm = this.upgrade().ok_or_else(|| mlua::Error::runtime("the script has ended"))?;
        Ok(either(modules::load(&vm, Path::new(&name))))
    })?;
    lent.run(vm, include_str!("../prelude/require.luau"))?;
    lent.publish(&["require"])
}
