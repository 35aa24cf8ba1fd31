//! Who hears a signal, in which order, and what happens when that changes while it fires.
//!
//! Rules (semantic 2), the same in both languages, hence generic in the handler:
//! - handlers run in the order in which they were connected;
//! - one that is connected while a value fires does not get that value;
//! - one that is disconnected while a value fires does not run any more;
//! - a `Once` handler is taken off the list before it runs, so that firing again inside it does not reach it.
//!
//! A value is fired by asking for one handler after the other, with no borrow between two questions:
//!
//! ```
//! use sunsocket_net::Listeners;
//! let mut listeners = Listeners::new();
//! listeners.connect("first");
//! listeners.once("second");
//! let mut firing = listeners.fire();
//! let mut heard = Vec::new();
//! while let Some((_, handler)) = listeners.next(&mut firing) {
//!     heard.push(handler);
//! }
//! assert_eq!(heard, ["first", "second"]);
//! assert_eq!(listeners.len(), 1);
//! ```

/// Names one listener of one signal for ever; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(u64);

/// The listeners of one signal.
#[derive(Debug)]
pub struct Listeners<H> {
    // In rising order of id, which is the order of connection.
    entries: Vec<Entry<H>>,
    next_id: u64,
}

#[derive(Debug)]
struct Entry<H> {
    id: ListenerId,
    once: bool,
    handler: H,
}

/// Where one value's firing stands.
#[derive(Clone, Copy, Debug)]
pub struct Firing {
    // The next handler has an id of at least `from` and below `end`, which was the next free id when firing began.
    from: u64,
    end: u64,
    // Where `from` was last seen: right unless somebody disconnected in between, and then a few steps to the left.
    hint: usize,
}

impl<H> Default for Listeners<H> {
    fn default() -> Self {
        Self { entries: Vec::new(), next_id: 0 }
    }
}

impl<H> Listeners<H> {
    /// A signal that nobody listens to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handler for every value from the next on.
    pub fn connect(&mut self, handler: H) -> ListenerId {
        self.add(handler, false)
    }

    /// Adds a handler for the next value alone.
    pub fn once(&mut self, handler: H) -> ListenerId {
        self.add(handler, true)
    }

    fn add(&mut self, handler: H, once: bool) -> ListenerId {
        let id = ListenerId(self.next_id);
        self.next_id += 1;
        self.entries.push(Entry { id, once, handler });
        id
    }

    /// Takes a handler off; `None` when it is off already.
    pub fn disconnect(&mut self, id: ListenerId) -> Option<H> {
        let at = self.position(id)?;
        Some(self.entries.remove(at).handler)
    }

    /// Whether the handler is still on the list.
    pub fn is_connected(&self, id: ListenerId) -> bool {
        self.position(id).is_some()
    }

    fn position(&self, id: ListenerId) -> Option<usize> {
        self.entries.binary_search_by_key(&id, |entry| entry.id).ok()
    }

    /// How many handlers are on the list.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody listens.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes every handler off, for the caller to drop where dropping may run foreign code.
    #[must_use = "drop the handlers outside of any lock: dropping one may run the user's code"]
    pub fn clear(&mut self) -> Vec<H> {
        std::mem::take(&mut self.entries).into_iter().map(|entry| entry.handler).collect()
    }

    /// Takes the first handler off.
    pub fn take_first(&mut self) -> Option<H> {
        (!self.entries.is_empty()).then(|| self.entries.remove(0).handler)
    }

    /// The one handler, if there is exactly one and it stays on the list when it is called.
    pub fn sole(&self) -> Option<&H> {
        match &self.entries[..] {
            [entry] if !entry.once => Some(&entry.handler),
            _ => None,
        }
    }

    /// The handlers, in order.
    pub fn iter(&self) -> impl Iterator<Item = &H> {
        self.entries.iter().map(|entry| &entry.handler)
    }

    /// Begins to fire one value to those who listen now.
    pub fn fire(&self) -> Firing {
        Firing { from: 0, end: self.next_id, hint: 0 }
    }
}

impl<H: Clone> Listeners<H> {
    /// The next handler that is to get the value, with its id; `None` when all have been asked for.
    pub fn next(&mut self, firing: &mut Firing) -> Option<(ListenerId, H)> {
        let mut at = firing.hint.min(self.entries.len());
        while at > 0 && self.entries[at - 1].id.0 >= firing.from {
            at -= 1;
        }
        while self.entries.get(at).is_some_and(|entry| entry.id.0 < firing.from) {
            at += 1;
        }
        let entry = self.entries.get(at)?;
        if entry.id.0 >= firing.end {
            return None;
        }
        let id = entry.id;
        firing.from = id.0 + 1;
        if entry.once {
            firing.hint = at;
            Some((id, self.entries.remove(at).handler))
        } else {
            firing.hint = at + 1;
            Some((id, entry.handler.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(listeners: &mut Listeners<&'static str>) -> Vec<&'static str> {
        let mut firing = listeners.fire();
        std::iter::from_fn(|| listeners.next(&mut firing).map(|(_, handler)| handler)).collect()
    }

    #[test]
    fn a_sole_listener_is_one_that_stays_and_is_alone() {
        let mut listeners = Listeners::new();
        assert_eq!(listeners.sole(), None);
        let first = listeners.connect("first");
        assert_eq!(listeners.sole(), Some(&"first"));
        let second = listeners.once("second");
        assert_eq!(listeners.sole(), None);
        listeners.disconnect(first);
        assert_eq!(listeners.sole(), None);
        listeners.disconnect(second);
        listeners.connect("third");
        assert_eq!(listeners.sole(), Some(&"third"));
    }

    #[test]
    fn handlers_run_in_the_order_of_connection() {
        let mut listeners = Listeners::new();
        listeners.connect("a");
        listeners.once("b");
        listeners.connect("c");
        assert_eq!(heard(&mut listeners), ["a", "b", "c"]);
        assert_eq!(heard(&mut listeners), ["a", "c"]);
    }

    #[test]
    fn a_handler_connected_while_firing_waits_for_the_next_value() {
        let mut listeners = Listeners::new();
        listeners.connect("a");
        let mut firing = listeners.fire();
        assert_eq!(listeners.next(&mut firing).map(|(_, h)| h), Some("a"));
        listeners.connect("late");
        assert!(listeners.next(&mut firing).is_none());
        assert_eq!(heard(&mut listeners), ["a", "late"]);
    }

    #[test]
    fn a_handler_disconnected_while_firing_does_not_run() {
        let mut listeners = Listeners::new();
        let a = listeners.connect("a");
        let b = listeners.connect("b");
        listeners.connect("c");
        let mut firing = listeners.fire();
        assert_eq!(listeners.next(&mut firing).map(|(_, h)| h), Some("a"));
        assert_eq!(listeners.disconnect(a), Some("a"));
        assert_eq!(listeners.disconnect(b), Some("b"));
        assert_eq!(listeners.disconnect(b), None);
        assert_eq!(listeners.next(&mut firing).map(|(_, h)| h), Some("c"));
        assert!(!listeners.is_connected(a));
    }

    #[test]
    fn a_once_handler_is_off_before_it_runs() {
        let mut listeners = Listeners::new();
        let once = listeners.once("once");
        let mut firing = listeners.fire();
        let (id, _) = listeners.next(&mut firing).expect("it listens");
        assert_eq!(id, once);
        assert!(!listeners.is_connected(id));
        assert!(heard(&mut listeners).is_empty());
    }
}
