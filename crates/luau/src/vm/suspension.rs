//! A coroutine that waits for something, until it goes on: woken by what it waits for, or resumed by hand, or ended.
//!
//! Whoever promised to wake it looks here first: a coroutine that a script has resumed by hand has given up what it
//! waited for, and may wait for something else by now.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::rc::Rc;

use mlua::{LightUserData, Thread, thread::ThreadStatus};

/// So many may wait before that is worth a look at whether they are alive.
const FORGET_FROM: usize = 64;

/// Where a coroutine is.
type Place = *const c_void;
/// What the prelude has of a suspension: it gives it back when the coroutine goes on. Scripts never see it.
pub(crate) type Token = LightUserData;

/// Told when it goes on, and whether it was woken by what it waited for.
type OnLeave = Box<dyn FnOnce(bool)>;

pub(crate) struct Suspension {
    pub(crate) thread: Thread,
    woken: Cell<bool>,
    over: Cell<bool>,
    on_leave: RefCell<Option<OnLeave>>,
}

impl Suspension {
    /// Whether it waits still.
    pub(crate) fn waits(&self) -> bool {
        !self.over.get() && self.thread.status() == ThreadStatus::Resumable
    }

    /// What is to happen when it goes on.
    pub(crate) fn on_leave(&self, call: impl FnOnce(bool) + 'static) {
        self.on_leave.replace(Some(Box::new(call)));
    }

    /// It is about to be resumed by what it waited for. False: it does not wait any more, and what it was to be given is
    /// for others.
    pub(crate) fn wake(&self) -> bool {
        let waits = self.waits();
        self.woken.set(waits);
        if !waits {
            self.leave();
        }
        waits
    }

    /// It goes on. True: because it was woken.
    fn leave(&self) -> bool {
        self.over.set(true);
        let woken = self.woken.get();
        let on_leave = self.on_leave.take();
        if let Some(on_leave) = on_leave {
            on_leave(woken);
        }
        woken
    }
}

/// All that wait, by where their coroutines are: each waits for one thing at a time, and no other coroutine can be there
/// meanwhile, because this keeps it.
#[derive(Default)]
pub(crate) struct Suspensions {
    by_place: RefCell<HashMap<Place, Rc<Suspension>>>,
    /// From how many on those are looked for that a script has ended without a word.
    forget_from: Cell<usize>,
}

impl Suspensions {
    /// The coroutine is about to yield.
    pub(crate) fn enter(&self, thread: Thread) -> (Token, Rc<Suspension>) {
        if self.by_place.borrow().len() >= self.forget_from.get().max(FORGET_FROM) {
            self.end_those(|suspension| !suspension.waits());
            self.forget_from.set(self.by_place.borrow().len() * 2);
        }
        let place = thread.to_pointer();
        let suspension = Rc::new(Suspension {
            thread,
            woken: Cell::new(false),
            over: Cell::new(false),
            on_leave: RefCell::default(),
        });
        let before = self.by_place.borrow_mut().insert(place, Rc::clone(&suspension));
        if let Some(before) = before {
            // It went on without a word, for want of memory.
            before.leave();
        }
        (LightUserData(place.cast_mut()), suspension)
    }

    /// The coroutine goes on. True: because it was woken.
    pub(crate) fn leave(&self, token: Token) -> bool {
        let left = self.by_place.borrow_mut().remove(&token.0.cast_const());
        left.is_some_and(|suspension| suspension.leave())
    }

    /// The coroutine was closed: it waits for nothing.
    pub(crate) fn end(&self, thread: &Thread) {
        self.leave(LightUserData(thread.to_pointer().cast_mut()));
    }

    fn end_those(&self, ends: impl Fn(&Suspension) -> bool) {
        let ended: Vec<_> = self.by_place.borrow_mut().extract_if(|_, suspension| ends(suspension)).collect();
        for (_, suspension) in ended {
            suspension.leave();
        }
    }
}
