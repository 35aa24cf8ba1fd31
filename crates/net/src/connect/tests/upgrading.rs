//! What a server may answer to the opening handshake.

use std::io::Write;
use std::time::Instant;

use super::*;

/// Answers with `text` and keeps the connection until the client ends it.
fn answering(text: impl Into<Vec<u8>>) -> Server {
    let text = text.into();
    Server::new(move |mut stream| {
        read_request(&mut stream);
        // The client may have gone after the first bytes.
        let _ = stream.write_all(&text);
        while !matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_)) {}
    })
}

fn refusal(text: &str) -> Error {
    let server = answering(text);
    let error = refused(&server.options("ws", "example.test"), ErrorKind::Handshake);
    server.join();
    error
}

#[test]
fn the_request_carries_the_options_and_the_answer_comes_back() {
    let server = Server::new(|mut stream| {
        let request = read_request(&mut stream);
        for line in [
            "GET /chat?x=y HTTP/1.1\r\n",
            "\r\nHost: example.test\r\n",
            "\r\nOrigin: https://example.test\r\n",
            "\r\nSec-WebSocket-Protocol: b, a\r\n",
            "\r\nX-Own: 1\r\n",
            "\r\nUser-Agent: mine\r\n",
        ] {
            assert!(request.contains(line), "{line:?} in {request}");
        }
        assert_eq!(request.matches("User-Agent").count(), 1, "{request}");
        let mut answer = switch(&request, "Sec-WebSocket-Protocol: a\r\nX-Theirs: 2\r\n").into_bytes();
        answer.extend(b"\x81\x02hi");
        stream.write_all(&answer).expect("the client reads");
    });
    let mut options = server.options("ws", "example.test");
    options.origin = Some("https://example.test".to_owned());
    options.subprotocols = vec!["b".to_owned(), "a".to_owned()];
    options.headers =
        vec![("X-Own".to_owned(), "1".to_owned()), ("User-Agent".to_owned(), "mine".to_owned())];
    let mut connected = open(&options).expect("accepted");
    assert_eq!(connected.handshake.subprotocol.as_deref(), Some("a"));
    assert_eq!(connected.handshake.headers.get("x-theirs"), Some("2"));
    // What follows the head is kept, here or in the socket.
    let mut frame = connected.leftover;
    let mut buffer = [0; 16];
    while frame.len() < 4 {
        let count = read(&mut connected.transport, &mut buffer).expect("a frame");
        frame.extend(&buffer[..count]);
    }
    assert_eq!(frame, b"\x81\x02hi");
    assert!(rustix::net::sockopt::tcp_nodelay(connected.transport.fd()).expect("a TCP socket"));
    server.join();
}

#[test]
fn an_answer_may_come_in_any_pieces_and_after_interim_ones() {
    for size in [1, 7, 1000] {
        let server = Server::new(move |mut stream| {
            stream.set_nodelay(true).expect("a TCP socket");
            let request = read_request(&mut stream);
            let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
            let answer = format!("{hints}{}", switch(&request, ""));
            for piece in answer.as_bytes().chunks(size) {
                stream.write_all(piece).expect("the client reads");
            }
        });
        let connected = open(&server.options("ws", "example.test")).expect("accepted");
        assert_eq!(connected.leftover, b"", "{size}");
        server.join();
    }
}

#[test]
fn a_refusal_is_told_with_status_headers_and_body() {
    let error = refusal("HTTP/1.1 404 Not Found\r\nX-Why: gone\r\nContent-Length: 5\r\n\r\nNope!, not here");
    assert_says(&error, &["ws://example.test/chat?\u{2026}:", "404 Not Found", "check the path"]);
    let answer = error.answer().expect("there was one");
    assert_eq!((answer.status, answer.headers.get("X-Why")), (404, Some("gone")));
    assert_eq!(answer.body, b"Nope!");

    let chunked = "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWait\r\n1\r\n!\r\n0\r\n\r\n";
    assert_eq!(refusal(chunked).answer().expect("there was one").body, b"Wait!");

    let long = format!("HTTP/1.1 500 Oops\r\n\r\n{}", "x".repeat(10_000));
    assert_eq!(refusal(&long).answer().expect("there was one").body.len(), 4096);
}

#[test]
fn a_refusal_in_http_1_0_is_told_as_any_other() {
    // As `python -m http.server` answers, whose body ends with the connection.
    let server = Server::new(|mut stream| {
        read_request(&mut stream);
        let head =
            "HTTP/1.0 404 File not found\r\nServer: SimpleHTTP/0.6\r\nConnection: close\r\n\r\n<h1>Error";
        stream.write_all(head.as_bytes()).expect("the client reads");
    });
    let error = refused(&server.options("ws", "example.test"), ErrorKind::Handshake);
    server.join();
    assert_says(&error, &["404 File not found", "check the path"]);
    let answer = error.answer().expect("there was one");
    assert_eq!((answer.status, answer.headers.get("Server")), (404, Some("SimpleHTTP/0.6")));
    assert_eq!(answer.body, b"<h1>Error");
}

