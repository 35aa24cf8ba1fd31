//! Servers for the tests of connecting: threads with a listener of the standard library, one connection each.

mod dialing;
mod flooding;
mod on_reactor;
mod proxying;
mod redirecting;
mod securing;
mod stepping;
mod streaming;
mod tls_server;
mod upgrading;

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::event::PollFlags;
use sha1::{Digest, Sha1};
use sunsocket_wire::{Credentials, Url};

use super::*;
use crate::error::{Error, ErrorKind};
use crate::io::Transport;
use crate::options::{ConnectOptions, Resolve};

/// A thread that serves one connection.
struct Server {
    address: SocketAddr,
    thread: JoinHandle<()>,
}

impl Server {
    fn new(serve: impl FnOnce(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let thread = thread::spawn(move || {
            let (stream, _) = listener.accept().expect("somebody connects");
            stream.set_read_timeout(Some(Duration::from_secs(10))).expect("not zero");
            serve(stream);
        });
        Self { address, thread }
    }

    /// Options that lead to it.
    fn options(&self, scheme: &str, host: &str) -> ConnectOptions {
        let address = self.address;
        let mut options = options(&format!("{scheme}://{host}/chat?x=y"));
        options.resolve = Some(Resolve::Table(Arc::new(move |_, _| Some(vec![address]))));
        options
    }

    fn join(self) {
        self.thread.join().expect("the server's own checks hold");
    }
}

fn options(url: &str) -> ConnectOptions {
    ConnectOptions::new(url).expect("a valid address")
}

fn open(options: &ConnectOptions) -> Result<Connected, Error> {
    let options = Arc::new(options.clone());
    connect(prepare(&options)?, &options, &mut || false)
}

fn refused(options: &ConnectOptions, kind: ErrorKind) -> Error {
    let error = open(options).expect_err("must not connect");
    assert_eq!(error.kind(), kind, "{error}");
    error
}

#[track_caller]
fn assert_says(error: &Error, words: &[&str]) {
    for word in words {
        assert!(error.to_string().contains(word), "{word:?} is not in: {error}");
    }
}

/// The head of the client's request.
fn read_request(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a whole request");
        head.extend(byte);
    }
    String::from_utf8(head).expect("text")
}

/// The answer that opens a WebSocket, with `lines` added to its head.
fn switch(request: &str, lines: &str) -> String {
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
        .expect("the request has a key");
    let accept = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let accept = STANDARD.encode(accept);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{lines}\r\n"
    )
}

/// Reads until something comes, however long the socket blocks.
fn read(transport: &mut Transport, buffer: &mut [u8]) -> io::Result<usize> {
    blocking(transport, |transport| transport.reader.read(buffer))
}

fn blocking(
    transport: &mut Transport,
    mut attempt: impl FnMut(&mut Transport) -> io::Result<usize>,
) -> io::Result<usize> {
    loop {
        match attempt(transport) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let flags = if transport.writer.wants_write() {
                    PollFlags::OUT | PollFlags::IN
                } else {
                    PollFlags::IN
                };
                let mut fds = [rustix::event::PollFd::from_borrowed_fd(transport.fd(), flags)];
                let limit = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
                assert_ne!(rustix::event::poll(&mut fds, Some(&limit))?, 0, "nothing came in 10 s");
                transport.writer.flush()?;
            }
            other => return other,
        }
    }
}
