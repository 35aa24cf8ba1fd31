//! The one kind of queue that connections stand on, to be visited by somebody.
//!
//! Whether a connection stands on a queue is a bit of its word, set by who puts it there and cleared by who takes it out: it
//! stands there once, however often it is put. Whoever takes it out clears the bit first and looks at the connection
//! afterwards, so that what happens to it meanwhile puts it there again.

use std::collections::VecDeque;

use crate::session::word::{Bits, Word};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, lock};

/// What can stand on a queue.
pub(crate) trait Member {
    fn word(&self) -> &Word;
}

#[derive(Debug)]
pub(crate) struct Queue<M> {
    bit: u32,
    members: Mutex<VecDeque<Arc<M>>>,
    /// Mirrors the number of members, to be read without the lock.
    count: AtomicUsize,
}

impl<M: Member> Queue<M> {
    /// `bit` says of a member that it stands here.
    pub(crate) fn new(bit: u32) -> Self {
        Self { bit, members: Mutex::default(), count: AtomicUsize::new(0) }
    }

    /// False: it stands here already.
    pub(crate) fn put(&self, member: &Arc<M>) -> bool {
        if member.word().set(self.bit).has(self.bit) {
            return false;
        }
        let mut members = lock(&self.members);
        members.push_back(Arc::clone(member));
        self.count.store(members.len(), Ordering::SeqCst);
        true
    }

    /// Takes the one that has stood here for longest.
    pub(crate) fn take(&self) -> Option<Arc<M>> {
        if self.is_empty() {
            return None;
        }
        let member = {
            let mut members = lock(&self.members);
            let member = members.pop_front()?;
            self.count.store(members.len(), Ordering::SeqCst);
            member
        };
        member.word().clear(self.bit);
        Some(member)
    }

    /// Takes all that stand here now; who comes meanwhile is for the next time.
    pub(crate) fn take_all(&self) -> VecDeque<Arc<M>> {
        if self.is_empty() {
            return VecDeque::new();
        }
        let members = {
            let mut members = lock(&self.members);
            self.count.store(0, Ordering::SeqCst);
            std::mem::take(&mut *members)
        };
        for member in &members {
            member.word().clear(self.bit);
        }
        members
    }

    /// All that stand here, and stay.
    pub(crate) fn members(&self) -> Vec<Arc<M>> {
        if self.is_empty() { Vec::new() } else { lock(&self.members).iter().cloned().collect() }
    }

    /// Takes those of whose word `which` says so.
    pub(crate) fn take_those(&self, which: impl Fn(Bits) -> bool) -> Vec<Arc<M>> {
        if self.is_empty() {
            return Vec::new();
        }
        let taken: Vec<_> = {
            let mut members = lock(&self.members);
            let (taken, left): (Vec<_>, Vec<_>) =
                members.drain(..).partition(|member| which(member.word().get()));
            members.extend(left);
            self.count.store(members.len(), Ordering::SeqCst);
            taken
        };
        for member in &taken {
            member.word().clear(self.bit);
        }
        taken
    }

    /// Takes this one, if it stands here.
    pub(crate) fn remove(&self, member: &Arc<M>) {
        if !member.word().get().has(self.bit) {
            return;
        }
        let removed = {
            let mut members = lock(&self.members);
            let at = members.iter().position(|other| Arc::ptr_eq(other, member));
            let removed = at.and_then(|at| members.remove(at));
            self.count.store(members.len(), Ordering::SeqCst);
            removed
        };
        if removed.is_some() {
            member.word().clear(self.bit);
        }
    }

    /// Whether there is one of whose word `which` says so.
    pub(crate) fn any(&self, which: impl Fn(Bits) -> bool) -> bool {
        !self.is_empty() && lock(&self.members).iter().any(|member| which(member.word().get()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::word::QUEUED_READY;

    #[derive(Debug)]
    struct One(u32, Word);

    impl Member for One {
        fn word(&self) -> &Word {
            &self.1
        }
    }

    #[test]
    fn a_member_stands_once_and_in_order() {
        let queue = Queue::new(QUEUED_READY);
        let [first, second] = [1, 2].map(|number| Arc::new(One(number, Word::new())));
        assert!(queue.put(&first));
        assert!(queue.put(&second));
        assert!(!queue.put(&first));
        assert_eq!(queue.take().map(|one| one.0), Some(1));
        assert!(queue.put(&first));
        assert_eq!(queue.take_all().iter().map(|one| one.0).collect::<Vec<_>>(), [2, 1]);
        assert!(queue.is_empty() && queue.take().is_none());
        assert!(queue.put(&second));
    }

    #[test]
    fn who_is_taken_out_is_let_go() {
        let queue = Queue::new(QUEUED_READY);
        let one = Arc::new(One(1, Word::new()));
        queue.put(&one);
        drop(queue.take());
        assert_eq!(Arc::strong_count(&one), 1);
    }
}
