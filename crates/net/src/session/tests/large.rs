//! Large messages that stay in what they were read into: in order, and no memory is kept for the sake of little.

use std::collections::VecDeque;

use proptest::prelude::*;
use sunsocket_wire::{Limits, Message};

use crate::options::HeldLimit;
use crate::session::Receiving;
use crate::session::buffer_pool::BufferPool;
use crate::session::chunk::Chunk;
use crate::session::hold::Hold;
use crate::session::receive::Share;
use crate::sync::Arc;

const ALL: HeldLimit = HeldLimit { messages: usize::MAX, bytes: usize::MAX };
/// A share that is never used up.
const PLENTY: Share = Share { left: ALL, room: None, discards: false };
/// A message of this size comes three times in a chunk.
const LARGE: usize = 64 << 10;

/// A connection without its socket.
struct Bench {
    receiving: Receiving,
    hold: Hold,
    pool: Arc<BufferPool>,
    pings: usize,
}

impl Bench {
    fn new() -> Self {
        let pool: Arc<BufferPool> = Arc::default();
        Self {
            receiving: Receiving::new(Limits::default(), None, Arc::clone(&pool)),
            hold: Hold::new(ALL, Arc::clone(&pool)),
            pool,
            pings: 0,
        }
    }

    /// One that has just seen large messages, and holds nothing.
    fn expecting_large() -> Self {
        let mut bench = Self::new();
        assert!(
            !bench.read(&mut &frames(&[LARGE])[..], usize::MAX, &PLENTY),
            "nothing was known of what comes"
        );
        bench.take_all();
        bench
    }

    /// One read, as a connection does it: of so many bytes of the stream at the most. True where it went into a chunk.
    fn read(&mut self, stream: &mut &[u8], most: usize, share: &Share) -> bool {
        let Self { receiving, hold, pings, .. } = self;
        let mut next = |room: usize| {
            let (bytes, rest) = stream.split_at(room.min(most).min(stream.len()));
            *stream = rest;
            bytes
        };
        let mut control = |_| *pings += 1;
        let mut is_chunk = false;
        let brought = if receiving.has_unread() {
            receiving.take_unread(share, &mut control).1
        } else if let Some((target, room)) = receiving.read_target() {
            let bytes = next(room);
            target.extend_from_slice(bytes);
            receiving.filled(bytes.len(), share)
        } else if let Some(chunk) = receiving.chunk() {
            is_chunk = true;
            let bytes = next(chunk.len());
            chunk[..bytes.len()].copy_from_slice(bytes);
            receiving.take_in_chunk(bytes.len(), share, &mut control)
        } else {
            receiving.take_in(next(Chunk::SIZE), share, &mut control)
        };
        assert!(brought.violation.is_none());
        hold.append(&mut receiving.batch, false);
        is_chunk
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        self.hold.pop_message(|message| message.payload.into_owned())
    }

    fn take_all(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.take()).collect()
    }

    /// How many chunks the hold refers to, and how many bytes in them.
    fn in_chunks(&self) -> (usize, usize) {
        self.hold.in_chunks()
    }
}

/// What the payload with this number and of this size is.
fn payload(number: usize, size: usize) -> Vec<u8> {
    (0..size).map(|at| (at / 7 + 31 * number) as u8).collect()
}

fn payloads(sizes: &[usize]) -> Vec<Vec<u8>> {
    sizes.iter().enumerate().map(|(number, size)| payload(number, *size)).collect()
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let head = match u16::try_from(payload.len()) {
        Ok(len @ 0..=125) => vec![0x82, len as u8],
        Ok(len) => [&[0x82, 126][..], &len.to_be_bytes()].concat(),
        Err(_) => [&[0x82, 127][..], &(payload.len() as u64).to_be_bytes()].concat(),
    };
    [&head, payload].concat()
}

/// A stream of messages of these sizes.
fn frames(sizes: &[usize]) -> Vec<u8> {
    payloads(sizes).iter().flat_map(|payload| frame(payload)).collect()
}

