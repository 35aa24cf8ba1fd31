//! Messages between the wire and whoever listens or pulls: in order, bounded, nothing lost without a word.
//!
//! What was read comes in a [`Batch`], and a [`Hold`] that is empty takes it over by exchanging the two. Whether a full hold
//! pauses reading or drops its oldest message follows from the connection's word (semantic 1); this file only counts.

use std::mem;
use std::sync::Arc;

use sunsocket_wire::Message;

use super::batch::{Batch, Part};
use super::buffer_pool::BufferPool;
use crate::options::HeldLimit;

/// What one connection holds.
#[derive(Debug)]
pub(crate) struct Hold {
    batch: Batch,
    limit: HeldLimit,
    /// Whether a message was ever dropped, and whether that was told.
    dropped: bool,
    told: bool,
    /// The last piece that came in does not end its message.
    part_open: bool,
    /// What comes of the message that is under way is not wanted any more.
    skipping: bool,
    /// The memory of messages that were taken together, for the next.
    spare: Option<Batch>,
    /// The program began the closing handshake, or the end was told: what still comes is thrown away.
    discards: bool,
}

impl Hold {
    pub(crate) fn new(limit: HeldLimit, pool: Arc<BufferPool>) -> Self {
        Self {
            batch: Batch::new(pool),
            limit,
            dropped: false,
            told: false,
            part_open: false,
            skipping: false,
            spare: None,
            discards: false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// How much is held.
    pub(crate) fn size(&self) -> HeldLimit {
        self.batch.size()
    }

    /// Whether one of the bounds is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.limit.is_reached(self.size())
    }

    /// Whether enough was taken to read on: half of either bound, so that pausing does not flutter.
    pub(crate) fn has_room(&self) -> bool {
        let HeldLimit { messages, bytes } = self.size();
        messages <= self.limit.messages / 2 && bytes <= self.limit.bytes / 2
    }

    /// Whether the oldest entry is a whole message.
    pub(crate) fn has_message(&self) -> bool {
        self.batch.front() == Some(Part::Whole)
    }

    /// Takes everything over that was read. `drops`: the oldest go where that is more than may be held. False: the connection
    /// has ended for who takes messages, and nothing was taken over.
    pub(crate) fn append(&mut self, read: &mut Batch, drops: bool) -> bool {
        if self.discards {
            read.clear();
            return false;
        }
        if read.has_pieces() || self.skipping {
            self.append_pieces(read);
        } else {
            self.batch.append(read);
        }
        while drops && self.is_full() && self.size().messages > 1 {
            self.drop_oldest();
        }
        true
    }

    fn append_pieces(&mut self, read: &mut Batch) {
        let mut kept = read.empty_like();
        while let Some(part) = read.front() {
            if part != Part::Whole {
                self.part_open = part == Part::Piece;
                if self.skipping {
                    self.skipping = self.part_open;
                    read.pop(|_unwanted| ());
                    continue;
                }
            }
            read.pop(|message| kept.push_entry(message, part));
        }
        read.recycle();
        self.batch.append(&mut kept);
    }

    /// Throws away the pieces at the front, and those of the same message that are still to come.
    pub(crate) fn skip_message(&mut self) {
        while let Some(Part::Piece | Part::Last) = self.batch.front() {
            if let Some(((), true)) = self.batch.pop(|_unwanted| ()) {
                return;
            }
        }
        self.skipping = self.part_open;
    }

    /// Takes the oldest entry if it is a whole message; `read` copies what it needs.
    pub(crate) fn pop_message<T>(&mut self, read: impl FnOnce(Message<'_>) -> T) -> Option<T> {
        if self.has_message() { self.batch.pop(read).map(|(taken, _)| taken) } else { None }
    }

    /// Takes the oldest messages together, up to `most` and as far as they are whole; at least one, if there is one.
    pub(crate) fn take_front(&mut self, most: HeldLimit) -> Batch {
        let mut taken = self.spare.take().unwrap_or_else(|| self.batch.empty_like());
        let HeldLimit { messages, bytes } = self.size();
        if messages <= most.messages && bytes <= most.bytes && !self.batch.has_pieces() {
            mem::swap(&mut self.batch, &mut taken);
            return taken;
        }
        let count = self.batch.whole_within(most);
        self.batch.move_front(count, &mut taken);
        taken
    }

    /// What was taken together has been read, but for what stands from the index `read` on: that is the oldest again. True
    /// when that is anything.
    pub(crate) fn give_back(&mut self, mut taken: Batch, read: usize) -> bool {
        let returns = read < taken.size().messages && !self.discards;
        if returns {
            for _ in 0..read {
                taken.pop(|_read| ());
            }
            mem::swap(&mut self.batch, &mut taken);
            self.batch.append(&mut taken);
        }
        taken.recycle();
        self.spare = Some(taken);
        returns
    }

    /// Takes the oldest entry, and whether a message ends with it; `read` copies what it needs.
    pub(crate) fn pop_piece<T>(&mut self, read: impl FnOnce(Message<'_>) -> T) -> Option<(T, bool)> {
        self.batch.pop(read)
    }

    fn drop_oldest(&mut self) {
        self.dropped |= self.batch.pop(|_dropped| ()).is_some();
    }

    /// Whether the first message was dropped, and nobody was told yet.
    pub(crate) fn is_drop_untold(&self) -> bool {
        self.dropped && !self.told
    }

    /// The same, true once: it is told now.
    pub(crate) fn take_dropped(&mut self) -> bool {
        let untold = self.is_drop_untold();
        self.told |= untold;
        untold
    }

    /// The end is about to be told, behind which no message may come: what is held stays, what is still read is thrown away.
    pub(crate) fn end(&mut self) {
        self.discards = true;
    }

    /// Gives up everything, for the caller to drop, and all that is still read (a local Close).
    pub(crate) fn discard(&mut self) -> Batch {
        self.discards = true;
        let empty = self.batch.empty_like();
        mem::replace(&mut self.batch, empty)
    }

    /// Gives memory back that an idle connection does not need.
    pub(crate) fn shrink(&mut self) {
        if self.batch.is_empty() {
            self.batch.clear();
        } else {
            self.batch.unpin(0);
        }
        self.spare = None;
    }

    /// As that of the batch.
    #[cfg(test)]
    pub(super) fn in_chunks(&self) -> (usize, usize) {
        self.batch.in_chunks()
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::VecDeque;

    use proptest::prelude::*;
    use sunsocket_wire::{MessageKind, Piece};

    use super::*;

    fn hold(limit: HeldLimit) -> Hold {
        Hold::new(limit, Arc::default())
    }

    fn binary(payload: &[u8]) -> Message<'_> {
        Message { kind: MessageKind::Binary, ascii: false, payload: Cow::Borrowed(payload) }
    }

    fn push(hold: &mut Hold, payload: &[u8]) {
        let mut batch = Batch::new(Arc::default());
        batch.push(binary(payload));
        hold.append(&mut batch, false);
    }

    fn push_piece(hold: &mut Hold, payload: &[u8], last: bool) {
        let mut batch = Batch::new(Arc::default());
        batch.push_piece(Piece { kind: MessageKind::Binary, last, payload: payload.to_vec() });
        hold.append(&mut batch, false);
    }

    fn pop(hold: &mut Hold) -> Option<Vec<u8>> {
        hold.pop_message(|message| message.payload.into_owned())
    }

    fn pop_piece(hold: &mut Hold) -> Option<(Vec<u8>, bool)> {
        hold.pop_piece(|message| message.payload.into_owned())
    }

    #[test]
    fn both_bounds_count_and_room_comes_back_at_half() {
        let mut hold = hold(HeldLimit { messages: 4, bytes: 100 });
        (0..3).for_each(|_| push(&mut hold, b"x"));
        assert!(!hold.is_full());
        push(&mut hold, b"x");
        assert!(hold.is_full());
        pop(&mut hold);
        assert!(!hold.has_room());
        pop(&mut hold);
        assert!(hold.has_room());
        push(&mut hold, &[0; 98]);
        assert!(hold.is_full());
    }

    #[test]
    fn what_goes_beyond_the_bound_drops_the_oldest_where_it_may_and_that_is_told_once() {
        let mut hold = hold(HeldLimit { messages: 3, bytes: 100 });
        let mut batch = Batch::new(Arc::default());
        for message in [b"a", b"b", b"c", b"d"] {
            batch.push(binary(message));
        }
        hold.append(&mut batch, true);
        assert_eq!(pop(&mut hold), Some(b"c".to_vec()));
        assert_eq!((hold.take_dropped(), hold.take_dropped()), (true, false));
        batch.push(binary(&[0; 200]));
        hold.append(&mut batch, true);
        assert_eq!(hold.size().messages, 1, "the newest stays, however large it is");
        assert!(!hold.take_dropped());
    }

    #[test]
    fn what_is_still_read_after_our_close_is_thrown_away() {
        let mut hold = hold(HeldLimit::default());
        push(&mut hold, b"held");
        drop(hold.discard());
        push(&mut hold, b"late");
        assert!(hold.is_empty());
    }

    #[test]
    fn nothing_comes_behind_the_end() {
        let mut hold = hold(HeldLimit::default());
        push(&mut hold, b"held");
        hold.end();
        push(&mut hold, b"late");
        assert_eq!((pop(&mut hold), pop(&mut hold)), (Some(b"held".to_vec()), None));
    }

    fn payloads(taken: &Batch) -> Vec<Vec<u8>> {
        (0..taken.size().messages)
            .filter_map(|at| taken.get(at))
            .map(|message| message.payload.into_owned())
            .collect()
    }

    const ALL: HeldLimit = HeldLimit { messages: usize::MAX, bytes: usize::MAX };

    #[test]
    fn what_is_taken_together_and_not_read_is_the_oldest_again() {
        let mut hold = hold(HeldLimit::default());
        ["a", "b", "c"].iter().for_each(|text| push(&mut hold, text.as_bytes()));
        let taken = hold.take_front(ALL);
        assert_eq!(payloads(&taken), [b"a", b"b", b"c"]);
        assert!(hold.is_empty() && hold.size().bytes == 0);
        push(&mut hold, b"d");
        assert!(hold.give_back(taken, 1));
        assert_eq!(hold.size(), HeldLimit { messages: 3, bytes: 3 });
        let taken = hold.take_front(ALL);
        assert_eq!(payloads(&taken), [b"b", b"c", b"d"]);
        assert!(!hold.give_back(taken, 3) && hold.is_empty());
    }

    #[test]
    fn what_is_taken_together_keeps_within_both_bounds_and_ends_before_a_piece() {
        let mut hold = hold(HeldLimit::default());
        ["aa", "bb", "cc", "dd"].iter().for_each(|text| push(&mut hold, text.as_bytes()));
        let taken = hold.take_front(HeldLimit { messages: 9, bytes: 3 });
        assert_eq!(payloads(&taken), [b"aa", b"bb"], "the one with which the bound is reached goes with it");
        hold.give_back(taken, 2);
        let taken = hold.take_front(HeldLimit { messages: 1, bytes: 9 });
        assert_eq!(payloads(&taken), [b"cc"]);
        hold.give_back(taken, 1);
        push_piece(&mut hold, b"p", true);
        assert_eq!(payloads(&hold.take_front(ALL)), [b"dd"]);
        assert_eq!(pop_piece(&mut hold), Some((b"p".to_vec(), true)));
    }

    #[test]
    fn what_comes_back_after_our_close_is_thrown_away() {
        let mut hold = hold(HeldLimit::default());
        push(&mut hold, b"a");
        let taken = hold.take_front(ALL);
        drop(hold.discard());
        assert!(!hold.give_back(taken, 0) && hold.is_empty());
    }

    #[test]
    fn pieces_are_no_messages() {
        let mut hold = hold(HeldLimit::default());
        push_piece(&mut hold, b"a", false);
        push_piece(&mut hold, b"b", true);
        push(&mut hold, b"whole");
        assert!(!hold.has_message());
        assert_eq!(pop(&mut hold), None);
        assert_eq!(pop_piece(&mut hold), Some((b"a".to_vec(), false)));
        assert_eq!(pop_piece(&mut hold), Some((b"b".to_vec(), true)));
        assert_eq!(pop_piece(&mut hold), Some((b"whole".to_vec(), true)));
    }

    #[test]
    fn a_message_that_is_skipped_leaves_the_next_alone() {
        let pieces: [(&[u8], bool); 3] = [(b"a", false), (b"b", false), (b"c", true)];
        for held in 0..4 {
            let mut hold = hold(HeldLimit::default());
            push_piece(&mut hold, pieces[0].0, pieces[0].1);
            pop_piece(&mut hold);
            pieces[1..].iter().take(held).for_each(|(piece, last)| push_piece(&mut hold, piece, *last));
            if held == 3 {
                push(&mut hold, b"next");
            }
            hold.skip_message();
            pieces[1..].iter().skip(held).for_each(|(piece, last)| push_piece(&mut hold, piece, *last));
            if held < 3 {
                push(&mut hold, b"next");
            }
            assert_eq!(pop(&mut hold), Some(b"next".to_vec()), "{held}");
            assert!(hold.is_empty());
        }
        let mut untouched = hold(HeldLimit::default());
        untouched.skip_message();
        push(&mut untouched, b"whole");
        assert_eq!(pop(&mut untouched), Some(b"whole".to_vec()));
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in(
            steps in prop::collection::vec(
                prop_oneof![
                    Just(None),
                    prop::collection::vec(prop_oneof![0usize..3, 0usize..40_000], 0..4).prop_map(Some),
                ],
                1..100,
            ),
            together in prop::collection::vec((0usize..4, 0usize..4), 100),
        ) {
            let mut hold = hold(HeldLimit::default());
            let mut batch = Batch::new(Arc::default());
            let mut model = VecDeque::new();
            for (index, step) in steps.into_iter().enumerate() {
                match step {
                    Some(sizes) => {
                        for size in sizes {
                            let payload = vec![index as u8; size];
                            batch.push(binary(&payload));
                            model.push_back(payload);
                        }
                        hold.append(&mut batch, false);
                        prop_assert!(batch.is_empty());
                    }
                    None => prop_assert_eq!(pop(&mut hold), model.pop_front()),
                }
                let (most, read) = together[index];
                if most > 0 {
                    let taken = hold.take_front(HeldLimit { messages: most, bytes: 50_000 });
                    let payloads = payloads(&taken);
                    prop_assert!(payloads.iter().eq(model.iter().take(payloads.len())));
                    prop_assert!(payloads.len() <= most && payloads.is_empty() == model.is_empty());
                    let read = read.min(payloads.len());
                    prop_assert_eq!(hold.give_back(taken, read), read < payloads.len());
                    model.drain(..read);
                }
                prop_assert_eq!(hold.size().bytes, model.iter().map(Vec::len).sum::<usize>());
                prop_assert_eq!(hold.is_empty(), model.is_empty());
            }
            while let Some(payload) = model.pop_front() {
                prop_assert_eq!(pop(&mut hold), Some(payload));
            }
            prop_assert!(hold.is_empty());
            prop_assert_eq!(hold.batch.shared_len(), 0);
            prop_assert!(hold.spare.is_none_or(|spare| spare.shared_len() == 0));
        }
    }
}
