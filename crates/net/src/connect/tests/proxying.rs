//! Through proxies: what they are told, what they are believed, and what an error says of them.

use std::io::Write;
use std::net::Shutdown;
use std::sync::mpsc;

use rustls::{ServerConnection, StreamOwned};
use sunsocket_wire::ProxyUrl;

use super::tls_server::Authority;
use super::*;
use crate::proxies::{Proxies, ProxyEnvironment};

/// Options for `url` through the proxy of that scheme that the server is.
fn through(server: &Server, scheme: &str, url: &str) -> ConnectOptions {
    let mut options = options(url);
    options.proxy = Proxies::Given(proxy(&format!("{scheme}127.0.0.1:{}", server.address.port())));
    options
}

fn proxy(address: &str) -> ProxyUrl {
    ProxyUrl::parse(address).expect("an address")
}

/// Reads so many bytes.
fn expect(stream: &mut impl Read, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    stream.read_exact(&mut got).expect("so many bytes");
    assert_eq!(got, bytes);
}

fn say(stream: &mut impl Write, bytes: &[u8]) {
    stream.write_all(bytes).expect("the client reads");
}

/// The server behind the tunnel accepts the WebSocket; its request.
fn accept(stream: &mut (impl Read + Write)) -> String {
    let request = read_request(stream);
    say(stream, switch(&request, "").as_bytes());
    request
}

/// A proxy that says so much after the request for a tunnel, and no more.
fn answering(answer: &'static [u8]) -> Server {
    Server::new(move |mut stream| {
        let mut request = [0; 64];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(answer);
        let _ = stream.shutdown(Shutdown::Write);
        while !matches!(stream.read(&mut request), Ok(0) | Err(_)) {}
    })
}