#[test]
fn large_messages_stay_where_they_were_read_to_and_the_chunk_goes_back_with_the_last() {
    let mut bench = Bench::expecting_large();
    let sizes = [LARGE, 10, LARGE, LARGE];
    assert!(bench.read(&mut &frames(&sizes)[..], usize::MAX, &PLENTY));
    assert_eq!((bench.in_chunks(), bench.pool.chunks()), ((1, 3 * LARGE), 0));
    let expected = payloads(&sizes);
    for payload in &expected[..3] {
        assert_eq!(bench.take().as_ref(), Some(payload));
        assert_eq!(bench.pool.chunks(), 0);
    }
    assert_eq!(bench.take().as_ref(), Some(&expected[3]));
    assert_eq!((bench.in_chunks(), bench.pool.chunks()), ((0, 0), 1));
    assert!(bench.read(&mut &frames(&sizes)[..], usize::MAX, &PLENTY));
    assert_eq!(bench.pool.chunks(), 0, "the same chunk again");
}

#[test]
fn a_chunk_is_not_kept_for_less_than_half_of_it() {
    let mut bench = Bench::expecting_large();
    let half = Chunk::WORTH;
    for (sizes, kept) in [
        (vec![LARGE], 0),
        (vec![20 << 10, 30 << 10, 10 << 10], 0),
        (vec![half - 1], 0),
        (vec![half], half),
        (vec![17 << 10, 17 << 10, 100 << 10], 134 << 10),
    ] {
        assert!(bench.read(&mut &frames(&sizes)[..], usize::MAX, &PLENTY), "{sizes:?}");
        assert_eq!(bench.in_chunks(), (usize::from(kept > 0), kept), "{sizes:?}");
        assert_eq!(bench.pool.chunks(), usize::from(kept == 0), "{sizes:?}");
        assert_eq!(bench.take_all(), payloads(&sizes));
        assert_eq!(bench.pool.chunks(), 1, "{sizes:?}");
    }
}

#[test]
fn small_messages_are_read_into_the_buffer_that_all_share() {
    let mut bench = Bench::expecting_large();
    // The beginning of a large message and its end say nothing of what comes.
    let parts = frames(&[LARGE]);
    let (begin, end) = parts.split_at(parts.len() - 100);
    assert!(bench.read(&mut &begin[..], usize::MAX, &PLENTY));
    assert!(bench.read(&mut &end[..], usize::MAX, &PLENTY));
    assert!(bench.read(&mut &frames(&[64; 100])[..], usize::MAX, &PLENTY));
    assert!(!bench.read(&mut &frames(&[64; 100])[..], usize::MAX, &PLENTY));
    // One large message among as many bytes of small ones.
    assert!(!bench.read(&mut &frames(&[16 << 10, 20 << 10, 16 << 10])[..], usize::MAX, &PLENTY));
    assert!(!bench.read(&mut &frames(&[64])[..], usize::MAX, &PLENTY));
    assert_eq!((bench.take_all().len(), bench.in_chunks()), (1 + 200 + 3 + 1, (0, 0)));
}

#[test]
fn what_is_left_when_the_share_is_used_up_stays_in_the_chunk_with_the_messages() {
    let mut bench = Bench::expecting_large();
    let sizes = [LARGE, LARGE, 50 << 10, 10, 20];
    let share = Share { left: HeldLimit { messages: 2, ..ALL }, ..PLENTY };
    bench.read(&mut &frames(&sizes)[..], usize::MAX, &share);
    assert_eq!(bench.in_chunks(), (1, 2 * LARGE));
    let expected = payloads(&sizes);
    assert_eq!(bench.take_all(), expected[..2]);
    assert_eq!(bench.pool.chunks(), 0, "there is more in it to be looked at");
    bench.read(&mut &[][..], 0, &share);
    assert_eq!(bench.in_chunks(), (0, 0), "one of 50 KiB is too little to keep it");
    bench.read(&mut &[][..], 0, &share);
    assert!(!bench.receiving.has_unread());
    assert_eq!((bench.take_all(), bench.pool.chunks()), (expected[2..].to_vec(), 1));
}

