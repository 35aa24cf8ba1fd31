//! What DNS says of a host's name, and what a program's own function says: asked on a small pool of threads for each,
//! which everything that connects in this process shares.
//!
//! The system's resolver cannot be interrupted, and takes half a minute over a name whose servers do not answer. So a
//! name is looked up once for everybody who asks for it meanwhile, by a [`Pool`] that slow names do not use up at once.
//! Functions have a pool of their own: one that never returns keeps no name from being looked up.
//!
//! The child of a fork begins with pools of its own: neither the threads nor a lock that they held would ever come back
//! there.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use super::asking::{Pending, Reply, Waker, question};
use super::pool::{Job, Pool};
use crate::error::{Error, ErrorKind, in_words};
use crate::fork;
use crate::options::ResolveFunction;

/// The addresses of a name, with port 0; or why there is none.
pub(super) type Answer = Result<Vec<SocketAddr>, String>;
/// What a program's own function says; `None` leaves the question to DNS.
pub(super) type OwnAnswer = Result<Option<Vec<SocketAddr>>, Error>;

/// Asks DNS for the addresses of `host`; `waker` is called when the answer is there.
pub(super) fn ask(host: &str, waker: &Waker, now: Instant) -> Pending<Answer> {
    pools().names.ask(host, waker, now)
}

/// Asks a program's own function.
pub(super) fn ask_function(
    function: &ResolveFunction,
    host: &str,
    port: u16,
    waker: &Waker,
    now: Instant,
) -> Pending<OwnAnswer> {
    let (question, reply) = question(waker);
    let (function, its_host) = (Arc::clone(function), host.to_owned());
    let run = move || {
        if reply.is_wanted() {
            // A panic would leave whoever asked without an answer, and the pool without a thread.
            let answer = panic::catch_unwind(AssertUnwindSafe(|| function(&its_host, port)));
            reply.answer(answer.unwrap_or_else(|_| {
                let text = format!("the function resolve panicked when it was asked for {its_host:?}");
                Err(Error::new(ErrorKind::Connect, text))
            }));
        }
    };
    match pools().functions.submit(run) {
        Ok(job) => Pending::new(question, Some(job), now),
        Err(error) => {
            let (question, reply) = self::question(waker);
            let text = format!("cannot ask the function resolve for {host:?}: {}", no_thread(&error));
            reply.answer(Err(Error::new(ErrorKind::Connect, text)));
            Pending::new(question, None, now)
        }
    }
}

fn no_thread(error: &io::Error) -> String {
    format!("no thread can be started for it: {}", in_words(error))
}

/// The pools of a process.
struct Pools {
    names: Arc<Names>,
    functions: Arc<Pool>,
}

/// The pools of one process, and behind them those of the child of a fork that is now this process.
struct Generation {
    number: u32,
    pools: OnceLock<Pools>,
    child: OnceLock<Box<Generation>>,
}

impl Generation {
    const fn new(number: u32) -> Self {
        Self { number, pools: OnceLock::new(), child: OnceLock::new() }
    }
}

static FIRST: Generation = Generation::new(0);

fn pools() -> &'static Pools {
    let current = fork::generation();
    let mut generation = &FIRST;
    while generation.number != current {
        // Made by `after_fork_in_child`, while the process had one thread.
        let Some(child) = generation.child.get() else { break };
        generation = child;
    }
    generation.pools.get_or_init(|| Pools {
        names: Arc::new(Names::new(look_up)),
        functions: Arc::new(Pool::new("sunsocket-ask")),
    })
}

/// Leaves the parent's pools alone from here on. To be called in the child, before it has another thread.
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

/// Names that are asked for, each once.
struct Names {
    /// How a name is looked up.
    resolver: fn(&str) -> Answer,
    pool: Arc<Pool>,
    /// Every name that is in the pool's queue or being looked up.
    asked: Mutex<HashMap<String, Asked>>,
}

struct Asked {
    job: Job,
    replies: Vec<Reply<Answer>>,
}

