//! Threads that wait for messages: one leads, others follow, and the owner gives way.

use super::join;
use crate::connection::Connection;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex, lock, thread};
use crate::takers::{Asker, Next, Outcome, Source, Takers, Ticket, Waiter};
use crate::world::{Log, Setting, World, numbered, recv, send, take, take_for_handler};

/// Two threads `recv`: one leads and the other follows, while the owner gives way; each message reaches one of them.
pub fn threads_receive() {
    let mut world = World::new(Setting::default());
    let (connection, peer) = world.open();
    world.own(|_| {});
    let receivers = [1, 2].map(|count| {
        let connection = Arc::clone(&connection);
        thread::spawn(move || (0..count).map(|_| recv(&connection).expect("a message")).collect::<Vec<_>>())
    });
    numbered("m", 3).iter().for_each(|text| peer.send(text));
    let got = receivers.map(join);
    assert!(got.iter().all(|each| each.is_sorted()));
    let mut all = got.concat();
    all.sort();
    assert_eq!(all, numbered("m", 3));
    world.end();
}

/// A request-reply loop on one thread, sends from another: whoever leads writes what the other gathered.
pub fn one_asks_while_another_sends() {
    let mut world = World::new(Setting::default());
    let (connection, peer) = world.open();
    world.own(|_| {});
    let asker = {
        let connection = Arc::clone(&connection);
        thread::spawn(move || {
            for question in numbered("q", 2) {
                send(&connection, &question);
                assert_eq!(recv(&connection), Some(question));
            }
        })
    };
    let sender = thread::spawn(move || numbered("a", 3).iter().for_each(|text| send(&connection, text)));
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let message = peer.recv();
        if message.starts_with('q') {
            peer.send(&message);
        }
        seen.push(message);
    }
    let (questions, sent): (Vec<String>, Vec<String>) =
        seen.into_iter().partition(|text| text.starts_with('q'));
    assert_eq!((questions, sent), (numbered("q", 2), numbered("a", 3)));
    join(asker);
    join(sender);
    world.end();
}

/// Two connections, a thread that receives on each, and a listener on neither: the leader serves the follower too.
pub fn each_receives_its_own() {
    let mut world = World::new(Setting::default());
    let pairs = [world.open(), world.open()];
    world.own(|_| {});
    let mut threads = Vec::new();
    for (name, (connection, peer)) in ["a", "b"].into_iter().zip(pairs) {
        threads.push(thread::spawn(move || {
            let got: Vec<String> = (0..2).map(|_| recv(&connection).expect("a message")).collect();
            assert_eq!(got, numbered(name, 2));
            send(&connection, "done");
        }));
        threads.push(thread::spawn(move || {
            numbered(name, 2).iter().for_each(|text| peer.send(text));
            assert_eq!(peer.recv(), "done");
        }));
    }
    threads.into_iter().for_each(join);
    world.end();
}

/// A handler that itself asks and waits for the answer: it turns the reactor from inside, and others may wait meanwhile.
pub fn a_handler_waits() {
    let mut world = World::new(Setting::default());
    let (connection, peer) = world.open();
    let (other, other_peer) = world.open();
    connection.listen(true);
    let log = Log::default();
    let heard = log.clone();
    world.own(move |connection| {
        while let Some(message) = take_for_handler(connection) {
            heard.push(message);
            send(connection, "question");
            if let Some(answer) = recv(connection) {
                heard.push(answer);
                send(connection, "thanks");
            }
        }
    });
    let waits = thread::spawn(move || assert_eq!(recv(&other), Some("other".to_owned())));
    peer.send("begin");
    assert_eq!(peer.recv(), "question");
    other_peer.send("other");
    peer.send("answer");
    assert_eq!(peer.recv(), "thanks");
    join(waits);
    world.end();
    assert_eq!(log.all(), ["begin", "answer"]);
}

fn reading_pauses(record: Option<usize>) {
    let mut world = World::new(Setting { held: 2, record, ..Setting::default() });
    let (connection, peer) = world.open();
    connection.pull();
    world.own(|_| {});
    let server = thread::spawn(move || numbered("m", 6).iter().for_each(|text| peer.send(text)));
    let got: Vec<String> = (0..6).map(|_| recv(&connection).expect("a message")).collect();
    assert_eq!(got, numbered("m", 6));
    join(server);
    world.end();
}

/// The hold is full and reading pauses; taking from it goes on with reading.
pub fn a_full_hold_pauses_reading() {
    reading_pauses(None);
}

/// The same with plaintext left inside TLS, of which the poller says nothing.
pub fn a_full_hold_pauses_reading_of_tls() {
    reading_pauses(Some(3));
}

/// The owner gives way to a thread that waits for long, and has something to deliver all the same: what a third thread
/// did, of which the waiting one knows nothing.
pub fn the_owner_delivers_while_another_pulls() {
    let mut world = World::new(Setting::default());
    let (connection, peer) = world.open();
    let (other, _other_peer) = world.open();
    world.own(|connection| {
        if connection.take_closed() {
            // The one that was aborted; its end is told on the other.
            let told = connection.user().and_then(|told| told.downcast::<Arc<Connection>>().ok());
            send(&told.expect("only that one closes"), "closed");
        }
    });
    other.attach(Arc::new(Arc::clone(&connection)));
    let waits = thread::spawn(move || assert_eq!(recv(&connection), Some("end".to_owned())));
    let aborts = thread::spawn(move || other.abort());
    assert_eq!(peer.recv(), "closed");
    peer.send("end");
    join(waits);
    join(aborts);
    world.end();
}

