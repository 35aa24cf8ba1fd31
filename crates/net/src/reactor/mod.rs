//! What a reactor is made of, and how it learns what has to be done for a connection.
//!
//! A reactor knows connections by what they say of themselves ([`Served`]) and by nothing else. Whoever has called
//! something of a connection's, and has let go of its locks, calls [`Reactor::apply`]: it compares what the connection's
//! word wants with what is registered (the poller's interest, the timer's slot, the queues) and applies the difference.
//! So nothing has to be remembered at the place where something changes, and an order that is overtaken by another does no
//! harm: whoever applies last sees what was stated last.
//!
//! One turn is in `turn`, the calls of the owner and of those who wait are in `owning`. Locks are taken in this order and never
//! the other way round: the turner, a connection's receiving half, its deflater, its sending half, its registration, then
//! one of the leaves (a hold, a queue, the table, the timers). A wake-up is not lost because of an order: who brings work puts
//! it on a queue and then reads `asleep`; who goes to sleep sets `asleep` and then reads the queues.

#![allow(private_bounds, reason = "what a reactor asks of a connection is a matter between the two")]

use std::cell::Cell;
use std::io;
use std::os::fd::BorrowedFd;

use slab::Slab;

use crate::drive::guardian::{Guarded, Guardian};
use crate::drive::leader::Leadership;
use crate::drive::spin::Spin;
use crate::fork;
use crate::io::Source;
use crate::session::buffer_pool::BufferPool;
use crate::session::chunk::Chunk;
use crate::session::word::{
    ATTACHED, DUE_VISIT, FAILING, GATHERED, HOLDS, NEWS, PACING, QUEUED_FAIL, QUEUED_FLUSH, QUEUED_PACED,
    QUEUED_READ, QUEUED_READY,
};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Arc, Instant, Mutex, MutexGuard, TryLockError, lock, thread_local};
use crate::sys::clock::{self, SleepWatch};
use crate::sys::poller::{Events, Interest, Poller};

pub(crate) mod guests;
mod loop_polling;
pub(crate) mod owning;
pub(crate) mod queue;
mod timers;
mod turn;

use queue::{Member, Queue};
use timers::Timers;

/// Who turns a reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A thread of its own, which sleeps in [`Reactor::turn`] (the dispatcher, the script host).
    Thread,
    /// A foreign event loop that watches [`Reactor::descriptor`]; when it is readable the loop calls `turn` with a time
    /// that is past, then `dispatch`.
    Foreign,
}

/// No deadline.
pub(crate) const NEVER: u64 = u64::MAX;

/// What the socket is ready for, as the poller saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) hangup: bool,
}

/// What a reactor does for a connection.
pub(crate) trait Served: Member + Send + Sync + Sized + 'static {
    /// A number that no other connection of this process has, below 2^32.
    fn number(&self) -> u64;
    /// What is registered for it.
    fn registration(&self) -> &Registration;
    /// When it wants to be looked at, in nanoseconds of [`Reactor::nanos`]; [`NEVER`].
    fn next_deadline(&self) -> u64;
    /// The socket is ready. `buffer` is shared by all connections.
    fn on_readiness(self: &Arc<Self>, buffer: &mut [u8], ready: Ready, now: Instant);
    /// The time has come that it wanted to be looked at.
    fn on_deadline(self: &Arc<Self>, now: Instant);
    /// The machine has slept.
    fn on_slept(self: &Arc<Self>, now: Instant);
    /// Writes what was gathered. `paces`: the caller comes again at intervals while the connection wants that.
    fn write_gathered(self: &Arc<Self>, paces: bool);
    /// The messages in front of what it is to be failed for were delivered.
    fn on_delivered(self: &Arc<Self>);
    /// The poller does not take its socket.
    fn on_refused(self: &Arc<Self>, error: io::Error);
}

