//! One turn: wait, read, write, fire timers.
//!
//! A reactor is turned by one thread at a time, whoever holds `turner`; who that should be is `leader`'s question.
//! Everything else may be touched from any thread. Locks are taken in this order and never the other way round:
//! `turner`, then one connection's `link`, then one of the leaves (an inbox, the table, a list, the timers); only
//! `failing` is held while inboxes are looked at.
//!
//! No turn is owed to anybody who is not told: what happens to a connection puts it on the `ready` list, and
//! [`Reactor::alert`] wakes whoever sleeps while there is something on a list. The order "put it on the list, then read
//! `asleep`" on one side and "set `asleep`, then read the lists" on the other is what loses no wake-up.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use slab::Slab;

use crate::connect;
use crate::connection::Connection;
use crate::error::{Error, ErrorKind};
use crate::fork;
use crate::guardian::Guardian;
use crate::leader::{Leadership, Pull};
use crate::options::ConnectOptions;
use crate::poller::{Events, Poller};
use crate::spares::Spares;
use crate::spin::Spin;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Arc, Instant, Mutex, MutexGuard, PoisonError, TryLockError, thread, thread_local};
use crate::timers::Timers;

mod turning;

pub use crate::guardian::BusyReport;
pub use crate::leader::Waited;

/// One read takes at most this much; it holds thousands of small messages.
const READ_BUFFER: usize = 256 << 10;
/// Where the read buffer begins is a multiple of this.
const PAGE: usize = 4 << 10;
/// While a thread sends a stream of messages, what gathered is written this often.
pub(crate) const PACE: Duration = Duration::from_micros(200);

/// Who turns a reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A thread of its own, which sleeps in [`Reactor::turn`] (the dispatcher, the script host).
    Thread,
    /// A foreign event loop that watches [`Reactor::descriptor`]; when it is readable the loop calls `turn` with a time
    /// that is past, then `dispatch`.
    Foreign,
}

/// Sockets, timers and the connections that they belong to.
pub struct Reactor {
    id: u64,
    role: Role,
    generation: u32,
    pub(crate) poller: Poller,
    pub(crate) timers: Timers,
    /// Connections with a socket, by the key that the poller reports.
    table: Mutex<Slab<Arc<Connection>>>,
    turner: Mutex<Turner>,
    ready: Mutex<VecDeque<Arc<Connection>>>,
    /// Connections with bytes to write that nobody is about to write.
    flushes: Mutex<Vec<Arc<Connection>>>,
    /// Connections to read from although the poller will not say so (plaintext left inside TLS).
    revisits: Mutex<Vec<Arc<Connection>>>,
    /// Connections to fail when the messages that came before the server's violation were delivered.
    failing: Mutex<Vec<Arc<Connection>>>,
    /// Whoever turns is in, or about to enter, a wait that only the poller's waker ends.
    asleep: AtomicBool,
    /// Somebody called `wake`.
    woken: AtomicBool,
    /// Something was sent since the last wait: an answer may come soon.
    pub(crate) sent: AtomicBool,
    pub(crate) spares: Arc<Spares>,
    pub(crate) leadership: Leadership,
    pub(crate) guardian: Guardian,
}

/// What only the thread that turns touches.
pub(crate) struct Turner {
    pub(crate) events: Events,
    /// Shared by all connections; made at the first turn.
    buffer: Vec<u8>,
    pub(crate) spin: Spin,
    /// When a foreign loop was left to sleep although an answer was due.
    pub(crate) slept_since: Option<Instant>,
    /// Connections whose senders leave the writing to us, every `PACE`.
    streams: Vec<Arc<Connection>>,
    paced: Instant,
}

thread_local! {
    /// The reactor for which this thread is delivering; 0 for none.
    static DISPATCHING: Cell<u64> = const { Cell::new(0) };
}

/// While this lives, the thread that made it delivers to handlers: what it sends is corked until the end of the batch.
pub struct Dispatch<'a> {
    reactor: &'a Reactor,
    outer: u64,
}

