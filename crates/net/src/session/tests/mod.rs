//! The two halves as a driver uses them, in virtual time.

mod large;

use std::time::Duration;

use sunsocket_wire::{CloseFrame, Limits, MessageKind, Receiver};

use crate::options::{ConnectOptions, WriteLimit};
use crate::session::Sending;
use crate::session::send::{Expired, Room};
use crate::session::word::{FAILING, FULL, OVERDRAWN, SENDING_PIECES};
use crate::sync::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn sending(now: Instant) -> Sending {
    let options = ConnectOptions {
        write_limit: WriteLimit { high: 1000, low: 100 },
        ..ConnectOptions::new("ws://example.test/").expect("a good URL")
    };
    Sending::new(&options, now)
}

/// Lets the system take so many of the bytes that are pending.
fn leave(sending: &mut Sending, count: usize, now: Instant) {
    sending.written(count.min(sending.pending().len()), 0, || now);
    sending.wrote(!sending.pending().is_empty());
}

fn expire(sending: &mut Sending, now: Instant, heard: Instant, queued: usize) -> Expired {
    sending.expire(now, heard, true, Some(queued))
}

#[test]
fn a_ping_behind_our_own_bytes_has_its_time_from_when_it_left() {
    let start = Instant::now();
    let mut sending = sending(start);
    sending.message(MessageKind::Binary, &[0; 100_000], false);
    let pinged = start + 20 * SECOND;
    assert!(matches!(expire(&mut sending, pinged, start, 0), Expired::Pinged));
    // A slow link: a portion every fifteen seconds, and the ping is the last of it.
    for portion in 1..=7 {
        let now = pinged + portion * 15 * SECOND;
        leave(&mut sending, 15_000, now);
        assert!(matches!(expire(&mut sending, now, start, 0), Expired::Nothing));
    }
    assert!(sending.pending().is_empty());
    let left = pinged + 105 * SECOND;
    assert!(matches!(expire(&mut sending, left + 19 * SECOND, start, 0), Expired::Nothing));
    assert!(matches!(expire(&mut sending, left + 20 * SECOND, start, 0), Expired::NoPong(_)));
}

#[test]
fn a_large_frame_that_keeps_arriving_is_life() {
    let start = Instant::now();
    let mut sending = sending(start);
    let pinged = start + 20 * SECOND;
    assert!(matches!(expire(&mut sending, pinged, start, 0), Expired::Pinged));
    for second in 1..60 {
        let now = pinged + second * SECOND;
        assert!(matches!(expire(&mut sending, now, now, 0), Expired::Nothing));
    }
}

#[test]
fn what_was_accepted_leaves_before_the_close_however_slow_the_link_is() {
    let start = Instant::now();
    let mut sending = sending(start);
    sending.message(MessageKind::Binary, &[0; 100_000], false);
    sending.close(1000, "", start);
    let mut now = start;
    while !sending.pending().is_empty() {
        now += 9 * SECOND;
        leave(&mut sending, 10_000, now);
        assert!(matches!(expire(&mut sending, now, start, 0), Expired::Nothing));
    }
    // The kernel still holds most of it.
    for queued in [80_000, 40_000, 10_000] {
        now += 10 * SECOND;
        assert!(matches!(expire(&mut sending, now, start, queued), Expired::Nothing), "{queued}");
    }
    assert!(matches!(expire(&mut sending, now + 10 * SECOND, start, 10_000), Expired::NotClosed));
}

#[test]
fn a_violation_waits_a_second_for_the_messages_before_it() {
    let start = Instant::now();
    let mut sending = sending(start);
    let mut receiver = Receiver::new(Limits::default(), None);
    let violation = receiver.receive(&mut &[0xff, 0][..]).expect_err("reserved bits");
    sending.fails_later(violation, start);
    assert_eq!(sending.bits(), FAILING);
    assert_eq!(sending.deadline(), Some(start + SECOND));
    assert!(matches!(expire(&mut sending, start + SECOND / 2, start, 0), Expired::Nothing));
    assert!(matches!(expire(&mut sending, start + SECOND, start, 0), Expired::Fail(_)));
    assert_eq!(sending.bits(), 0);
}

#[test]
fn the_marks_are_in_the_word_until_enough_has_left_or_nobody_need_wait() {
    let start = Instant::now();
    let mut sending = sending(start);
    sending.message(MessageKind::Binary, &[0; 900], false);
    assert_eq!((sending.room(), sending.bits()), (Room::Plenty, 0));
    sending.message(MessageKind::Binary, &[0; 900], false);
    assert_eq!((sending.room(), sending.bits()), (Room::Full, FULL | OVERDRAWN));
    sending.sender_waits();
    assert_eq!(sending.bits(), FULL);
    leave(&mut sending, 1000, start);
    assert!(sending.bits() & FULL != 0);
    leave(&mut sending, 10_000, start);
    assert_eq!(sending.bits(), 0);
    sending.message(MessageKind::Binary, &[0; 5000], false);
    sending.room();
    sending.close_came(CloseFrame { code: 1000, reason: String::new() }, start);
    assert_eq!(sending.bits() & (FULL | OVERDRAWN), 0);
}

#[test]
fn what_waits_behind_a_message_in_pieces_counts_and_follows_it() {
    let start = Instant::now();
    let mut sending = sending(start);
    assert!(sending.begin_pieces(MessageKind::Text, None));
    assert!(!sending.begin_pieces(MessageKind::Text, None));
    sending.piece(MessageKind::Text, b"one", false, false);
    assert!(sending.wait_behind(MessageKind::Binary, None, &[7; 2000]));
    assert_eq!(sending.bits() & (FULL | SENDING_PIECES), FULL | SENDING_PIECES);
    sending.piece(MessageKind::Text, b"two", true, false);
    let behind = sending.end_pieces();
    assert_eq!(behind.iter().map(|message| message.payload.len()).collect::<Vec<_>>(), [2000]);
    assert!(!sending.wait_behind(MessageKind::Binary, None, b"late"));
}

#[test]
fn a_machine_that_has_slept_pings_but_not_while_it_closes() {
    let start = Instant::now();
    let mut slept = sending(start);
    assert!(slept.slept(start + SECOND));
    assert_eq!(slept.deadline(), Some(start + 6 * SECOND));
    let mut closing = sending(start);
    closing.close(1000, "", start);
    assert!(!closing.slept(start + SECOND));
}