/// What the reactor has registered for one connection.
#[derive(Debug, Default)]
pub(crate) struct Registration {
    state: Mutex<Registered>,
    /// Mirrors of what is registered, to be compared without the lock: [`code`] of the socket and the interest.
    interest: AtomicU64,
    /// [`NEVER`] minus the deadline, so that zero is none.
    deadline: AtomicU64,
}

#[derive(Debug, Default)]
struct Registered {
    source: Option<Source>,
    key: u64,
    interest: Option<Interest>,
}

/// Whether there is a socket, and what it is watched for, as a number.
fn code(attached: bool, interest: Option<Interest>) -> u64 {
    u64::from(attached) << 3
        | interest.map_or(0, |Interest { read, write }| 1 | u64::from(read) << 1 | u64::from(write) << 2)
}

/// In place of such a number: somebody is changing it.
const CHANGING: u64 = u64::MAX;

impl Registration {
    fn deadline(&self) -> u64 {
        NEVER - self.deadline.load(Ordering::SeqCst)
    }

    fn set_deadline(&self, deadline: u64) {
        self.deadline.store(NEVER - deadline, Ordering::SeqCst);
    }
}

/// Sockets, timers and the connections that they belong to.
pub struct Reactor<C> {
    id: u64,
    role: Role,
    generation: u32,
    epoch: Instant,
    pub(crate) poller: Arc<Poller>,
    timers: Timers,
    sleep_watch: Mutex<SleepWatch>,
    /// Connections with a socket, by the key that the poller reports.
    table: Mutex<Slab<Arc<C>>>,
    /// Attempts to connect, by their keys.
    guests: Mutex<Slab<Arc<dyn guests::Guest>>>,
    pub(crate) turner: Mutex<Turner>,
    /// Connections that the language is to visit.
    ready: Queue<C>,
    /// Connections with bytes to write that nobody is about to write.
    flushes: Queue<C>,
    /// Connections whose senders leave the writing to the reactor, at intervals.
    paced: Queue<C>,
    /// Connections to read from although the poller will not say so.
    reads: Queue<C>,
    /// Connections to be failed: the messages in front of the server's violation were delivered.
    fails: Queue<C>,
    /// Whoever turns is in, or about to enter, a wait that only the poller's waker ends.
    asleep: AtomicBool,
    /// Somebody called `wake`.
    woken: AtomicBool,
    /// Something was sent since the last wait: an answer may come soon.
    pub(crate) sent: AtomicBool,
    pub(crate) pool: Arc<BufferPool>,
    pub(crate) leadership: Leadership,
    pub(crate) guardian: Guardian,
}

/// What only the thread that turns touches.
pub(crate) struct Turner {
    pub(crate) events: Events,
    /// Shared by all connections; made at the first turn.
    buffer: Option<Chunk>,
    pub(crate) spin: Spin,
    /// When a foreign loop was left to sleep although an answer was due.
    pub(crate) slept_since: Option<Instant>,
    /// When those who stream were written for last.
    paced: Instant,
}

thread_local! {
    /// The reactor for which this thread is delivering; 0 for none.
    static DISPATCHING: Cell<u64> = const { Cell::new(0) };
}

thread_local! {
    /// How many locks of connections this thread holds: no call into a reactor may come then. Counted in debug builds.
    static HELD: Cell<u64> = const { Cell::new(0) };
}

/// The lock of one half of a connection, under which only the session, the framing and the transport run.
pub(crate) struct Held<'a, T>(MutexGuard<'a, T>);

impl<'a, T> Held<'a, T> {
    pub(crate) fn lock(mutex: &'a Mutex<T>) -> Self {
        Self::counted(lock(mutex))
    }

