//! Whatever is done in whatever order, the takers do what a few plain lists do.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tests::{Hold, Who};
use super::*;

/// What is done.
#[derive(Clone, Copy, Debug)]
enum Step {
    Arrives,
    Receives {
        task: bool,
        limit: usize,
    },
    Waits {
        task: bool,
    },
    /// The one with the number, among those who have not left.
    Takes(usize),
    Leaves(usize),
    Connects {
        once: bool,
    },
    Disconnects(usize),
    Driver,
    Waiter,
    Closes,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Arrives),
        4 => (any::<bool>(), prop_oneof![4 => Just(1usize), 1 => 2usize..5])
            .prop_map(|(task, limit)| Step::Receives { task, limit }),
        3 => any::<bool>().prop_map(|task| Step::Waits { task }),
        3 => (0usize..8).prop_map(Step::Takes),
        3 => (0usize..8).prop_map(Step::Leaves),
        1 => any::<bool>().prop_map(|once| Step::Connects { once }),
        1 => (0usize..3).prop_map(Step::Disconnects),
        3 => Just(Step::Driver),
        3 => Just(Step::Waiter),
        1 => Just(Step::Closes),
    ]
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Has {
    messages: Vec<u32>,
    /// The list goes back when nobody of it takes it.
    group: Vec<Ticket>,
    shared: bool,
}

/// The same in plain lists.
#[derive(Debug, Default)]
struct Model {
    held: Vec<u32>,
    /// Which of `held` waiters have had: those are for handlers.
    seen: Vec<u32>,
    queue: Vec<(Ticket, Option<usize>, bool)>,
    given: BTreeMap<Ticket, Has>,
    handlers: Vec<(u32, bool)>,
    heard: Vec<(u32, u32)>,
    ended: Vec<Ticket>,
    closed: bool,
}

impl Model {
    fn serve(&mut self, asker: Asker) {
        loop {
            let driver = asker == Asker::Driver;
            let shares = self.queue.iter().any(|(_, limit, _)| limit.is_none());
            if !driver {
                let held_up = shares && self.given.values().any(|has| has.shared);
                if held_up || self.is_brought() {
                    return;
                }
            }
            let for_handlers = driver && !self.handlers.is_empty();
            let fits = |message: &u32| for_handlers || !self.seen.contains(message);
            let next = self.held.iter().position(fits);
            let Some(at) = next.filter(|_| for_handlers || !self.queue.is_empty()) else { break };
            let message = self.held.remove(at);
            if !self.seen.contains(&message) {
                self.hand_out(message);
            }
            if for_handlers {
                self.seen.retain(|seen| *seen != message);
                self.heard.extend(self.handlers.iter().map(|(name, _)| (*name, message)));
                self.handlers.retain(|(_, once)| !once);
                self.drop_unheard();
            } else if !self.handlers.is_empty() {
                self.held.insert(at, message);
                self.seen.push(message);
            }
        }
        // Tasks beside a handler are told by the driver.
        while self.closed && (asker == Asker::Driver || !self.is_brought()) && !self.queue.is_empty() {
            self.ended.push(self.queue.remove(0).0);
        }
    }

    fn drop_unheard(&mut self) {
        if self.handlers.is_empty() {
            let seen = std::mem::take(&mut self.seen);
            self.held.retain(|message| !seen.contains(message));
        }
    }

    fn is_brought(&self) -> bool {
        !self.handlers.is_empty() && self.queue.iter().all(|(.., task)| *task)
    }

    fn hand_out(&mut self, message: u32) {
        let everybody = !self.handlers.is_empty();
        let first = self.queue.iter().position(|(_, limit, _)| limit.is_some());
        let is_reached = |at: usize, limit: Option<usize>| everybody || limit.is_none() || Some(at) == first;
        let (reached, queue): (Vec<_>, Vec<_>) =
            self.queue.drain(..).enumerate().partition(|(at, (_, limit, _))| is_reached(*at, *limit));
        self.queue = queue.into_iter().map(|(_, each)| each).collect();
        let sharing: Vec<_> =
            reached.iter().filter(|(_, each)| each.1.is_none()).map(|(_, each)| each.0).collect();
        for (_, (ticket, limit, _)) in reached {
            let mut messages = vec![message];
            if let (Some(limit), false) = (limit, everybody) {
                let more = self.held.len().min(limit - 1);
                messages.extend(self.held.drain(..more));
            }
            let group = match limit {
                _ if everybody => Vec::new(),
                Some(_) => vec![ticket],
                None if first.is_some() => Vec::new(),
                None => sharing.clone(),
            };
            let shared = limit.is_none() && sharing.len() > 1;
            self.given.insert(ticket, Has { messages, group, shared });
        }
    }

    fn takes(&mut self, ticket: Ticket) -> Option<Vec<u32>> {
        let has = self.given.remove(&ticket)?;
        has.group.iter().for_each(|other| {
            if let Some(other) = self.given.get_mut(other) {
                other.group.clear();
            }
        });
        Some(has.messages)
    }

