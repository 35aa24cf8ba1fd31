//! Which coroutine runs when: cycle after cycle, what was deferred and what waited for a time.
//!
//! A cycle is what runs between two looks at the sockets. What was deferred runs first, and what that defers belongs to the
//! same cycle; then comes the frame: whatever waited for a time that is over by then, and what that defers. A chain of
//! coroutines that defer each other without an end is cut after [`DEEPEST`] links, and a tree of them after
//! [`MOST_FOLLOWERS`] coroutines: the rest has its turn in the next cycle, behind what is due by time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{MultiValue, Thread, Value, thread::ThreadStatus};

use super::frames::Frames;
use super::suspension::Suspension;

/// A sleep longer than this counts as for ever.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);
/// How deep coroutines that were deferred may defer others into the same cycle. Roblox has such a limit, too, and drops what
/// goes beyond it; here it only comes later.
const DEEPEST: u32 = 80;
/// How many coroutines others that were deferred may defer into the same cycle.
const MOST_FOLLOWERS: u32 = 10_000;
/// So many may sleep before it is worth a look at whether they are alive.
const FORGET_FROM: usize = 64;

/// A coroutine that is to be resumed.
pub(crate) enum Sleeper {
    /// Whatever it waits for by then.
    Thread(Thread, MultiValue),
    /// The same, with the seconds since then and since the script began: what `spawn` and `delay` pass to functions.
    Legacy(Thread, Instant),
    /// If it has not gone on meanwhile.
    Suspended(Rc<Suspension>, MultiValue),
}

impl Sleeper {
    fn is_alive(&self) -> bool {
        match self {
            // One that runs right now may yield, and then be resumed.
            Self::Thread(thread, _) | Self::Legacy(thread, _) => {
                matches!(
                    thread.status(),
                    ThreadStatus::Resumable | ThreadStatus::Running | ThreadStatus::Normal
                )
            }
            Self::Suspended(suspension, _) => suspension.waits(),
        }
    }

    /// The coroutine and what it is resumed with; `None`: it has gone on by itself. `began`: when the script began.
    pub(crate) fn wake(self, began: Instant) -> Option<(Thread, MultiValue)> {
        match self {
            Self::Thread(thread, args) => Some((thread, args)),
            Self::Legacy(thread, since) => {
                let times = [since.elapsed(), began.elapsed()];
                Some((thread, times.map(|time| Value::Number(time.as_secs_f64())).into_iter().collect()))
            }
            Self::Suspended(suspension, args) => suspension.wake().then(|| (suspension.thread.clone(), args)),
        }
    }
}

/// A coroutine that waits for a time.
struct Sleep {
    until: Instant,
    /// Which of those with the same time came first.
    number: u64,
    /// The first frame in which its time is over.
    frame: u64,
    sleeper: Sleeper,
}

impl Sleep {
    fn order(&self) -> (Instant, u64) {
        (self.until, self.number)
    }
}

impl PartialEq for Sleep {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Sleep {}

impl PartialOrd for Sleep {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sleep {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

pub(crate) struct Scheduler {
    frames: Frames,
    /// What is left of the frame that has begun.
    frame: VecDeque<Sleeper>,
    /// What was deferred into this cycle, each with its depth.
    deferred: VecDeque<(Sleeper, u32)>,
    /// What was deferred and has its turn in the next cycle.
    put_off: VecDeque<Sleeper>,
    /// The depth of what is deferred now, and how many were deferred below the surface in this cycle.
    depth: u32,
    followers: u32,
    sleeping: BinaryHeap<Reverse<Sleep>>,
    /// When the first of those is due.
    next_frame: Option<Instant>,
    /// How many slept up to now.
    count: u64,
    /// From how many on those are looked for that a script has ended without a word.
    forget_from: usize,
}

impl Scheduler {
    pub(crate) fn new(frames: Frames) -> Self {
        Self {
            frames,
            frame: VecDeque::new(),
            deferred: VecDeque::new(),
            put_off: VecDeque::new(),
            depth: 0,
            followers: 0,
            sleeping: BinaryHeap::new(),
            next_frame: None,
            count: 0,
            forget_from: FORGET_FROM,
        }
    }