#[test]
fn an_http_proxy_is_told_the_host_and_nothing_that_is_meant_for_it() {
    let server = Server::new(|mut stream| {
        let connect = read_request(&mut stream);
        assert!(
            connect.starts_with("CONNECT server.test:80 HTTP/1.1\r\nHost: server.test:80\r\n"),
            "{connect}"
        );
        assert!(connect.contains("Proxy-Authorization: Basic dTpw\r\n"), "{connect}");
        assert!(!connect.contains("Cookie") && !connect.contains("X-Key"), "{connect}");
        say(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n");
        let request = accept(&mut stream);
        assert!(request.starts_with("GET /chat HTTP/1.1\r\nHost: server.test\r\n"), "{request}");
        assert!(request.contains("X-Key: secret") && !request.contains("Proxy-"), "{request}");
        assert!(request.contains("Authorization: Basic bWU6bWU="), "{request}");
    });
    let mut options = through(&server, "http://u:p@", "ws://me:me@server.test/chat");
    options.headers.push(("X-Key".to_owned(), "secret".to_owned()));
    options.cookies.push(("a".to_owned(), "b".to_owned()));
    let connected = open(&options).expect("connects");
    assert_eq!(connected.handshake.remote_address, server.address);
    server.join();
}

#[test]
fn tls_is_between_us_and_the_server() {
    for over_tls in [false, true] {
        let authority = Authority::new();
        let config = authority.issue(&["server.test"]).config(None);
        let behind = move |mut stream: &mut dyn ReadWrite| {
            let connect = read_request(&mut stream);
            assert!(connect.starts_with("CONNECT server.test:443 HTTP/1.1\r\n"), "{connect}");
            say(&mut stream, b"HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n");
            let mut inner = StreamOwned::new(ServerConnection::new(config).expect("a configuration"), stream);
            accept(&mut inner);
        };
        let server = if over_tls {
            authority.issue(&["127.0.0.1"]).serve(None, move |mut stream| behind(&mut stream))
        } else {
            Server::new(move |mut stream| behind(&mut stream))
        };
        let scheme = if over_tls { "https://" } else { "http://" };
        let mut options = through(&server, scheme, "wss://server.test/");
        options.tls.ca_data = Some(authority.pem());
        open(&options).expect("the certificate is the server's");
        server.join();
    }
}

/// Both directions of a stream.
trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

#[test]
fn a_proxy_is_not_the_server_that_it_tunnels_to() {
    let authority = Authority::new();
    let identity = authority.issue(&["127.0.0.1"]).config(None);
    let server = Server::new(move |mut stream| {
        read_request(&mut stream);
        say(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n");
        let mut inner = StreamOwned::new(ServerConnection::new(identity).expect("a configuration"), stream);
        let _ = inner.flush();
        let _ = inner.read(&mut [0; 16]);
    });
    let mut options = through(&server, "http://", "wss://server.test/");
    options.tls.ca_data = Some(authority.pem());
    let error = refused(&options, ErrorKind::Tls);
    assert_says(&error, &["wss://server.test/", "not for \"server.test\""]);
    server.join();
}

#[test]
fn a_proxy_over_tls_has_to_show_that_it_is_the_one() {
    let authority = Authority::new();
    let server = authority.issue(&["another.test"]).serve(None, |_stream| {});
    let mut options = through(&server, "https://", "ws://server.test/");
    options.tls.ca_data = Some(authority.pem());
    let error = refused(&options, ErrorKind::Proxy);
    assert_says(&error, &["the proxy https://127.0.0.1:", "(the option proxy) cannot be reached", "not for"]);
    server.join();
    let plain = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let error = refused(&through(&plain, "https://", "ws://server.test/"), ErrorKind::Proxy);
    assert_says(&error, &["does not speak TLS", "write http:// in place of https://"]);
    plain.join();
}

#[test]
fn socks5_is_told_a_name_or_an_address() {
    let open_answer: &[u8] = b"\x05\0\0\x03\x04name\0\x50";
    for (scheme, asked) in [
        ("socks5h://", &b"\x05\x01\0\x03\x0bserver.test\0\x50"[..]),
        ("socks5://", &b"\x05\x01\0\x01\x09\x08\x07\x06\0\x50"[..]),
    ] {
        let server = Server::new(move |mut stream| {
            expect(&mut stream, &[5, 2, 0, 2]);
            say(&mut stream, &[5, 2]);
            expect(&mut stream, b"\x01\x01u\x01p");
            say(&mut stream, &[1, 0]);
            expect(&mut stream, asked);
            // In two pieces, wherever they are cut.
            say(&mut stream, &open_answer[..3]);
            thread::yield_now();
            say(&mut stream, &open_answer[3..]);
            accept(&mut stream);
        });
        let mut options = through(&server, &format!("{scheme}u:p@"), "ws://server.test/");
        let other = "[::1]:80".parse().expect("an address");
        options.resolve = Some(Resolve::Table(Arc::new(move |host, port| {
            (host == "server.test").then(|| vec![other, ([9, 8, 7, 6], port).into()])
        })));
        open(&options).expect("connects");
        server.join();
    }
}

#[test]
fn socks4_is_told_an_address_and_socks4a_a_name() {
    for (scheme, asked) in [
        ("socks4://me@", &b"\x04\x01\0\x50\x09\x08\x07\x06me\0"[..]),
        ("socks4a://me@", &b"\x04\x01\0\x50\0\0\0\x01me\0server.test\0"[..]),
    ] {
        let server = Server::new(move |mut stream| {
            expect(&mut stream, asked);
            say(&mut stream, &[0, 90, 0, 0, 0, 0, 0, 0]);
            accept(&mut stream);
        });
        let mut options = through(&server, scheme, "ws://server.test/");
        options.resolve = Some(Resolve::Table(Arc::new(|host, port| {
            (host == "server.test").then(|| vec![([9, 8, 7, 6], port).into()])
        })));
        open(&options).expect("connects");
        server.join();
    }
}

#[test]
fn what_a_proxy_does_is_told_of_it_and_not_of_the_server() {
    for (scheme, answer, words) in [
        (
            "http://",
            &b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n"[..],
            "user name",
        ),
        ("http://", b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\nbody", "answered 502 Bad Gateway"),
        ("http://", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "answered 101"),
        ("http://", b"HTTP/1.1 302 Found\r\nLocation: ws://evil.test/\r\n\r\n", "answered 302 Found"),
        ("http://", b"garbage\r\n\r\n", "not HTTP"),
        ("http://", b"HTTP/1.1 200 OK\r\nX: ", "inside its answer"),
        ("http://", b"", "without an answer"),
        ("http://", b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n", "behind its answer"),
        ("http://", b"\x05\0", "SOCKS proxy"),
        ("socks5h://", b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP proxy"),
        ("socks5h://", b"\x04\0", "does not speak SOCKS5"),
        ("socks5h://", b"\x05\xff", "nobody without a name"),
        ("socks5h://", b"\x05\x07", "not offered"),
        ("socks5h://", b"\x05\0\x05\x05\0\x01\0\0\0\0\0\0", "before it was asked"),
        ("socks5h://", b"\x05", "inside its answer"),
        ("socks4a://", b"\0\x5b\0\0\0\0\0\0", "code 91"),
    ] {
        let server = answering(answer);
        let error = refused(&through(&server, scheme, "ws://server.test/a?token=b"), ErrorKind::Proxy);
        let named = format!("cannot connect to ws://server.test/a?\u{2026}: the proxy {scheme}127.0.0.1:");
        assert_says(&error, &[&named, "(the option proxy)", words]);
        server.join();
    }
}

#[test]
fn what_an_http_proxy_answered_can_be_asked_for() {
    let server = answering(b"HTTP/1.1 503 Busy\r\nRetry-After: 3\r\n\r\n");
    let error = refused(&through(&server, "http://", "ws://server.test/"), ErrorKind::Proxy);
    let answer = error.answer().expect("HTTP");
    assert_eq!((answer.status, answer.headers.get("Retry-After")), (503, Some("3")));
    server.join();
}

#[test]
fn a_proxy_that_is_away_or_silent_is_named() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let mut options = options("ws://server.test/");
    options.proxy = Proxies::Given(proxy(&format!("http://127.0.0.1:{port}")));
    options.open_timeout = Some(Duration::from_millis(300));
    let error = refused(&options, ErrorKind::ConnectTimeout);
    assert_says(&error, &["waiting for a tunnel to the proxy http://127.0.0.1:", "open_timeout (0.3 s)"]);
    // Port 1 belongs to a service that nobody runs.
    options.proxy = Proxies::Given(proxy("socks5h://u:secret@127.0.0.1:1"));
    let error = refused(&options, ErrorKind::Proxy);
    assert_says(&error, &["the proxy socks5h://127.0.0.1:1 (the option proxy) cannot be reached", "refused"]);
    assert!(!error.to_string().contains("secret"), "{error}");
    options.proxy = Proxies::Given(proxy("socks4://127.0.0.1:1"));
    options.resolve = Some(Resolve::Table(Arc::new(|_, _| Some(Vec::new()))));
    assert_says(&refused(&options, ErrorKind::Connect), &["ws://server.test/", "has no address"]);
}

#[test]
fn a_digest_is_answered_on_a_new_connection() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let thread = thread::spawn(move || {
        let next = || {
            let (mut stream, _) = listener.accept().expect("somebody connects");
            let request = read_request(&mut stream);
            (stream, request)
        };
        let (mut stream, request) = next();
        assert!(request.contains("Proxy-Authorization: Basic"), "{request}");
        say(
            &mut stream,
            b"HTTP/1.1 407 x\r\nProxy-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256\r\n\r\n",
        );
        let (mut stream, request) = next();
        assert!(request.contains("Proxy-Authorization: Digest username=\"u\", realm=\"r\""), "{request}");
        assert!(request.contains("uri=\"server.test:80\"") && request.contains("nc=00000001"), "{request}");
        say(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n");
        let request = accept(&mut stream);
        assert!(!request.contains("Digest"), "{request}");
    });
    let mut options = options("ws://server.test/");
    options.proxy = Proxies::Given(proxy(&format!("http://u:p@{address}")));
    open(&options).expect("connects");
    thread.join().expect("the proxy's own checks hold");
}

#[test]
fn a_proxy_that_never_has_enough_is_asked_three_times() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (sender, asked) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("somebody connects");
            read_request(&mut stream);
            let _ = sender.send(());
            say(
                &mut stream,
                b"HTTP/1.1 407 x\r\nProxy-Authenticate: Digest realm=r, nonce=n, stale=true\r\n\r\n",
            );
        }
    });
    let mut options = options("ws://server.test/");
    options.proxy = Proxies::Given(proxy(&format!("http://u:p@{address}")));
    refused(&options, ErrorKind::Proxy);
    assert_eq!(asked.try_iter().count(), 3);
}

#[test]
fn a_redirect_asks_the_environment_anew() {
    let there = Server::new(|mut stream| {
        accept(&mut stream);
    });
    let port = there.address.port();
    let server = Server::new(move |mut stream| {
        read_request(&mut stream);
        say(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n");
        read_request(&mut stream);
        let answer = format!("HTTP/1.1 307 x\r\nLocation: ws://127.0.0.1:{port}/\r\n\r\n");
        say(&mut stream, answer.as_bytes());
    });
    let mut options = options("ws://server.test/");
    let variable = |name: &str| match name {
        "WS_PROXY" => Some(server.address.to_string()),
        "NO_PROXY" => Some("127.0.0.0/8".to_owned()),
        _ => None,
    };
    options.proxy = Proxies::Environment(Arc::new(ProxyEnvironment::new(variable)));
    let connected = open(&options).expect("connects");
    assert_eq!(connected.handshake.remote_address, there.address, "without the proxy");
    server.join();
    there.join();
}
