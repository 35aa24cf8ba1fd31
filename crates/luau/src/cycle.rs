//! The coroutines' turn: what is due, in the order that `vm::scheduler` says, between two looks at the sockets.

use std::rc::Rc;
use std::time::Instant;

use crate::session::Session;
use crate::turn;

/// Resumes what is due.
pub(crate) fn run(session: &Rc<Session>) {
    let scheduler = &session.vm.scheduler;
    let now = Instant::now();
    if !scheduler.borrow().is_due(now) {
        return;
    }
    let _dispatch = session.reactor.dispatch();
    session.turn.begin(Some(now));
    let until = now + turn::COROUTINES;
    // What was deferred comes before what is due by time, which may defer as well.
    if resume_all(session, until) {
        scheduler.borrow_mut().begin_cycle(Instant::now());
        resume_all(session, until);
    }
    scheduler.borrow_mut().rest();
}

/// Resumes coroutine after coroutine. False: something is left.
fn resume_all(session: &Rc<Session>, until: Instant) -> bool {
    let vm = &session.vm;
    loop {
        let next = vm.scheduler.borrow_mut().next();
        let Some(sleeper) = next else { return true };
        if let Some((thread, args)) = sleeper.wake(vm.began) {
            session.resume(&thread, args);
        }
        if vm.is_ending() || vm.scheduler.borrow().is_in_cycle() && Instant::now() >= until {
            return false;
        }
    }
}