#[test]
fn what_a_busy_server_says_is_shown_in_part() {
    let refused = refusal(&format!(
        "HTTP/1.1 503 Busy\r\nRetry-After: {}\r\nContent-Length: 0\r\n\r\n",
        "x".repeat(60_000)
    ));
    let text = refused.to_string();
    assert!(text.contains("Retry-After: \"x") && text.len() < 500, "{} bytes", text.len());
}

#[test]
fn a_body_that_does_not_end_is_not_waited_for_longer_than_a_second() {
    let begin = Instant::now();
    let error = refusal("HTTP/1.1 403 Forbidden\r\n\r\nthe start");
    assert_eq!(error.answer().expect("there was one").body, b"the start");
    let spent = begin.elapsed();
    assert!(spent >= Duration::from_secs(1) && spent < Duration::from_secs(3), "{spent:?}");
}

#[test]
fn what_is_not_http_is_named() {
    assert_says(&refusal("\x15\x03\x03\0\x02\x02\x32"), &["TLS", "wss://"]);
    assert_says(&refusal("SSH-2.0-OpenSSH_9.9\r\n"), &["not HTTP", "SSH-2.0"]);
    assert_says(&refusal("HTTP/1.0 101 Switching Protocols\r\n\r\n"), &["HTTP/1.0"]);
}

#[test]
fn a_false_accept_is_refused() {
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
    let error = refusal(head);
    assert_says(&error, &["Sec-WebSocket-Accept"]);
    assert_eq!(error.answer().expect("there was one").status, 101);
}

#[test]
fn heads_have_limits_in_all() {
    let endless = format!("HTTP/1.1 101 x\r\nX: {}", "y".repeat(100_000));
    assert_says(&refusal(&endless), &["65536"]);
    let lines = format!("HTTP/1.1 101 x\r\n{}", "X: y\r\n".repeat(200));
    assert_says(&refusal(&lines), &["128"]);
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(4_000);
    assert_says(&refusal(&interim), &["bytes"]);
}

#[test]
fn no_answer_is_told() {
    let server = Server::new(|mut stream| {
        read_request(&mut stream);
    });
    let error = refused(&server.options("ws", "example.test"), ErrorKind::Handshake);
    assert_says(&error, &["without an answer", "wss://"]);
    server.join();
    let server = Server::new(|mut stream| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 101 Swi").expect("the client reads");
    });
    let error = refused(&server.options("ws", "example.test"), ErrorKind::Handshake);
    assert_says(&error, &["inside its answer"]);
    server.join();
}

#[test]
fn bad_arguments_are_found_before_anything_is_sent() {
    let bad = |change: &dyn Fn(&mut ConnectOptions), kind: ErrorKind| {
        let mut options = options("wss://example.test/");
        options.resolve = Some(Resolve::Table(Arc::new(|_, _| panic!("nothing may be looked up"))));
        change(&mut options);
        let error = prepare(&Arc::new(options.clone())).expect_err("cannot be used");
        assert_eq!(error.kind(), kind, "{error}");
        error
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let argument = ErrorKind::InvalidArgument;
    bad(&|options| options.headers = vec![pair("X", "a\r\nY: b")], argument);
    bad(&|options| options.headers = vec![pair("Upgrade", "h2c")], argument);
    bad(&|options| options.origin = Some("a\nb".to_owned()), argument);
    bad(&|options| options.user_agent = Some("a\0".to_owned()), argument);
    bad(&|options| options.subprotocols = vec!["a".to_owned(), "a".to_owned()], argument);
    bad(&|options| options.cookies = vec![pair("a", "b\r\nX: y")], argument);
    bad(&|options| options.cookies = vec![pair("a;b", "c")], argument);
    let own = |options: &mut ConnectOptions| {
        options.headers = vec![pair("cookie", "a=b"), pair("authorization", "Bearer x")];
    };
    let both = |options: &mut ConnectOptions| (own(options), options.cookies = vec![pair("a", "b")]).1;
    assert_says(&bad(&both, argument), &["cookies", "Cookie"]);
    let both =
        |options: &mut ConnectOptions| (own(options), options.auth = Credentials::new("a", "b").ok()).1;
    assert_says(&bad(&both, argument), &["auth", "Authorization"]);
    let origins = |options: &mut ConnectOptions| {
        options.headers = vec![pair("ORIGIN", "https://a.test")];
        options.origin = Some("https://b.test".to_owned());
    };
    assert_says(&bad(&origins, argument), &["origin", "Origin"]);
    bad(&|options| options.tls.server_hostname = Some("not a name".to_owned()), argument);
    bad(&|options| options.tls.cert_file = Some("only.pem".into()), argument);
    let error = bad(&|options| options.tls.ca_file = Some("/nowhere/ca.pem".into()), ErrorKind::Tls);
    assert_says(&error, &["ca_file", "/nowhere/ca.pem"]);
    let error = bad(&|options| options.tls.ca_data = Some(b"no PEM".to_vec()), ErrorKind::Tls);
    assert_says(&error, &["ca_data", "BEGIN CERTIFICATE"]);
}
