//! A question that another thread answers, sooner or later, while the attempt that asked it waits for its sockets or
//! its time.
//!
//! Neither side keeps the other waiting: an answer is stored and the waker is called, once; a question that nobody
//! wants answered any more is dropped, and who would answer it can see that.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use super::pool::{Job, QUEUE_PATIENCE};

/// Has whoever drives an attempt call [`super::attempt::Attempt::step`] again. Called from any thread, and under no lock.
pub(crate) type Waker = Arc<dyn Fn() + Send + Sync>;

/// The asker's side. Dropping it says that the answer is not wanted any more.
pub(super) struct Question<T>(Arc<Shared<T>>);

/// The answerer's side.
pub(super) struct Reply<T>(Weak<Shared<T>>);

struct Shared<T> {
    answer: Mutex<Option<T>>,
    waker: Waker,
}

/// Both sides of a new question; `waker` is called when it has been answered.
pub(super) fn question<T>(waker: &Waker) -> (Question<T>, Reply<T>) {
    let shared = Arc::new(Shared { answer: Mutex::new(None), waker: Arc::clone(waker) });
    let reply = Reply(Arc::downgrade(&shared));
    (Question(shared), reply)
}

impl<T> Question<T> {
    /// The answer, once.
    pub(super) fn take(&self) -> Option<T> {
        self.0.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Reply<T> {
    /// Whether the asker still waits.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.strong_count() > 0
    }

    pub(super) fn answer(self, answer: T) {
        if let Some(shared) = self.0.upgrade() {
            *shared.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
            (shared.waker)();
        }
    }
}

/// A question that a job of a pool answers.
pub(super) struct Pending<T> {
    question: Question<T>,
    job: Option<Job>,
    /// When the job is told to hurry; `None` when it was.
    hurry_at: Option<Instant>,
}

impl<T> Pending<T> {
    /// `job`: `None`, where it is answered already.
    pub(super) fn new(question: Question<T>, job: Option<Job>, now: Instant) -> Self {
        let hurry_at = if job.is_some() { now.checked_add(QUEUE_PATIENCE) } else { None };
        Self { question, job, hurry_at }
    }

    /// The answer, once it has come.
    pub(super) fn step(&mut self, now: Instant) -> Option<T> {
        let answer = self.question.take();
        if answer.is_none()
            && self.hurry_at.take_if(|at| now >= *at).is_some()
            && let Some(job) = &self.job
        {
            job.hurry();
        }
        answer
    }

    /// When [`Pending::step`] has something to do although no answer has come.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.hurry_at
    }
}
