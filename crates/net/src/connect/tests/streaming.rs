//! Bytes over an open stream, and how it ends.

use std::io::Write;

use super::tls_server::{Authority, TlsStream, greet};
use super::*;

/// Connects over TLS to `serve`, which begins after the opening handshake.
fn over_tls(serve: impl FnOnce(TlsStream) + Send + 'static) -> (Transport, Server) {
    let authority = Authority::new();
    let server = authority.issue(&["example.test"]).serve(None, |mut stream| {
        greet(&mut stream);
        // The client's word that it has read the head alone.
        stream.read_exact(&mut [0]).expect("the client says so");
        serve(stream);
    });
    let mut options = server.options("wss", "example.test");
    options.tls.ca_data = Some(authority.pem());
    let mut transport = open(&options).expect("trusted").transport;
    assert_eq!(transport.writer.write(b"!").expect("room for a byte"), 1);
    (transport, server)
}

fn over_tcp(serve: impl FnOnce(TcpStream) + Send + 'static) -> (Transport, Server) {
    let server = Server::new(|mut stream| {
        let request = read_request(&mut stream);
        stream.write_all(switch(&request, "").as_bytes()).expect("the client reads");
        // The client's word that it has read the head alone.
        stream.read_exact(&mut [0]).expect("the client says so");
        serve(stream);
    });
    let mut transport = open(&server.options("ws", "example.test")).expect("accepted").transport;
    assert_eq!(transport.writer.write(b"!").expect("room for a byte"), 1);
    (transport, server)
}

/// Waits without reading until the server's FIN is here, and with it everything before.
fn wait_for_end(transport: &Transport) {
    let flags = PollFlags::RDHUP;
    let mut fds = [rustix::event::PollFd::from_borrowed_fd(transport.fd(), flags)];
    let limit = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut fds, Some(&limit)), Ok(1), "the server ends");
}

/// Sends back `count` bytes, piece by piece.
fn echo(mut stream: impl Read + Write, count: usize) {
    let (mut piece, mut left) = (vec![0; 50_000], count);
    while left > 0 {
        let got = stream.read(&mut piece).expect("more comes");
        assert!(got > 0, "{left} bytes are missing");
        stream.write_all(&piece[..got]).expect("the client reads");
        left -= got;
    }
    stream.flush().expect("the client reads");
}