    fn leaves(&mut self, ticket: Ticket) {
        self.queue.retain(|(other, ..)| *other != ticket);
        let Some(has) = self.given.remove(&ticket) else { return };
        let is_last = has.group.iter().all(|other| !self.given.contains_key(other));
        if !has.group.is_empty() && is_last {
            self.held.extend(has.messages);
            self.held.sort_unstable();
        }
    }
}

fn serve(
    takers: &mut Takers<u32, u32, Who>,
    hold: &mut Hold,
    asker: Asker,
    heard: &mut Vec<(u32, u32)>,
) -> usize {
    let mut ended = 0;
    while let Some(next) = takers.next(asker, hold).expect("messages can be made") {
        match next {
            Next::Call(handler, message) => heard.push((handler, message)),
            Next::End(_) => ended += 1,
            Next::Give(..) | Next::Pause => {}
            Next::CallClose(_) => unreachable!("nobody listens to the close"),
        }
    }
    ended
}

proptest! {
    #[test]
    fn nothing_is_lost_or_doubled_and_the_order_is_kept(steps in prop::collection::vec(step(), 1..120)) {
        let mut takers = Takers::<u32, u32, Who>::new();
        let mut hold = Hold::default();
        let mut model = Model::default();
        let (mut arrived, mut named) = (0, 0);
        let mut heard = Vec::new();
        let mut ended = 0;
        let mut tickets: Vec<Ticket> = Vec::new();
        let mut ids = Vec::new();
        let who = |task: bool, name| if task { Who::Task(name) } else { Who::Thread(name) };
        for step in steps {
            named += 1;
            match step {
                Step::Arrives if !model.closed => {
                    arrived += 1;
                    hold.messages.push_back(arrived);
                    model.held.push(arrived);
                }
                Step::Arrives => {}
                Step::Receives { task, limit } => {
                    let ticket = takers.receive(who(task, named), limit);
                    tickets.push(ticket);
                    model.queue.push((ticket, Some(limit), task));
                }
                Step::Waits { task } => {
                    let ticket = takers.wait(who(task, named));
                    tickets.push(ticket);
                    model.queue.push((ticket, None, task));
                }
                Step::Takes(at) if at < tickets.len() => {
                    let ticket = tickets[at];
                    let expected = match model.takes(ticket) {
                        Some(messages) => {
                            let (first, more) = messages.split_first().expect("one at least");
                            tickets.remove(at);
                            Outcome::Given((*first, more.to_vec()))
                        }
                        None if model.ended.contains(&ticket) => Outcome::Ended,
                        None => Outcome::Waits,
                    };
                    prop_assert_eq!(takers.collect_all(ticket), expected);
                }
                Step::Leaves(at) if at < tickets.len() => {
                    let ticket = tickets.remove(at);
                    takers.leave(ticket);
                    model.leaves(ticket);
                }
                Step::Takes(_) | Step::Leaves(_) => {}
                Step::Connects { once } => {
                    ids.push(takers.connect(Which::Message, named, once));
                    model.handlers.push((named, once));
                }
                Step::Disconnects(at) if at < ids.len() => {
                    if let Some(name) = takers.disconnect(Which::Message, ids.remove(at)) {
                        model.handlers.retain(|(other, _)| *other != name);
                        model.drop_unheard();
                    }
                }
                Step::Disconnects(_) => {}
                Step::Driver | Step::Waiter => {
                    let asker = if matches!(step, Step::Driver) { Asker::Driver } else { Asker::Waiter };
                    ended += serve(&mut takers, &mut hold, asker, &mut heard);
                    model.serve(asker);
                }
                Step::Closes => {
                    hold.closed = true;
                    model.closed = true;
                }
            }
            prop_assert_eq!(&heard, &model.heard);
            prop_assert_eq!(ended, model.ended.len());
            prop_assert_eq!(takers.glance().has_handlers(), !model.handlers.is_empty());
            let needs_driver = model.queue.iter().any(|(.., task)| *task);
            prop_assert_eq!(takers.needs_reports(), needs_driver || !model.handlers.is_empty());
        }
        // Whoever left, was given or is still there: what is left goes to the next, in order.
        for ticket in tickets {
            takers.leave(ticket);
            model.leaves(ticket);
        }
        for id in ids {
            takers.disconnect(Which::Message, id);
        }
        model.handlers.clear();
        let rest = takers.receive(Who::Task(0), usize::MAX);
        serve(&mut takers, &mut hold, Asker::Driver, &mut heard);
        let left: Vec<u32> = match takers.collect_all(rest) {
            Outcome::Given((first, more)) => std::iter::once(first).chain(more).collect(),
            Outcome::Waits | Outcome::Ended => Vec::new(),
        };
        model.held.retain(|message| !model.seen.contains(message));
        prop_assert_eq!(left, model.held);
    }
}
