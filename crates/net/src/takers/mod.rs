//! Who gets the next message: the rule that both languages execute and neither decides (semantics 1, 2, 3 and 10).
//!
//! Three kinds of taker exist, and OnClose behind them:
//! - **handlers** ([`Takers::connect`]) get every message, in the order in which they were connected. One that is
//!   connected while a message fires does not get that one; one that is disconnected does not run any more;
//! - **`Wait`** ([`Takers::wait`]): everybody who waits gets the same next message;
//! - **`recv`** ([`Takers::receive`]): first come, first served. While there is a handler, a copy of the next message.
//!
//! Who waits holds a [`Ticket`], which keeps its place until it leaves: with its message, or without it when it was
//! cancelled or timed out. A message that was given and not taken goes to the next taker, before all that came after it.
//!
//! Nothing here waits, locks or calls anybody. A driver (who may run handlers) or a waiter (who may not) asks
//! [`Takers::next`] again and again, and does what it says:
//!
//! ```
//! use sunsocket_net::{Asker, Next, Source, Takers, Waiter, Which};
//!
//! struct Hold(Vec<&'static str>, bool);
//! impl Source for Hold {
//!     type Message = &'static str;
//!     type Error = std::convert::Infallible;
//!     fn has_closed(&mut self) -> bool { self.1 }
//!     fn take(&mut self) -> Result<Option<&'static str>, Self::Error> { Ok(self.0.pop()) }
//! }
//! struct Task(&'static str);
//! impl Waiter for Task {
//!     fn needs_driver(&self) -> bool { true }
//! }
//!
//! let mut takers = Takers::new();
//! takers.connect(Which::Message, "handler", false);
//! takers.connect(Which::Close, "closed", false);
//! let ticket = takers.wait(Task("task"));
//! let mut hold = Hold(vec!["hello"], true);
//! let mut done = Vec::new();
//! while let Ok(Some(next)) = takers.next(Asker::Driver, &mut hold) {
//!     done.push(match next {
//!         Next::Give(ticket, Task(name), message) => { takers.took(ticket); format!("{name} got {message}") }
//!         Next::Call(handler, message) => format!("{handler}({message})"),
//!         Next::CallClose(handler) => format!("{handler}()"),
//!         Next::End(Task(name)) => format!("{name} waits no more"),
//!         Next::Pause => continue,
//!     });
//! }
//! assert_eq!(done, ["task got hello", "handler(hello)", "closed()"]);
//! ```

mod glance;
mod listeners;
mod next;
#[cfg(test)]
mod properties;
mod registry;
#[cfg(test)]
mod tests;
mod tickets;

pub use glance::{Glance, Straight};
pub use listeners::{Firing, ListenerId, Listeners};
pub use next::{Asker, Next, Source};
pub use registry::{Takers, Which};
pub use tickets::{Outcome, Ticket, Waiter};
