//! `task`, and `wait`, `spawn` and `delay` from before it.

use std::rc::Rc;
use std::time::Instant;

use mlua::{MultiValue, Thread, Value, Variadic};

use super::lending::Lending;
use crate::session::Session;
use crate::vm::scheduler::Sleeper;

pub(super) fn install(session: &Rc<Session>, lent: &Lending) -> mlua::Result<()> {
    let vm = &session.vm;
    let this = Rc::clone(vm);
    lent.lend(vm, "defer", move |_, (thread, args): (Thread, Variadic<Value>)| {
        this.scheduler.borrow_mut().defer(thread, args.into_iter().collect());
        Ok(())
    })?;
    let this = Rc::clone(vm);
    lent.lend(vm, "sleep", move |_, (thread, seconds, args): (Thread, f64, Variadic<Value>)| {
        let args = args.into_iter().collect();
        this.scheduler.borrow_mut().sleep(Sleeper::Thread(thread), seconds, args);
        Ok(())
    })?;
    let this = Rc::clone(vm);
    lent.lend(vm, "suspend", move |_, (thread, seconds): (Thread, f64)| {
        let (number, suspension) = this.suspensions.enter(thread);
        this.scheduler.borrow_mut().sleep(Sleeper::Suspended(suspension), seconds, MultiValue::new());
        Ok(number)
    })?;
    let this = Rc::clone(vm);
    lent.lend(vm, "go_on", move |_, suspension: u64| {
        this.suspensions.leave(suspension);
        Ok(())
    })?;
    let this = Rc::clone(vm);
    lent.lend(vm, "cancel", move |_, thread: Thread| {
        this.scheduler.borrow_mut().cancel(&thread);
        this.suspensions.cancel(&thread);
        Ok(())
    })?;
    let start = Instant::now();
    lent.lend(vm, "time", move |_, ()| Ok(start.elapsed().as_secs_f64()))?;
    lent.run(vm, include_str!("../prelude/task.luau"))?;
    lent.offer_as_library(vm, "task", lent.made::<Value>("task")?)?;
    lent.publish(&["wait", "spawn", "delay"])
}
