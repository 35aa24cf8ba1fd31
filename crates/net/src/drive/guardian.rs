//! Turns the reactor in its owner's place when the owner is away for longer than a moment.
//!
//! One thread behind each reactor, which nearly always sleeps and needs no language's lock: pings are answered, the
//! keep-alive goes on, unsent bytes leave and messages go into the bounded hold while a handler computes, a loop is
//! blocked or somebody holds the GIL. It never sleeps while it holds the reactor, so the owner takes it back at once.
//!
//! How it knows: the owner counts its comings and goings (`presence`: odd while it is away, that is, between two
//! turns) and every handler that it has run (`strides`). An owner that is away with the same count at two looks is
//! overdue. A foreign loop can be blocked outside of our calls, with an even count: then the poller's descriptor stays
//! readable over two looks. When nothing has happened for a while it sleeps until something does, which for a foreign
//! loop is that the descriptor becomes readable.

use std::io;
use std::time::Duration;

use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Arc, Instant, OnceLock, Weak, thread};
use crate::sys::poller::{Call, Poller};

/// How often the guardian looks while there is something to look at.
const TICK: Duration = Duration::from_millis(125);
/// The same behind a foreign loop, which does not say when it is busy elsewhere.
const FOREIGN_TICK: Duration = Duration::from_millis(250);
/// Looks without an absence after which it sleeps until it is called; behind a foreign loop, or until there is something
/// for that loop to do.
const QUIET_LOOKS: u32 = 8;
/// A handler that takes longer is worth a warning.
const WORTH_A_WARNING: Duration = Duration::from_millis(500);
/// Between two turns of the guardian: it is there to keep connections alive, not to be fast.
const BREATH: Duration = Duration::from_millis(2);

/// How soon it writes what was gathered while the owner is busy.
const WRITES_AFTER: Duration = Duration::from_millis(2);
/// Looks in a row that found nothing gathered, after which it has to be asked again.
const MOST_IDLE_LOOKS: u32 = 5;

/// What it guards.
pub(crate) trait Guarded: Send + Sync {
    /// Whether this process is the child of a fork, in which the guarded reactor does nothing.
    fn is_forked(&self) -> bool;
    /// Whether a foreign loop turns it, which does not say when it is busy elsewhere.
    fn has_foreign_owner(&self) -> bool;
    fn has_connections(&self) -> bool;
    fn poller(&self) -> &Arc<Poller>;
    /// The guardian's turn: what the owner would do if it were here. `None`: somebody else turns. True: the descriptor
    /// stays readable, for the owner to see.
    fn stand_in(&self) -> Option<bool>;
    /// Whether bytes were gathered that nobody has written.
    fn has_gathered(&self) -> bool;
    /// Writes them.
    fn write_gathered(&self);
}

/// The guardian had to stand in while the owner was away.
#[derive(Clone, Copy, Debug)]
pub struct BusyReport {
    /// How long the owner was away, to about a tenth of a second.
    pub away: Duration,
}

/// The owner's side, and what it shares with the thread.
#[derive(Debug)]
pub(crate) struct Guardian {
    shared: Arc<Shared>,
    started: OnceLock<()>,
    epoch: Instant,
}

#[derive(Debug)]
struct Shared {
    presence: AtomicU64,
    strides: AtomicU64,
    /// The thread sleeps until it is called.
    deep: AtomicBool,
    standing_in: AtomicBool,
    /// When the handler began that a report is due for, in nanoseconds after `epoch`, plus one; 0: none is due.
    report: AtomicU64,
    /// Somebody gathers bytes while the owner may be busy: they are to be written soon.
    writes: AtomicBool,
    stopped: AtomicBool,
    call: Call,
}

