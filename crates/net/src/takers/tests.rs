//! The promises about takers, one by one.

use std::collections::VecDeque;

use super::*;

/// Somebody who waits: by name, and whether a driver has to bring it what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Task(u32),
    Thread(u32),
}

impl Waiter for Who {
    fn needs_driver(&self) -> bool {
        matches!(self, Self::Task(_))
    }
}

#[derive(Debug, Default)]
pub(super) struct Hold {
    pub(super) messages: VecDeque<u32>,
    pub(super) closed: bool,
}

impl Source for Hold {
    type Message = u32;
    type Error = ();

    fn has_closed(&mut self) -> bool {
        self.closed
    }

    fn take(&mut self) -> Result<Option<u32>, ()> {
        Ok(self.messages.pop_front())
    }
}

type Subject = Takers<u32, &'static str, Who>;

fn hold(messages: &[u32]) -> Hold {
    Hold { messages: messages.iter().copied().collect(), closed: false }
}

/// Does what the takers say until there is nothing to do; in words.
fn ask(takers: &mut Subject, asker: Asker, hold: &mut Hold) -> Vec<String> {
    let mut said = Vec::new();
    while let Some(next) = takers.next(asker, hold).expect("messages can be made") {
        said.push(match next {
            Next::Give(_, who, message) => format!("{who:?} {message}"),
            Next::Call(handler, message) => format!("{handler} {message}"),
            Next::CallClose(handler) => format!("{handler} closed"),
            Next::End(who) => format!("{who:?} ends"),
            Next::Pause => "pause".to_owned(),
        });
    }
    said
}

#[test]
fn receivers_are_served_in_the_order_in_which_they_came() {
    let mut takers = Subject::new();
    let first = takers.receive(Who::Thread(1), 1);
    let second = takers.receive(Who::Task(2), 1);
    takers.receive(Who::Thread(3), 1);
    let mut hold = hold(&[10, 20]);
    assert_eq!(ask(&mut takers, Asker::Waiter, &mut hold), ["Thread(1) 10", "Task(2) 20"]);
    assert_eq!(takers.collect(second), Outcome::Given(20));
    assert_eq!(takers.collect(first), Outcome::Given(10));
    assert_eq!(takers.collect(first), Outcome::Ended);
}

#[test]
fn everybody_in_wait_gets_the_same_message() {
    let mut takers = Subject::new();
    takers.wait(Who::Task(1));
    takers.wait(Who::Thread(2));
    let mut hold = hold(&[10, 20]);
    assert_eq!(ask(&mut takers, Asker::Driver, &mut hold), ["Task(1) 10", "Thread(2) 10"]);
    assert_eq!(hold.messages, [20]);
}

#[test]
fn who_waits_again_gets_the_same_message_as_the_others_who_do() {
    let mut takers = Subject::new();
    let tickets = [takers.wait(Who::Task(1)), takers.wait(Who::Task(2))];
    let mut hold = hold(&[10, 20]);
    ask(&mut takers, Asker::Waiter, &mut hold);
    takers.took(tickets[0]);
    takers.wait(Who::Task(1));
    assert!(takers.glance().is_held_up());
    assert!(ask(&mut takers, Asker::Waiter, &mut hold).is_empty(), "the other one has not had its turn");
    takers.took(tickets[1]);
    takers.wait(Who::Task(2));
    assert_eq!(ask(&mut takers, Asker::Waiter, &mut hold), ["Task(1) 20", "Task(2) 20"]);
}

#[test]
fn a_receiver_beside_a_handler_gets_a_copy_and_the_handler_every_message() {
    let mut takers = Subject::new();
    takers.connect(Which::Message, "handler", false);
    takers.receive(Who::Task(1), 1);
    takers.receive(Who::Task(2), 5);
    let mut hold = hold(&[10, 20]);
    let said = ask(&mut takers, Asker::Driver, &mut hold);
    assert_eq!(said, ["Task(1) 10", "Task(2) 10", "handler 10", "pause", "handler 20"]);
}

#[test]
fn what_a_thread_takes_beside_a_handler_is_kept_for_that() {
    let mut takers = Subject::new();
    takers.connect(Which::Message, "handler", false);
    let mut hold = hold(&[10, 20, 30]);
    takers.wait(Who::Thread(1));
    assert_eq!(ask(&mut takers, Asker::Waiter, &mut hold), ["Thread(1) 10"]);
    takers.receive(Who::Thread(1), 1);
    assert_eq!(ask(&mut takers, Asker::Waiter, &mut hold), ["Thread(1) 20"]);
    assert!(takers.glance().owes());
    assert_eq!(ask(&mut takers, Asker::Driver, &mut hold), ["handler 10", "handler 20", "handler 30"]);
    assert!(!takers.glance().owes());
}

