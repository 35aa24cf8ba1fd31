//! Small programs with two to four threads, each of which can only end if no wake-up is lost.
//!
//! They are closed: every thread that waits waits for another one's act, and a server that does not get what was sent
//! to it waits for ever. So a message that is lost is a deadlock, one that comes twice or out of order fails an
//! assertion, and both are found by shuttle in the order of steps that leads there.

use shuttle::thread::JoinHandle;

use crate::connection::Connection;
use crate::reactor::Role;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, thread};
use crate::world::{
    Log, Setting, World, assert_each_in_order, numbered, recv, recv_in_loop, send, send_patiently,
    take_for_handler,
};

fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("the thread did not panic")
}

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
        thread::spawn(move || connection.close(code, "").expect("a code that may be sent"))
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

fn answer(connection: &Arc<Connection>, log: &Log) {
    while let Some(message) = take_for_handler(connection) {
        log.push(message.clone());
        send(connection, &message);
    }
}

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

/// A scenario and the name of it.
pub type Scenario = (&'static str, fn());

/// All of them.
pub const ALL: &[Scenario] = &[
    ("handlers_answer", handlers_answer),
    ("threads_send", threads_send),
    ("threads_send_while_handlers_answer", threads_send_while_handlers_answer),
    ("threads_receive", threads_receive),
    ("one_asks_while_another_sends", one_asks_while_another_sends),
    ("each_receives_its_own", each_receives_its_own),
    ("a_handler_waits", a_handler_waits),
    ("senders_wait_for_room", senders_wait_for_room),
    ("senders_wait_for_room_from_an_echo", senders_wait_for_room_from_an_echo),
    ("a_full_hold_pauses_reading", a_full_hold_pauses_reading),
    ("a_full_hold_pauses_reading_of_tls", a_full_hold_pauses_reading_of_tls),
    ("a_loop_and_threads", a_loop_and_threads),
    ("a_task_asks_beside_threads", a_task_asks_beside_threads),
    ("a_task_asks_and_the_guardian_reads", a_task_asks_and_the_guardian_reads),
    ("a_violation_waits_for_a_receiver", a_violation_waits_for_a_receiver),
    ("a_violation_waits_for_a_handler", a_violation_waits_for_a_handler),
    ("all_close_at_once", all_close_at_once),
    ("the_owner_delivers_while_another_pulls", the_owner_delivers_while_another_pulls),
    ("a_thread_that_waited_long_goes", a_thread_that_waited_long_goes),
    ("the_guardian_stands_in_for_a_handler", the_guardian_stands_in_for_a_handler),
    ("the_guardian_stands_in_for_a_loop", the_guardian_stands_in_for_a_loop),
    ("the_guardian_is_called_out_of_its_sleep", the_guardian_is_called_out_of_its_sleep),
];

/// Has the waker lose every call while `run` lasts.
pub fn losing_wake_ups(run: impl FnOnce()) {
    crate::poller::LOSES_WAKE_UPS.set(true);
    run();
}
