//! Where redirects lead, and what is sent along.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::tls_server::Authority;
use super::*;
use crate::io::Reader;

/// Answers with a redirect and keeps the connection until the client ends it. The request comes back.
fn redirecting(location: &str, lines: &str) -> (Server, Arc<Mutex<String>>) {
    let head = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\n{lines}\r\n");
    let request = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&request);
    let server = Server::new(move |mut stream| {
        *seen.lock().expect("not poisoned") = read_request(&mut stream);
        stream.write_all(head.as_bytes()).expect("the client reads");
        while !matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_)) {}
    });
    (server, request)
}

fn accepting() -> (Server, Arc<Mutex<String>>) {
    let request = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&request);
    let server = Server::new(move |mut stream| {
        let request = read_request(&mut stream);
        let answer = switch(&request, "Set-Cookie: c=3; HttpOnly\r\n");
        *seen.lock().expect("not poisoned") = request;
        stream.write_all(answer.as_bytes()).expect("the client reads");
    });
    (server, request)
}

/// Options for `url` where the hosts and ports of the way are looked up in this order, and no others.
fn leading(url: &str, way: &[(&str, u16, SocketAddr)]) -> ConnectOptions {
    let way: Vec<_> = way.iter().map(|(host, port, address)| ((*host).to_owned(), *port, *address)).collect();
    let next = AtomicUsize::new(0);
    let mut options = options(url);
    options.resolve = Some(Resolve::Table(Arc::new(move |host, port| {
        let (next_host, next_port, address) = &way[next.fetch_add(1, Ordering::Relaxed)];
        assert_eq!((host, port), (next_host.as_str(), *next_port));
        Some(vec![*address])
    })));
    options
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn with_secrets(mut options: ConnectOptions) -> ConnectOptions {
    options.headers =
        ["Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key", "X-Kept", "Accept-Language"]
            .map(|name| pair(name, "own"))
            .into();
    options.redirect_headers = vec!["x-kept".to_owned()];
    options.origin = Some("https://page.test".to_owned());
    options.subprotocols = vec!["chat".to_owned()];
    options
}

#[test]
fn the_way_is_remembered_and_every_server_gets_its_own_request() {
    let (last, last_request) = accepting();
    let (second, second_request) = redirecting("/c?d", "");
    let (first, first_request) = redirecting("http://two.test:81/a/../b", "");
    let way =
        [("one.test", 80, first.address), ("two.test", 81, second.address), ("two.test", 81, last.address)];
    let address = last.address;
    let options = leading("ws://user:secret@one.test/x", &way);
    let connected = open(&options).expect("accepted");
    let redirects: Vec<String> = connected.handshake.redirects.iter().map(Url::href).collect();
    assert_eq!(redirects, ["ws://one.test/x", "ws://two.test:81/b"]);
    assert_eq!(connected.handshake.url.href(), "ws://two.test:81/c?d");
    assert_eq!(connected.handshake.remote_address, address);
    let requests = [first_request, second_request, last_request];
    let lines = [
        "GET /x HTTP/1.1\r\nHost: one.test\r\n",
        "GET /b HTTP/1.1\r\nHost: two.test:81\r\n",
        "GET /c?d HTTP/1.1\r\n",
    ];
    let mut keys = Vec::new();
    for (request, line) in requests.iter().zip(lines) {
        let request = request.lock().expect("not poisoned").clone();
        assert!(request.starts_with(line), "{line:?} in {request}");
        keys.push(
            request.lines().find(|line| line.starts_with("Sec-WebSocket-Key")).expect("a key").to_owned(),
        );
    }
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
    first.join();
    second.join();
    last.join();
}

#[test]
fn what_may_be_a_secret_stays_behind_at_another_origin() {
    let (last, request) = accepting();
    let (first, first_request) = redirecting("http://two.test/", "Set-Cookie: s=1\r\n");
    let table = [("one.test", 80, first.address), ("two.test", 80, last.address)];
    let options = with_secrets(leading("ws://user:secret@one.test/", &table));
    let connected = open(&options).expect("accepted");
    assert_eq!(connected.handshake.cookies, [pair("c", "3")]);
    let first_request = first_request.lock().expect("not poisoned").clone();
    for name in ["Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key", "X-Kept", "Accept-Language"] {
        assert!(first_request.contains(&format!("\r\n{name}: own\r\n")), "{first_request}");
    }
    let request = request.lock().expect("not poisoned").to_ascii_lowercase();
    for word in ["authorization", "cookie", "secret", "basic", "x-api-key"] {
        assert!(!request.contains(word), "{request}");
    }
    for line in
        ["x-kept: own", "accept-language: own", "origin: https://page.test", "sec-websocket-protocol: chat"]
    {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{request}");
    }
    first.join();
    last.join();
}

#[test]
fn cookies_of_the_way_go_on_within_an_origin_and_their_path() {
    let (last, request) = accepting();
    let set = "Set-Cookie: a=1; Path=/elsewhere\r\nSet-Cookie: b=2; Secure\r\nSet-Cookie: own=theirs\r\n\
               Set-Cookie: gone=x\r\nSet-Cookie: gone=; Max-Age=0\r\nSet-Cookie: x\r\n";
    let (first, _) = redirecting("/next", set);
    let way = [("one.test", 80, first.address), ("one.test", 80, last.address)];
    let mut options = leading("ws://one.test/", &way);
    options.cookies = vec![pair("own", "mine"), pair("kept", "\"q\"")];
    let connected = open(&options).expect("accepted");
    let request = request.lock().expect("not poisoned").clone();
    assert!(request.contains("\r\nCookie: kept=\"q\"; own=theirs\r\n"), "{request}");
    let cookies = [pair("a", "1"), pair("b", "2"), pair("own", "theirs"), pair("c", "3")];
    assert_eq!(connected.handshake.cookies, cookies);
    first.join();
    last.join();
}

#[test]
fn a_cookie_goes_back_in_its_own_bytes_and_the_longest_path_first() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let bytes = Arc::clone(&seen);
    let last = Server::new(move |mut stream| {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a whole request");
            request.extend(byte);
        }
        stream.write_all(b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n").expect("the client reads");
        *bytes.lock().expect("not poisoned") = request;
    });
    let head = b"HTTP/1.1 302 x\r\nLocation: /a/b\r\nSet-Cookie: c=\xe9\r\nSet-Cookie: c=2; Path=/a\r\n\r\n";
    let first = Server::new(|mut stream| {
        read_request(&mut stream);
        stream.write_all(head).expect("the client reads");
    });
    let way = [("one.test", 80, first.address), ("one.test", 80, last.address)];
    refused(&leading("ws://one.test/", &way), ErrorKind::Handshake);
    first.join();
    last.join();
    let request = seen.lock().expect("not poisoned").clone();
    let line = b"\r\nCookie: c=2; c=\xe9\r\n";
    assert!(request.windows(line.len()).any(|part| part == line), "{}", String::from_utf8_lossy(&request));
}