#[test]
fn a_task_beside_a_handler_waits_for_the_driver() {
    let mut takers = Subject::new();
    takers.connect(Which::Message, "handler", false);
    takers.receive(Who::Task(1), 1);
    let mut hold = hold(&[10]);
    assert!(ask(&mut takers, Asker::Waiter, &mut hold).is_empty());
    assert_eq!(ask(&mut takers, Asker::Driver, &mut hold), ["Task(1) 10", "handler 10"]);
}

#[test]
fn what_is_kept_for_handlers_goes_with_them() {
    let mut takers = Subject::new();
    let id = takers.connect(Which::Message, "handler", false);
    let mut hold = hold(&[10, 20]);
    takers.wait(Who::Thread(1));
    ask(&mut takers, Asker::Waiter, &mut hold);
    takers.disconnect(Which::Message, id);
    takers.receive(Who::Thread(2), 1);
    assert_eq!(ask(&mut takers, Asker::Driver, &mut hold), ["Thread(2) 20"]);
    assert!(takers.glance().is_free());
}

#[test]
fn a_message_that_was_given_and_not_taken_goes_to_the_next_before_those_that_came_after_it() {
    let mut takers = Subject::new();
    let tickets: Vec<_> = (1..=3).map(|name| takers.receive(Who::Task(name), 1)).collect();
    let mut hold = hold(&[10, 20]);
    ask(&mut takers, Asker::Driver, &mut hold);
    hold.messages.push_back(30);
    assert!(takers.leave(tickets[1]));
    assert!(takers.leave(tickets[0]));
    assert!(!takers.leave(tickets[0]), "it has left");
    assert_eq!(ask(&mut takers, Asker::Driver, &mut hold), ["Task(3) 10"]);
    takers.receive(Who::Task(4), 1);
    takers.receive(Who::Task(5), 1);
    assert_eq!(ask(&mut takers, Asker::Driver, &mut hold), ["Task(4) 20", "Task(5) 30"]);
}

#[test]
fn one_of_several_in_wait_is_enough_to_take_the_message() {
    for (takes, expected) in
        [(Some(0), vec!["Task(3) 20"]), (Some(1), vec!["Task(3) 20"]), (None, vec!["Task(3) 10"])]
    {
        let mut takers = Subject::new();
        let tickets = [takers.wait(Who::Task(1)), takers.wait(Who::Task(2))];
        let mut hold = hold(&[10, 20]);
        ask(&mut takers, Asker::Driver, &mut hold);
        for (at, ticket) in tickets.into_iter().enumerate() {
            if takes == Some(at) {
                takers.took(ticket);
            } else {
                takers.leave(ticket);
            }
        }
        takers.receive(Who::Task(3), 1);
        assert_eq!(ask(&mut takers, Asker::Driver, &mut hold), expected);
    }
}

#[test]
fn a_message_that_is_given_back_while_others_are_told_of_theirs_goes_to_the_next() {
    let mut takers = Subject::new();
    let first = takers.receive(Who::Task(1), 1);
    takers.receive(Who::Task(2), 1);
    let mut hold = hold(&[10]);
    let given = takers.next(Asker::Driver, &mut hold);
    assert_eq!(given, Ok(Some(Next::Give(first, Who::Task(1), 10))));
    // The driver finds that the task was cancelled.
    assert!(takers.leave(first));
    assert_eq!(ask(&mut takers, Asker::Driver, &mut hold), ["Task(2) 10"]);
}

#[test]
fn one_that_pauses_keeps_its_place() {
    let mut takers = Subject::new();
    let paused = takers.receive(Who::Thread(0), 1);
    let behind = takers.receive(Who::Task(1), 1);
    assert!(!takers.glance().is_free(), "who comes now has to ask");
    assert!(takers.is_first(paused) && !takers.is_first(behind));
    assert_eq!(takers.replace(paused, Who::Task(0)), Outcome::Waits);
    assert!(takers.needs_reports());
    let mut hold = hold(&[10, 20]);
    ask(&mut takers, Asker::Driver, &mut hold);
    assert_eq!(takers.collect(behind), Outcome::Given(20));
    assert_eq!(takers.replace(paused, Who::Thread(0)), Outcome::Given(10));
    assert_eq!(takers.collect(paused), Outcome::Given(10));
    assert_eq!(takers.replace(paused, Who::Thread(0)), Outcome::Ended);
    assert!(takers.glance().is_free());
}