impl Drop for Dispatch<'_> {
    fn drop(&mut self) {
        DISPATCHING.set(self.outer);
        if self.reactor.is_forked() {
            return;
        }
        self.reactor.flush_listed(None);
        if self.reactor.role == Role::Foreign && self.outer != self.reactor.id {
            self.reactor.return_to_loop();
        }
    }
}

impl Reactor {
    /// A reactor with no connections.
    ///
    /// # Errors
    /// The operating system's, when it has no descriptors left.
    pub fn new(role: Role) -> io::Result<Arc<Self>> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Ok(Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            role,
            generation: fork::generation(),
            poller: Poller::new()?,
            timers: Timers::default(),
            table: Mutex::new(Slab::new()),
            turner: Mutex::new(Turner {
                events: Events::default(),
                buffer: Vec::new(),
                spin: Spin::new(),
                slept_since: None,
                streams: Vec::new(),
                paced: Instant::now(),
            }),
            ready: Mutex::default(),
            flushes: Mutex::default(),
            revisits: Mutex::default(),
            failing: Mutex::default(),
            asleep: AtomicBool::new(role == Role::Foreign),
            woken: AtomicBool::new(false),
            sent: AtomicBool::new(false),
            spares: Arc::default(),
            leadership: Leadership::default(),
            guardian: Guardian::new()?,
        }))
    }

    /// Starts to connect and returns at once (the work is done on a thread of its own); the connection becomes ready when
    /// that ended ([`Connection::take_opened`]).
    ///
    /// # Errors
    /// `InvalidArgument` or `Tls` for what is known before anything is sent; `Connect` when no thread can be started.
    pub fn connect(self: &Arc<Self>, options: ConnectOptions) -> Result<Arc<Connection>, Error> {
        let options = Arc::new(options);
        let prepared = connect::prepare(&options)?;
        let (connection, cancel) = Connection::new(Arc::clone(self), &options)?;
        self.guardian.start(self);
        let connecting = Arc::clone(&connection);
        connect::spawn(move || {
            let connect = || connect::connect(prepared, &options, &cancel, &mut || false);
            // Nobody joins this thread: whoever waits for the connection would never hear of a panic.
            match panic::catch_unwind(AssertUnwindSafe(connect)) {
                Ok(Ok(connected)) => connecting.opened(connected, true),
                Ok(Err(error)) => connecting.failed_to_open(error),
                Err(_panic) => {
                    let text = format!(
                        "cannot connect to {}: connecting panicked, which is a defect of sunsocket: please report it",
                        options.url
                    );
                    connecting.failed_to_open(Error::new(ErrorKind::Connect, text));
                }
            }
        })?;
        Ok(connection)
    }

    /// Connects on the calling thread and returns the open connection. `interrupted` is asked at least every 100 ms and on
    /// EINTR; true gives up with `Cancelled`.
    ///
    /// # Errors
    /// What failed, by kind.
    pub fn connect_here(
        self: &Arc<Self>,
        options: ConnectOptions,
        interrupted: &mut dyn FnMut() -> bool,
    ) -> Result<Arc<Connection>, Error> {
        let options = Arc::new(options);
        let prepared = connect::prepare(&options)?;
        let (connection, cancel) = Connection::new(Arc::clone(self), &options)?;
        self.guardian.start(self);
        let connected = connect::connect(prepared, &options, &cancel, interrupted)?;
        connection.opened(connected, false);
        Ok(connection)
    }

    /// The owner's turn: sleeps until a connection is ready, `wake` is called, a signal interrupts, or `until` (`None`: no
    /// end; a time that is past: only looks). Returns with whatever is ready, maybe nothing.
    pub fn turn(&self, until: Option<Instant>) {
        if self.is_forked() {
            return;
        }
        // What handlers answered to the messages before was sent by now.
        self.fail_delivered(true);
        if self.role == Role::Foreign {
            self.leave_loop();
            let mut turner = lock(&self.turner);
            let _ = self.turn_once_now(&mut turner);
            if let Some(since) = turner.slept_since.take()
                && turner.events.len() > 0
            {
                turner.spin.slept(since.elapsed());
            }
            drop(turner);
            // What counts for `linger` is what handlers send from here on.
            self.sent.store(false, Ordering::Relaxed);
            self.leadership.notify_followers();
            return;
        }
        self.guardian.home();
        loop {
            let woken = self.woken.swap(false, Ordering::SeqCst);
            if woken || !lock(&self.ready).is_empty() {
                // What is still to be delivered does not keep other sockets from being looked at.
                self.look_at_sockets();
                break;
            }
            let pull = self.leadership.look();
            let turner = if pull == Pull::None { self.owner_turner() } else { None };
            let Some(mut turner) = turner else {
                let has_work = || self.parked_has_work();
                let has_bytes = || !lock(&self.flushes).is_empty();
                self.leadership.park(pull, until, &has_work, &has_bytes);
                // Bytes that a pulling thread corked and left behind.
                self.flush_listed(None);
                if until.is_some_and(|until| Instant::now() >= until) {
                    break;
                }
                continue;
            };
            self.leadership.owner_leads(true);
            let mut has_work = || self.owner_has_work() || self.leadership.is_pulled_now();
            let turned = self.turn_once(&mut turner, until, &mut has_work);
            self.leadership.owner_leads(false);
            drop(turner);
            self.leadership.notify_followers();
            // An error is a signal that came in: its handling is for the owner.
            if turned.is_err() || until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
        }
        self.guardian.away();
    }

    fn look_at_sockets(&self) {
        if let Some(mut turner) = self.try_turner() {
            // A signal can wait: nobody sleeps here.
            let _ = self.turn_once_now(&mut turner);
            drop(turner);
            self.leave_readable();
            self.leadership.notify_followers();
        }
    }

    /// A foreign loop has called.
    pub(crate) fn leave_loop(&self) {
        self.asleep.store(false, Ordering::SeqCst);
        self.woken.store(false, Ordering::SeqCst);
        self.guardian.away();
    }

    /// The call of a foreign loop returns: it sleeps on the poller's descriptor.
    pub(crate) fn return_to_loop(&self) {
        self.guardian.home();
        self.asleep.store(true, Ordering::SeqCst);
        if self.owner_has_work() || self.has_delivered_failing() {
            self.alert();
        }
    }

    /// The next connection with something to report, in order of occurrence.
    pub fn next_ready(&self) -> Option<Arc<Connection>> {
        if self.is_forked() {
            return None;
        }
        let connection = lock(&self.ready).pop_front()?;
        connection.left_ready_list();
        Some(connection)
    }

    /// Marks the calling thread as delivering until the guard is dropped. May be nested (a handler that waits).
    pub fn dispatch(&self) -> Dispatch<'_> {
        Dispatch { reactor: self, outer: DISPATCHING.replace(self.id) }
    }

    /// Whether the calling thread is inside `dispatch` of this reactor.
    pub fn is_dispatching_here(&self) -> bool {
        DISPATCHING.get() == self.id
    }

    /// To be called after each handler; says how long it was away, if that was so long that the guardian had to stand in.
    #[inline]
    pub fn take_busy_report(&self) -> Option<BusyReport> {
        self.guardian.stride()
    }

    /// Waits until `ready` says true; the calling thread turns the reactor itself when nobody else does. For threads that
    /// are not the owner, and for the owner inside a handler.
    pub fn wait(&self, until: Option<Instant>, ready: &mut dyn FnMut() -> bool) -> Waited {
        if self.is_forked() {
            return if ready() { Waited::Ready } else { Waited::Look };
        }
        self.flush_listed(None);
        if ready() {
            return Waited::Ready;
        }
        let nested = self.is_dispatching_here();
        // Whoever waits has answered.
        self.fail_delivered(nested);
        if nested {
            self.guardian.home();
        }
        let waited = self.leadership.pull(until, ready, |end, ready| self.lead(end, ready));
        if nested {
            self.guardian.away();
        }
        waited
    }

    /// Turns once in the place of the owner, until `end` at the latest. `None`: somebody else turns.
    fn lead(&self, end: Instant, ready: &mut dyn FnMut() -> bool) -> Option<io::Result<()>> {
        let turned = if self.role == Role::Foreign {
            None
        } else {
            self.try_turner().map(|mut turner| {
                // Who led before may have made it so after this thread looked, and nothing more may come.
                let mut has_work = || self.anybody_has_work() || ready();
                self.turn_once(&mut turner, Some(end), &mut has_work)
            })
        };
        match turned {
            Some(turned) => {
                self.leadership.notify_followers();
                if !lock(&self.ready).is_empty() {
                    self.leadership.unpark();
                }
                Some(turned)
            }
            None => {
                if self.leadership.is_owner_leading() {
                    self.alert();
                }
                None
            }
        }
    }

    /// The owner's way to the turner: it waits for the guardian, who is quick, but not for a thread that pulls.
    fn owner_turner(&self) -> Option<MutexGuard<'_, Turner>> {
        self.try_turner().or_else(|| (!self.leadership.is_pulled_now()).then(|| lock(&self.turner)))
    }

    pub(crate) fn try_turner(&self) -> Option<MutexGuard<'_, Turner>> {
        match self.turner.try_lock() {
            Ok(turner) => Some(turner),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// One look for input without sleeping, after flushing what is corked (cheap; may be called with the GIL held).
    pub fn look(&self) {
        if self.is_forked() {
            return;
        }
        // Whoever looks for more has answered.
        self.fail_delivered(false);
        self.look_at_sockets();
    }

    /// A look that was not the owner's may have taken the event that was to call a foreign loop, which is told once only:
    /// from here on it is asleep again, and called again if there is anything for it. True if there is.
    pub(crate) fn leave_readable(&self) -> bool {
        if self.role != Role::Foreign {
            return false;
        }
        self.asleep.store(true, Ordering::SeqCst);
        let has_work = self.owner_has_work() || self.owes_the_loop();
        if has_work {
            self.poller.wake();
        }
        has_work
    }

    /// The guardian's turn: what the owner would do if it were here. `None`: somebody else turns. True: the descriptor
    /// stays readable, for the owner to see.
    pub(crate) fn stand_in(&self) -> Option<bool> {
        let mut turner = self.try_turner()?;
        let _ = self.turn_once_now(&mut turner);
        // From here on it is the guardian who sleeps on the poller's descriptor.
        self.asleep.store(true, Ordering::SeqCst);
        let stays_readable = self.leave_readable();
        drop(turner);
        self.leadership.notify_followers();
        Some(stays_readable)
    }

    /// Whether there is something for a foreign loop to do that no descriptor tells of.
    fn owes_the_loop(&self) -> bool {
        self.role == Role::Foreign && (!lock(&self.ready).is_empty() || self.has_delivered_failing())
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

    /// Readable when `turn` has something to do. For foreign loops.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.poller.descriptor()
    }

    /// Connections that have a socket.
    pub fn open_connections(&self) -> Vec<Arc<Connection>> {
        if self.is_forked() {
            return Vec::new();
        }
        lock(&self.table).iter().map(|(_, connection)| Arc::clone(connection)).collect()
    }

    /// Starts closing every connection with 1001 and turns until all are closed or `until`; the rest are aborted.
    pub fn close_all(&self, until: Instant) {
        let connections = self.open_connections();
        for connection in &connections {
            // 1001 may be sent and an empty reason fits: there is nothing to fail.
            let _ = connection.close(1001, "");
        }
        let closed = || connections.iter().all(|connection| connection.closed().is_some());
        while !closed() && Instant::now() < until && !self.is_forked() {
            match self.try_turner() {
                Some(mut turner) => {
                    let soon = Instant::now() + Duration::from_millis(50);
                    let mut has_work = || self.anybody_has_work();
                    let _ = self.turn_once(&mut turner, Some(until.min(soon)), &mut has_work);
                }
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
        connections.iter().for_each(Connection::abort);
    }

    /// The child of a fork: no connection made before may be used in it, and nothing of theirs is touched.
    pub fn after_fork_in_child() {
        fork::forked();
        connect::after_fork_in_child();
        DISPATCHING.set(0);
    }

    // ---- for connections

    /// Whether this is the child of a fork, in which a reactor of the parent does nothing.
    pub fn is_forked(&self) -> bool {
        self.generation != fork::generation()
    }

    /// Gives a connection with a socket its key.
    pub(crate) fn enter(&self, connection: &Arc<Connection>) -> u64 {
        let index = lock(&self.table).insert(Arc::clone(connection));
        // The connection's number tells a key from an older connection's in the same place.
        (connection.id() << 32) | index as u64
    }

    /// The connection with that key has no socket any more.
    pub(crate) fn leave(&self, key: u64) {
        let index = (key & u64::from(u32::MAX)) as usize;
        let gone = lock(&self.table).try_remove(index);
        // Dropped outside of the lock.
        drop(gone);
    }

    fn find(&self, key: u64) -> Option<Arc<Connection>> {
        let index = (key & u64::from(u32::MAX)) as usize;
        let table = lock(&self.table);
        table.get(index).filter(|connection| connection.id() << 32 == key & !u64::from(u32::MAX)).cloned()
    }

    /// Puts a connection on the ready list; its owner hears of it.
    pub(crate) fn report(&self, connection: Arc<Connection>) {
        lock(&self.ready).push_back(connection);
        self.alert();
    }

    /// Has a connection's bytes written soon. `corked`: the caller delivers messages and will flush at the end.
    pub(crate) fn request_flush(&self, connection: Arc<Connection>, corked: bool) {
        lock(&self.flushes).push(connection);
        if self.guardian.is_standing_in() {
            self.alert();
        } else if !corked {
            // An owner that gives way and paces is not worth waking; who sleeps in the poller is.
            let paces = self.leadership.note_gathered();
            self.wake_sleeper();
            if !paces {
                self.leadership.unpark();
            }
        }
    }

    /// Has a connection read from soon although its socket may be silent.
    pub(crate) fn revisit(&self, connection: Arc<Connection>) {
        lock(&self.revisits).push(connection);
        self.alert();
    }

    /// Has a connection failed as soon as the messages that it holds were delivered.
    pub(crate) fn fail_after_delivery(&self, connection: Arc<Connection>) {
        lock(&self.failing).push(connection);
    }

    /// Fails what has nothing left to deliver. `owner`: the caller delivers; others do so for what they pull alone.
    pub(crate) fn fail_delivered(&self, owner: bool) {
        let delivered: Vec<_> = {
            let mut failing = lock(&self.failing);
            if failing.is_empty() {
                return;
            }
            // One that has ended meanwhile (its time was over, TCP was lost) leaves the list too, or its messages, which
            // nobody may ever take, would keep it there for ever.
            let is_due = |connection: &mut Arc<Connection>| {
                !connection.failing.load(Ordering::SeqCst)
                    || !connection.holds_messages() && (owner || !connection.reports_messages())
            };
            failing.extract_if(.., is_due).collect()
        };
        for connection in delivered {
            connection.fail_now();
        }
    }

    fn has_delivered_failing(&self) -> bool {
        lock(&self.failing)
            .iter()
            .any(|connection| !connection.failing.load(Ordering::SeqCst) || !connection.holds_messages())
    }

    /// Something was sent: an answer may come soon.
    pub(crate) fn note_sent(&self) {
        if !self.sent.load(Ordering::Relaxed) {
            self.sent.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the owner delivers, computes or blocks, so that nobody but the guardian would flush for a sender.
    pub(crate) fn is_owner_away(&self) -> bool {
        self.role == Role::Thread && self.guardian.is_away() && !self.leadership.is_pulled_now()
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn has_connections(&self) -> bool {
        !lock(&self.table).is_empty()
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

    fn owner_has_work(&self) -> bool {
        self.woken.load(Ordering::SeqCst) || !lock(&self.ready).is_empty() || self.anybody_has_work()
    }

    /// What an owner that gives way does itself. Reading is for the thread that pulls: to return for that would mean to
    /// come back at once, again and again, until that thread has had its turn.
    fn parked_has_work(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
            || !lock(&self.ready).is_empty()
            || !self.leadership.is_pulled_now() && !lock(&self.revisits).is_empty()
    }

    fn anybody_has_work(&self) -> bool {
        !lock(&self.flushes).is_empty() || !lock(&self.revisits).is_empty()
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.guardian.stop();
    }
}

/// A lock whose holder panicked is taken all the same: every holder leaves its state whole before it calls out.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
