//! Attempts that the reactor drives: many at once, given up, and while its owner is away.

use std::io::Write;
use std::time::Instant;

use super::dialing::{Silent, leading_to};
use super::*;
use crate::connection::{Connection, Reactor};
use crate::reactor::Role;
use crate::session::word::State;

pub(super) fn reactor() -> Arc<Reactor> {
    Reactor::new(Role::Foreign).expect("descriptors")
}

/// Turns until `done`, as a loop does.
#[track_caller]
pub(super) fn turn_until(reactor: &Arc<Reactor>, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < end, "it takes longer than 10 s");
        reactor.turn(Some(Instant::now()));
        drop(reactor.dispatch());
        thread::yield_now();
    }
}

/// A server that opens every WebSocket, and counts them.
fn welcoming(count: usize) -> (SocketAddr, JoinHandle<Vec<TcpStream>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let server = thread::spawn(move || {
        let accept = |_| {
            let (mut stream, _) = listener.accept().expect("somebody connects");
            let request = read_request(&mut stream);
            stream.write_all(switch(&request, "").as_bytes()).expect("the client reads");
            stream
        };
        (0..count).map(accept).collect()
    });
    (address, server)
}

fn closed_with(connection: &Connection) -> Error {
    connection.closed().expect("it has ended").error.expect("it has failed")
}

#[test]
fn many_are_opened_by_whoever_turns() {
    const COUNT: usize = 100;
    let (address, server) = welcoming(COUNT);
    let reactor = reactor();
    let connections: Vec<_> =
        (0..COUNT).map(|_| reactor.connect(leading_to(vec![address])).expect("valid")).collect();
    turn_until(&reactor, || connections.iter().all(|connection| connection.state() == State::Open));
    assert!(connections.iter().all(|connection| connection.take_opened()));
    assert!(reactor.guests().is_empty());
    assert_eq!(server.join().expect("the server's own checks hold").len(), COUNT);
    connections.iter().for_each(Connection::abort);
}

#[test]
fn that_connecting_failed_is_told_before_the_close() {
    let reactor = reactor();
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let connection = reactor.connect(leading_to(vec![address])).expect("nothing is wrong with it");
    turn_until(&reactor, || connection.state() != State::Connecting);
    // Whoever looks at just that moment lets go of a connection whose close it has told.
    assert!(!connection.take_closed());
    assert!(connection.take_opened());
    assert!(connection.take_closed());
    assert_eq!(closed_with(&connection).kind(), ErrorKind::Connect);
}

#[test]
fn the_time_is_over_also_where_nothing_comes() {
    let silent = Silent::new();
    let reactor = reactor();
    let mut options = leading_to(vec![silent.address]);
    options.open_timeout = Some(Duration::from_millis(300));
    let begin = Instant::now();
    let connection = reactor.connect(options).expect("nothing is wrong with it");
    turn_until(&reactor, || connection.state() != State::Connecting);
    assert!(begin.elapsed() >= Duration::from_millis(300));
    let error = closed_with(&connection);
    assert_eq!(error.kind(), ErrorKind::ConnectTimeout);
    assert_says(&error, &["connecting over TCP", "open_timeout (0.3 s)"]);
}

#[test]
fn a_name_is_waited_for_without_the_turner() {
    let (address, server) = welcoming(1);
    let reactor = reactor();
    let connection = reactor
        .connect(options(&format!("ws://localhost:{}/", address.port())))
        .expect("nothing is wrong with it");
    turn_until(&reactor, || connection.state() == State::Open);
    server.join().expect("the server's own checks hold");
    connection.abort();
}

#[test]
fn what_is_given_up_leaves_nothing_and_is_told() {
    let silent = Silent::new();
    let (address, server) = welcoming(1);
    let asks = {
        let mut options = options("ws://example.test/");
        options.resolve = Some(Resolve::Function(Arc::new(|_, _| {
            thread::sleep(Duration::from_millis(50));
            Ok(None)
        })));
        options
    };
    let reactor = reactor();
    for options in [asks, leading_to(vec![silent.address]), leading_to(vec![address])] {
        let connection = reactor.connect(options).expect("nothing is wrong with it");
        connection.abort();
        assert_eq!(connection.state(), State::Closed);
        assert_eq!(closed_with(&connection).kind(), ErrorKind::Cancelled);
        assert!(reactor.guests().is_empty());
        assert!(connection.take_opened() && connection.take_closed(), "whoever waits for it hears of it");
    }
    let [mut stream] = <[_; 1]>::try_from(server.join().expect("the server's own checks hold")).expect("one");
    // What the server has said was never read: that makes the end a reset.
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)), "the socket is closed");
}

#[test]
fn the_end_of_the_reactor_is_the_end_of_its_attempts() {
    let silent = Silent::new();
    let reactor = reactor();
    let connection = reactor.connect(leading_to(vec![silent.address])).expect("nothing is wrong with it");
    reactor.close_all(Instant::now() + Duration::from_secs(10));
    assert_eq!(connection.state(), State::Closed);
    assert!(reactor.guests().is_empty());
}

#[test]
fn the_guardian_goes_on_with_them_while_the_loop_is_blocked() {
    let (address, server) = welcoming(1);
    let reactor = reactor();
    // The loop has begun to work once, and never comes back.
    reactor.turn(Some(Instant::now()));
    let connection = reactor.connect(leading_to(vec![address])).expect("nothing is wrong with it");
    // Its end of the connection stays open, or the connection might be closed again before anybody looks.
    let _open = server.join().expect("the server's own checks hold");
    let end = Instant::now() + Duration::from_secs(10);
    while connection.state() != State::Open {
        assert!(Instant::now() < end, "nobody goes on with it");
        thread::sleep(Duration::from_millis(1));
    }
    connection.abort();
}