#[test]
fn of_cookies_with_one_name_the_one_for_the_last_address_is_told() {
    for (path, expected) in [("/a/b", "2"), ("/c", "1")] {
        let (last, _) = accepting();
        let (first, _) =
            redirecting(path, "Set-Cookie: x=1\r\nSet-Cookie: x=2; Path=/a\r\nSet-Cookie: x=0; Path=/d\r\n");
        let way = [("one.test", 80, first.address), ("one.test", 80, last.address)];
        let connected = open(&leading("ws://one.test/", &way)).expect("accepted");
        assert_eq!(connected.handshake.cookies, [pair("x", expected), pair("c", "3")]);
        first.join();
        last.join();
    }
}

#[test]
fn a_refusal_elsewhere_says_what_was_not_sent_there() {
    let many =
        |count: usize| (0..count).map(|number| pair(&format!("X-{number}"), "Q-Q")).collect::<Vec<_>>();
    type Give<'a> = &'a dyn Fn(&mut ConnectOptions);
    let given: [(Give<'_>, &str); 3] = [
        (
            &|options| {
                options.headers =
                    vec![pair("X-Api-Key", "Q-Q"), pair("Accept", "x"), pair("X-Api-Key", "Q-Q")];
                options.cookies = vec![pair("a", "Q-Q")];
            },
            "not sent on to another origin: X-Api-Key, the credentials, the cookies. Connect there",
        ),
        (&|options| options.headers = many(11), "X-9, ..., the credentials. Connect"),
        (&|options| options.headers = vec![pair("Accept", "x")], "another origin: the credentials. Connect"),
    ];
    for (give, words) in given {
        let last = Server::new(|mut stream| {
            read_request(&mut stream);
            stream.write_all(b"HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n").expect("the client reads");
        });
        let (first, _) = redirecting("http://two.test/", "");
        let way = [("one.test", 80, first.address), ("two.test", 80, last.address)];
        let mut options = leading("ws://user:Q-Q@one.test/", &way);
        give(&mut options);
        let error = refused(&options, ErrorKind::Handshake);
        assert_says(&error, &[words, "redirect_headers"]);
        assert!(!error.to_string().contains("Q-Q"), "{error}");
        first.join();
        last.join();
    }
}

#[test]
fn the_bytes_of_a_location_are_asked_for_as_they_came() {
    let (last, request) = accepting();
    let first = Server::new(|mut stream| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.0 301 x\r\nLocation: /caf\xe9\r\n\r\n").expect("the client reads");
    });
    let way = [("one.test", 80, first.address), ("one.test", 80, last.address)];
    open(&leading("ws://one.test/", &way)).expect("accepted");
    assert!(request.lock().expect("not poisoned").starts_with("GET /caf%E9 "));
    first.join();
    last.join();
}

