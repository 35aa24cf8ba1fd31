//! Who sends, and who writes it.

use super::join;
use crate::sync::{Arc, thread};
use crate::world::{
    Setting, World, assert_each_in_order, numbered, recv, send, send_patiently, take_for_handler,
};

/// The owner sleeps, messages come, its handler answers each: answers are corked and leave at the end of the batch.
pub fn handlers_answer() {
    let mut world = World::new(Setting::default());
    let (connection, peer) = world.open();
    connection.listen(true);
    world.own(move |connection| {
        while let Some(message) = take_for_handler(connection) {
            send(connection, &message);
        }
    });
    let server = thread::spawn(move || {
        (0..3).for_each(|number| peer.send(&format!("m{number}")));
        (0..3).map(|_| peer.recv()).collect::<Vec<_>>()
    });
    assert_eq!(join(server), numbered("m", 3));
    world.end();
}

/// Two threads send while the owner sleeps or turns: what is gathered has somebody who writes it.
pub fn threads_send() {
    let mut world = World::new(Setting::default());
    let (connection, peer) = world.open();
    world.own(|_| {});
    let senders = ["a", "b"].map(|name| {
        let connection = Arc::clone(&connection);
        thread::spawn(move || numbered(name, 3).iter().for_each(|text| send(&connection, text)))
    });
    let seen: Vec<String> = (0..6).map(|_| peer.recv()).collect();
    assert_each_in_order(&seen, &["a", "b"], 3);
    senders.into_iter().for_each(join);
    world.end();
}

/// Two threads send while the owner's handler answers: the one's flush is not the other's.
pub fn threads_send_while_handlers_answer() {
    let mut world = World::new(Setting::default());
    let (connection, peer) = world.open();
    connection.listen(true);
    world.own(|connection| {
        while let Some(message) = take_for_handler(connection) {
            send(connection, &message);
        }
    });
    let sender = thread::spawn(move || numbered("a", 3).iter().for_each(|text| send(&connection, text)));
    numbered("m", 2).iter().for_each(|text| peer.send(text));
    let seen: Vec<String> = (0..5).map(|_| peer.recv()).collect();
    let (answers, sent): (Vec<String>, Vec<String>) =
        seen.into_iter().partition(|text| text.starts_with('m'));
    assert_eq!((answers, sent), (numbered("m", 2), numbered("a", 3)));
    join(sender);
    world.end();
}

/// More than the marks and the kernel hold: senders wait for room, and somebody always makes it.
pub fn senders_wait_for_room() {
    let mut world = World::new(Setting { capacity: 24, high: 32, ..Setting::default() });
    let (connection, peer) = world.open();
    world.own(|_| {});
    let senders = ["a", "b"].map(|name| {
        let connection = Arc::clone(&connection);
        thread::spawn(move || numbered(name, 4).iter().for_each(|text| send_patiently(&connection, text)))
    });
    let seen: Vec<String> = (0..8).map(|_| peer.recv()).collect();
    assert_each_in_order(&seen, &["a", "b"], 4);
    senders.into_iter().for_each(join);
    world.end();
}

/// The same against a server that echoes and reads no further while its answers do not leave: whoever waits for room must
/// not keep the connection from reading, or both sides wait for each other.
pub fn senders_wait_for_room_from_an_echo() {
    let mut world = World::new(Setting { capacity: 24, high: 32, ..Setting::default() });
    let (connection, peer) = world.open();
    connection.pull();
    world.own(|_| {});
    let sender = {
        let connection = Arc::clone(&connection);
        thread::spawn(move || numbered("a", 16).iter().for_each(|text| send_patiently(&connection, text)))
    };
    let server = thread::spawn(move || {
        for _ in 0..16 {
            let message = peer.recv();
            peer.send(&message);
        }
    });
    let got: Vec<String> = (0..16).map(|_| recv(&connection).expect("a message")).collect();
    assert_eq!(got, numbered("a", 16));
    join(sender);
    join(server);
    world.end();
}
