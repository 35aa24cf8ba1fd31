//! Who is there: handlers, tickets, and what came off the hold and is kept for them.

use std::collections::VecDeque;

use super::glance::{Flags, Glance, Straight};
use super::listeners::{Firing, ListenerId, Listeners};
use super::tickets::{Outcome, Ticket, Tickets, Waiter};
use crate::sync::Arc;

/// Which of a socket's two signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// `OnMessage`.
    Message,
    /// `OnClose`.
    Close,
}

/// A message off the hold that was not delivered yet.
#[derive(Debug)]
pub(super) struct Kept<M> {
    pub(super) number: u64,
    pub(super) message: M,
    /// Waiters have had it.
    pub(super) for_handlers: bool,
}

/// Who takes the messages of one connection.
#[derive(Debug)]
pub struct Takers<M, H, W> {
    pub(super) message: Listeners<H>,
    pub(super) close: Listeners<H>,
    pub(super) tickets: Tickets<M, W>,
    /// In the order of their numbers.
    pub(super) kept: VecDeque<Kept<M>>,
    /// How many of those are for handlers.
    pub(super) kept_for_handlers: usize,
    /// How many messages were taken off the hold here.
    pub(super) taken: u64,
    /// The message whose handlers are being called.
    pub(super) firing: Option<(M, Firing)>,
    /// A driver is in its turn.
    pub(super) driving: bool,
    /// Copies were given of the message before.
    pub(super) pause_due: bool,
    pub(super) ended_here: bool,
    pub(super) close_fires: bool,
    pub(super) glance: Arc<Glance>,
}

impl<M: Clone, H: Clone, W: Waiter> Default for Takers<M, H, W> {
    fn default() -> Self {
        Self {
            message: Listeners::new(),
            close: Listeners::new(),
            tickets: Tickets::default(),
            kept: VecDeque::new(),
            kept_for_handlers: 0,
            taken: 0,
            firing: None,
            driving: false,
            pause_due: false,
            ended_here: false,
            close_fires: false,
            glance: Arc::default(),
        }
    }
}

impl<M: Clone, H: Clone, W: Waiter> Takers<M, H, W> {
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// What can be read without the lock around this.
    pub fn glance(&self) -> &Arc<Glance> {
        &self.glance
    }

    fn listeners(&mut self, which: Which) -> &mut Listeners<H> {
        match which {
            Which::Message => &mut self.message,
            Which::Close => &mut self.close,
        }
    }

    /// To be called after each change.
    pub(super) fn publish(&self) {
        let waits = self.tickets.somebody_waits() || self.tickets.somebody_is_untold();
        self.glance.publish(Flags {
            handlers: !self.message.is_empty(),
            others: waits || !self.kept.is_empty() || self.firing.is_some(),
            owes: self.driving || self.firing.is_some() || self.kept_for_handlers > 0,
            held_up: self.tickets.is_held_up(),
            close_fires: self.close_fires,
            ended_here: self.ended_here,
            returned: self.has_returned(),
        });
    }

    // ---- handlers

    /// Adds a handler for every value from the next on; `once`: for the next alone.
    pub fn connect(&mut self, which: Which, handler: H, once: bool) -> ListenerId {
        self.glance.count_change();
        let listeners = self.listeners(which);
        let id = if once { listeners.once(handler) } else { listeners.connect(handler) };
        self.publish();
        id
    }

    /// Takes a handler off; `None` when it is off already. To be dropped outside of the lock around this.
    pub fn disconnect(&mut self, which: Which, id: ListenerId) -> Option<H> {
        self.glance.count_change();
        let removed = self.listeners(which).disconnect(id);
        self.drop_unheard();
        self.publish();
        removed
    }

    /// Whether the handler is still on.
    pub fn is_connected(&mut self, which: Which, id: ListenerId) -> bool {
        self.listeners(which).is_connected(id)
    }

    /// Whether either signal has a handler.
    pub fn has_handler(&self) -> bool {
        !self.message.is_empty() || !self.close.is_empty()
    }

    /// The handler of OnMessage, if there is one that stays and nobody else is to be thought of. As long as the second
    /// value holds, the driver may take messages off the hold and call that handler without asking here.
    pub fn sole_handler(&self) -> Option<(H, Straight)> {
        let handler = self.message.sole()?.clone();
        let straight = Straight { glance: Arc::clone(&self.glance), word: self.glance.word() };
        self.glance.is_straight().then_some((handler, straight))
    }

    /// The connection has closed, OnClose has fired and nothing is held: handlers of OnMessage, which may know the
    /// socket, are let go. To be dropped outside of the lock around this.
    #[must_use = "drop the handlers outside of any lock: dropping one may run the user's code"]
    pub fn let_go(&mut self) -> Vec<H> {
        let handlers = self.message.clear();
        self.glance.count_change();
        self.publish();
        handlers
    }

