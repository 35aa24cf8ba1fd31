//! What every scenario begins with: a reactor, its owner's thread, connections and the servers at their other ends.

use std::collections::HashMap;
use std::time::Duration;

use shuttle::thread::JoinHandle;
use sunsocket_wire::{Headers, Message, MessageKind};

use crate::connect::{ASKS, Connected};
use crate::connection::{Connection, Reactor};
use crate::drive::leader::Waited;
use crate::handshake::Handshake;
use crate::io::Transport;
use crate::options::{ConnectOptions, HeldLimit, WriteLimit};
use crate::pipe::Pipe;
use crate::reactor::Role;
use crate::session::send::Room;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Instant, Mutex, lock, thread};

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What varies between scenarios.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) role: Role,
    /// What the kernel takes of our bytes before it blocks.
    pub(crate) capacity: usize,
    /// The high-water mark; the low one is half of it.
    pub(crate) high: usize,
    /// Messages held.
    pub(crate) held: usize,
    /// The size of the pieces in which plaintext comes out of TLS.
    pub(crate) record: Option<usize>,
}

impl Default for Setting {
    fn default() -> Self {
        Self { role: Role::Thread, capacity: 1 << 16, high: 1 << 16, held: 1024, record: None }
    }
}

pub(crate) struct World {
    pub(crate) reactor: Arc<Reactor>,
    setting: Setting,
    stop: Arc<AtomicBool>,
    owner: Option<JoinHandle<()>>,
    connections: Vec<Arc<Connection>>,
}

impl World {
    pub(crate) fn new(setting: Setting) -> Self {
        Instant::reset();
        let reactor = Reactor::new(setting.role).expect("nothing can fail");
        let stop = Arc::new(AtomicBool::new(false));
        Self { reactor, setting, stop, owner: None, connections: Vec::new() }
    }

    /// An open connection and its server.
    pub(crate) fn open(&mut self) -> (Arc<Connection>, Peer) {
        let record = self.setting.record;
        self.open_over(|pipe| Transport::new(pipe, record))
    }

    /// The same, but inside TLS a text comes again and again, of which the poller says nothing, until `stops` says that it is
    /// enough.
    pub(crate) fn open_flooded(&mut self, stops: &Arc<AtomicBool>) -> (Arc<Connection>, Peer) {
        let stops = Arc::clone(stops);
        self.open_over(|pipe| Transport::endless(pipe, 3, b"\x81\x05flood".to_vec(), stops))
    }

    fn open_over(&mut self, transport: impl FnOnce(Arc<Pipe>) -> Transport) -> (Arc<Connection>, Peer) {
        let mut options = ConnectOptions::new("ws://model.example/").expect("a good URL");
        options.ping_interval = None;
        options.write_limit = WriteLimit { high: self.setting.high, low: self.setting.high / 2 };
        options.max_held = HeldLimit { messages: self.setting.held, bytes: 1 << 20 };
        let connection = Connection::new(Arc::clone(&self.reactor), &options);
        let pipe = Pipe::new(self.setting.capacity);
        let nowhere = ([127, 0, 0, 1], 9).into();
        let handshake = Handshake {
            url: options.url.clone(),
            redirects: Vec::new(),
            cookies: Vec::new(),
            subprotocol: None,
            compression: None,
            headers: Headers::default(),
            local_address: nowhere,
            remote_address: nowhere,
        };
        let transport = transport(Arc::clone(&pipe));
        connection.opened(Connected { transport, handshake, leftover: Vec::new() }, false);
        self.connections.push(Arc::clone(&connection));
        (connection, Peer { pipe })
    }

    /// A connection whose attempt waits for the answer of another thread, and then fails.
    pub(crate) fn ask(&mut self) -> Arc<Connection> {
        let options = ConnectOptions::new(&format!("ws://{ASKS}/")).expect("a good URL");
        let connection = self.reactor.connect(options).expect("nothing can fail");
        self.connections.push(Arc::clone(&connection));
        connection
    }

    /// Starts the guardian, as connecting does.
    pub(crate) fn guard(&self) {
        self.reactor.guardian.start(&self.reactor);
    }

    /// Starts the owner: a dispatcher for `Role::Thread`, an event loop for `Role::Foreign`. `deliver` gets every
    /// connection that is ready.
    pub(crate) fn own(&mut self, deliver: impl FnMut(&Arc<Connection>) + Send + 'static) {
        self.own_beside(deliver, || {});
    }