    /// `None`: somebody else has it.
    pub(crate) fn try_lock(mutex: &'a Mutex<T>) -> Option<Self> {
        match mutex.try_lock() {
            Ok(guard) => Some(Self::counted(guard)),
            Err(TryLockError::Poisoned(poisoned)) => Some(Self::counted(poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn counted(guard: MutexGuard<'a, T>) -> Self {
        if cfg!(debug_assertions) {
            HELD.set(HELD.get() + 1);
        }
        Self(guard)
    }
}

impl<T> std::ops::Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> std::ops::DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> Drop for Held<'_, T> {
    fn drop(&mut self) {
        if cfg!(debug_assertions) {
            HELD.set(HELD.get() - 1);
        }
    }
}

impl<C: Served> Reactor<C> {
    /// A reactor with no connections.
    ///
    /// # Errors
    /// The operating system's, when it has no descriptors left.
    pub fn new(role: Role) -> io::Result<Arc<Self>> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let now = Instant::now();
        Ok(Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            role,
            generation: fork::generation(),
            epoch: now,
            poller: Arc::new(Poller::new(role == Role::Foreign)?),
            timers: Timers::default(),
            sleep_watch: Mutex::new(SleepWatch::new(clock::suspended())),
            table: Mutex::new(Slab::new()),
            guests: Mutex::new(Slab::new()),
            turner: Mutex::new(Turner {
                events: Events::default(),
                buffer: None,
                spin: Spin::new(),
                slept_since: None,
                paced: now,
            }),
            ready: Queue::new(QUEUED_READY),
            flushes: Queue::new(QUEUED_FLUSH),
            paced: Queue::new(QUEUED_PACED),
            reads: Queue::new(QUEUED_READ),
            fails: Queue::new(QUEUED_FAIL),
            asleep: AtomicBool::new(role == Role::Foreign),
            woken: AtomicBool::new(false),
            sent: AtomicBool::new(false),
            pool: Arc::default(),
            leadership: Leadership::default(),
            guardian: Guardian::new()?,
        }))
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Whether this is the child of a fork, in which a reactor of the parent does nothing.
    pub fn is_forked(&self) -> bool {
        self.generation != fork::generation()
    }

    /// Readable when `turn` has something to do. For foreign loops.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.poller.descriptor()
    }

