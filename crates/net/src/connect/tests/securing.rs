//! Whom `wss` trusts, and what it says of the others.

use std::path::PathBuf;

use super::tls_server::{Authority, Identity};
use super::*;
use crate::io::Reader;

fn trusting(server: &Server, authority: &Authority, host: &str) -> ConnectOptions {
    let mut options = server.options("wss", host);
    options.tls.ca_data = Some(authority.pem());
    options
}

/// Why a server with this certificate is refused, as `example.test`.
fn refusal(identity: &Identity, authority: &Authority) -> Error {
    let server = identity.greet(None);
    let error = refused(&trusting(&server, authority, "example.test"), ErrorKind::Tls);
    server.join();
    assert_says(&error, &["wss://example.test/chat?\u{2026}"]);
    error
}

/// A file for one test.
fn file(name: &str, text: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("sunsocket-{}-{name}", std::process::id()));
    std::fs::write(&path, text).expect("a directory for temporary files");
    path
}

#[test]
fn a_trusted_server_is_told_its_name_and_http_1_1() {
    let authority = Authority::new();
    let server = authority.issue(&["example.test"]).serve(None, |mut stream| {
        assert_eq!(stream.conn.server_name(), Some("example.test"));
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        tls_server::greet(&mut stream);
    });
    let connected = open(&trusting(&server, &authority, "example.test")).expect("trusted");
    assert!(matches!(connected.transport.reader, Reader::Tls(_)));
    server.join();
}

#[test]
fn an_address_may_be_what_a_certificate_is_for() {
    let authority = Authority::new();
    let server = authority.issue(&["127.0.0.1"]).greet(None);
    open(&trusting(&server, &authority, "127.0.0.1")).expect("trusted");
    server.join();
}

#[test]
fn ca_file_may_hold_several_certificates() {
    let (first, second) = (Authority::new(), Authority::new());
    let path = file("cas.pem", &[first.pem(), second.pem()].concat());
    for authority in [&first, &second] {
        let server = authority.issue(&["example.test"]).greet(None);
        let mut options = server.options("wss", "example.test");
        options.tls.ca_file = Some(path.clone());
        open(&options).expect("trusted");
        server.join();
    }
    std::fs::remove_file(path).expect("written before");
}

#[test]
fn an_unknown_issuer_is_refused() {
    let error = refusal(&Authority::named("another").issue(&["example.test"]), &Authority::new());
    assert_says(&error, &["nobody that is trusted", "ca_file"]);
    let error = refusal(&Identity::self_signed("example.test"), &Authority::new());
    assert_says(&error, &["self-signed", "ca_file"]);
}

#[test]
fn a_self_signed_authority_is_trusted_when_it_is_given_itself() {
    let identity = Identity::self_signed_authority(|_| {});
    for others in [String::new(), String::from_utf8(Authority::new().pem()).expect("text")] {
        let server = identity.greet(None);
        let mut options = server.options("wss", "example.test");
        options.tls.ca_data = Some((others + &identity.pem().0).into_bytes());
        open(&options).expect("that very certificate");
        server.join();
    }
}

#[test]
fn a_self_signed_authority_has_to_be_good_in_every_other_way() {
    let trusted = Identity::self_signed_authority(|_| {});
    let expired =
        Identity::self_signed_authority(|params| params.not_after = rcgen::date_time_ymd(2004, 2, 29));
    let elsewhere = Identity::self_signed_authority(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("other.test".try_into().expect("a name"))];
    });
    let authority = Authority::new();
    let issued = authority.issue_with(&["example.test"], |params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    let as_ever = |identity: &Identity| identity.pem().0.into_bytes();
    for (shown, given, says) in [
        (&expired, as_ever(&expired), &["expired on 2004-02-29"][..]),
        (&elsewhere, as_ever(&elsewhere), &["not for \"example.test\" (it is for other.test)"]),
        // Another one with the same subject; one that is signed by who is trusted.
        (&Identity::self_signed_authority(|_| {}), as_ever(&trusted), &["CA's own", "this very", "ca_file"]),
        (&issued, authority.pem(), &["CA's own", "this very", "ca_file"]),
    ] {
        let server = shown.greet(None);
        let mut options = server.options("wss", "example.test");
        options.tls.ca_data = Some(given);
        assert_says(&refused(&options, ErrorKind::Tls), says);
        server.join();
    }
}

#[test]
fn an_authority_that_was_made_anew_is_another() {
    let error = refusal(&Authority::new().issue(&["example.test"]), &Authority::new());
    assert_says(&error, &["another key", "ca_file"]);
}

#[test]
fn the_system_s_store_does_not_know_our_authority() {
    let server = Authority::new().issue(&["example.test"]).greet(None);
    let options = server.options("wss", "example.test");
    // Where the system has no store at all, that is told before anything is sent.
    let connects = prepare(&Arc::new(options.clone())).is_ok();
    assert_says(&refused(&options, ErrorKind::Tls), &["ca_file"]);
    if !connects {
        drop(TcpStream::connect(server.address));
    }
    server.join();
}

#[test]
fn another_name_is_refused_unless_it_is_given() {
    let authority = Authority::new();
    let identity = authority.issue(&["one.test", "two.test", "127.0.0.1"]);
    let error = refusal(&identity, &authority);
    assert_says(
        &error,
        &["not for \"example.test\"", "(it is for one.test, two.test, 127.0.0.1)", "server_hostname"],
    );
    let server = identity.greet(None);
    let mut options = trusting(&server, &authority, "example.test");
    options.tls.server_hostname = Some("two.test".to_owned());
    open(&options).expect("the name it has");
    server.join();
}