    /// Resumes it in this cycle, behind what was deferred before.
    pub(crate) fn defer(&mut self, sleeper: Sleeper) {
        if self.depth >= DEEPEST || self.depth > 0 && self.followers >= MOST_FOLLOWERS {
            self.put_off.push_back(sleeper);
            return;
        }
        self.followers += u32::from(self.depth > 0);
        self.deferred.push_back((sleeper, self.depth));
    }

    /// Resumes it in the first frame after so many seconds.
    pub(crate) fn sleep(&mut self, sleeper: Sleeper, seconds: f64) {
        if self.sleeping.len() >= self.forget_from {
            self.sleeping.retain(|Reverse(sleep)| sleep.sleeper.is_alive());
            self.forget_from = FORGET_FROM.max(self.sleeping.len() * 2);
        }
        let wait = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST).min(LONGEST);
        let until = Instant::now() + wait;
        self.count += 1;
        let frame = self.frames.at(until) + 1;
        self.sleeping.push(Reverse(Sleep { until, number: self.count, frame, sleeper }));
        self.look_for_next_frame();
    }

    fn look_for_next_frame(&mut self) {
        self.next_frame = self.sleeping.peek().map(|Reverse(sleep)| self.frames.begin(sleep.frame));
    }

    /// The next coroutine of this cycle.
    pub(crate) fn next(&mut self) -> Option<Sleeper> {
        if let Some(sleeper) = self.frame.pop_front() {
            self.depth = 0;
            return Some(sleeper);
        }
        let (sleeper, depth) = self.deferred.pop_front()?;
        // One that was woken by what it waited for was not deferred by anybody.
        let was_woken = matches!(sleeper, Sleeper::Suspended(..));
        self.depth = if was_woken { 0 } else { depth + 1 };
        Some(sleeper)
    }

    /// Nothing is left of this cycle: the next one begins with what waited for a time that is over, and with what was put
    /// off.
    pub(crate) fn begin_cycle(&mut self, now: Instant) {
        self.followers = 0;
        self.deferred.extend(self.put_off.drain(..).map(|sleeper| (sleeper, 0)));
        if self.next_frame.is_none_or(|begin| begin > now) {
            return;
        }
        let frame = self.frames.at(now);
        while self.sleeping.peek().is_some_and(|Reverse(sleep)| sleep.frame <= frame) {
            self.frame.extend(self.sleeping.pop().map(|Reverse(sleep)| sleep.sleeper));
        }
        self.look_for_next_frame();
    }

    /// Others have their turn: what they defer is deferred by nobody who was.
    pub(crate) fn rest(&mut self) {
        self.depth = 0;
    }

    /// When the first sleeper is due; `None` when nobody sleeps.
    pub(crate) fn next_frame(&self) -> Option<Instant> {
        self.next_frame
    }

    /// Whether something is left of this cycle.
    pub(crate) fn is_in_cycle(&self) -> bool {
        !(self.frame.is_empty() && self.deferred.is_empty())
    }

    /// Whether something is due that does not wait for a time.
    pub(crate) fn has_due(&self) -> bool {
        self.is_in_cycle() || !self.put_off.is_empty()
    }

    /// Whether anything is due.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.has_due() || self.next_frame.is_some_and(|begin| begin <= now)
    }

    /// Whether anything is due, or will be.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.has_due() || self.next_frame.is_some()
    }

    /// Whether no coroutine will run by itself: none is due, and none that sleeps is alive.
    pub(crate) fn is_idle(&self) -> bool {
        !self.has_due() && !self.sleeping.iter().any(|Reverse(sleep)| sleep.sleeper.is_alive())
    }
}

#[cfg(test)]
mod tests {
    use mlua::Lua;

    use super::super::suspension::Suspensions;
    use super::*;

    /// A scheduler whose coroutines are told apart by what they are resumed with.
    struct Subject {
        lua: Lua,
        scheduler: Scheduler,
        began: Instant,
    }

    impl Subject {
        fn new() -> Self {
            let began = Instant::now();
            Self { lua: Lua::new(), scheduler: Scheduler::new(Frames::new(began, 60)), began }
        }

        fn coroutine(&self, name: i64) -> Sleeper {
            let body = self.lua.load("return ...").into_function().expect("it compiles");
            let thread = self.lua.create_thread(body).expect("there is memory");
            Sleeper::Thread(thread, MultiValue::from_iter([Value::Integer(name)]))
        }