    /// The same of a loop that runs `others` after each of our calls.
    pub(crate) fn own_beside(
        &mut self,
        mut deliver: impl FnMut(&Arc<Connection>) + Send + 'static,
        mut others: impl FnMut() + Send + 'static,
    ) {
        let (reactor, stop) = (Arc::clone(&self.reactor), Arc::clone(&self.stop));
        self.owner = Some(thread::spawn(move || {
            let mut last = false;
            while !last {
                match reactor.role() {
                    // As `run` in crates/python/src/dispatcher.rs.
                    Role::Thread => {
                        reactor.turn(None);
                        last = stop.load(Ordering::SeqCst);
                        deliver_ready(&reactor, &mut deliver);
                    }
                    Role::Foreign => {
                        reactor.poller.watch();
                        process(&reactor, &mut deliver);
                        others();
                        last = stop.load(Ordering::SeqCst);
                    }
                }
            }
        }));
    }

    /// Stops the owner, which has to hear of it.
    fn stop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.reactor.wake();
        if let Some(owner) = self.owner.take() {
            owner.join().expect("the owner did not panic");
        }
    }

    /// The same; says how many hold the connection afterwards, beside the caller and the world itself.
    pub(crate) fn holders(&mut self, connection: &Arc<Connection>) -> usize {
        self.stop();
        while self.reactor.next_ready().is_some() {}
        Arc::strong_count(connection) - 2
    }

    /// Stops the owner, which has to hear of it, and lets go of everything.
    pub(crate) fn end(mut self) {
        self.stop();
        // What is on the queue holds the reactor, and with it the guardian's thread: its last turn comes first.
        self.reactor.guardian.stop();
        self.connections.iter().for_each(Connection::abort);
        let turner = lock(&self.reactor.turner);
        while self.reactor.next_ready().is_some() {}
        drop(turner);
    }
}

fn deliver_ready(reactor: &Arc<Reactor>, deliver: &mut dyn FnMut(&Arc<Connection>)) {
    let batch = reactor.dispatch();
    while let Some(connection) = reactor.next_ready() {
        deliver(&connection);
    }
    drop(batch);
}

/// As `process` of crates/python/src/asyncio.rs, which a loop calls when the descriptor is readable.
fn process(reactor: &Arc<Reactor>, deliver: &mut dyn FnMut(&Arc<Connection>)) {
    let _ = reactor.take_busy_report();
    let since = Instant::now();
    reactor.turn(Some(since));
    deliver_ready(reactor, deliver);
    while reactor.linger(since) {
        deliver_ready(reactor, deliver);
    }
}

/// The server of one connection.
pub(crate) struct Peer {
    pipe: Arc<Pipe>,
}

impl Peer {
    fn write(&self, opcode: u8, payload: &[u8]) {
        let length = u8::try_from(payload.len()).ok().filter(|length| *length < 126).expect("a small frame");
        self.pipe.server_write(&[&[0x80 | opcode, length], payload].concat());
    }

    pub(crate) fn send(&self, text: &str) {
        self.write(TEXT, text.as_bytes());
    }

    /// Its Close, without a code.
    pub(crate) fn close(&self) {
        self.write(CLOSE, b"");
    }

    pub(crate) fn ping(&self, payload: &str) {
        self.write(PING, payload.as_bytes());
    }

    /// All of them in one segment, and behind them a frame with a reserved bit.
    pub(crate) fn send_and_violate(&self, texts: &[String]) {
        let mut frames = Vec::new();
        for text in texts {
            frames.extend([0x80 | TEXT, u8::try_from(text.len()).expect("a small frame")]);
            frames.extend(text.as_bytes());
        }
        frames.extend([0xC0 | TEXT, 0]);
        self.pipe.server_write(&frames);
    }

    /// The client's next frame; `None` when it has dropped TCP.
    fn read(&self) -> Option<(u8, String)> {
        let head = self.pipe.server_read(2)?;
        let length = match head[1] & 0x7F {
            126 => {
                let length = self.pipe.server_read(2)?;
                usize::from(u16::from_be_bytes([length[0], length[1]]))
            }
            length => usize::from(length),
        };
        let mask = self.pipe.server_read(4)?;
        let masked = self.pipe.server_read(length)?;
        let payload = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        Some((head[0] & 15, String::from_utf8(payload).expect("the scenarios send text")))
    }

    pub(crate) fn recv(&self) -> String {
        let (opcode, text) = self.read().expect("the client is there");
        assert_eq!(opcode, TEXT);
        text
    }

    pub(crate) fn recv_pong(&self) -> String {
        let (opcode, text) = self.read().expect("the client is there");
        assert_eq!(opcode, PONG);
        text
    }

