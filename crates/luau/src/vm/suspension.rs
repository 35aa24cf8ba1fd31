//! A coroutine that waits for something, until it goes on: woken by what it waits for, or resumed by hand, or ended.
//!
//! Whoever promised to wake it looks here first: a coroutine that a script has resumed by hand has given up what it
//! waited for, and may wait for something else by now.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use mlua::{Thread, thread::ThreadStatus};

/// So many may wait before that is worth a look at whether they are alive.
const FORGET_FROM: usize = 64;

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

/// All that wait, by the numbers that the prelude gives back when they go on.
#[derive(Default)]
pub(crate) struct Suspensions {
    by_number: RefCell<HashMap<u64, Rc<Suspension>>>,
    next: Cell<u64>,
    /// From how many on those are looked for that a script has ended without a word.
    forget_from: Cell<usize>,
}

impl Suspensions {
    /// The coroutine is about to yield.
    pub(crate) fn enter(&self, thread: Thread) -> (u64, Rc<Suspension>) {
        if self.by_number.borrow().len() >= self.forget_from.get().max(FORGET_FROM) {
            self.end(|suspension| !suspension.waits());
            self.forget_from.set(self.by_number.borrow().len() * 2);
        }
        let suspension = Rc::new(Suspension {
            thread,
            woken: Cell::new(false),
            over: Cell::new(false),
            on_leave: RefCell::default(),
        });
        let number = self.next.get() + 1;
        self.next.set(number);
        self.by_number.borrow_mut().insert(number, Rc::clone(&suspension));
        (number, suspension)
    }

    /// The coroutine goes on. True: because it was woken.
    pub(crate) fn leave(&self, number: u64) -> bool {
        let left = self.by_number.borrow_mut().remove(&number);
        left.is_some_and(|suspension| suspension.leave())
    }

    /// The coroutine was cancelled: it waits for nothing.
    pub(crate) fn cancel(&self, thread: &Thread) {
        self.end(|suspension| suspension.thread == *thread);
    }

    fn end(&self, ends: impl Fn(&Suspension) -> bool) {
        let ended: Vec<_> =
            self.by_number.borrow_mut().extract_if(|_, suspension| ends(suspension)).collect();
        for (_, suspension) in ended {
            suspension.leave();
        }
    }
}
