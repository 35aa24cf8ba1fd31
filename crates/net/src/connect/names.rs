//! What DNS says of a host's name: a small pool of threads, shared by everything that connects in this process.
//!
//! The system's resolver cannot be interrupted, and takes half a minute over a name whose servers do not answer. So:
//!
//! - Who asks does not wait: the answer is stored and the asker is woken ([`super::asking`]).
//! - A name is looked up once for everybody who asks for it meanwhile. A look-up that nobody wants any more is not begun;
//!   one that was begun is left to finish.
//! - [`FEW`] threads are started on demand. A name that is still in the queue after [`QUEUE_PATIENCE`] may have one more
//!   thread ([`Names::hurry`]), up to [`MOST`] in all: slow names delay others by a second, and bind no more than that
//!   many threads. Past it a name waits for as long as its connect's `open_timeout` lets it.
//! - A thread that has had nothing to do for [`IDLE`] ends.
//! - The child of a fork begins with a pool of its own: neither the threads nor a lock that they held would ever come
//!   back there.

use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use std::{io, thread};

use super::asking::{Question, Reply, Waker, question};
use crate::fork;

/// Threads that are started without hesitation: look-ups wait for the network, so they cost no processor.
const FEW: usize = 8;
/// Threads at the most, however many names are slow.
const MOST: usize = 64;
/// How long a name stays in the queue before it may have one more thread.
pub(super) const QUEUE_PATIENCE: Duration = Duration::from_secs(1);
/// How long a thread waits for the next name.
const IDLE: Duration = Duration::from_secs(5);

/// The addresses of a name, with port 0; or why there is none.
pub(super) type Answer = Result<Vec<SocketAddr>, String>;

/// How a name is looked up.
type Resolver = fn(&str) -> Answer;

/// Asks DNS for the addresses of `host`; `waker` is called when the answer is there.
pub(super) fn ask(host: &str, waker: &Waker) -> Question<Answer> {
    pool().ask(host, waker)
}

/// The name was asked for [`QUEUE_PATIENCE`] ago, and there is no answer.
pub(super) fn hurry(host: &str) {
    pool().hurry(host);
}

/// The pool of one process, and behind it that of the first child of a fork that this one is an ancestor of.
struct Generation {
    number: u32,
    names: OnceLock<Arc<Names>>,
    child: OnceLock<Box<Generation>>,
}

impl Generation {
    const fn new(number: u32) -> Self {
        Self { number, names: OnceLock::new(), child: OnceLock::new() }
    }
}

static FIRST: Generation = Generation::new(0);

fn pool() -> &'static Arc<Names> {
    let current = fork::generation();
    let mut generation = &FIRST;
    while generation.number != current {
        // Made by `after_fork_in_child`, while the process had one thread.
        let Some(child) = generation.child.get() else { break };
        generation = child;
    }
    generation.names.get_or_init(|| Arc::new(Names::new(look_up)))
}

/// Leaves the parent's pool alone from here on. To be called in the child, before it has another thread.
pub(crate) fn after_fork_in_child() {
    let mut generation = &FIRST;
    while let Some(child) = generation.child.get() {
        generation = child;
    }
    generation.child.get_or_init(|| Box::new(Generation::new(fork::generation())));
}

/// The system's resolver, which waits.
fn look_up(host: &str) -> Answer {
    let found = (host, 0).to_socket_addrs().map(Iterator::collect);
    found.map_err(|error| error.to_string())
}

struct Names {
    resolver: Resolver,
    state: Mutex<State>,
    /// There is a name in the queue.
    queued: Condvar,
}

#[derive(Default)]
struct State {
    /// Who asked for each name that is in the queue or being looked up.
    asked: HashMap<String, Vec<Reply<Answer>>>,
    queue: VecDeque<String>,
    threads: usize,
    /// Threads that wait for a name.
    idle: usize,
}