#[test]
fn a_certificate_has_its_time() {
    let authority = Authority::new();
    let past = authority.issue_with(&["example.test"], |params| {
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2004, 2, 29);
    });
    assert_says(&refusal(&past, &authority), &["expired on 2004-02-29"]);
    let future = authority.issue_with(&["example.test"], |params| {
        params.not_before = rcgen::date_time_ymd(3001, 12, 31);
        params.not_after = rcgen::date_time_ymd(3002, 1, 1);
    });
    assert_says(&refusal(&future, &authority), &["not valid before 3001-12-31", "clock"]);
}

#[test]
fn verify_false_takes_any_certificate() {
    for identity in [
        Identity::self_signed("other.test"),
        Authority::new()
            .issue_with(&["example.test"], |params| params.not_after = rcgen::date_time_ymd(2004, 2, 29)),
    ] {
        let server = identity.greet(None);
        let mut options = server.options("wss", "example.test");
        options.tls.verify = false;
        open(&options).expect("any certificate");
        server.join();
    }
}

#[test]
fn a_server_may_want_a_certificate_from_us() {
    let authority = Authority::new();
    let identity = authority.issue(&["example.test"]);
    // TLS 1.3 tells us only after our handshake is over.
    let server = identity.greet(Some(&authority));
    let error = refused(&trusting(&server, &authority, "example.test"), ErrorKind::Tls);
    assert_says(&error, &["certificate_required", "cert_file and key_file"]);
    server.join();

    let (certificate, key) = authority.issue(&["client.test"]).pem();
    let (cert_file, key_file) = (file("client.pem", certificate.as_bytes()), file("key.pem", key.as_bytes()));
    let server = identity.greet(Some(&authority));
    let mut options = trusting(&server, &authority, "example.test");
    options.tls.cert_file = Some(cert_file.clone());
    options.tls.key_file = Some(key_file.clone());
    open(&options).expect("our certificate is good");
    server.join();

    options.tls.key_file = Some(cert_file.clone());
    let error = prepare(&Arc::new(options.clone())).expect_err("no key");
    assert_says(&error, &["key_file", "no private key"]);
    for path in [cert_file, key_file] {
        std::fs::remove_file(path).expect("written before");
    }
}

#[test]
fn the_next_connection_resumes_the_session_of_the_last_where_as_much_is_verified() {
    use rustls::HandshakeKind::{Full, Resumed};
    let authority = Authority::new();
    let config = authority.issue(&["example.test"]).config(None);
    for (verify, kind) in [(true, Full), (true, Resumed), (false, Full), (false, Resumed), (true, Resumed)] {
        let server = tls_server::serve_with(Arc::clone(&config), move |mut stream| {
            assert_eq!(stream.conn.handshake_kind(), Some(kind), "verify: {verify}");
            tls_server::greet(&mut stream);
        });
        let mut options = trusting(&server, &authority, "example.test");
        options.tls.verify = verify;
        open(&options).expect("trusted");
        server.join();
    }
}

#[test]
fn a_file_that_changed_is_read_again() {
    let (first, second) = (Authority::new(), Authority::new());
    let path = file("changing.pem", &first.pem());
    for (written, shown, is_trusted) in
        [(&first, &first, true), (&first, &second, false), (&second, &second, true), (&second, &first, false)]
    {
        std::fs::write(&path, written.pem()).expect("it was there before");
        let server = shown.issue(&["example.test"]).greet(None);
        let mut options = server.options("wss", "example.test");
        options.tls.ca_file = Some(path.clone());
        assert_eq!(open(&options).is_ok(), is_trusted);
        server.join();
    }
    std::fs::remove_file(path).expect("written before");
}

#[test]
fn a_plain_server_is_named_as_one() {
    let server = Server::new(|mut stream| {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("the client speaks first");
        let _ = io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        while !matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_)) {}
    });
    let error = refused(&server.options("wss", "example.test"), ErrorKind::Tls);
    assert_says(&error, &["does not speak TLS", "ws://"]);
    server.join();

    let server = Server::new(|mut stream| {
        let mut hello = [0; 4096];
        assert!(stream.read(&mut hello).expect("the client speaks first") > 0);
    });
    let error = refused(&server.options("wss", "example.test"), ErrorKind::Tls);
    assert_says(&error, &["TLS handshake"]);
    server.join();
}

/// Shows a certificate whose key it does not have.
#[derive(Debug)]
struct Borrowed(Arc<rustls::sign::CertifiedKey>);

impl rustls::server::ResolvesServerCert for Borrowed {
    fn resolve(&self, _hello: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

#[test]
fn who_shows_a_pinned_certificate_has_to_have_its_key() {
    let (owner, thief) = (Identity::self_signed("example.test"), Identity::self_signed("example.test"));
    let hash: [u8; 32] = sha2::Sha256::digest(owner.der()).into();
    let mut config = rustls::ServerConfig::clone(&thief.config(None));
    config.cert_resolver = Arc::new(Borrowed(thief.showing(&owner)));
    let config = Arc::new(config);
    let connect = |server: &Server| {
        let mut options = server.options("wss", "example.test");
        options.tls.verify = false;
        options.tls.pins = vec![hash];
        open(&options)
    };
    let server = owner.greet(None);
    connect(&server).expect("the owner has the key");
    server.join();
    let server = tls_server::serve_with(config, |_stream| {});
    assert_eq!(connect(&server).expect_err("no key").kind(), ErrorKind::Tls);
    server.join();
}