    /// A moment as a number, for an atomic: nanoseconds since the reactor was made.
    pub(crate) fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(NEVER - 1).min(NEVER - 1)
    }

    /// The moment of a number.
    pub(crate) fn moment(&self, nanos: u64) -> Option<Instant> {
        (nanos != NEVER).then(|| self.epoch.checked_add(std::time::Duration::from_nanos(nanos))).flatten()
    }

    // ---- what a connection wants

    /// A connection has a socket from now on.
    pub(crate) fn attach(&self, connection: &Arc<C>, source: Source) {
        let index = lock(&self.table).insert(Arc::clone(connection));
        let mut registered = lock(&connection.registration().state);
        // The connection's number tells a key from an older connection's in the same place.
        registered.key = (connection.number() << 32) | index as u64;
        registered.source = Some(source);
        connection.registration().interest.store(code(true, None), Ordering::SeqCst);
        drop(registered);
        connection.word().set(ATTACHED);
    }

    /// Does for a connection what its word wants. Called after every change, by whoever made it, under no lock of the
    /// connection's.
    #[inline]
    pub(crate) fn apply(&self, connection: &Arc<C>) {
        debug_assert_eq!(HELD.get(), 0, "a call into the reactor under a connection's lock");
        let bits = connection.word().get();
        let registration = connection.registration();
        let is_registered = code(bits.has(ATTACHED), bits.interest())
            == registration.interest.load(Ordering::SeqCst)
            && connection.next_deadline() >= registration.deadline();
        if !is_registered {
            self.register(connection);
        }
        if bits.has(DUE_VISIT) && !bits.has(QUEUED_READY) && self.ready.put(connection) {
            self.alert();
        }
        if bits.has_pending_read() && !bits.has(QUEUED_READ) && self.reads.put(connection) {
            // An owner that gives way is left alone: reading is for the thread that pulls, or pulls again in a moment.
            self.wake_sleeper();
        }
        if bits.has(FAILING) && !bits.has(HOLDS | QUEUED_FAIL) && self.fails.put(connection) {
            self.alert();
        }
        if bits.has(GATHERED) && !bits.has(QUEUED_FLUSH) && self.flushes.put(connection) {
            self.flush_soon(self.is_dispatching_here());
        }
        if bits.has(PACING) && !bits.has(QUEUED_PACED) && self.paced.put(connection) {
            self.flush_soon(false);
        }
        if bits.has(NEWS) && connection.word().clear(NEWS).has(NEWS) {
            self.leadership.notify_followers();
        }
    }

    /// Has the poller and the timers be as the connection wants them.
    #[cold]
    fn register(&self, connection: &Arc<C>) {
        let registration = connection.registration();
        let mut refused = None;
        let mut gone = None;
        let mut wakes = false;
        {
            let mut registered = lock(&registration.state);
            loop {
                let bits = connection.word().get();
                let interest = bits.interest();
                let deadline = if bits.has(ATTACHED) { connection.next_deadline() } else { NEVER };
                let Registered { source: Some(source), key, interest: before } = &mut *registered else {
                    break;
                };
                if *before != interest {
                    // Whoever looks meanwhile waits here for its turn, and does not go on with what the poller does not know.
                    registration.interest.store(CHANGING, Ordering::SeqCst);
                    let done = match (*before, interest) {
                        (None, Some(interest)) => self.poller.add(source.fd(), *key, interest),
                        (Some(_), Some(interest)) => self.poller.modify(source.fd(), *key, interest),
                        (_, None) => {
                            self.poller.delete(source.fd());
                            Ok(())
                        }
                    };
                    *before = interest;
                    registration.interest.store(code(true, interest), Ordering::SeqCst);
                    if let Err(error) = done {
                        refused = Some(error);
                        break;
                    }
                } else if deadline < registration.deadline() {
                    registration.set_deadline(deadline);
                    if let Some(at) = self.moment(deadline)
                        && self.timers.set(*key, at)
                    {
                        self.set_alarm();
                        wakes = true;
                    }
                } else if !bits.has(ATTACHED) {
                    self.timers.remove(*key);
                    registration.set_deadline(NEVER);
                    registration.interest.store(code(false, None), Ordering::SeqCst);
                    let index = (*key & u64::from(u32::MAX)) as usize;
                    // Dropped outside of the locks.
                    gone = Some((registered.source.take(), lock(&self.table).try_remove(index)));
                    break;
                } else {
                    break;
                }
            }
        }
        if gone.is_some() {
            // No queue holds a connection that has ended, but that on which its end is told.
            for queue in [&self.flushes, &self.paced, &self.reads, &self.fails] {
                queue.remove(connection);
            }
        }
        drop(gone);
        if wakes && self.role == Role::Thread {
            // Whoever sleeps does so for the time that it has computed before.
            self.wake_sleeper();
        }
        if let Some(error) = refused {
            connection.on_refused(error);
        }
    }

    /// Has the alarm go off at the first deadline of all. Two threads may do this at once, each for a deadline of its own: who
    /// sets the alarm last looks afterwards whether that was for the first of them.
    pub(crate) fn set_alarm(&self) {
        let mut first = self.timers.first();
        while let Some(at) = first {
            self.poller.set_alarm(at);
            let now_first = self.timers.first();
            first = if now_first == first { None } else { now_first };
        }
    }

    /// Bytes wait that somebody has to write soon. `corked`: the caller does, at the end of its batch.
    fn flush_soon(&self, corked: bool) {
        if self.guardian.is_standing_in() {
            return self.alert();
        }
        if corked {
            return;
        }
        // An owner that gives way and paces is not worth waking; who sleeps in the poller is.
        let paces = self.leadership.note_gathered();
        self.wake_sleeper();
        if !paces {
            self.leadership.unpark();
        }
        if self.role == Role::Foreign || self.is_owner_away() {
            self.guardian.ask_to_write();
        }
    }

    /// Has somebody write what a sender gathered while the owner is busy, though it stands on a queue already.
    pub(crate) fn note_gathered_again(&self) {
        if self.is_owner_away() {
            self.guardian.ask_to_write();
        }
    }

    /// The connection with that key.
    fn find(&self, key: u64) -> Option<Arc<C>> {
        let index = (key & u64::from(u32::MAX)) as usize;
        let table = lock(&self.table);
        table.get(index).filter(|connection| connection.number() << 32 == key & !u64::from(u32::MAX)).cloned()
    }

    /// Connections that have a socket.
    pub fn open_connections(&self) -> Vec<Arc<C>> {
        if self.is_forked() {
            return Vec::new();
        }
        lock(&self.table).iter().map(|(_, connection)| Arc::clone(connection)).collect()
    }

    pub(crate) fn has_connections(&self) -> bool {
        !lock(&self.table).is_empty() || !lock(&self.guests).is_empty()
    }

    // ---- who is to be woken

    /// Something was sent: an answer may come soon.
    pub(crate) fn note_sent(&self) {
        if !self.sent.load(Ordering::Relaxed) {
            self.sent.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the owner delivers, computes or blocks, so that nobody but the guardian would write for a sender.
    pub(crate) fn is_owner_away(&self) -> bool {
        self.role == Role::Thread && self.guardian.is_away() && !self.leadership.is_pulled_now()
    }

    /// Makes the owner's `turn` return soon. From any thread.
    pub fn wake(&self) {
        self.woken.store(true, Ordering::SeqCst);
        self.alert();
    }

    /// Something happened outside of the reactor that a thread in [`Reactor::wait`] may be waiting for.
    pub fn nudge(&self) {
        if !self.is_forked() {
            self.alert();
            self.leadership.notify_followers();
        }
    }

    /// Wakes whoever sleeps while there is something to do.
    pub(crate) fn alert(&self) {
        self.wake_sleeper();
        self.leadership.unpark();
    }

    fn wake_sleeper(&self) {
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            self.poller.wake();
        }
    }

    /// What the owner has to look at before it sleeps.
    fn owner_has_work(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
            || !self.ready.is_empty()
            || self.owner_has_fails()
            || self.anybody_has_work()
    }

    /// What an owner that gives way does itself. Not reading: it is for the thread that pulls, also between two pulls. To
    /// return for that would mean to give way again at once, round and round, on the core that the thread may need.
    fn parked_has_work(&self) -> bool {
        self.woken.load(Ordering::SeqCst) || !self.ready.is_empty() || self.owner_has_fails()
    }

    fn anybody_has_work(&self) -> bool {
        !self.flushes.is_empty() || !self.reads.is_empty()
    }

    pub(crate) fn try_turner(&self) -> Option<MutexGuard<'_, Turner>> {
        match self.turner.try_lock() {
            Ok(turner) => Some(turner),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl<C: Served> Guarded for Reactor<C> {
    fn is_forked(&self) -> bool {
        Self::is_forked(self)
    }

    fn has_foreign_owner(&self) -> bool {
        self.role == Role::Foreign
    }

    fn has_connections(&self) -> bool {
        Self::has_connections(self)
    }

    fn poller(&self) -> &Arc<Poller> {
        &self.poller
    }

    fn stand_in(&self) -> Option<bool> {
        let mut turner = self.try_turner()?;
        let _ = self.turn_once_now(&mut turner);
        // From here on it is the guardian who sleeps on the poller's descriptor.
        self.asleep.store(true, Ordering::SeqCst);
        let stays_readable = self.leave_readable();
        drop(turner);
        self.leadership.notify_followers();
        Some(stays_readable)
    }

    fn has_gathered(&self) -> bool {
        (!self.flushes.is_empty() || !self.paced.is_empty())
            && (self.role == Role::Foreign || self.is_owner_away())
    }

    fn write_gathered(&self) {
        self.write_all_gathered();
    }
}

impl<C> Drop for Reactor<C> {
    fn drop(&mut self) {
        self.guardian.stop();
    }
}