impl Names {
    fn new(resolver: Resolver) -> Self {
        Self { resolver, state: Mutex::default(), queued: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(self: &Arc<Self>, host: &str, waker: &Waker) -> Question<Answer> {
        let (question, reply) = question(Arc::clone(waker));
        let mut state = self.state();
        if let Some(others) = state.asked.get_mut(host) {
            others.push(reply);
            return question;
        }
        state.asked.insert(host.to_owned(), vec![reply]);
        state.queue.push_back(host.to_owned());
        if state.idle >= state.queue.len() {
            self.queued.notify_one();
            return question;
        }
        if state.threads < FEW {
            self.start_thread(state);
        }
        question
    }

    fn hurry(self: &Arc<Self>, host: &str) {
        let state = self.state();
        if state.threads < MOST && state.queue.iter().any(|queued| queued == host) {
            self.start_thread(state);
        }
    }

    /// Where the system has no thread left, those that there are come to the queue's names in the end; without any, all
    /// who ask are told.
    fn start_thread(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        state.threads += 1;
        let pool = Arc::clone(self);
        let started =
            thread::Builder::new().name("sunsocket-dns".to_owned()).spawn(move || pool.look_up_names());
        let Err(error) = started else { return };
        state.threads -= 1;
        if state.threads > 0 {
            return;
        }
        state.queue.clear();
        let unanswered = std::mem::take(&mut state.asked);
        drop(state);
        for reply in unanswered.into_values().flatten() {
            reply.answer(Err(no_thread(&error)));
        }
    }

    /// What each thread does.
    fn look_up_names(&self) {
        let mut state = self.state();
        loop {
            let Some(host) = state.queue.pop_front() else {
                state.idle += 1;
                let (woken, waited) =
                    self.queued.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
                state = woken;
                state.idle -= 1;
                if waited.timed_out() && state.queue.is_empty() {
                    state.threads -= 1;
                    return;
                }
                continue;
            };
            let is_wanted = state.asked.get(&host).is_some_and(|asked| asked.iter().any(Reply::is_wanted));
            if !is_wanted {
                state.asked.remove(&host);
                continue;
            }
            drop(state);
            let answer = (self.resolver)(&host);
            let replies = self.state().asked.remove(&host).unwrap_or_default();
            for reply in replies {
                reply.answer(answer.clone());
            }
            state = self.state();
        }
    }
}

fn no_thread(error: &io::Error) -> String {
    format!("no thread can be started to look it up: {error}")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Names that are being looked up, in order, and the answers that the test gives: it decides when a look-up ends.
    struct Desk {
        begun: Receiver<(String, Sender<Answer>)>,
    }

    type Begin = Sender<(String, Sender<Answer>)>;

    static DESKS: Mutex<Vec<(&str, Begin)>> = Mutex::new(Vec::new());

    /// Names end in the name of the test's desk.
    fn at_the_desk(host: &str) -> Answer {
        let begin = {
            let desks = DESKS.lock().expect("not poisoned");
            desks.iter().find(|(desk, _)| host.ends_with(desk)).expect("a desk of this name").1.clone()
        };
        let (give, answer) = channel();
        // Both fail when the test is over.
        let _ = begin.send((host.to_owned(), give));
        answer.recv().unwrap_or_else(|_| Err("nobody is at the desk".to_owned()))
    }

    fn pool_with_desk(name: &'static str) -> (Arc<Names>, Desk) {
        let (begin, begun) = channel();
        DESKS.lock().expect("not poisoned").push((name, begin));
        (Arc::new(Names::new(at_the_desk)), Desk { begun })
    }

    impl Desk {
        fn next(&self) -> (String, Sender<Answer>) {
            self.begun.recv_timeout(Duration::from_secs(10)).expect("a thread begins to look up a name")
        }
    }

    /// A waker, and what tells that it was called.
    fn waker() -> (Waker, Receiver<()>) {
        let (wake, woken) = channel();
        (
            Arc::new(move || {
                let _ = wake.send(());
            }),
            woken,
        )
    }

    fn addresses() -> Vec<SocketAddr> {
        vec![([192, 0, 2, 1], 0).into()]
    }

    #[test]
    fn a_name_is_looked_up_once_for_all_who_ask() {
        let (pool, desk) = pool_with_desk("once.test");
        let (waker, woken) = waker();
        let questions: Vec<_> = (0..50).map(|_| pool.ask("once.test", &waker)).collect();
        let (host, give) = desk.next();
        assert_eq!(host, "once.test");
        assert!(questions.iter().all(|question| question.take().is_none()));
        give.send(Ok(addresses())).expect("the thread waits");
        for question in questions {
            woken.recv_timeout(Duration::from_secs(10)).expect("each asker is woken");
            drop(question);
        }
        assert_eq!(pool.state().threads, 1);
        assert!(desk.begun.try_recv().is_err());
    }

    #[test]
    fn a_later_asker_begins_anew() {
        let (pool, desk) = pool_with_desk("anew.test");
        for answer in [Err("not known".to_owned()), Ok(addresses())] {
            let (waker, woken) = waker();
            let question = pool.ask("anew.test", &waker);
            desk.next().1.send(answer.clone()).expect("the thread waits");
            woken.recv_timeout(Duration::from_secs(10)).expect("the asker is woken");
            assert_eq!(question.take(), Some(answer));
        }
    }

    #[test]
    fn slow_names_keep_others_waiting_for_their_patience_alone() {
        let (pool, desk) = pool_with_desk("slow.test");
        let (waker, _woken) = waker();
        let slow: Vec<_> = (0..FEW).map(|number| pool.ask(&format!("{number}.slow.test"), &waker)).collect();
        let answers: Vec<_> = slow.iter().map(|_| desk.next().1).collect();
        let _late = pool.ask("late.slow.test", &waker);
        assert!(desk.begun.try_recv().is_err());
        assert_eq!(pool.state().threads, FEW);
        pool.hurry("late.slow.test");
        let (host, give) = desk.next();
        assert_eq!(host, "late.slow.test");
        // It is being looked up: another thread would not help.
        pool.hurry("late.slow.test");
        assert_eq!(pool.state().threads, FEW + 1);
        for give in answers.into_iter().chain([give]) {
            give.send(Ok(addresses())).expect("the thread waits");
        }
    }

    #[test]
    fn threads_have_a_bound_and_the_queue_goes_on_in_its_order() {
        let (pool, desk) = pool_with_desk("bound.test");
        let (waker, _woken) = waker();
        let names: Vec<String> = (0..MOST + 3).map(|number| format!("{number}.bound.test")).collect();
        let _questions: Vec<_> = names.iter().map(|name| pool.ask(name, &waker)).collect();
        names.iter().for_each(|name| pool.hurry(name));
        let begun: Vec<_> = (0..MOST).map(|_| desk.next()).collect();
        assert_eq!(pool.state().threads, MOST);
        assert!(desk.begun.try_recv().is_err());
        begun[7].1.send(Ok(addresses())).expect("the thread waits");
        let (host, last) = desk.next();
        assert_eq!(host, names[MOST]);
        drop(last);
    }

    #[test]
    fn what_nobody_wants_any_more_is_not_looked_up() {
        let (pool, desk) = pool_with_desk("given-up.test");
        let (waker, _woken) = waker();
        let _slow: Vec<_> =
            (0..FEW).map(|number| pool.ask(&format!("{number}.given-up.test"), &waker)).collect();
        let answers: Vec<_> = (0..FEW).map(|_| desk.next().1).collect();
        drop(pool.ask("dropped.given-up.test", &waker));
        let _kept = pool.ask("kept.given-up.test", &waker);
        for give in &answers[..1] {
            give.send(Ok(addresses())).expect("the thread waits");
        }
        assert_eq!(desk.next().0, "kept.given-up.test");
    }

    #[test]
    fn an_idle_thread_takes_the_next_name() {
        let (pool, desk) = pool_with_desk("idle.test");
        for number in 0..FEW * 2 {
            let (waker, woken) = waker();
            let _question = pool.ask(&format!("{number}.idle.test"), &waker);
            desk.next().1.send(Ok(addresses())).expect("the thread waits");
            woken.recv_timeout(Duration::from_secs(10)).expect("the asker is woken");
            while pool.state().idle == 0 {
                thread::yield_now();
            }
        }
        assert_eq!(pool.state().threads, 1);
    }
}