#[test]
fn a_share_that_ends_early_keeps_the_chunk_for_what_is_left_alone_if_that_is_enough() {
    let share = Share { left: HeldLimit { messages: 1, ..ALL }, ..PLENTY };
    for (sizes, kept) in [([20 << 10, LARGE, LARGE], true), ([20 << 10, LARGE, 10 << 10], false)] {
        let mut bench = Bench::expecting_large();
        bench.read(&mut &frames(&sizes)[..], usize::MAX, &share);
        assert_eq!((bench.in_chunks(), bench.pool.chunks()), ((0, 0), usize::from(!kept)));
        while bench.receiving.has_unread() {
            bench.read(&mut &[][..], 0, &share);
        }
        assert_eq!((bench.take_all(), bench.pool.chunks()), (payloads(&sizes), 1));
    }
}

#[test]
fn what_is_left_of_a_chunk_that_was_kept_can_stay_there_as_well() {
    let mut bench = Bench::expecting_large();
    let sizes = [10, LARGE, LARGE, LARGE];
    let share = Share { left: HeldLimit { messages: 1, ..ALL }, ..PLENTY };
    bench.read(&mut &frames(&sizes)[..], usize::MAX, &share);
    bench.read(&mut &[][..], 0, &PLENTY);
    assert_eq!(bench.in_chunks(), (1, 3 * LARGE));
    assert_eq!((bench.take_all(), bench.pool.chunks()), (payloads(&sizes), 1));
}

#[test]
fn at_rest_a_chunk_is_not_kept_for_the_little_that_is_left_of_it() {
    let mut bench = Bench::expecting_large();
    let sizes = [LARGE, LARGE, LARGE, 10, 20];
    let share = Share { left: HeldLimit { messages: 3, ..ALL }, ..PLENTY };
    bench.read(&mut &frames(&sizes)[..], usize::MAX, &share);
    bench.take();
    bench.receiving.rest();
    bench.hold.shrink();
    assert_eq!(bench.in_chunks(), (1, 2 * LARGE), "half of it is in use");
    bench.take();
    bench.hold.shrink();
    assert_eq!((bench.in_chunks(), bench.pool.chunks()), ((0, 0), 1));
    bench.pool.clear();
    bench.read(&mut &[][..], 0, &PLENTY);
    assert_eq!((bench.take_all(), bench.pool.chunks()), (payloads(&sizes)[2..].to_vec(), 0));
}

