//! The places of those who wait for messages: in the order in which they came, until they leave.
//!
//! A ticket waits, is given its message, and leaves: with the message, or without it (cancelled, timed out), and then
//! the message goes back. Between being given a message and taking it time may pass: a task runs in a later turn of its
//! loop, a thread needs the language's lock first.

use std::collections::VecDeque;

/// A place among those who wait. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

impl From<Ticket> for u64 {
    fn from(Ticket(number): Ticket) -> Self {
        number
    }
}

impl From<u64> for Ticket {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

/// Somebody who waits, as the language knows it.
pub trait Waiter {
    /// Whether a message has to be brought to it: a task or a coroutine, but not a thread, which looks for itself, nor one
    /// that pauses and comes back by itself.
    fn needs_driver(&self) -> bool;
}

/// What a ticket waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `Wait`: the next message, which all of its kind get.
    Shared,
    /// `recv`: the next message for itself, and up to `limit` in all that are there by then.
    Alone { limit: usize },
}

#[derive(Debug)]
struct Waiting<W> {
    ticket: Ticket,
    kind: Kind,
    waiter: W,
}

/// A message on its way to a waiter.
#[derive(Debug)]
struct Given<M> {
    ticket: Ticket,
    number: u64,
    message: M,
    /// What it was given with that one, each with its number.
    more: Vec<(u64, M)>,
    /// Nobody has it but this one and those with the same number: when none of them takes it, it goes back.
    returns: bool,
    /// Several in `Wait` share it.
    shared: bool,
}

/// What became of a ticket.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<M> {
    /// It waits.
    Waits,
    /// It was given this, and leaves with it.
    Given(M),
    /// It was told that nothing will come, or has left before.
    Ended,
}

/// Messages that go back, with their numbers.
pub(super) type Returned<M> = Vec<(u64, M)>;

#[derive(Debug)]
pub(super) struct Tickets<M, W> {
    next: u64,
    /// In rising order of ticket.
    waiting: VecDeque<Waiting<W>>,
    /// How many of those share, and how many need the driver.
    sharing: usize,
    needing: usize,
    /// Who was given a message and has not been told yet.
    untold: VecDeque<(Ticket, W)>,
    given: VecDeque<Given<M>>,
    /// How many of those share.
    sharing_given: usize,
    /// In `OnClose:Wait`.
    closing: VecDeque<(Ticket, W)>,
}

/// What a message is to its takers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Handlers get it, so everybody who waits gets a copy.
    Everybody,
    /// All who share, and the first who wants it alone.
    First,
}

impl<M, W> Default for Tickets<M, W> {
    fn default() -> Self {
        Self {
            next: 0,
            waiting: VecDeque::new(),
            sharing: 0,
            needing: 0,
            untold: VecDeque::new(),
            given: VecDeque::new(),
            sharing_given: 0,
            closing: VecDeque::new(),
        }
    }
}

impl<M: Clone, W: Waiter> Tickets<M, W> {
    fn number(&mut self) -> Ticket {
        self.next += 1;
        Ticket(self.next)
    }

    fn enter(&mut self, kind: Kind, waiter: W) -> Ticket {
        let ticket = self.number();
        self.sharing += usize::from(kind == Kind::Shared);
        self.needing += usize::from(waiter.needs_driver());
        self.waiting.push_back(Waiting { ticket, kind, waiter });
        ticket
    }

    pub(super) fn share(&mut self, waiter: W) -> Ticket {
        self.enter(Kind::Shared, waiter)
    }

    pub(super) fn queue(&mut self, waiter: W, limit: usize) -> Ticket {
        self.enter(Kind::Alone { limit }, waiter)
    }

    pub(super) fn wait_for_close(&mut self, waiter: W) -> Ticket {
        let ticket = self.number();
        self.closing.push_back((ticket, waiter));
        ticket
    }

    fn position(&self, ticket: Ticket) -> Option<usize> {
        self.waiting.binary_search_by_key(&ticket, |waiting| waiting.ticket).ok()
    }

    /// The ticket's waiter waits in another way from now on.
    pub(super) fn replace(&mut self, ticket: Ticket, waiter: W) -> Outcome<M> {
        let Some(at) = self.position(ticket) else {
            let given = self.given.iter().find(|given| given.ticket == ticket);
            return given.map_or(Outcome::Ended, |given| Outcome::Given(given.message.clone()));
        };
        self.needing += usize::from(waiter.needs_driver());
        let before = std::mem::replace(&mut self.waiting[at].waiter, waiter);
        self.needing -= usize::from(before.needs_driver());
        Outcome::Waits
    }

    /// Whether the ticket is the next to be served.
    pub(super) fn is_first(&self, ticket: Ticket) -> bool {
        self.waiting.front().is_some_and(|waiting| waiting.ticket == ticket)
    }

    /// How many wait, for a message or for the close.
    pub(super) fn count(&self) -> usize {
        self.waiting.len() + self.closing.len()
    }

    pub(super) fn somebody_waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether none of those who wait looks for itself.
    pub(super) fn all_need_the_driver(&self) -> bool {
        self.needing == self.waiting.len()
    }

    pub(super) fn somebody_needs_the_driver(&self) -> bool {
        self.needing > 0
    }

    pub(super) fn somebody_is_untold(&self) -> bool {
        !self.untold.is_empty()
    }

    /// Whether those in `Wait` have to leave the next message alone: somebody has not taken the last one that they share,
    /// and may then wait for the next one, too.
    pub(super) fn is_held_up(&self) -> bool {
        self.sharing > 0 && self.sharing_given > 0
    }

