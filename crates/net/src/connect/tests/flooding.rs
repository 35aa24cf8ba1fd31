//! Messages of all sizes that follow each other as fast as the server can send them.

use std::io::Write;

use super::on_reactor::{reactor, turn_until};
use super::tls_server::{Authority, greet};
use super::*;
use crate::options::HeldLimit;

/// How many times the sizes come.
const ROUNDS: usize = 40;
const SIZES: [usize; 8] = [65_536, 65_536, 65_536, 20_000, 100_000, 10, 300_000, 65_536];

fn payloads() -> impl Iterator<Item = Vec<u8>> {
    let sizes = (0..ROUNDS).flat_map(|_| SIZES);
    sizes.enumerate().map(|(number, size)| (0..size).map(|at| (at / 7 + 31 * number) as u8).collect())
}

fn flood(stream: &mut impl Write) {
    for payload in payloads() {
        let head = match u16::try_from(payload.len()) {
            Ok(len @ 0..=125) => vec![0x82, len as u8],
            Ok(len) => [&[0x82, 126][..], &len.to_be_bytes()].concat(),
            Err(_) => [&[0x82, 127][..], &(payload.len() as u64).to_be_bytes()].concat(),
        };
        stream.write_all(&[head, payload].concat()).expect("the client reads");
    }
    stream.flush().expect("the client reads");
}

#[test]
fn large_messages_come_whole_and_in_order_over_tcp_and_tls() {
    let authority = Authority::new();
    for tls in [false, true] {
        let server = if tls {
            authority.issue(&["example.test"]).serve(None, |mut stream| {
                greet(&mut stream);
                flood(&mut stream);
            })
        } else {
            Server::new(|mut stream| {
                let request = read_request(&mut stream);
                stream.write_all(switch(&request, "").as_bytes()).expect("the client reads");
                flood(&mut stream);
            })
        };
        let mut options = server.options(if tls { "wss" } else { "ws" }, "example.test");
        options.tls.ca_data = Some(authority.pem());
        let reactor = reactor();
        let connection = reactor.connect(options).expect("valid");
        connection.pull();
        let mut expected = payloads();
        let mut left = ROUNDS * SIZES.len();
        turn_until(&reactor, || {
            // One by one and together, as handlers and those who wait take them.
            while let Some(payload) = connection.take(|message| message.payload.into_owned()) {
                assert!(Some(payload) == expected.next(), "{left} are left (tls: {tls})");
                left -= 1;
                let most = HeldLimit { messages: 5, bytes: 1 << 20 };
                if let Some(mut taken) = connection.take_many(most) {
                    let count = taken.len().min(3);
                    for message in taken.iter().take(count) {
                        assert!(expected.next().is_some_and(|payload| message.payload == payload));
                    }
                    taken.read(count);
                    left -= count;
                }
            }
            left == 0
        });
        assert!(reactor.pool.chunks() > 0, "some were read into a chunk (tls: {tls})");
        connection.abort();
        server.join();
    }
}