#[test]
fn messages_that_are_taken_together_keep_their_chunk_until_they_are_given_back() {
    let mut bench = Bench::expecting_large();
    let sizes = [LARGE, LARGE, LARGE];
    bench.read(&mut &frames(&sizes)[..], usize::MAX, &PLENTY);
    let taken = bench.hold.take_front(HeldLimit { messages: 2, ..ALL });
    let first = taken.get(0).map(|message: Message<'_>| message.payload.into_owned());
    assert_eq!(first, Some(payload(0, LARGE)));
    assert_eq!(bench.take(), Some(payload(2, LARGE)));
    assert_eq!(bench.pool.chunks(), 0);
    assert!(bench.hold.give_back(taken, 1));
    assert_eq!(bench.in_chunks(), (1, LARGE));
    let taken = bench.hold.take_front(ALL);
    assert!(!bench.hold.give_back(taken, 1));
    assert_eq!(bench.pool.chunks(), 1);
}

#[test]
fn what_is_thrown_away_frees_its_chunk() {
    let mut bench = Bench::expecting_large();
    bench.read(&mut &frames(&[LARGE, LARGE])[..], usize::MAX, &PLENTY);
    let thrown = bench.hold.discard();
    assert_eq!((thrown.in_chunks(), bench.in_chunks()), ((1, 2 * LARGE), (0, 0)));
    bench.read(&mut &frames(&[LARGE, LARGE])[..], usize::MAX, &PLENTY);
    assert!(bench.take().is_none());
    let closing = Share { discards: true, ..PLENTY };
    bench.read(&mut &frames(&[LARGE, LARGE])[..], usize::MAX, &closing);
    assert_eq!((bench.in_chunks(), bench.pool.chunks()), ((0, 0), 1), "nothing of it is wanted");
}

/// What comes: a message of a size, whole or (rarely) in two fragments, or a ping.
#[derive(Clone, Debug)]
enum Sent {
    Message { size: usize, fragments: bool },
    Ping,
}

fn sent() -> impl Strategy<Value = Sent> {
    let size = prop_oneof![
        4 => (16usize << 10) - 2..80 << 10,
        1 => 0usize..200,
        1 => 0usize..30_000,
        1 => 80usize << 10..400 << 10,
    ];
    prop_oneof![
        12 => size.prop_map(|size| Sent::Message { size, fragments: false }),
        1 => (2usize..100_000).prop_map(|size| Sent::Message { size, fragments: true }),
        1 => Just(Sent::Ping),
    ]
}

/// What happens next: a read of so many bytes with a share of so many messages; then some are taken.
#[derive(Clone, Debug)]
struct Step {
    most: usize,
    share: usize,
    pops: usize,
    together: (usize, usize),
    rests: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let most = prop_oneof![3 => Just(usize::MAX), 1 => 1usize..300_000, 1 => 1usize..100];
    let share = prop_oneof![2 => Just(usize::MAX), 1 => 1usize..4];
    (most, share, 0usize..4, (0usize..4, 0usize..4), prop::bool::weighted(0.1))
        .prop_map(|(most, share, pops, together, rests)| Step { most, share, pops, together, rests })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn large_messages_come_out_as_they_went_in_and_keep_twice_their_memory_at_most(
        sent in prop::collection::vec(sent(), 1..60),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut bench = Bench::expecting_large();
        let mut stream = Vec::new();
        let mut model = VecDeque::new();
        let mut pings = 0;
        for (number, sent) in sent.iter().enumerate() {
            match sent {
                Sent::Message { size, fragments } => {
                    let payload = payload(number, *size);
                    if *fragments {
                        let (one, other) = payload.split_at(size / 2);
                        let (mut one, mut other) = (frame(one), frame(other));
                        (one[0], other[0]) = (0x02, 0x80);
                        stream.extend([one, other].concat());
                    } else {
                        stream.extend(frame(&payload));
                    }
                    model.push_back(payload);
                }
                Sent::Ping => {
                    stream.extend([0x89, 1, b'p']);
                    pings += 1;
                }
            }
        }
        let mut stream = &stream[..];
        for Step { most, share, pops, together: (together, read), rests } in steps {
            let left = HeldLimit { messages: share, ..ALL };
            bench.read(&mut stream, most, &Share { left, ..PLENTY });
            // All chunks but the first, from which messages may have been taken, are in use by half.
            let (chunks, bytes) = bench.in_chunks();
            prop_assert!(chunks.saturating_sub(1) * Chunk::WORTH <= bytes, "{} {}", chunks, bytes);
            for _ in 0..pops {
                let taken = bench.take();
                prop_assert!(taken.is_none() || taken == model.pop_front());
            }
            let taken = bench.hold.take_front(HeldLimit { messages: together, ..ALL });
            let count = taken.size().messages;
            for at in 0..count {
                let message = taken.get(at).map(|message| message.payload.into_owned());
                prop_assert!(message.as_ref() == model.get(at));
            }
            bench.hold.give_back(taken, read);
            model.drain(..read.min(count));
            if rests {
                bench.receiving.rest();
                bench.hold.shrink();
                let (chunks, bytes) = bench.in_chunks();
                prop_assert!(chunks * Chunk::WORTH <= bytes, "{} {}", chunks, bytes);
            }
        }
        while !stream.is_empty() || bench.receiving.has_unread() {
            bench.read(&mut stream, usize::MAX, &PLENTY);
        }
        prop_assert!(bench.take_all().iter().eq(&model));
        prop_assert_eq!((bench.pings, bench.in_chunks()), (pings, (0, 0)));
    }
}
