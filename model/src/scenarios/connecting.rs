//! An attempt to connect waits for what another thread has to say, and whoever turns has to hear of it.

use super::join;
use crate::drive::leader::Waited;
use crate::reactor::Role;
use crate::sync::thread;
use crate::world::{Setting, World};

fn answers_come(role: Role) {
    let mut world = World::new(Setting { role, ..Setting::default() });
    world.own(|_| {});
    let connections = [world.ask(), world.ask()];
    let waiter = thread::spawn(move || {
        let mut both = || connections.iter().all(|connection| connection.closed().is_some());
        while connections[0].reactor().wait(None, &mut both) != Waited::Ready {}
    });
    join(waiter);
    world.end();
}

/// The dispatcher sleeps, a thread waits, and the answers come before, while and after they begin to.
pub fn answers_come_to_attempts() {
    answers_come(Role::Thread);
}

/// The same of a loop, which hears of them through the descriptor alone.
pub fn answers_come_to_attempts_of_a_loop() {
    answers_come(Role::Foreign);
}