    /// Text messages and pongs, until each of them has come `texts` and `pongs` times.
    pub(crate) fn recv_mixed(&self, texts: usize, pongs: usize) -> (Vec<String>, Vec<String>) {
        let mut seen = (Vec::new(), Vec::new());
        while seen.0.len() < texts || seen.1.len() < pongs {
            match self.read().expect("the client is there") {
                (TEXT, text) => seen.0.push(text),
                (PONG, text) => seen.1.push(text),
                (opcode, _) => panic!("a frame of opcode {opcode}"),
            }
        }
        seen
    }

    /// The end of a server: reads on to a Close, answers it and drops TCP.
    pub(crate) fn finish(&self) {
        // A Close's code is no text, so it is read as bytes.
        while let Some(head) = self.pipe.server_read(2) {
            let mut length = usize::from(head[1] & 0x7F);
            if length == 126 {
                let Some(long) = self.pipe.server_read(2) else { break };
                length = usize::from(u16::from_be_bytes([long[0], long[1]]));
            }
            let Some(mask) = self.pipe.server_read(4) else { break };
            let Some(masked) = self.pipe.server_read(length) else { break };
            if head[0] & 15 == 8 {
                let payload: Vec<u8> =
                    masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
                self.write(8, &payload);
                break;
            }
        }
        self.pipe.server_done();
    }
}

/// Messages in the order in which somebody got them.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn push(&self, text: String) {
        lock(&self.0).push(text);
    }

    pub(crate) fn all(&self) -> Vec<String> {
        lock(&self.0).clone()
    }
}

fn text(message: Message<'_>) -> String {
    String::from_utf8(message.payload.into_owned()).expect("the scenarios send text")
}

pub(crate) fn take(connection: &Arc<Connection>) -> Option<String> {
    connection.take(text)
}

/// The same for the handler of a connection, if it has one.
pub(crate) fn take_for_handler(connection: &Arc<Connection>) -> Option<String> {
    if connection.is_listened_to() { take(connection) } else { None }
}

/// A thread's `recv`. `None`: the connection has closed.
pub(crate) fn recv(connection: &Arc<Connection>) -> Option<String> {
    connection.pull();
    loop {
        if let Some(message) = take(connection) {
            return Some(message);
        }
        let mut ready = || connection.has_message() || connection.closed().is_some();
        let waited = connection.reactor().wait(None, &mut ready);
        if waited == Waited::Ready && connection.closed().is_some() {
            return take(connection);
        }
    }
}

/// A task's `recv`, as the one thing that its loop does: looks first, then waits for what `process` brings.
pub(crate) fn recv_in_loop(connection: &Arc<Connection>) -> String {
    let reactor = connection.reactor();
    connection.pull();
    if let Some(message) = take(connection) {
        return message;
    }
    reactor.look_for(Duration::from_micros(50), &|| connection.has_message());
    if let Some(message) = take(connection) {
        return message;
    }
    connection.listen(true);
    let mut got = None;
    while got.is_none() {
        reactor.poller.watch();
        process(reactor, &mut |ready| {
            if got.is_none() && Arc::ptr_eq(ready, connection) {
                got = take(ready);
            }
        });
    }
    connection.listen(false);
    got.expect("the loop ended with it")
}

pub(crate) fn send(connection: &Arc<Connection>, text: &str) {
    connection.send(MessageKind::Text, text.as_bytes(), None).expect("it is open");
}

/// A thread's `Send`: waits while more than the high-water mark is unsent.
pub(crate) fn send_patiently(connection: &Arc<Connection>, text: &str) {
    if connection.send(MessageKind::Text, text.as_bytes(), None).expect("it is open") == Room::Full {
        connection.sender_waits();
        let reactor = connection.reactor();
        while reactor.wait(None, &mut || !connection.is_full()) != Waited::Ready {}
    }
}

/// Names of numbered messages: `a0`, `a1`...
pub(crate) fn numbered(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{name}{number}")).collect()
}

/// Each sender's messages are all there, in their order, however they are mixed with others'.
pub(crate) fn assert_each_in_order(seen: &[String], names: &[&str], count: usize) {
    let mut by_name: HashMap<&str, Vec<String>> = HashMap::new();
    for message in seen {
        let name = message.split_at(1).0;
        by_name.entry(name).or_default().push(message.clone());
    }
    for name in names {
        let got = by_name.remove(name).unwrap_or_default();
        assert_eq!(got, numbered(name, count), "in {seen:?}");
    }
    assert!(by_name.is_empty(), "what nobody sent: {by_name:?}");
}
