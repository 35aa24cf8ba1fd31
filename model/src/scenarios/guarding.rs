//! The owner is away, and is back: maybe in the middle of a read.

use super::{answer, join};
use crate::reactor::Role;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, thread};
use crate::world::{Log, Setting, World, numbered, send, take_for_handler};

/// The owner's handler does not return before the server has had pongs, another thread's messages and what the handler
/// sent: only the guardian can give it those. Then the owner is back, maybe in the middle of the guardian's reading.
pub fn the_guardian_stands_in_for_a_handler() {
    let mut world = World::new(Setting::default());
    let (connection, peer) = world.open();
    connection.listen(true);
    world.guard();
    let log = Log::default();
    let (heard, served) = (log.clone(), Arc::new(AtomicUsize::new(0)));
    let released = Arc::clone(&served);
    world.own(move |connection| {
        if let Some(message) = take_for_handler(connection) {
            heard.push(message.clone());
            send(connection, &message);
            // Busy until then.
            while released.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            let _ = connection.reactor().take_busy_report();
            answer(connection, &heard);
        }
    });
    peer.send("m0");
    let sender = thread::spawn(move || numbered("a", 2).iter().for_each(|text| send(&connection, text)));
    peer.ping("p0");
    let (texts, pongs) = peer.recv_mixed(3, 1);
    assert_eq!(pongs, ["p0"]);
    assert_eq!(texts.iter().filter(|text| text.starts_with('a')).count(), 2);
    // These the guardian may read, or the owner, or one after the other.
    peer.send("m1");
    served.store(1, Ordering::SeqCst);
    peer.send("m2");
    let (texts, _) = peer.recv_mixed(2, 0);
    assert_eq!(texts, ["m1", "m2"]);
    join(sender);
    world.end();
    assert_eq!(log.all(), numbered("m", 3));
}

/// A loop that is blocked outside of our calls until the server has had its pong: the descriptor stays readable over two
/// of the guardian's looks. When the loop is back it gets every message once and in order.
pub fn the_guardian_stands_in_for_a_loop() {
    let mut world = World::new(Setting { role: Role::Foreign, ..Setting::default() });
    let (connection, peer) = world.open();
    connection.listen(true);
    world.guard();
    let log = Log::default();
    let heard = log.clone();
    peer.send("m0");
    peer.ping("p0");
    // Nobody owns the reactor yet.
    assert_eq!(peer.recv_pong(), "p0");
    peer.send("m1");
    world.own(move |connection| answer(connection, &heard));
    peer.send("m2");
    let seen: Vec<String> = (0..3).map(|_| peer.recv()).collect();
    assert_eq!(seen, numbered("m", 3));
    drop(connection);
    world.end();
    assert_eq!(log.all(), numbered("m", 3));
}

/// A loop that has served the connection, and then runs something else until the server has had its pong.
pub fn the_guardian_stands_in_for_a_loop_that_went_away() {
    let mut world = World::new(Setting { role: Role::Foreign, ..Setting::default() });
    let (connection, peer) = world.open();
    connection.listen(true);
    world.guard();
    let log = Log::default();
    let (heard, served, released) =
        (log.clone(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (leaves, back) = (Arc::clone(&served), Arc::clone(&released));
    world.own_beside(
        move |connection| {
            answer(connection, &heard);
            served.store(heard.all().len(), Ordering::SeqCst);
        },
        move || {
            while leaves.load(Ordering::SeqCst) > 0 && back.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
        },
    );
    peer.send("m0");
    peer.ping("p0");
    peer.send("m1");
    let (texts, pongs) = peer.recv_mixed(1, 1);
    assert_eq!((texts, pongs), (numbered("m", 1), vec!["p0".to_owned()]));
    released.store(1, Ordering::SeqCst);
    peer.send("m2");
    let (texts, _) = peer.recv_mixed(2, 0);
    assert_eq!(texts, ["m1", "m2"]);
    drop(connection);
    world.end();
    assert_eq!(log.all(), numbered("m", 3));
}

/// The guardian has gone to sleep for want of absences, and is called when the owner stays away after all.
pub fn the_guardian_is_called_out_of_its_sleep() {
    let mut world = World::new(Setting::default());
    let (connection, peer) = world.open();
    connection.listen(true);
    world.guard();
    let released = Arc::new(AtomicUsize::new(0));
    let busy = Arc::clone(&released);
    world.own(move |connection| {
        while take_for_handler(connection).is_some() {
            while busy.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
        }
    });
    // Long enough for the guardian's quiet looks, mostly.
    (0..40).for_each(|_| thread::yield_now());
    peer.send("m0");
    peer.ping("p0");
    assert_eq!(peer.recv_pong(), "p0");
    released.store(1, Ordering::SeqCst);
    drop(connection);
    world.end();
}

/// The same behind a loop, which does not call it: it wakes because the descriptor is readable that the loop leaves alone.
pub fn the_guardian_wakes_when_a_loop_leaves_something_undone() {
    let mut world = World::new(Setting { role: Role::Foreign, ..Setting::default() });
    let (connection, peer) = world.open();
    connection.listen(true);
    world.guard();
    // Long enough for the guardian's quiet looks, mostly. Nobody owns the reactor.
    (0..40).for_each(|_| thread::yield_now());
    peer.ping("p0");
    assert_eq!(peer.recv_pong(), "p0");
    drop(connection);
    world.end();
}

/// A thread sends a stream of messages while the owner is busy with another connection's handler, which waits for the end
/// of that stream: somebody writes it.
pub fn a_stream_of_sends_beside_a_busy_owner() {
    let mut world = World::new(Setting::default());
    let (connection, peer) = world.open();
    let (other, other_peer) = world.open();
    other.listen(true);
    world.guard();
    let arrived = Arc::new(AtomicUsize::new(0));
    let released = Arc::clone(&arrived);
    world.own(move |connection| {
        while take_for_handler(connection).is_some() {
            while released.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
        }
    });
    other_peer.send("busy");
    let sender = thread::spawn(move || numbered("a", 5).iter().for_each(|text| send(&connection, text)));
    let seen: Vec<String> = (0..5).map(|_| peer.recv()).collect();
    assert_eq!(seen, numbered("a", 5));
    arrived.store(1, Ordering::SeqCst);
    join(sender);
    drop(other);
    world.end();
}