#[test]
fn plain_may_lead_to_tls_where_the_first_name_and_certificate_do_not_count() {
    let authority = Authority::new();
    let last = authority.issue(&["two.test"]).greet(None);
    let (first, _) = redirecting("https://two.test/", "");
    let mut options =
        leading("ws://one.test/", &[("one.test", 80, first.address), ("two.test", 443, last.address)]);
    options.tls.ca_data = Some(authority.pem());
    options.tls.server_hostname = Some("one.test".to_owned());
    // It would have to be read if it were used.
    (options.tls.cert_file, options.tls.key_file) = (Some("/nowhere".into()), Some("/nowhere".into()));
    let connected = open(&options).expect("accepted");
    assert!(matches!(connected.transport.reader, Reader::Tls(_)));
    first.join();
    last.join();
}

#[test]
fn a_client_s_certificate_is_shown_within_its_origin_alone() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["client"]).pem();
    let path = std::env::temp_dir().join(format!("sunsocket-{}-redirected.pem", std::process::id()));
    std::fs::write(&path, format!("{certificate}{key}")).expect("a directory for temporary files");
    for (location, is_shown) in [("/next", true), ("https://two.test/next", false)] {
        let serve_last = move |mut stream: tls_server::TlsStream| {
            assert_eq!(stream.conn.peer_certificates().is_some(), is_shown);
            tls_server::greet(&mut stream);
        };
        let last = authority.issue(&["one.test", "two.test"]).serve_anybody(&authority, serve_last);
        let first = authority.issue(&["one.test"]).serve(Some(&authority), move |mut stream| {
            assert!(stream.conn.peer_certificates().is_some());
            read_request(&mut stream);
            let head = format!("HTTP/1.1 308 x\r\nLocation: {location}\r\n\r\n");
            stream.write_all(head.as_bytes()).expect("the client reads");
            stream.flush().expect("the client reads");
        });
        let host = if is_shown { "one.test" } else { "two.test" };
        let way = [("one.test", 443, first.address), (host, 443, last.address)];
        let mut options = leading("wss://one.test/", &way);
        options.tls.ca_data = Some(authority.pem());
        (options.tls.cert_file, options.tls.key_file) = (Some(path.clone()), Some(path.clone()));
        open(&options).expect("accepted");
        first.join();
        last.join();
    }
    std::fs::remove_file(path).expect("written before");
}