impl Guardian {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            shared: Arc::new(Shared {
                presence: AtomicU64::new(0),
                strides: AtomicU64::new(0),
                deep: AtomicBool::new(false),
                standing_in: AtomicBool::new(false),
                report: AtomicU64::new(0),
                writes: AtomicBool::new(false),
                stopped: AtomicBool::new(false),
                call: Call::new()?,
            }),
            started: OnceLock::new(),
            epoch: Instant::now(),
        })
    }

    /// Starts the thread, once. Without it everything works but an owner that stays away, so a refusal is no error.
    pub(crate) fn start<R: Guarded + 'static>(&self, reactor: &Arc<R>) {
        self.started.get_or_init(|| {
            let (watched, shared, epoch) = (Arc::downgrade(reactor), Arc::clone(&self.shared), self.epoch);
            let _ = thread::Builder::new()
                .name("sunsocket-guard".to_owned())
                .stack_size(256 << 10)
                .spawn(move || watch(&watched, &shared, epoch));
        });
        self.call_if_deep();
    }

    pub(crate) fn stop(&self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.shared.call.ring();
    }

    /// Bytes were gathered and the owner is busy, or may be: the guardian writes them if nobody else does. Cheap to ask for
    /// again and again.
    pub(crate) fn ask_to_write(&self) {
        if !self.shared.writes.load(Ordering::SeqCst) && !self.shared.writes.swap(true, Ordering::SeqCst) {
            self.shared.call.ring();
        }
    }

    fn call_if_deep(&self) {
        if self.shared.deep.load(Ordering::SeqCst) && self.shared.deep.swap(false, Ordering::SeqCst) {
            self.shared.call.ring();
        }
    }

    /// The owner turns the reactor (or, for a loop, has returned to it).
    pub(crate) fn home(&self) {
        self.set_presence(0);
    }

    /// The owner delivers, or does something else.
    pub(crate) fn away(&self) {
        self.set_presence(1);
        self.call_if_deep();
    }

    /// Counts on, to a number of the parity that is asked for. Only the owner's thread writes it.
    fn set_presence(&self, parity: u64) {
        let presence = self.shared.presence.load(Ordering::Relaxed);
        let step = if presence % 2 == parity { 2 } else { 1 };
        self.shared.presence.store(presence + step, Ordering::SeqCst);
    }

    pub(crate) fn is_away(&self) -> bool {
        self.shared.presence.load(Ordering::Relaxed) % 2 == 1
    }

    pub(crate) fn is_standing_in(&self) -> bool {
        self.shared.standing_in.load(Ordering::Relaxed)
    }

    /// A handler has returned. The report is for that one.
    #[inline]
    pub(crate) fn stride(&self) -> Option<BusyReport> {
        let strides = self.shared.strides.load(Ordering::Relaxed);
        self.shared.strides.store(strides + 1, Ordering::Relaxed);
        if self.shared.report.load(Ordering::Relaxed) == 0 { None } else { self.take_report() }
    }

    #[cold]
    fn take_report(&self) -> Option<BusyReport> {
        let began = self.shared.report.swap(0, Ordering::SeqCst).checked_sub(1)?;
        let began = self.epoch + Duration::from_nanos(began);
        Some(BusyReport { away: began.elapsed() })
    }
}

/// What the thread remembers from one look to the next.
struct Memory {
    presence: u64,
    since: Instant,
    strides: u64,
    stride_since: Instant,
    unserved: bool,
    quiet: u32,
}

/// How long the thread sleeps.
enum Nap {
    For(Duration),
    /// Until the owner calls it, or the poller has something to report.
    Deep(Option<Arc<Poller>>),
}

