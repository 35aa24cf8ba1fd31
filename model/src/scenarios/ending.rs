//! How connections end.

use super::{answer, join};
use crate::reactor::Role;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, thread};
use crate::world::{Log, Setting, World, numbered, recv, take, take_for_handler};

/// The server breaks the protocol behind messages: whoever receives gets those first, then hears of the end.
pub fn a_violation_waits_for_a_receiver() {
    let mut world = World::new(Setting::default());
    let (connection, peer) = world.open();
    connection.pull();
    world.own(|_| {});
    let server = thread::spawn(move || {
        peer.send_and_violate(&numbered("m", 2));
        peer.finish();
    });
    let got: Vec<String> = std::iter::from_fn(|| recv(&connection)).collect();
    assert_eq!(got, numbered("m", 2));
    join(server);
    world.end();
}

/// The same where nobody takes the messages, and the program gives the connection up: nothing keeps it.
pub fn a_violation_that_nobody_waits_for_keeps_nothing() {
    let mut world = World::new(Setting::default());
    let (connection, peer) = world.open();
    world.own(|_| {});
    let server = thread::spawn(move || peer.send_and_violate(&numbered("m", 2)));
    let taker = {
        let connection = Arc::clone(&connection);
        thread::spawn(move || while take(&connection).is_some() {})
    };
    join(server);
    join(taker);
    connection.abort();
    assert_eq!(world.holders(&connection), 0);
    drop(connection);
    world.end();
}

/// The server's last messages and its Close, or the program's own end of it, beside a handler: whatever is read, nothing
/// comes behind OnClose.
pub fn the_last_message_then_closed() {
    for aborts in [false, true] {
        let mut world = World::new(Setting::default());
        let (connection, peer) = world.open();
        let (other, other_peer) = world.open();
        connection.listen(true);
        let (closed, told) = (Arc::new(AtomicUsize::new(0)), Log::default());
        let (seen, heard) = (Arc::clone(&closed), told.clone());
        world.own(move |connection| {
            while let Some(message) = take_for_handler(connection) {
                heard.push(message);
            }
            if connection.take_closed() {
                heard.push("closed".to_owned());
                seen.fetch_add(1, Ordering::SeqCst);
            }
        });
        // Whoever waits here turns in the owner's place, and reads while the owner delivers.
        let waits = thread::spawn(move || assert_eq!(recv(&other), Some("end".to_owned())));
        let server = thread::spawn(move || {
            numbered("m", 2).iter().for_each(|text| peer.send(text));
            peer.close();
            peer.finish();
        });
        if aborts {
            connection.abort();
        }
        while closed.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        other_peer.send("end");
        join(waits);
        join(server);
        drop(connection);
        world.end();
        let all = told.all();
        assert_eq!(all.iter().position(|text| text == "closed"), Some(all.len() - 1), "{all:?}");
        assert!(aborts || all.len() == 3, "{all:?}");
    }
}

/// The same for a loop's handler, whose answers leave before the Close.
pub fn a_violation_waits_for_a_handler() {
    let mut world = World::new(Setting { role: Role::Foreign, ..Setting::default() });
    let (connection, peer) = world.open();
    connection.listen(true);
    let log = Log::default();
    let heard = log.clone();
    world.own(move |connection| answer(connection, &heard));
    peer.send_and_violate(&numbered("m", 2));
    let answers: Vec<String> = (0..2).map(|_| peer.recv()).collect();
    assert_eq!(answers, numbered("m", 2));
    peer.finish();
    drop(connection);
    world.end();
    assert_eq!(log.all(), numbered("m", 2));
}

/// Close by two threads and by the server at once, while a thread receives: one end, of which everybody hears once.
pub fn all_close_at_once() {
    let mut world = World::new(Setting::default());
    let (connection, peer) = world.open();
    let closes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&closes);
    world.own(move |connection| {
        if connection.take_closed() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let closers = [1000, 1001].map(|code| {
        let connection = Arc::clone(&connection);
        thread::spawn(move || {
            connection.close(code, "").expect("a code that may be sent");
        })
    });
    let receiver = {
        let connection = Arc::clone(&connection);
        thread::spawn(move || assert_eq!(recv(&connection), None))
    };
    let server = thread::spawn(move || peer.finish());
    closers.into_iter().for_each(join);
    join(server);
    join(receiver);
    world.end();
    assert_eq!(closes.load(Ordering::SeqCst), 1);
    assert!(connection.closed().is_some());
}