    fn leave_waiting(&mut self, at: usize) -> Option<Waiting<W>> {
        let left = self.waiting.remove(at)?;
        self.sharing -= usize::from(left.kind == Kind::Shared);
        self.needing -= usize::from(left.waiter.needs_driver());
        Some(left)
    }

    /// Gives a message to those whom it reaches. Returns the ticket that takes further messages with it, and how many; and
    /// whether anybody got a copy.
    pub(super) fn hand_out(
        &mut self,
        number: u64,
        message: &M,
        reach: Reach,
    ) -> (Option<(Ticket, usize)>, bool) {
        let (mut greedy, mut copied) = (None, false);
        let sharing = self.sharing;
        if sharing == 0 && reach == Reach::First {
            // The usual case: a queue of receivers, of which the first is served.
            if let Some(Waiting { ticket, kind: Kind::Alone { limit }, waiter }) = self.leave_waiting(0) {
                greedy = (limit > 1).then_some((ticket, limit - 1));
                self.give(ticket, waiter, number, message, true, false);
            }
            return (greedy, copied);
        }
        let mut alone = false;
        let first_alone = self.waiting.iter().position(|waiting| waiting.kind != Kind::Shared);
        let mut at = 0;
        while at < self.waiting.len() {
            let is_shared = self.waiting[at].kind == Kind::Shared;
            if !is_shared && reach == Reach::First && alone {
                at += 1;
                continue;
            }
            let Some(Waiting { ticket, kind, waiter }) = self.leave_waiting(at) else { break };
            let returns = match kind {
                // Where somebody takes it alone, that one decides whether it goes back.
                Kind::Shared => reach == Reach::First && first_alone.is_none(),
                Kind::Alone { limit } => {
                    alone = true;
                    if reach == Reach::First && limit > 1 {
                        greedy = Some((ticket, limit - 1));
                    }
                    reach == Reach::First
                }
            };
            copied |= is_shared || reach == Reach::Everybody;
            self.give(ticket, waiter, number, message, returns, is_shared && sharing > 1);
        }
        (greedy, copied)
    }

    fn give(&mut self, ticket: Ticket, waiter: W, number: u64, message: &M, returns: bool, shared: bool) {
        self.sharing_given += usize::from(shared);
        self.given.push_back(Given {
            ticket,
            number,
            message: message.clone(),
            more: Vec::new(),
            returns,
            shared,
        });
        self.untold.push_back((ticket, waiter));
    }

    /// One more message for a ticket that was given one just now.
    pub(super) fn add(&mut self, ticket: Ticket, number: u64, message: M) {
        if let Some(given) = self.given.iter_mut().rfind(|given| given.ticket == ticket) {
            given.more.push((number, message));
        }
    }

    /// The next who is to be told that a message was given to it.
    pub(super) fn next_untold(&mut self) -> Option<(Ticket, W, M)> {
        while let Some((ticket, waiter)) = self.untold.pop_front() {
            if let Some(given) = self.given.iter().find(|given| given.ticket == ticket) {
                return Some((ticket, waiter, given.message.clone()));
            }
            // It has left meanwhile.
        }
        None
    }

    fn remove_given(&mut self, ticket: Ticket) -> Option<Given<M>> {
        let at = self.given.iter().position(|given| given.ticket == ticket)?;
        let given = self.given.remove(at)?;
        self.sharing_given -= usize::from(given.shared);
        Some(given)
    }

    /// The ticket leaves with what it was given: the first message, and what came with it.
    pub(super) fn take(&mut self, ticket: Ticket) -> Outcome<(M, Vec<M>)> {
        let Some(given) = self.remove_given(ticket) else {
            return if self.position(ticket).is_some() { Outcome::Waits } else { Outcome::Ended };
        };
        if given.returns && given.shared {
            self.given.iter_mut().filter(|other| other.number == given.number).for_each(|other| {
                other.returns = false;
            });
        }
        let more = given.more.into_iter().map(|(_, message)| message).collect();
        Outcome::Given((given.message, more))
    }

    /// The ticket leaves without anything. What it was given, and nobody else was, goes back.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Returned<M> {
        if let Some(at) = self.position(ticket) {
            self.leave_waiting(at);
            return Vec::new();
        }
        if let Some(at) = self.closing.iter().position(|(other, _)| *other == ticket) {
            self.closing.remove(at);
            return Vec::new();
        }
        let Some(given) = self.remove_given(ticket) else { return Vec::new() };
        let others_have_it =
            || given.shared && self.given.iter().any(|other| other.returns && other.number == given.number);
        if !given.returns || others_have_it() {
            return Vec::new();
        }
        let mut returned = given.more;
        returned.insert(0, (given.number, given.message));
        returned
    }

    /// The first who waits for a message, to be told that none will come.
    pub(super) fn end_first(&mut self) -> Option<W> {
        self.leave_waiting(0).map(|left| left.waiter)
    }

    /// The first who waits for the close.
    pub(super) fn close_first(&mut self) -> Option<W> {
        self.closing.pop_front().map(|(_, waiter)| waiter)
    }

    /// Every waiter that `is_gone` takes off, wherever it waits: those whom the language ended without a word.
    pub(super) fn forget(&mut self, mut is_gone: impl FnMut(&W) -> bool) -> Vec<W> {
        let mut gone = Vec::new();
        let mut at = 0;
        while at < self.waiting.len() {
            if is_gone(&self.waiting[at].waiter) {
                gone.extend(self.leave_waiting(at).map(|left| left.waiter));
            } else {
                at += 1;
            }
        }
        gone
    }
}
