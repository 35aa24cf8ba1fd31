//! The attempt itself, step by step in virtual time: what it waits for, until when, and what it says when that is over.
//! Sockets are real, and both of their ends are this thread's.

use std::io::Write;
use std::sync::mpsc;
use std::time::Instant;

use rustix::event::{PollFd, Timespec, poll};

use super::dialing::Silent;
use super::*;
use crate::connect::attempt::Attempt;

/// An attempt, a clock that only the test moves, and how often the waker was called.
struct Stepped {
    attempt: Attempt,
    now: Instant,
    woken: mpsc::Receiver<()>,
}

type Ended = Option<Result<Connected, Error>>;

impl Stepped {
    fn new(options: ConnectOptions) -> Self {
        let options = Arc::new(options);
        let (wake, woken) = mpsc::channel();
        let waker = Arc::new(move || {
            let _ = wake.send(());
        });
        let now = Instant::now();
        let prepared = prepare(&options).expect("valid");
        Self { attempt: Attempt::new(prepared, options, waker, now), now, woken }
    }

    fn step(&mut self) -> Ended {
        self.attempt.step(self.now)
    }

    /// Steps once more at a later time.
    fn step_after(&mut self, milliseconds: u64) -> Ended {
        self.now += Duration::from_millis(milliseconds);
        self.step()
    }

    /// Steps when a socket is ready, at the same virtual time.
    fn step_when_ready(&mut self) -> Ended {
        let mut fds = Vec::new();
        self.attempt.each_socket(&mut |socket, interest| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, interest.read);
            flags.set(PollFlags::OUT, interest.write);
            fds.push(PollFd::from_borrowed_fd(socket, flags));
        });
        let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
        assert_ne!(poll(&mut fds, Some(&limit)), Ok(0), "no socket became ready in 10 s");
        drop(fds);
        self.step()
    }

    /// Milliseconds from now to the deadline.
    fn patience(&self) -> Option<u128> {
        Some(self.attempt.deadline()?.saturating_duration_since(self.now).as_millis())
    }
}

/// A listener, and options that lead to it with an `open_timeout` of 300 ms.
fn listener() -> (TcpListener, ConnectOptions) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let mut options = options("ws://example.test/");
    options.resolve = Some(Resolve::Table(Arc::new(move |_, _| Some(vec![address]))));
    options.open_timeout = Some(Duration::from_millis(300));
    (listener, options)
}

/// The server's end of what has just been connected, and the request on it.
fn accept(listener: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = listener.accept().expect("somebody connects");
    let request = read_request(&mut stream);
    (stream, request)
}

fn write(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).expect("the client reads");
}

fn failure(ended: Ended) -> Error {
    ended.expect("it has ended").expect_err("it has failed")
}

#[test]
fn it_opens_without_a_look_at_the_clock() {
    let (listener, options) = listener();
    let mut stepped = Stepped::new(options);
    assert!(stepped.step().is_none());
    // On the loopback device the first step goes as far as the request.
    let (mut server, request) = accept(&listener);
    write(&mut server, &switch(&request, ""));
    let connected = stepped.step_when_ready().expect("ended").expect("accepted");
    assert_eq!(connected.handshake.remote_address, listener.local_addr().expect("bound"));
    assert_eq!(connected.handshake.local_address, server.peer_addr().expect("connected"));
    assert!(stepped.step().is_none(), "nothing more comes of it");
}

#[test]
fn a_silent_address_is_waited_for_until_the_deadline() {
    let silent = Silent::new();
    let (_listener, mut options) = listener();
    let address = silent.address;
    options.resolve = Some(Resolve::Table(Arc::new(move |_, _| Some(vec![address]))));
    let mut stepped = Stepped::new(options);
    assert!(stepped.step().is_none());
    assert_eq!(stepped.patience(), Some(300));
    assert!(stepped.step_after(299).is_none());
    let error = failure(stepped.step_after(1));
    assert_eq!(error.kind(), ErrorKind::ConnectTimeout);
    assert_says(&error, &["still connecting over TCP", "open_timeout (0.3 s)"]);
}

#[test]
fn each_step_is_named_by_the_time_out() {
    for (scheme, words) in [("ws", "opening handshake"), ("wss", "setting up TLS")] {
        let (_listener, mut options) = listener();
        options.url = Url::parse(&format!("{scheme}://example.test/")).expect("valid");
        options.tls.verify = false;
        let mut stepped = Stepped::new(options);
        assert!(stepped.step().is_none());
        assert_says(&failure(stepped.step_after(300)), &[words]);
    }
}

#[test]
fn what_came_in_time_is_not_late() {
    let (listener, options) = listener();
    let mut stepped = Stepped::new(options);
    assert!(stepped.step().is_none());
    let (mut server, request) = accept(&listener);
    write(&mut server, &switch(&request, ""));
    stepped.now += Duration::from_secs(60);
    stepped.step_when_ready().expect("ended").expect("the answer was there before the clock was asked");
}