#[test]
fn large_data_goes_both_ways() {
    const SIZE: usize = 3 << 20;
    let sent: Vec<u8> = (0..SIZE).map(|at| (at / 7) as u8).collect();
    for tls in [true, false] {
        let (mut transport, server) =
            if tls { over_tls(|stream| echo(stream, SIZE)) } else { over_tcp(|stream| echo(stream, SIZE)) };
        let (mut written, mut received) = (0, Vec::new());
        while received.len() < SIZE {
            if written < SIZE {
                match transport.writer.write(&sent[written..]) {
                    Ok(count) => written += count,
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
            }
            let max = (SIZE - received.len()).min(100_000);
            received.reserve(max);
            match transport.reader.read_append(&mut received, max) {
                Ok(count) => assert!((1..=max).contains(&count), "{count} of {max}"),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Ready for whichever of the two has something to do.
                    let out = written < SIZE || transport.writer.wants_write();
                    let flags = if out { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
                    let mut fds = [rustix::event::PollFd::from_borrowed_fd(transport.fd(), flags)];
                    rustix::event::poll(&mut fds, None).expect("a socket");
                    if transport.writer.wants_write() {
                        transport.writer.flush().expect("the server reads");
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(received == sent, "the bytes come back as they went (tls: {tls})");
        server.join();
    }
}

#[test]
fn read_append_keeps_to_what_it_is_asked_for() {
    let (mut plain, plain_server) = over_tcp(|mut stream| {
        stream.write_all(&[7; 1000]).expect("the client reads");
    });
    let (mut tls, tls_server) = over_tls(|mut stream| {
        stream.write_all(&[7; 1000]).expect("the client reads");
        stream.flush().expect("the client reads");
    });
    for transport in [&mut plain, &mut tls] {
        wait_for_end(transport);
        for capacity in [10, 500] {
            let mut buffer = Vec::with_capacity(capacity);
            buffer.extend(b"abc");
            let count = transport.reader.read_append(&mut buffer, 7).expect("bytes are there");
            assert_eq!((count, &buffer[..]), (7, &b"abc\x07\x07\x07\x07\x07\x07\x07"[..]));
        }
    }
    assert!(tls.reader.has_buffered(), "what is decrypted does not show in the socket's readiness");
    assert!(!plain.reader.has_buffered());
    plain_server.join();
    tls_server.join();
}

#[test]
fn the_end_of_tcp_is_told_after_the_data() {
    let (mut transport, server) = over_tcp(|mut stream| stream.write_all(b"last").expect("the client reads"));
    wait_for_end(&transport);
    let mut buffer = [0; 100];
    assert_eq!(read(&mut transport, &mut buffer).expect("data"), 4);
    assert_eq!(read(&mut transport, &mut buffer).expect("the end"), 0);
    server.join();
}

#[test]
fn the_end_of_tls_is_told_although_tcp_goes_on() {
    let (mut transport, server) = over_tls(|mut stream| {
        stream.write_all(b"last").expect("the client reads");
        stream.conn.send_close_notify();
        stream.flush().expect("the client reads");
        // Our side still speaks, and says goodbye in its turn.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("an orderly end, with close_notify");
        assert_eq!(rest, b"and ours");
    });
    let (mut data, mut buffer) = (Vec::<u8>::new(), [0; 100]);
    loop {
        match read(&mut transport, &mut buffer).expect("an orderly end") {
            0 => break,
            count => data.extend(&buffer[..count]),
        }
    }
    assert_eq!(data, b"last");
    assert_eq!(transport.writer.write(b"and ours").expect("room"), 8);
    transport.writer.shutdown_write();
    server.join();
}

/// Reads what is there while nothing more can come: without waiting, only as long as the stream says that it has more.
fn read_what_is_told(transport: &mut Transport, buffer: &mut [u8]) -> (usize, io::Result<usize>) {
    let mut total = transport.reader.read(buffer).expect("data first");
    loop {
        assert!(transport.reader.has_buffered(), "something behind {total} bytes was dropped");
        match transport.reader.read(buffer) {
            Ok(count @ 1..) => total += count,
            end => return (total, end),
        }
    }
}

/// What the server says in one piece, so that one read of the socket gets all of it: "last", then `behind`.
fn in_one_piece(behind: impl FnOnce(&mut TlsStream) -> Vec<u8> + Send + 'static) -> (Transport, Server) {
    over_tls(move |mut stream| {
        let mut bytes = Vec::new();
        stream.conn.writer().write_all(b"last").expect("room");
        stream.conn.write_tls(&mut bytes).expect("memory");
        bytes.extend(behind(&mut stream));
        stream.sock.write_all(&bytes).expect("the client reads");
        // TCP goes on until the client ends it.
        while !matches!(stream.sock.read(&mut [0; 64]), Ok(0) | Err(_)) {}
    })
}

fn wait_for_data(transport: &mut Transport) {
    let mut fds = [rustix::event::PollFd::from_borrowed_fd(transport.fd(), PollFlags::IN)];
    let limit = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut fds, Some(&limit)), Ok(1), "the server speaks");
}

/// The session's tickets and such, which come without data, are out of the way.
fn settle(transport: &mut Transport) {
    let error = transport.reader.read(&mut [0; 100]).expect_err("nothing came yet");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_goodbye_behind_data_is_not_dropped() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (mut transport, server) = in_one_piece(move |stream| {
        wait.recv().expect("the client is ready");
        let mut bytes = Vec::new();
        stream.conn.send_close_notify();
        stream.conn.write_tls(&mut bytes).expect("memory");
        bytes
    });
    settle(&mut transport);
    go.send(()).expect("the server waits");
    wait_for_data(&mut transport);
    let (total, end) = read_what_is_told(&mut transport, &mut [0; 100]);
    assert_eq!((total, end.expect("an orderly end")), (4, 0));
    transport.writer.shutdown();
    server.join();
}

#[test]
fn a_broken_record_behind_data_is_not_dropped() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (mut transport, server) = in_one_piece(move |_| {
        wait.recv().expect("the client is ready");
        let mut record = b"\x17\x03\x03\x00\x20".to_vec();
        record.extend([0xaa; 0x20]);
        record
    });
    settle(&mut transport);
    go.send(()).expect("the server waits");
    wait_for_data(&mut transport);
    let (total, end) = read_what_is_told(&mut transport, &mut [0; 100]);
    assert_eq!((total, end.expect_err("a false record").kind()), (4, io::ErrorKind::InvalidData));
    transport.writer.shutdown();
    server.join();
}

#[test]
fn a_cut_is_told_from_a_goodbye() {
    let (mut transport, server) = over_tls(|mut stream| {
        stream.write_all(b"last").expect("the client reads");
        stream.flush().expect("the client reads");
    });
    let mut buffer = [0; 100];
    assert_eq!(read(&mut transport, &mut buffer).expect("data"), 4);
    let error = read(&mut transport, &mut buffer).expect_err("cut off");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_says(&Error::new(ErrorKind::Lost, error.to_string()), &["close_notify"]);
    server.join();
}