    // ---- tickets

    /// Somebody waits for the next message, with everybody else who does.
    pub fn wait(&mut self, waiter: W) -> Ticket {
        let ticket = self.tickets.share(waiter);
        self.publish();
        ticket
    }

    /// Somebody waits for the next message of its own, and takes up to `limit` that are there by then.
    pub fn receive(&mut self, waiter: W, limit: usize) -> Ticket {
        let ticket = self.tickets.queue(waiter, limit);
        self.publish();
        ticket
    }

    /// Somebody waits for the close.
    pub fn wait_for_close(&mut self, waiter: W) -> Ticket {
        self.tickets.wait_for_close(waiter)
    }

    /// A ticket's waiter waits in another way from now on, in the same place. What the ticket was given meanwhile is
    /// told, and it has to leave still.
    pub fn replace(&mut self, ticket: Ticket, waiter: W) -> Outcome<M> {
        self.tickets.replace(ticket, waiter)
    }

    /// Whether the ticket waits before all others.
    pub fn is_first(&self, ticket: Ticket) -> bool {
        self.tickets.is_first(ticket)
    }

    /// How many tickets wait.
    pub fn waiting(&self) -> usize {
        self.tickets.count()
    }

    /// What became of the ticket; if it was given a message it leaves with it.
    pub fn collect(&mut self, ticket: Ticket) -> Outcome<M> {
        match self.collect_all(ticket) {
            Outcome::Given((message, _)) => Outcome::Given(message),
            Outcome::Waits => Outcome::Waits,
            Outcome::Ended => Outcome::Ended,
        }
    }

    /// The same with all that it was given: the first message and the others.
    pub fn collect_all(&mut self, ticket: Ticket) -> Outcome<(M, Vec<M>)> {
        let outcome = self.tickets.take(ticket);
        self.publish();
        outcome
    }

    /// The ticket's waiter has its message, and leaves.
    pub fn took(&mut self, ticket: Ticket) {
        let _its_own = self.tickets.take(ticket);
        self.publish();
    }

    /// The ticket's waiter leaves without a message: what it was given goes to the next taker. True: something went back,
    /// so that others who wait have to be served.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        let returned = self.tickets.leave(ticket);
        let goes_back = !returned.is_empty() && !self.ended_here;
        if goes_back {
            returned.into_iter().for_each(|(number, message)| self.keep(number, message, false));
        }
        self.publish();
        goes_back
    }

    /// Messages that were taken off the hold for the one handler ([`Takers::sole_handler`]), in their order, and that it has
    /// not had when it was no longer the only one to think of: they are for everybody, before all that comes. After a local
    /// Close they are for nobody.
    pub fn give_back(&mut self, messages: Vec<M>) {
        if self.ended_here {
            return;
        }
        for message in messages {
            self.taken += 1;
            self.keep(self.taken, message, false);
        }
        self.publish();
    }

    /// Lets go of those who wait for messages and whom the language has ended without a word.
    pub fn forget(&mut self, is_gone: impl FnMut(&W) -> bool) -> Vec<W> {
        if !self.tickets.somebody_waits() {
            return Vec::new();
        }
        let gone = self.tickets.forget(is_gone);
        self.publish();
        gone
    }

    /// Whether new messages have to be reported to the driver.
    pub fn needs_reports(&self) -> bool {
        !self.message.is_empty() || self.tickets.somebody_needs_the_driver()
    }

    /// Whether something that came off the hold waits for a taker.
    pub fn has_returned(&self) -> bool {
        self.kept.len() > self.kept_for_handlers
    }

    /// A local Close: what was not delivered is not delivered any more. To be dropped outside of the lock around this.
    #[must_use = "drop the messages outside of any lock"]
    pub fn discard(&mut self) -> Vec<M> {
        self.ended_here = true;
        self.kept_for_handlers = 0;
        let discarded = self.kept.drain(..).map(|kept| kept.message).collect();
        self.publish();
        discarded
    }

    /// What was kept for handlers only goes with the last of them.
    pub(super) fn drop_unheard(&mut self) {
        if self.kept_for_handlers > 0 && self.message.is_empty() {
            self.kept.retain(|kept| !kept.for_handlers);
            self.kept_for_handlers = 0;
        }
    }

    /// Keeps a message that came off the hold, in its place.
    pub(super) fn keep(&mut self, number: u64, message: M, for_handlers: bool) {
        let at = self.kept.partition_point(|kept| kept.number < number);
        self.kept.insert(at, Kept { number, message, for_handlers });
        self.kept_for_handlers += usize::from(for_handlers);
    }
}
