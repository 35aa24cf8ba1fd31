//! A foreign loop, its looks for an answer, and threads beside it.

use super::join;
use crate::reactor::Role;
use crate::sync::{Arc, thread};
use crate::world::{Setting, World, numbered, recv, recv_in_loop, send, take_for_handler};

/// A foreign loop that handles messages, while threads send and wait beside it.
pub fn a_loop_and_threads() {
    let mut world = World::new(Setting { role: Role::Foreign, ..Setting::default() });
    let (connection, peer) = world.open();
    let (other, other_peer) = world.open();
    connection.listen(true);
    world.own(|connection| {
        while let Some(message) = take_for_handler(connection) {
            send(connection, &message);
        }
    });
    let waits = thread::spawn(move || {
        assert_eq!(recv(&other), Some("other".to_owned()));
        send(&other, "thanks");
    });
    let sender = thread::spawn(move || numbered("a", 2).iter().for_each(|text| send(&connection, text)));
    numbered("m", 2).iter().for_each(|text| peer.send(text));
    other_peer.send("other");
    assert_eq!(other_peer.recv(), "thanks");
    let seen: Vec<String> = (0..4).map(|_| peer.recv()).collect();
    assert!(seen.iter().filter(|text| text.starts_with('m')).is_sorted());
    assert!(seen.iter().filter(|text| text.starts_with('a')).is_sorted());
    join(waits);
    join(sender);
    world.end();
}

fn a_task_asks(guarded: bool) {
    let mut world = World::new(Setting { role: Role::Foreign, ..Setting::default() });
    let (connection, peer) = world.open();
    let (other, other_peer) = world.open();
    if guarded {
        world.guard();
    }
    let sender = {
        let connection = Arc::clone(&connection);
        thread::spawn(move || numbered("a", 2).iter().for_each(|text| send(&connection, text)))
    };
    let receiver = thread::spawn(move || assert_eq!(recv(&other), Some("other".to_owned())));
    let server = thread::spawn(move || {
        for number in 0..5 {
            let message = peer.recv();
            if number == 1 {
                other_peer.send("other");
            }
            peer.send(&message);
        }
    });
    let mut got = Vec::new();
    for question in numbered("q", 3) {
        send(&connection, &question);
        while got.last() != Some(&question) {
            got.push(recv_in_loop(&connection));
        }
    }
    while got.len() < 5 {
        got.push(recv_in_loop(&connection));
    }
    let (questions, sent): (Vec<String>, Vec<String>) =
        got.into_iter().partition(|text| text.starts_with('q'));
    assert_eq!((questions, sent), (numbered("q", 3), numbered("a", 2)));
    [sender, receiver, server].into_iter().for_each(join);
    drop(connection);
    world.end();
}

/// A task that asks and receives in turn, beside a thread that sends and another that receives: what a look takes, the
/// loop and the thread hear of all the same.
pub fn a_task_asks_beside_threads() {
    a_task_asks(false);
}

/// The same while the guardian looks whether the loop serves its descriptor, and serves it where it does not.
pub fn a_task_asks_and_the_guardian_reads() {
    a_task_asks(true);
}
