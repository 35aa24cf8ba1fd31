//! The signals that end a script, while one runs: SIGINT (Ctrl-C), SIGTERM (service managers, `docker stop`), SIGHUP (the
//! terminal is gone).
//!
//! Python's own handlers wait for the interpreter to come by, which is away while the script runs: the second Ctrl-C would
//! be as late as the first, and a script in the middle of a long call could not be ended. So there are handlers of the
//! system's here: the first signal is asked for by the script's host, and the second one ends the process at once.
#![expect(unsafe_code, reason = "a handler can be set by the system's own interface alone")]

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicI32, Ordering};

use libc::{SIGHUP, SIGINT, SIGTERM, c_int, sigaction};

/// The signal that came; 0: none.
static CAME: AtomicI32 = AtomicI32::new(0);

/// While it lives, these signals are seen by [`Watch::came`] and by nobody else.
pub(crate) struct Watch {
    before: Vec<(c_int, sigaction)>,
}

impl Watch {
    /// A signal that whoever started us has switched off stays so: `nohup` does that to SIGHUP, and a shell to SIGINT for what
    /// it starts in the background.
    pub(crate) fn begin() -> Self {
        CAME.store(0, Ordering::Relaxed);
        let ours = action(see);
        let set = [SIGINT, SIGTERM, SIGHUP].into_iter().filter_map(|signal| {
            let before = replace(signal, None)?;
            (before.sa_sigaction != libc::SIG_IGN).then(|| replace(signal, Some(&ours)))?;
            Some((signal, before))
        });
        Self { before: set.collect() }
    }

    /// Which one came, if any.
    pub(crate) fn came() -> Option<i32> {
        Some(CAME.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for (signal, before) in &self.before {
            replace(*signal, Some(before));
        }
    }
}

/// Called by the system, in the middle of anything: it may do nothing here but store, and end the process.
extern "C" fn see(signal: c_int) {
    if CAME.swap(signal, Ordering::Relaxed) != 0 {
        // SAFETY: this is allowed in a handler. Not the signal's own way to end a process: in a container ours may be the
        // first process, which no signal ends that it has no handler for.
        unsafe { libc::_exit(128 + signal) }
    }
}

/// What calls `handler`. It interrupts whatever sleeps: the host is to look.
fn action(handler: extern "C" fn(c_int)) -> sigaction {
    // SAFETY: all zeros are an action: no flags, an empty mask.
    let mut action: sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    action
}

/// Sets what a signal does, if that is given; returns what it did.
fn replace(signal: c_int, action: Option<&sigaction>) -> Option<sigaction> {
    let mut before = MaybeUninit::uninit();
    let new = action.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `new` is null or an action, whose handler is `see` or was there before; `before` is filled when 0 is returned.
    unsafe { (sigaction(signal, new, before.as_mut_ptr()) == 0).then(|| before.assume_init()) }
}
