//! What the parts of `wire` cost, each by itself: `cargo run --release -p sunsocket-wire --example timing`, with a part of a
//! name behind `--` for some of them.
//!
//! The best of many rounds, in nanoseconds for each message: what the machine does beside it only makes a round slower.

use std::hint::black_box;
use std::time::Instant;

use sunsocket_wire::{Client, DeflateAgreed, Event, Limits, MessageKind};
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

const ROUNDS: usize = 40;

/// Prints the time of one call of `work`.
fn time(what: &str, size: usize, mut work: impl FnMut()) {
    if std::env::args().nth(1).is_some_and(|part| !what.contains(&part)) {
        return;
    }
    let calls = (4 << 20) / (size + 2000) + 1;
    let best = (0..ROUNDS).map(|_| {
        let begin = Instant::now();
        (0..calls).for_each(|_| work());
        begin.elapsed().as_secs_f64() / calls as f64
    });
    let best = best.fold(f64::MAX, f64::min);
    println!("{what:44} {size:>9} B {:>12.0} ns {:>8.2} GB/s", best * 1e9, size as f64 / best / 1e9);
}

fn agreed(takeover: bool) -> DeflateAgreed {
    DeflateAgreed {
        level: 6,
        memory_level: 8,
        client_window_bits: 15,
        server_window_bits: 15,
        client_no_context_takeover: !takeover,
        server_no_context_takeover: !takeover,
    }
}

/// Something like an API's answer.
fn json(size: usize) -> Vec<u8> {
    let mut text = String::from("[");
    let mut number = 7u64;
    while text.len() < size {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!(
            "{{\"id\": {}, \"name\": \"user{}\", \"active\": {}, \"score\": {:.3}}}, ",
            number >> 40,
            number >> 52,
            number & 1 == 0,
            (number >> 32) as f64 / 1e6,
        ));
    }
    text.truncate(size);
    text.into_bytes()
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first, 127];
    match payload.len() {
        short @ ..=125 => bytes[1] = short as u8,
        medium @ ..=0xffff => {
            bytes[1] = 126;
            bytes.extend((medium as u16).to_be_bytes());
        }
        long => bytes.extend((long as u64).to_be_bytes()),
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// As a server compresses, each message anew.
fn compress(message: &[u8]) -> Vec<u8> {
    let mut deflate =
        Deflate::new_with_config(DeflateConfig { window_bits: -15, ..DeflateConfig::default() });
    let mut out = vec![0; message.len() + 1024];
    deflate.compress(message, &mut out, DeflateFlush::SyncFlush).expect("sound");
    out.truncate(deflate.total_out() as usize - 4);
    out
}

fn receive(client: &mut Client, mut bytes: &[u8], portion: usize) {
    while !bytes.is_empty() {
        let (mut input, rest) = bytes.split_at(portion.min(bytes.len()));
        bytes = rest;
        while let Ok(Some(event)) = client.receive(&mut input) {
            black_box(matches!(event, Event::Message(_)));
        }
    }
}

fn main() {
    for size in [64, 1 << 10, 64 << 10, 2 << 20] {
        let mut client = Client::new(Limits::default(), None);
        let payload = json(size);
        let mut out = Vec::new();
        time("send", size, || {
            out.clear();
            client.send(MessageKind::Text, black_box(&payload), None, [1, 2, 3, 4], &mut out);
            black_box(&out);
        });
    }
    for (size, takeover) in
        [(2 << 10, true), (2 << 10, false), (16 << 10, true), (16 << 10, false), (1 << 20, true)]
    {
        let how = if takeover { "with" } else { "without" };
        let payload = json(size);
        let mut client = Client::new(Limits::default(), Some(agreed(takeover)));
        let mut out = Vec::new();
        time(&format!("send compressed, {how} takeover"), size, || {
            out.clear();
            client.send(MessageKind::Text, black_box(&payload), None, [1, 2, 3, 4], &mut out);
            black_box(&out);
        });
        let bytes = frame(0xc1, &compress(&payload));
        let mut client = Client::new(Limits::default(), Some(agreed(takeover)));
        time(&format!("receive compressed, {how} takeover"), size, || {
            receive(&mut client, black_box(&bytes), usize::MAX)
        });
        let mut client = Client::new(Limits::default(), Some(agreed(takeover)));
        time(&format!("the same in reads of 4 KiB, {how} takeover"), size, || {
            receive(&mut client, black_box(&bytes), 4 << 10);
        });
    }
    for size in [64, 1 << 10, 64 << 10] {
        let bytes = frame(0x81, &json(size));
        let mut client = Client::new(Limits::default(), None);
        time("receive", size, || receive(&mut client, black_box(&bytes), usize::MAX));
    }
}