#[test]
fn one_deadline_is_for_all_redirects() {
    let (listener, options) = listener();
    let mut stepped = Stepped::new(options);
    assert!(stepped.step().is_none());
    let (mut server, _) = accept(&listener);
    write(&mut server, "HTTP/1.1 302 x\r\nLocation: ws://other.test/\r\n\r\n");
    stepped.now += Duration::from_millis(200);
    assert!(stepped.step_when_ready().is_none());
    let (_second, request) = accept(&listener);
    assert!(request.contains("Host: other.test"), "{request}");
    assert_eq!(stepped.patience(), Some(100));
    let error = failure(stepped.step_after(100));
    assert_says(&error, &["ws://other.test/", "0.3 s", "redirected: ws://example.test/ -> ws://other.test/"]);
    assert_eq!(server.read(&mut [0]).expect("an orderly end"), 0, "the first socket is not kept");
}

#[test]
fn a_refusal_s_body_has_a_second() {
    let (listener, mut options) = listener();
    options.open_timeout = None;
    let mut stepped = Stepped::new(options);
    assert!(stepped.step().is_none());
    let (mut server, _) = accept(&listener);
    write(&mut server, "HTTP/1.1 403 Forbidden\r\n\r\nthe start");
    assert!(stepped.step_when_ready().is_none());
    assert_eq!(stepped.patience(), Some(1000));
    assert!(stepped.step_after(999).is_none());
    let error = failure(stepped.step_after(1));
    assert_eq!(error.answer().expect("there was one").body, b"the start");
}

#[test]
fn a_refusal_whose_body_comes_too_late_is_still_the_refusal() {
    let (listener, options) = listener();
    let mut stepped = Stepped::new(options);
    assert!(stepped.step().is_none());
    let (mut server, _) = accept(&listener);
    write(&mut server, "HTTP/1.1 403 Forbidden\r\n\r\nthe start");
    assert!(stepped.step_when_ready().is_none());
    assert_eq!(stepped.patience(), Some(300));
    assert_eq!(failure(stepped.step_after(300)).kind(), ErrorKind::Handshake);
}

#[test]
fn an_answer_of_dns_wakes_the_driver() {
    let (listener, mut options) = listener();
    let port = listener.local_addr().expect("bound").port();
    options.url = Url::parse(&format!("ws://localhost:{port}/")).expect("valid");
    options.resolve = None;
    let mut stepped = Stepped::new(options);
    assert!(stepped.step().is_none());
    stepped.woken.recv_timeout(Duration::from_secs(10)).expect("the hosts file is read in 10 s");
    assert!(stepped.step().is_none());
    accept(&listener);
    assert!(stepped.woken.try_recv().is_err(), "once is enough");
}

/// A program's function that answers when the test lets it, and what tells it to.
fn function(addresses: Option<Vec<SocketAddr>>) -> (Option<Resolve>, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    let function = move |_: &str, _| {
        // It fails when the test is over.
        let _ = wait.lock().expect("not poisoned").recv();
        Ok(addresses.clone())
    };
    (Some(Resolve::Function(Arc::new(function))), go)
}

#[test]
fn the_time_goes_on_while_a_function_of_the_program_runs() {
    let (_listener, mut options) = listener();
    let (resolve, _go) = function(None);
    options.resolve = resolve;
    let mut stepped = Stepped::new(options);
    assert!(stepped.step().is_none());
    assert_eq!(stepped.patience(), Some(300));
    assert!(stepped.step_after(299).is_none());
    let error = failure(stepped.step_after(1));
    assert_eq!(error.kind(), ErrorKind::ConnectTimeout);
    assert_says(&error, &["still waiting for the program's function resolve", "open_timeout (0.3 s)"]);
}

#[test]
fn a_function_s_answer_wakes_the_driver_and_none_leaves_the_question_open() {
    let (listener, mut options) = listener();
    let address = listener.local_addr().expect("bound");
    options.url = Url::parse(&format!("ws://{address}/")).expect("valid");
    for addresses in [Some(vec![address]), None] {
        let (resolve, go) = function(addresses);
        options.resolve = resolve;
        let mut stepped = Stepped::new(options.clone());
        assert!(stepped.step().is_none());
        go.send(()).expect("the function waits");
        stepped.woken.recv_timeout(Duration::from_secs(10)).expect("the function has answered");
        assert!(stepped.step().is_none());
        accept(&listener);
    }
}

#[test]
fn a_function_that_panics_is_an_answer() {
    let (_listener, mut options) = listener();
    // It waits for the first step, or its answer might be there before that has asked.
    let (go, wait) = mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    options.resolve = Some(Resolve::Function(Arc::new(move |_, _| {
        let _: Result<(), _> = wait.lock().expect("not poisoned").recv();
        panic!("as the test wants it")
    })));
    let mut stepped = Stepped::new(options);
    assert!(stepped.step().is_none());
    go.send(()).expect("the function waits");
    stepped.woken.recv_timeout(Duration::from_secs(10)).expect("the panic is told");
    assert_says(&failure(stepped.step()), &["resolve panicked", "example.test"]);
}

#[test]
fn an_attempt_that_is_dropped_leaves_nothing() {
    let (listener, options) = listener();
    let mut stepped = Stepped::new(options);
    assert!(stepped.step().is_none());
    let (mut server, _) = accept(&listener);
    drop(stepped);
    assert_eq!(server.read(&mut [0]).expect("an orderly end"), 0);
}
