//! From connecting to an open connection, or to none.

use sunsocket_wire::Deflater;

use super::connecting::Connecting;
use super::{Connection, Reactor};
use crate::connect::{self, Connected};
use crate::error::Error;
use crate::options::ConnectOptions;
use crate::session::Receiving;
use crate::session::closing::Closed;
use crate::session::word::{ATTACHED, DUE_VISIT, NEWS, OPENED_UNTOLD, State};
use crate::sync::{Arc, Instant, lock};

impl Reactor {
    /// The child of a fork: no connection made before may be used in it, and nothing of theirs is touched.
    pub fn after_fork_in_child() {
        Self::forked();
        connect::after_fork_in_child();
    }

    /// Starts to connect and returns at once; the connection becomes ready when that ended
    /// ([`Connection::take_opened`]). Whoever turns the reactor goes on with it.
    ///
    /// # Errors
    /// `InvalidArgument` or `Tls` for what is known before anything is sent.
    pub fn connect(
        self: &Arc<Self>,
        options: impl Into<Arc<ConnectOptions>>,
    ) -> Result<Arc<Connection>, Error> {
        let options = options.into();
        let prepared = connect::prepare(&options)?;
        let connection = Connection::new(Arc::clone(self), &options);
        self.guardian.start(self);
        Connecting::begin(&connection, prepared, &options);
        Ok(connection)
    }

    /// Connects on the calling thread and returns the open connection. `interrupted` is asked at least every 100 ms and on
    /// EINTR; true gives up with `Cancelled`.
    ///
    /// # Errors
    /// What failed, by kind.
    pub fn connect_here(
        self: &Arc<Self>,
        options: impl Into<Arc<ConnectOptions>>,
        interrupted: &mut dyn FnMut() -> bool,
    ) -> Result<Arc<Connection>, Error> {
        let options = options.into();
        let prepared = connect::prepare(&options)?;
        let connection = Connection::new(Arc::clone(self), &options);
        self.guardian.start(self);
        let connected = connect::connect(prepared, &options, interrupted)?;
        connection.opened(connected, false);
        Ok(connection)
    }
}

impl Connection {
    /// Lets go of what connects, if something does. Called under no lock.
    pub(super) fn stop_connecting(&self) {
        if self.is_forked() {
            return;
        }
        let connecting = lock(&self.connecting).clone();
        if let Some(connecting) = connecting {
            connecting.give_up();
        }
    }

    /// The opening handshake is over: the socket is the reactor's from now on. Bytes that came with the response are the first
    /// of the next read. `report`: the language hears of it through the ready queue.
    pub(crate) fn opened(self: &Arc<Self>, connected: Connected, report: bool) {
        if self.is_forked() {
            return;
        }
        let Connected { transport, handshake, leftover } = connected;
        let (reader, writer) = transport.into_halves();
        let source = reader.source();
        self.reactor.attach(self, source.clone());
        let mut receive = self.receive_half();
        let mut send = self.send_half_inside();
        if self.state() != State::Connecting {
            // Somebody has given it up meanwhile.
            self.word.clear(ATTACHED);
            return;
        }
        let agreed = handshake.compression;
        *lock(&self.deflater) = agreed.map(Deflater::new);
        receive.session = Receiving::new(self.limits, agreed, Arc::clone(&self.reactor.pool));
        receive.session.keep(leftover);
        receive.reader = Some(reader);
        send.session.opened(Instant::now());
        send.writer = Some(writer);
        send.source = Some(source);
        // Set before anybody can see the state, once per connection.
        let _ = self.handshake.set(handshake);
        if report {
            self.word.set(OPENED_UNTOLD);
        }
        self.word.set_state(State::Open);
        // Last: whoever is told by these sees all of it. Who connects here and waits knows by itself: the owner is left asleep.
        self.word.set(if report { DUE_VISIT | NEWS } else { NEWS });
    }

    /// Connecting came to nothing.
    pub(crate) fn failed_to_open(self: &Arc<Self>, error: Error) {
        let Some(mut half) = self.send_half() else { return };
        if self.state() != State::Connecting {
            // It was given up meanwhile, and that was told.
            return;
        }
        self.word.set(OPENED_UNTOLD);
        half.finish(self, Closed::abnormally(error));
    }

    /// True once, when a `Reactor::connect` ended: either `state()` is Open, or `closed()` tells the failure.
    pub fn take_opened(&self) -> bool {
        // It is due a moment before the state says how it ended; the report comes after both.
        self.state() != State::Connecting && self.word.clear(OPENED_UNTOLD).has(OPENED_UNTOLD)
    }
}