#[test]
fn a_ticket_may_take_all_that_is_there_and_gives_all_of_it_back() {
    let mut takers = Subject::new();
    let many = takers.receive(Who::Task(1), 3);
    takers.receive(Who::Task(2), 1);
    let mut hold = hold(&[10, 20, 30, 40]);
    assert_eq!(ask(&mut takers, Asker::Driver, &mut hold), ["Task(1) 10", "Task(2) 40"]);
    assert!(takers.leave(many));
    let rest = takers.receive(Who::Task(3), usize::MAX);
    ask(&mut takers, Asker::Driver, &mut hold);
    assert_eq!(takers.collect_all(rest), Outcome::Given((10, vec![20, 30])));
}

#[test]
fn a_message_in_the_middle_of_its_handlers_goes_on_in_the_next_turn() {
    let mut takers = Subject::new();
    takers.connect(Which::Message, "first", false);
    takers.connect(Which::Message, "second", false);
    let mut hold = hold(&[10, 20]);
    assert!(takers.begin_turn());
    assert!(!takers.begin_turn(), "nobody else delivers meanwhile");
    assert_eq!(takers.next(Asker::Driver, &mut hold), Ok(Some(Next::Call("first", 10))));
    takers.end_turn();
    takers.connect(Which::Message, "late", false);
    assert!(takers.begin_turn());
    assert_eq!(ask(&mut takers, Asker::Driver, &mut hold), ["second 10", "first 20", "second 20", "late 20"]);
}

#[test]
fn the_close_comes_once_after_the_last_message_and_late_comers_hear_of_it() {
    let mut takers = Subject::new();
    takers.connect(Which::Close, "one", false);
    takers.connect(Which::Close, "two", true);
    takers.connect(Which::Message, "handler", false);
    takers.wait_for_close(Who::Task(1));
    let left = takers.wait_for_close(Who::Task(2));
    assert_eq!(takers.waiting(), 2);
    takers.leave(left);
    assert_eq!(takers.waiting(), 1);
    let mut hold = hold(&[10]);
    hold.closed = true;
    assert!(!takers.glance().close_fires());
    let said = ask(&mut takers, Asker::Driver, &mut hold);
    assert_eq!(said, ["handler 10", "Task(1) ends", "one closed", "two closed"]);
    assert!(takers.glance().close_fires());
    assert!(ask(&mut takers, Asker::Driver, &mut hold).is_empty());
    takers.connect(Which::Close, "late", false);
    takers.wait(Who::Task(3));
    assert_eq!(ask(&mut takers, Asker::Driver, &mut hold), ["Task(3) ends", "late closed"]);
    assert_eq!(takers.let_go(), ["handler"]);
    assert!(!takers.has_handler());
}

#[test]
fn a_handler_of_the_close_that_is_disconnected_does_not_run() {
    let mut takers = Subject::new();
    takers.connect(Which::Close, "one", false);
    let two = takers.connect(Which::Close, "two", false);
    let mut hold = Hold { closed: true, ..Hold::default() };
    assert_eq!(takers.next(Asker::Driver, &mut hold), Ok(Some(Next::CallClose("one"))));
    assert_eq!(takers.disconnect(Which::Close, two), Some("two"));
    assert!(ask(&mut takers, Asker::Driver, &mut hold).is_empty());
}

#[test]
fn closed_is_not_told_while_a_message_is_held() {
    /// The last message and the close come between the look at the one and the look at the other.
    struct Late(Hold);
    impl Source for Late {
        type Message = u32;
        type Error = ();
        fn has_closed(&mut self) -> bool {
            let closed = self.0.closed;
            if !closed {
                self.0.messages.push_back(99);
            }
            self.0.closed = true;
            closed
        }
        fn take(&mut self) -> Result<Option<u32>, ()> {
            self.0.take()
        }
    }
    for asker in [Asker::Driver, Asker::Waiter] {
        let mut takers = Subject::new();
        let ticket = takers.receive(Who::Thread(1), 1);
        let mut late = Late(Hold::default());
        assert_eq!(takers.next(asker, &mut late), Ok(Some(Next::Give(ticket, Who::Thread(1), 99))));
        takers.receive(Who::Thread(2), 1);
        assert_eq!(takers.next(asker, &mut late), Ok(Some(Next::End(Who::Thread(2)))));
    }
}

