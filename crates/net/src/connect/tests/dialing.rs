//! Which address answers, how long that may take, and who may give up.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::time::Instant;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};

use super::*;
use crate::connect::dial::{Network, Tcp};

/// An address of this machine that nobody listens on, because somebody listens on its port elsewhere.
fn nobody(server: SocketAddr) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::new(127, 0, 0, 9).into(), server.port())
}

/// An address that lets nobody in and refuses nobody: its queue is full.
pub(super) struct Silent {
    pub(super) address: SocketAddr,
    _listener: OwnedFd,
    _queue: Vec<OwnedFd>,
}

impl Silent {
    pub(super) fn new() -> Self {
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&listener, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        listen(&listener, 0).expect("bound");
        let address = getsockname(&listener).expect("bound").try_into().expect("an internet address");
        let queue = (0..4).map(|_| Tcp { from: None }.start(address).expect("under way")).collect();
        Self { address, _listener: listener, _queue: queue }
    }
}

fn greeting() -> Server {
    Server::new(|mut stream| {
        let request = read_request(&mut stream);
        io::Write::write_all(&mut stream, switch(&request, "").as_bytes()).expect("the client reads");
    })
}

pub(super) fn leading_to(addresses: Vec<SocketAddr>) -> ConnectOptions {
    let mut options = options("ws://example.test/");
    options.resolve = Some(Resolve::Table(Arc::new(move |_, _| Some(addresses.clone()))));
    options
}

#[test]
fn a_name_of_this_machine_is_looked_up_and_a_literal_is_not() {
    for host in ["localhost", "127.0.0.1"] {
        let server = greeting();
        let connected = open(&options(&format!("ws://{host}:{}/", server.address.port()))).expect("listens");
        assert_eq!(connected.handshake.remote_address, server.address);
        assert_eq!(connected.handshake.local_address.ip(), server.address.ip());
        server.join();
    }
}

#[test]
fn the_program_s_own_addresses_come_before_dns() {
    let server = greeting();
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (address, asked_there) = (server.address, Arc::clone(&asked));
    let mut options = options("ws://example.test:8123/");
    options.resolve = Some(Resolve::Table(Arc::new(move |host, port| {
        asked_there.lock().expect("not poisoned").push((host.to_owned(), port));
        Some(vec![address])
    })));
    open(&options).expect("listens");
    assert_eq!(*asked.lock().expect("not poisoned"), [("example.test".to_owned(), 8123)]);
    server.join();
    assert_says(&refused(&leading_to(vec![]), ErrorKind::Connect), &["example.test", "no address"]);
}

#[test]
fn the_program_s_own_failure_ends_connecting_without_dns() {
    let mut options = options("ws://localhost:1/");
    options.resolve = Some(Resolve::Function(Arc::new(|host, _| {
        let cause = Arc::new(host.to_owned());
        Err(Error::caused(ErrorKind::Connect, "no table", cause))
    })));
    let error = refused(&options, ErrorKind::Connect);
    assert_says(&error, &["no table"]);
    let cause = error.cause().and_then(|cause| cause.downcast_ref::<String>());
    assert_eq!(cause.map(String::as_str), Some("localhost"));
}

#[test]
fn the_next_address_is_tried_at_once_when_one_refuses() {
    let server = greeting();
    // One after the other at 250 ms each they would take 10 s.
    let mut addresses: Vec<_> = (10..50)
        .map(|last| SocketAddr::new(Ipv4Addr::new(127, 0, 0, last).into(), server.address.port()))
        .collect();
    addresses.push(server.address);
    let begin = Instant::now();
    let connected = open(&leading_to(addresses)).expect("one listens");
    assert_eq!(connected.handshake.remote_address, server.address);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    server.join();
}

#[test]
fn a_silent_address_does_not_hold_up_the_next_one() {
    let (silent, server) = (Silent::new(), greeting());
    let begin = Instant::now();
    let connected = open(&leading_to(vec![silent.address, server.address])).expect("one listens");
    assert_eq!(connected.handshake.remote_address, server.address);
    assert!(begin.elapsed() >= Duration::from_millis(250), "{:?}", begin.elapsed());
    server.join();
}

#[test]
fn an_address_that_fails_at_once_costs_no_delay() {
    // Multicast: TCP knows without sending anything that nobody can be there.
    let (silent, server) = (Silent::new(), greeting());
    let mut addresses = vec![silent.address];
    addresses.extend((1..=40).map(|last| SocketAddr::from(([224, 0, 0, last], 80))));
    addresses.push(server.address);
    let begin = Instant::now();
    open(&leading_to(addresses)).expect("one listens");
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    server.join();
}

#[test]
fn what_each_address_said_is_told() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let there = listener.local_addr().expect("bound");
    let other = SocketAddr::new(Ipv4Addr::new(127, 0, 0, 8).into(), there.port());
    let error = refused(&leading_to(vec![nobody(there), other]), ErrorKind::Connect);
    let addresses = [nobody(there).to_string(), other.to_string()];
    assert_says(&error, &["ws://example.test/", &addresses[0], &addresses[1], "refused", "running"]);
}

#[test]
fn open_timeout_names_the_step_under_way() {
    let silent = Silent::new();
    let mut options = leading_to(vec![silent.address]);
    options.open_timeout = Some(Duration::from_millis(300));
    assert_says(&refused(&options, ErrorKind::ConnectTimeout), &["over TCP", "open_timeout (0.3 s)"]);

    for (scheme, step) in [("ws", "opening handshake"), ("wss", "TLS")] {
        let (done, wait) = mpsc::channel::<()>();
        let server = Server::new(move |stream| {
            let _ = wait.recv();
            drop(stream);
        });
        let mut options = server.options(scheme, "example.test");
        options.open_timeout = Some(Duration::from_millis(300));
        assert_says(&refused(&options, ErrorKind::ConnectTimeout), &[step]);
        drop(done);
        server.join();
    }
}

#[test]
fn the_language_may_interrupt_every_wait() {
    let server = Server::new(|mut stream| {
        read_request(&mut stream);
        assert_eq!(stream.read(&mut [0]).expect("an orderly end"), 0);
    });
    let options = Arc::new(server.options("ws", "example.test"));
    let prepared = prepare(&options).expect("valid");
    let mut asked = 0;
    let mut interrupted = || {
        asked += 1;
        asked == 4
    };
    let error = connect(prepared, &options, &mut interrupted).expect_err("interrupted");
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    server.join();
}