#[test]
fn a_place_that_cannot_be_gone_to_is_told() {
    for (location, words) in [
        ("", &["empty Location"][..]),
        ("mailto:a@b", &["Location", "not a WebSocket URL"]),
        ("http://h:0/", &["Location", "65535"]),
        ("/a b", &["Location", "percent"]),
    ] {
        let (server, _) = redirecting(location, "");
        let error =
            refused(&leading("ws://one.test/", &[("one.test", 80, server.address)]), ErrorKind::Handshake);
        assert_says(&error, words);
        assert_eq!(error.answer().expect("there was one").status, 302);
        server.join();
    }
    let (server, _) = redirecting("/a", "Location: /a\r\n");
    let error =
        refused(&leading("ws://one.test/", &[("one.test", 80, server.address)]), ErrorKind::Handshake);
    assert_says(&error, &["more than one Location"]);
    server.join();
}

#[test]
fn a_host_that_no_certificate_could_be_for_is_the_server_s_fault() {
    let (server, _) = redirecting("wss://a..b/", "");
    let there = Server::new(drop);
    let way = [("one.test", 80, server.address), ("a..b", 443, there.address)];
    let mut options = leading("ws://one.test/", &way);
    options.tls.ca_data = Some(Authority::new().pem());
    let error = refused(&options, ErrorKind::Handshake);
    assert_says(&error, &["a..b", "redirected: ws://one.test/ -> wss://a..b/"]);
    server.join();
    there.join();
}

#[test]
fn no_redirect_is_followed_where_none_is_wanted() {
    let (server, _) = redirecting("wss://two.test/x", "Content-Length: 2\r\n\r\nhi");
    let mut options = leading("ws://one.test/", &[("one.test", 80, server.address)]);
    options.max_redirects = 0;
    let error = refused(&options, ErrorKind::Handshake);
    assert_says(&error, &["302 Found", "wss://two.test/x", "max_redirects"]);
    assert_eq!(error.answer().expect("there was one").body, b"hi");
    server.join();
    let (server, _) = redirecting(&format!("/{}", "x".repeat(50_000)), "Content-Length: 0\r\n");
    let mut options = leading("ws://one.test/", &[("one.test", 80, server.address)]);
    options.max_redirects = 0;
    let error = refused(&options, ErrorKind::Handshake).to_string();
    assert!(error.contains("x...") && error.len() < 500, "{} bytes", error.len());
    server.join();
}

#[test]
fn a_body_is_not_waited_for() {
    let (last, _) = accepting();
    let begin = Instant::now();
    let first = Server::new(|mut stream| {
        read_request(&mut stream);
        let head = "HTTP/1.1 301 x\r\nLocation: http://two.test/\r\nContent-Length: 100\r\n\r\nnot all";
        stream.write_all(head.as_bytes()).expect("the client reads");
        // The client drops TCP: it does not wait for the rest.
        while !matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_)) {}
    });
    let table = [("one.test", 80, first.address), ("two.test", 80, last.address)];
    open(&leading("ws://one.test/", &table)).expect("accepted");
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    first.join();
    last.join();
}

#[test]
fn one_time_is_for_all() {
    let (first, _) = redirecting("http://two.test/", "");
    let silent = Server::new(|mut stream| {
        read_request(&mut stream);
        while !matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_)) {}
    });
    let table = [("one.test", 80, first.address), ("two.test", 80, silent.address)];
    let mut options = leading("ws://one.test/", &table);
    options.open_timeout = Some(Duration::from_millis(300));
    let error = refused(&options, ErrorKind::ConnectTimeout);
    assert_says(&error, &["ws://two.test/", "0.3 s", "redirected: ws://one.test/ -> ws://two.test/"]);
    first.join();
    silent.join();
}
