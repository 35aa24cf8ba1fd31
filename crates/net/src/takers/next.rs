//! What is to be done next, and by whom.

use super::registry::{Kept, Takers};
use super::tickets::{Reach, Ticket, Waiter};

/// Who asks for what is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Whoever runs handlers: the dispatcher, the loop, the script host.
    Driver,
    /// Somebody who waits and looks for itself. What handlers are to get as well is kept for the driver.
    Waiter,
}

/// Where messages come from.
pub trait Source {
    /// A message, as the language has it.
    type Message;
    /// Why a message could not be made.
    type Error;

    /// Whether none will come any more beside those that are held. Asked before the hold is looked at: so "closed" is
    /// never told while a message is held.
    fn has_closed(&mut self) -> bool;

    /// Takes the oldest message off the hold.
    ///
    /// # Errors
    /// The message was taken, and could not be made.
    fn take(&mut self) -> Result<Option<Self::Message>, Self::Error>;

    /// Takes up to `most` messages off the hold, the oldest first, and passes each on.
    ///
    /// # Errors
    /// A message was taken and could not be made; those before it were passed on.
    fn take_more(&mut self, most: usize, pass_on: &mut dyn FnMut(Self::Message)) -> Result<(), Self::Error> {
        for _ in 0..most {
            let Some(message) = self.take()? else { break };
            pass_on(message);
        }
        Ok(())
    }
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<M, H, W> {
    /// Tell the waiter that the message was given to it. Whoever finds that the waiter does not wait any more calls
    /// [`Takers::leave`] before it asks on.
    Give(Ticket, W, M),
    /// Call a handler of OnMessage.
    Call(H, M),
    /// Call a handler of OnClose, without arguments.
    CallClose(H),
    /// Tell the waiter that it waits for nothing: the connection has closed, and every message from before was taken. To
    /// one that waits for the close, that is what it waits for.
    End(W),
    /// Who was given a copy has its turn before the next message is begun, where that can be arranged: so a loop of
    /// `Wait` misses nothing beside a handler. Ask again afterwards.
    Pause,
}

impl<M: Clone, H: Clone, W: Waiter> Takers<M, H, W> {
    /// A driver begins its turn. False: one is in its turn already, further up the stack; then only those who wait may be
    /// served, as [`Asker::Waiter`].
    pub fn begin_turn(&mut self) -> bool {
        let begins = !std::mem::replace(&mut self.driving, true);
        self.publish();
        begins
    }

    /// Its turn is over. A message in the middle of its handlers goes on there in the next.
    pub fn end_turn(&mut self) {
        self.driving = false;
        self.pause_due = false;
        self.publish();
    }

    /// What is to be done next; `None`: nothing, until something happens.
    ///
    /// # Errors
    /// That of [`Source::take`]. Ask on afterwards.
    pub fn next<S: Source<Message = M>>(
        &mut self,
        asker: Asker,
        source: &mut S,
    ) -> Result<Option<Next<M, H, W>>, S::Error> {
        let next = self.find(asker, source);
        self.publish();
        next
    }

    fn find<S: Source<Message = M>>(
        &mut self,
        asker: Asker,
        source: &mut S,
    ) -> Result<Option<Next<M, H, W>>, S::Error> {
        loop {
            if let Some((ticket, waiter, message)) = self.tickets.next_untold() {
                return Ok(Some(Next::Give(ticket, waiter, message)));
            }
            if asker == Asker::Driver
                && let Some((message, firing)) = &mut self.firing
            {
                if let Some((_, handler)) = self.message.next(firing) {
                    return Ok(Some(Next::Call(handler, message.clone())));
                }
                self.firing = None;
                self.drop_unheard();
            }
            let closed = source.has_closed();
            let handlers = asker == Asker::Driver && !self.message.is_empty();
            if asker == Asker::Waiter && !self.may_look() {
                return Ok(None);
            }
            if (handlers || self.tickets.somebody_waits())
                && let Some(kept) = self.take_off(handlers, source)?
            {
                if asker == Asker::Driver && std::mem::take(&mut self.pause_due) {
                    self.keep(kept.number, kept.message, kept.for_handlers);
                    return Ok(Some(Next::Pause));
                }
                self.begin(asker, kept, source)?;
                continue;
            }
            if asker == Asker::Driver {
                self.pause_due = false;
            }
            return Ok(if closed { self.end(asker) } else { None });
        }
    }

    /// Whether somebody who waits may take the next message off the hold: not before all who share the last one have
    /// taken it, and not where handlers are to have it and the driver brings it to everybody.
    fn may_look(&self) -> bool {
        let driver_brings_it = !self.message.is_empty() && self.tickets.all_need_the_driver();
        !self.tickets.is_held_up() && !driver_brings_it
    }

    /// The oldest message that was not delivered yet. `handlers`: for them, and so whatever it is.
    fn take_off<S: Source<Message = M>>(
        &mut self,
        handlers: bool,
        source: &mut S,
    ) -> Result<Option<Kept<M>>, S::Error> {
        if !self.kept.is_empty() {
            let at = if handlers {
                Some(0)
            } else if self.has_returned() {
                self.kept.iter().position(|kept| !kept.for_handlers)
            } else {
                None
            };
            if let Some(kept) = at.and_then(|at| self.kept.remove(at)) {
                self.kept_for_handlers -= usize::from(kept.for_handlers);
                return Ok(Some(kept));
            }
        }
        let taken = source.take()?;
        self.taken += u64::from(taken.is_some());
        Ok(taken.map(|message| Kept { number: self.taken, message, for_handlers: false }))
    }

    fn begin<S: Source<Message = M>>(
        &mut self,
        asker: Asker,
        kept: Kept<M>,
        source: &mut S,
    ) -> Result<(), S::Error> {
        let Kept { number, message, for_handlers } = kept;
        let handlers = !self.message.is_empty();
        if !for_handlers {
            let reach = if handlers { Reach::Everybody } else { Reach::First };
            let (greedy, copied) = self.tickets.hand_out(number, &message, reach);
            self.pause_due |= copied && asker == Asker::Driver;
            if let Some((ticket, mut more)) = greedy {
                while more > 0
                    && self.has_returned()
                    && let Some(kept) = self.take_off(false, source)?
                {
                    self.tickets.add(ticket, kept.number, kept.message);
                    more -= 1;
                }
                let Self { tickets, taken, .. } = self;
                source.take_more(more, &mut |message| {
                    *taken += 1;
                    tickets.add(ticket, *taken, message);
                })?;
            }
        }
        if handlers && asker == Asker::Driver {
            self.firing = Some((message, self.message.fire()));
        } else if handlers {
            self.keep(number, message, true);
        }
        Ok(())
    }

    /// The connection has closed, and nothing is held that anybody waits for.
    fn end(&mut self, asker: Asker) -> Option<Next<M, H, W>> {
        if let Some(waiter) = self.tickets.end_first() {
            return Some(Next::End(waiter));
        }
        if asker == Asker::Waiter {
            return None;
        }
        self.close_fires = true;
        if let Some(waiter) = self.tickets.close_first() {
            return Some(Next::End(waiter));
        }
        // Taken off before it runs, so that it runs once; one that comes while it runs is late, and runs too.
        self.close.take_first().map(Next::CallClose)
    }
}