        fn defer(&mut self, name: i64) {
            let sleeper = self.coroutine(name);
            self.scheduler.defer(sleeper);
        }

        fn sleep(&mut self, name: i64, seconds: f64) {
            let sleeper = self.coroutine(name);
            self.scheduler.sleep(sleeper, seconds);
        }

        fn next(&mut self) -> Option<i64> {
            let (_, args) = self.scheduler.next()?.wake(self.began)?;
            args.front().and_then(Value::as_integer)
        }

        /// What is left of the cycle.
        fn rest(&mut self) -> Vec<i64> {
            std::iter::from_fn(|| self.next()).collect()
        }
    }

    #[test]
    fn what_is_deferred_comes_before_what_is_due_by_time() {
        let mut subject = Subject::new();
        subject.sleep(1, 0.0);
        subject.defer(2);
        assert_eq!(subject.next(), Some(2));
        subject.defer(3);
        assert_eq!(subject.rest(), [3]);
        subject.scheduler.begin_cycle(subject.began + Duration::from_secs(1));
        subject.defer(4);
        assert_eq!(subject.rest(), [1, 4]);
    }

    #[test]
    fn sleepers_go_on_in_the_order_of_their_times_and_not_before_their_frame() {
        let mut subject = Subject::new();
        for (name, seconds) in
            [(1, 0.03), (2, 0.001), (3, 0.001), (4, 10.0), (5, f64::NAN), (6, f64::INFINITY)]
        {
            subject.sleep(name, seconds);
        }
        let first = subject.scheduler.next_frame().expect("somebody sleeps");
        subject.scheduler.begin_cycle(first - Duration::from_nanos(1));
        assert!(subject.rest().is_empty());
        subject.scheduler.begin_cycle(first + Duration::from_millis(100));
        assert_eq!(subject.rest(), [5, 2, 3, 1]);
        assert!(subject.scheduler.next_frame().is_some_and(|next| next > first + Duration::from_secs(9)));
        subject.scheduler.begin_cycle(first + Duration::from_secs(11));
        assert_eq!(subject.rest(), [4]);
        assert!(!subject.scheduler.is_idle(), "one sleeps for ever");
    }

    #[test]
    fn a_chain_without_an_end_leaves_the_next_cycle_its_turn() {
        let mut subject = Subject::new();
        subject.defer(0);
        let mut links = 0;
        while subject.next().is_some() {
            links += 1;
            subject.defer(links);
        }
        assert_eq!(links, i64::from(DEEPEST));
        subject.sleep(-1, 0.0);
        subject.scheduler.begin_cycle(subject.began + Duration::from_secs(1));
        assert_eq!(subject.rest(), [-1, links]);
    }

    #[test]
    fn what_a_coroutine_defers_that_was_woken_all_belongs_to_the_cycle() {
        let mut subject = Subject::new();
        let suspensions = Suspensions::default();
        let Sleeper::Thread(thread, args) = subject.coroutine(0) else { unreachable!("it makes no other") };
        let (_, suspension) = suspensions.enter(thread);
        subject.scheduler.defer(Sleeper::Suspended(suspension, args));
        assert_eq!(subject.next(), Some(0));
        let many = i64::from(MOST_FOLLOWERS) + 2;
        (0..many).for_each(|name| subject.defer(name));
        assert_eq!(subject.rest().len(), many as usize);
    }

    #[test]
    fn a_tree_without_an_end_leaves_the_next_cycle_its_turn() {
        let mut subject = Subject::new();
        subject.defer(0);
        let mut nodes = 0;
        while subject.next().is_some() {
            nodes += 1;
            subject.defer(nodes);
            subject.defer(nodes);
        }
        assert_eq!(nodes, i64::from(MOST_FOLLOWERS) + 1);
        assert!(subject.scheduler.has_due());
    }

    #[test]
    fn sleepers_that_were_closed_are_forgotten() {
        let mut subject = Subject::new();
        for _ in 0..10 * FORGET_FROM {
            let sleeper = subject.coroutine(0);
            if let Sleeper::Thread(thread, _) = &sleeper {
                // It runs to its end at once.
                thread.resume::<()>(()).expect("it only returns");
            }
            subject.scheduler.sleep(sleeper, 1000.0);
        }
        assert!(subject.scheduler.sleeping.len() <= FORGET_FROM);
        assert!(subject.scheduler.is_idle());
    }
}
