//! `task`, and `wait`, `spawn` and `delay` from before it.

use std::rc::Rc;
use std::time::Instant;

use mlua::{MultiValue, Thread, UserData, UserDataRef, Value, Variadic};

use super::lending::Lending;
use crate::session::Session;
use crate::vm::scheduler::Sleeper;
use crate::vm::suspension::{Suspension, Token};

/// A coroutine that the prelude wakes.
struct Waiting(Rc<Suspension>);

impl UserData for Waiting {}

pub(super) fn install(session: &Rc<Session>, lent: &Lending) -> mlua::Result<()> {
    let vm = &session.vm;
    let this = Rc::clone(vm);
    lent.lend(vm, "defer", move |_, (thread, args): (Thread, Variadic<Value>)| {
        this.scheduler.borrow_mut().defer(Sleeper::Thread(thread, args.into_iter().collect()));
        Ok(())
    })?;
    let this = Rc::clone(vm);
    lent.lend(vm, "delay", move |_, (thread, seconds, args): (Thread, f64, Variadic<Value>)| {
        let sleeper = Sleeper::Thread(thread, args.into_iter().collect());
        this.scheduler.borrow_mut().sleep(sleeper, seconds);
        Ok(())
    })?;
    let this = Rc::clone(vm);
    lent.lend(vm, "legacy_delay", move |_, (thread, seconds): (Thread, f64)| {
        this.scheduler.borrow_mut().sleep(Sleeper::Legacy(thread, Instant::now()), seconds);
        Ok(())
    })?;
    let this = Rc::clone(vm);
    lent.lend(vm, "sleep", move |_, (thread, seconds): (Thread, f64)| {
        let (token, suspension) = this.suspensions.enter(thread);
        this.scheduler.borrow_mut().sleep(Sleeper::Suspended(suspension, MultiValue::new()), seconds);
        Ok(token)
    })?;
    let this = Rc::clone(vm);
    lent.lend(vm, "suspend", move |lua, thread: Thread| {
        let (token, suspension) = this.suspensions.enter(thread);
        Ok((token, lua.create_userdata(Waiting(suspension))?))
    })?;
    let this = Rc::clone(vm);
    lent.lend(vm, "wake", move |_, waiting: UserDataRef<Waiting>| {
        let sleeper = Sleeper::Suspended(Rc::clone(&waiting.0), MultiValue::new());
        this.scheduler.borrow_mut().defer(sleeper);
        Ok(())
    })?;
    let this = Rc::clone(vm);
    lent.lend(vm, "go_on", move |_, token: Token| Ok(this.suspensions.leave(token)))?;
    let this = Rc::clone(vm);
    lent.lend(vm, "closed", move |_, thread: Thread| {
        this.suspensions.end(&thread);
        Ok(())
    })?;
    let this = Rc::clone(vm);
    lent.lend(vm, "time", move |_, ()| Ok(this.began.elapsed().as_secs_f64()))?;
    lent.run(vm, include_str!("../prelude/task.luau"))?;
    lent.offer_as_library(vm, "task", lent.made::<Value>("task")?)?;
    lent.publish(&["wait", "spawn", "delay"])
}