impl Names {
    fn new(resolver: fn(&str) -> Answer) -> Self {
        Self { resolver, pool: Arc::new(Pool::new("sunsocket-dns")), asked: Mutex::default() }
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<String, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(self: &Arc<Self>, host: &str, waker: &Waker, now: Instant) -> Pending<Answer> {
        let (question, reply) = question(waker);
        let mut asked = self.asked();
        if let Some(others) = asked.get_mut(host) {
            others.replies.push(reply);
            return Pending::new(question, Some(others.job.clone()), now);
        }
        let (names, its_host) = (Arc::clone(self), host.to_owned());
        // It cannot end before it stands in the table: the table's lock is held.
        match self.pool.submit(move || names.look_up(&its_host)) {
            Ok(job) => {
                asked.insert(host.to_owned(), Asked { job: job.clone(), replies: vec![reply] });
                Pending::new(question, Some(job), now)
            }
            Err(error) => {
                drop(asked);
                reply.answer(Err(no_thread(&error)));
                Pending::new(question, None, now)
            }
        }
    }

    /// The job.
    fn look_up(&self, host: &str) {
        let is_wanted = |asked: &Asked| asked.replies.iter().any(Reply::is_wanted);
        {
            let mut asked = self.asked();
            if !asked.get(host).is_some_and(is_wanted) {
                asked.remove(host);
                return;
            }
        }
        let answer = (self.resolver)(host);
        let replies = self.asked().remove(host).map(|asked| asked.replies).unwrap_or_default();
        for reply in replies {
            reply.answer(answer.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use super::super::pool::FEW;
    use super::*;

    type Begin = Sender<(String, Sender<Answer>)>;

    /// Where the look-ups of each test report: their names end in the test's.
    static DESKS: Mutex<Vec<(&str, Begin)>> = Mutex::new(Vec::new());

    /// A look-up that ends with the answer that the test gives.
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

    /// Look-ups that have begun, in order.
    struct Desk(Receiver<(String, Sender<Answer>)>);

    impl Desk {
        fn new(name: &'static str) -> (Arc<Names>, Self) {
            let (begin, begun) = channel();
            DESKS.lock().expect("not poisoned").push((name, begin));
            (Arc::new(Names::new(at_the_desk)), Self(begun))
        }

        fn next(&self) -> (String, Sender<Answer>) {
            self.0.recv_timeout(Duration::from_secs(10)).expect("a thread begins to look up a name")
        }
    }

    /// A waker, and what tells that it was called.
    fn waker() -> (Waker, Receiver<()>) {
        let (wake, woken) = channel();
        let waker = move || {
            let _ = wake.send(());
        };
        (Arc::new(waker), woken)
    }

    fn addresses() -> Vec<SocketAddr> {
        vec![([192, 0, 2, 1], 0).into()]
    }

    #[test]
    fn a_name_is_looked_up_once_for_all_who_ask() {
        let (names, desk) = Desk::new("once.test");
        let (waker, woken) = waker();
        let now = Instant::now();
        let mut all: Vec<_> = (0..50).map(|_| names.ask("once.test", &waker, now)).collect();
        let (host, give) = desk.next();
        assert_eq!(host, "once.test");
        assert!(all.iter_mut().all(|pending| pending.step(now).is_none()));
        give.send(Ok(addresses())).expect("the thread waits");
        for _ in &all {
            woken.recv_timeout(Duration::from_secs(10)).expect("each asker is woken");
        }
        assert!(all.iter_mut().all(|pending| pending.step(now) == Some(Ok(addresses()))));
        assert!(desk.0.try_recv().is_err());
    }

    #[test]
    fn who_asks_later_begins_anew() {
        let (names, desk) = Desk::new("anew.test");
        for answer in [Err("not known".to_owned()), Ok(addresses())] {
            let (waker, woken) = waker();
            let mut pending = names.ask("anew.test", &waker, Instant::now());
            desk.next().1.send(answer.clone()).expect("the thread waits");
            woken.recv_timeout(Duration::from_secs(10)).expect("the asker is woken");
            assert_eq!(pending.step(Instant::now()), Some(answer));
        }
    }

    #[test]
    fn a_name_behind_slow_ones_waits_for_a_second() {
        let (names, desk) = Desk::new("slow.test");
        let (waker, _woken) = waker();
        let now = Instant::now();
        let _slow: Vec<_> =
            (0..FEW).map(|number| names.ask(&format!("{number}.slow.test"), &waker, now)).collect();
        let _answers: Vec<_> = (0..FEW).map(|_| desk.next()).collect();
        let mut late = names.ask("late.slow.test", &waker, now);
        let in_a_second = late.deadline().expect("it will hurry");
        assert_eq!(in_a_second, now + Duration::from_secs(1));
        assert_eq!(late.step(in_a_second - Duration::from_nanos(1)), None);
        assert!(desk.0.try_recv().is_err());
        assert_eq!(late.step(in_a_second), None);
        assert_eq!(desk.next().0, "late.slow.test");
        assert_eq!(late.deadline(), None);
    }

    #[test]
    fn what_nobody_wants_any_more_is_not_looked_up() {
        let (names, desk) = Desk::new("given-up.test");
        let (waker, _woken) = waker();
        let now = Instant::now();
        let _slow: Vec<_> =
            (0..FEW).map(|number| names.ask(&format!("{number}.given-up.test"), &waker, now)).collect();
        let answers: Vec<_> = (0..FEW).map(|_| desk.next().1).collect();
        drop(names.ask("dropped.given-up.test", &waker, now));
        let _kept = names.ask("kept.given-up.test", &waker, now);
        answers[0].send(Ok(addresses())).expect("the thread waits");
        assert_eq!(desk.next().0, "kept.given-up.test");
    }
}