#[test]
fn a_local_close_discards_what_was_not_delivered() {
    let mut takers = Subject::new();
    takers.connect(Which::Message, "handler", false);
    let mut hold = hold(&[10]);
    takers.wait(Who::Thread(1));
    ask(&mut takers, Asker::Waiter, &mut hold);
    assert_eq!(takers.discard(), [10]);
    assert!(takers.glance().has_ended_here());
    assert!(ask(&mut takers, Asker::Driver, &mut hold).is_empty());
}

#[test]
fn nothing_is_given_back_after_a_local_close() {
    let mut takers = Subject::new();
    let ticket = takers.receive(Who::Task(1), 1);
    ask(&mut takers, Asker::Driver, &mut hold(&[10]));
    assert!(takers.discard().is_empty());
    assert!(!takers.leave(ticket));
    assert!(!takers.has_returned());
}

#[test]
fn a_message_that_cannot_be_made_is_told_and_the_next_one_goes_on() {
    struct Broken(u32);
    impl Source for Broken {
        type Message = u32;
        type Error = &'static str;
        fn has_closed(&mut self) -> bool {
            false
        }
        fn take(&mut self) -> Result<Option<u32>, Self::Error> {
            self.0 += 1;
            if self.0 == 1 { Err("no memory") } else { Ok(Some(self.0)) }
        }
    }
    let mut takers = Subject::new();
    let ticket = takers.receive(Who::Task(1), 1);
    let mut broken = Broken(0);
    assert_eq!(takers.next(Asker::Driver, &mut broken), Err("no memory"));
    assert_eq!(takers.next(Asker::Driver, &mut broken), Ok(Some(Next::Give(ticket, Who::Task(1), 2))));
}

#[test]
fn the_way_is_straight_for_one_handler_until_anything_changes() {
    assert!(Subject::new().sole_handler().is_none());
    let changes: [fn(&mut Subject); 4] = [
        |takers| {
            takers.connect(Which::Message, "another", false);
        },
        |takers| {
            takers.wait(Who::Thread(1));
        },
        |takers| {
            takers.receive(Who::Task(1), 1);
        },
        |takers| {
            let id = takers.connect(Which::Message, "another", false);
            takers.disconnect(Which::Message, id);
        },
    ];
    for change in changes {
        let mut takers = Subject::new();
        takers.connect(Which::Message, "handler", false);
        takers.begin_turn();
        let (handler, straight) = takers.sole_handler().expect("there is one");
        assert_eq!(handler, "handler");
        assert!(straight.holds());
        change(&mut takers);
        assert!(!straight.holds());
    }
}

#[test]
fn those_whom_the_language_ended_are_forgotten() {
    let mut takers = Subject::new();
    takers.receive(Who::Task(1), 1);
    takers.wait(Who::Task(2));
    assert_eq!(takers.forget(|who| *who == Who::Task(1)), [Who::Task(1)]);
    assert_eq!(takers.forget(|_| true), [Who::Task(2)]);
    assert!(takers.glance().is_free());
    assert!(!takers.needs_reports());
}

#[test]
fn what_the_one_handler_has_not_had_is_for_everybody_before_all_that_comes() {
    let mut takers = Subject::new();
    takers.connect(Which::Message, "first", false);
    let (handler, straight) = takers.sole_handler().expect("there is one handler");
    assert_eq!(handler, "first");
    // The driver has taken 10 and 20 off the hold for it, and while it runs somebody comes to wait.
    takers.wait(Who::Task(1));
    assert!(!straight.holds());
    takers.give_back(vec![10, 20]);
    let mut hold = hold(&[30]);
    let heard = ask(&mut takers, Asker::Driver, &mut hold);
    assert_eq!(heard, ["Task(1) 10", "first 10", "pause", "first 20", "first 30"]);
}

#[test]
fn what_the_one_handler_has_not_had_at_a_local_close_is_for_nobody() {
    let mut takers = Subject::new();
    takers.connect(Which::Message, "first", false);
    assert!(takers.discard().is_empty());
    takers.give_back(vec![10, 20]);
    assert!(ask(&mut takers, Asker::Driver, &mut hold(&[])).is_empty());
}