fn watch<R: Guarded>(reactor: &Weak<R>, shared: &Shared, epoch: Instant) {
    let now = Instant::now();
    let mut memory =
        Memory { presence: 0, since: now, strides: 0, stride_since: now, unserved: false, quiet: 0 };
    let mut next_look = now;
    let mut idle_looks = 0;
    while !shared.stopped.load(Ordering::SeqCst) {
        let nap = {
            let Some(reactor) = reactor.upgrade() else { return };
            if reactor.is_forked() {
                return;
            }
            let writes = shared.writes.load(Ordering::SeqCst);
            if writes {
                idle_looks = if reactor.has_gathered() { 0 } else { idle_looks + 1 };
                if idle_looks > MOST_IDLE_LOOKS {
                    idle_looks = 0;
                    shared.writes.store(false, Ordering::SeqCst);
                    // Whoever gathered before that has seen that there was no need to ask.
                    if reactor.has_gathered() {
                        shared.writes.store(true, Ordering::SeqCst);
                    }
                } else if idle_looks == 0 {
                    reactor.write_gathered();
                }
            }
            let now = Instant::now();
            if now < next_look {
                let rest = next_look.saturating_duration_since(now);
                Nap::For(if writes { WRITES_AFTER.min(rest) } else { rest })
            } else {
                let overdue = look(&*reactor, shared, &mut memory, epoch);
                if overdue && let Some(stays_readable) = reactor.stand_in() {
                    shared.standing_in.store(true, Ordering::SeqCst);
                    thread::sleep(BREATH);
                    if !stays_readable {
                        // Until the next tick, serve the reactor whenever it has something to do.
                        shared.call.wait(Some(reactor.poller()), Some(TICK));
                    }
                    continue;
                }
                shared.standing_in.store(false, Ordering::SeqCst);
                let foreign = reactor.has_foreign_owner() && reactor.has_connections();
                let nap = match memory.quiet < QUIET_LOOKS {
                    true => Nap::For(if foreign { FOREIGN_TICK } else { TICK }),
                    // The poller alone, for the reactor is to end when nobody else has it any more.
                    false => Nap::Deep(foreign.then(|| Arc::clone(reactor.poller()))),
                };
                next_look = if let Nap::For(tick) = nap { now + tick } else { now };
                if writes { Nap::For(WRITES_AFTER) } else { nap }
            }
        };
        match nap {
            Nap::For(tick) => shared.call.wait(None, Some(tick)),
            Nap::Deep(poller) => {
                shared.deep.store(true, Ordering::SeqCst);
                if shared.presence.load(Ordering::SeqCst) == memory.presence {
                    shared.call.wait(poller.as_deref(), None);
                }
                shared.deep.store(false, Ordering::SeqCst);
                memory.quiet = 0;
            }
        }
    }
}

/// One look; true when the owner is overdue.
fn look(reactor: &dyn Guarded, shared: &Shared, memory: &mut Memory, epoch: Instant) -> bool {
    let now = Instant::now();
    let presence = shared.presence.load(Ordering::SeqCst);
    let strides = shared.strides.load(Ordering::SeqCst);
    let moved = presence != memory.presence;
    if moved {
        (memory.presence, memory.since) = (presence, now);
    }
    if moved || strides != memory.strides {
        (memory.strides, memory.stride_since) = (strides, now);
    }
    let away = presence % 2 == 1;
    let unserved =
        !away && reactor.has_foreign_owner() && reactor.poller().is_readable(Duration::ZERO).unwrap_or(false);
    // While the guardian serves, nothing stays readable: what was overdue stays so until the owner moves.
    let was_standing_in = shared.standing_in.load(Ordering::Relaxed);
    let overdue = !moved
        && (was_standing_in
            || (away && now.duration_since(memory.since) >= TICK)
            || (unserved && memory.unserved));
    memory.unserved = unserved;
    memory.quiet = if moved || away || unserved { 0 } else { memory.quiet.saturating_add(1) };
    let busy = now.duration_since(memory.stride_since);
    if overdue && busy >= WORTH_A_WARNING {
        let began = memory.stride_since.duration_since(epoch).as_nanos();
        shared.report.store(u64::try_from(began).unwrap_or(u64::MAX - 1) + 1, Ordering::SeqCst);
    }
    overdue
}