/// A thread has waited for so long that the owner gives way for long, and goes: the owner turns again.
pub fn a_thread_that_waited_long_goes() {
    let mut world = World::new(Setting::default());
    let (connection, peer) = world.open();
    let (other, other_peer) = world.open();
    other.listen(true);
    world.own(|connection| {
        while let Some(message) = take_for_handler(connection) {
            send(connection, &message);
        }
    });
    let waits = thread::spawn(move || assert_eq!(recv(&connection), Some("m".to_owned())));
    // Long enough for the owner to see it, mostly.
    (0..60).for_each(|_| thread::yield_now());
    peer.send("m");
    other_peer.send("x");
    assert_eq!(other_peer.recv(), "x");
    join(waits);
    world.end();
}

/// One server floods a connection over TLS until another connection was answered: there are always bytes inside TLS, of
/// which the poller says nothing, and the other one is heard all the same.
pub fn a_flood_inside_tls_leaves_others_their_turn() {
    let mut world = World::new(Setting::default());
    let answered = Arc::new(AtomicBool::new(false));
    let (loud, loud_peer) = world.open_flooded(&answered);
    let (quiet, quiet_peer) = world.open();
    loud.listen(true);
    quiet.listen(true);
    let number = quiet.id();
    world.own(move |connection| {
        while let Some(message) = take_for_handler(connection) {
            if connection.id() == number {
                send(connection, &message);
            }
        }
    });
    // The poller tells of this one, and of no other.
    loud_peer.send("flood");
    quiet_peer.send("quiet");
    assert_eq!(quiet_peer.recv(), "quiet");
    answered.store(true, Ordering::SeqCst);
    drop((loud, quiet));
    world.end();
}

/// A burst that is more than the hold takes, before anybody listens: who comes late gets all of it.
pub fn a_burst_waits_for_who_comes_late() {
    let mut world = World::new(Setting { held: 2, ..Setting::default() });
    let (connection, peer) = world.open();
    let log = Log::default();
    let heard = log.clone();
    world.own(move |connection| {
        while let Some(message) = take_for_handler(connection) {
            heard.push(message.clone());
            send(connection, &message);
        }
    });
    numbered("m", 6).iter().for_each(|text| peer.send(text));
    connection.listen(true);
    let answers: Vec<String> = (0..6).map(|_| peer.recv()).collect();
    assert_eq!(answers, numbered("m", 6));
    drop(connection);
    world.end();
    assert_eq!(log.all(), numbered("m", 6));
}

/// The hold, for the takers.
struct Hold<'a>(&'a Arc<Connection>);

impl Source for Hold<'_> {
    type Message = String;
    type Error = std::convert::Infallible;

    fn has_closed(&mut self) -> bool {
        self.0.close_was_reported()
    }

    fn take(&mut self) -> Result<Option<String>, Self::Error> {
        Ok(take(self.0))
    }
}

/// Is told when something was given to it.
#[derive(Clone, Default)]
struct Told(Arc<AtomicBool>);

impl Waiter for Told {
    fn needs_driver(&self) -> bool {
        false
    }
}

type Queue = Mutex<Takers<String, (), Told>>;

/// Somebody looks for itself until its ticket was given a message.
fn take_by(connection: &Arc<Connection>, queue: &Queue, ticket: Ticket, told: &Told) -> String {
    loop {
        let mut others = false;
        {
            let mut takers = lock(queue);
            let mut hold = Hold(connection);
            while let Ok(Some(next)) = takers.next(Asker::Waiter, &mut hold) {
                if let Next::Give(_, Told(told), _) = next {
                    told.store(true, Ordering::SeqCst);
                    others = true;
                }
            }
            if let Outcome::Given(message) = takers.collect(ticket) {
                drop(takers);
                connection.reactor().nudge();
                return message;
            }
        }
        if others {
            connection.reactor().nudge();
        }
        connection.reactor().wait(None, &mut || told.0.load(Ordering::SeqCst) || connection.has_message());
    }
}

/// Three came one after the other. The first pauses, as a task does that leaves its loop to others: what comes meanwhile is
/// its own all the same, and the others get theirs in their order.
pub fn a_taker_keeps_its_place_over_a_pause() {
    let mut world = World::new(Setting::default());
    let (connection, peer) = world.open();
    world.own(|_| {});
    connection.pull();
    let queue: Arc<Queue> = Arc::default();
    let places = [(); 3].map(|()| {
        let told = Told::default();
        (lock(&queue).receive(told.clone(), 1), told)
    });
    let mut pauses = true;
    let takers = places.map(|(ticket, told)| {
        let (connection, queue) = (Arc::clone(&connection), Arc::clone(&queue));
        let pause = if std::mem::take(&mut pauses) { 6 } else { 0 };
        thread::spawn(move || {
            (0..pause).for_each(|_| thread::yield_now());
            take_by(&connection, &queue, ticket, &told)
        })
    });
    numbered("m", 3).iter().for_each(|text| peer.send(text));
    assert_eq!(takers.map(join).to_vec(), numbered("m", 3));
    drop(connection);
    world.end();
}
