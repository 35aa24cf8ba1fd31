//! A script that does not pause can be interrupted all the same: the VM asks at every loop, call and return.
//!
//! It asks so often that the way through mlua, some 25 ns for each time, was a fifth of what a small message costs. So
//! the VM asks a function that counts, which passes every so manieth question on.
#![allow(unsafe_code, reason = "the VM's hook can be set by Luau's own interface for C alone")]

use std::cell::Cell;
use std::ffi::c_int;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{VmState, ffi};

use super::ending::Ending;
use super::machine::Vm;

/// How often such a script is looked at, and how many questions may pass in between without a look at the clock.
const LOOK: Duration = Duration::from_millis(10);
const STEPS: u32 = 4096;

type Hook = unsafe extern "C-unwind" fn(*mut ffi::lua_State, c_int);

thread_local! {
    /// mlua's hook of the VM that runs on this thread; there is one at a time.
    static ASKS: Cell<Option<Hook>> = const { Cell::new(None) };
    /// Questions until it is asked.
    static LEFT: Cell<u32> = const { Cell::new(STEPS) };
}

/// From here on what ends the script does so wherever it is.
pub(crate) fn install(vm: &Rc<Vm>) -> mlua::Result<()> {
    let asker = Rc::downgrade(vm);
    let looked = Cell::new(Instant::now());
    let turn = Cell::new(0);
    vm.lua.set_interrupt(move |lua| {
        let Some(vm) = asker.upgrade() else { return Ok(VmState::Continue) };
        if !vm.is_ending() {
            if looked.get().elapsed() < LOOK {
                return Ok(VmState::Continue);
            }
            looked.set(Instant::now());
            let has_paused = turn.replace(vm.turns.get()) != vm.turns.get();
            if let Some(Ending::Signal(_)) = vm.endings.look()
                && !has_paused
            {
                // Perhaps it never would have, and whoever ends it wants to know where that is.
                let frames = vm.function("where_it_is").and_then(|frames| frames.call(lua.current_thread()));
                vm.output.warn(&format!("interrupted{}", frames.unwrap_or_else(|_| String::new())));
            }
            // What was printed is to be seen while the script goes on. Last: whoever reads it may answer with a signal.
            vm.output.flush();
        }
        if vm.is_ending() {
            // Again and again once it has come: a pcall of the script's must not swallow it.
            hurry();
            return Err(mlua::Error::runtime("interrupted"));
        }
        Ok(VmState::Continue)
    });
    LEFT.set(STEPS);
    vm.endings.notice_by(hurry);
    // SAFETY: the state is that of a living VM; its table of hooks lives as long as it does, and nothing else touches the
    // table meanwhile. The hook that is put there calls the one that mlua has put there, and nothing else.
    unsafe {
        vm.lua.exec_raw((), |state| {
            let hooks = ffi::lua_callbacks(state);
            ASKS.set((*hooks).interrupt);
            (*hooks).interrupt = Some(count);
        })
    }
}

/// The VM's next question is passed on.
fn hurry() {
    LEFT.set(1);
}

/// What the VM asks.
///
/// # Safety
/// It is called by the VM, on whose hook `install` has put it.
unsafe extern "C-unwind" fn count(state: *mut ffi::lua_State, gc: c_int) {
    let left = LEFT.get();
    if left > 1 {
        LEFT.set(left - 1);
        return;
    }
    LEFT.set(STEPS);
    if let Some(asks) = ASKS.get() {
        // SAFETY: it is mlua's, for this VM, and gets what the VM has given.
        unsafe { asks(state, gc) };
    }
}
