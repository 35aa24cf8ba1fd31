//! What the kernel keeps of one TCP connection: bytes on their way in both directions, and who watches.

use std::collections::VecDeque;
use std::io;

use crate::sync::{Arc, Condvar, Mutex, lock};
use crate::sys::poller::Bell;

/// One connection, between the engine's `Transport` and the model's `Peer`.
#[derive(Debug)]
pub(crate) struct Pipe {
    state: Mutex<State>,
    /// Something for the server: bytes, or room for its own.
    arrived: Condvar,
}

#[derive(Debug)]
struct State {
    to_client: VecDeque<u8>,
    to_server: VecDeque<u8>,
    /// The most that the kernel takes in either direction.
    capacity: usize,
    server_done: bool,
    client_done: bool,
    bell: Option<Arc<Bell>>,
}

impl Pipe {
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                to_client: VecDeque::new(),
                to_server: VecDeque::new(),
                capacity,
                server_done: false,
                client_done: false,
                bell: None,
            }),
            arrived: Condvar::default(),
        })
    }

    pub(crate) fn watch(&self, bell: Option<Arc<Bell>>) {
        lock(&self.state).bell = bell;
    }

    /// Readable, writable, hung up.
    pub(crate) fn readiness(&self) -> (bool, bool, bool) {
        let state = lock(&self.state);
        let hangup = state.server_done && state.client_done;
        (!state.to_client.is_empty() || state.server_done, state.to_server.len() < state.capacity, hangup)
    }

    // ---- the engine's end

    pub(crate) fn client_read(&self, most: usize) -> io::Result<Vec<u8>> {
        let mut state = lock(&self.state);
        if state.to_client.is_empty() {
            return if state.server_done { Ok(Vec::new()) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let count = most.min(state.to_client.len());
        let bytes = state.to_client.drain(..count).collect();
        drop(state);
        self.arrived.notify_all();
        Ok(bytes)
    }

    pub(crate) fn client_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = lock(&self.state);
        if state.server_done {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(state.capacity - state.to_server.len());
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.to_server.extend(&bytes[..count]);
        drop(state);
        self.arrived.notify_all();
        Ok(count)
    }

    pub(crate) fn client_done(&self) {
        lock(&self.state).client_done = true;
        self.arrived.notify_all();
    }

    // ---- the server's end

    /// Waits until the kernel takes it.
    pub(crate) fn server_write(&self, bytes: &[u8]) {
        let mut state = lock(&self.state);
        while state.to_client.len() + bytes.len() > state.capacity && !state.client_done {
            state = self.arrived.wait(state);
        }
        state.to_client.extend(bytes);
        let bell = state.bell.clone();
        drop(state);
        ring(bell);
    }

    pub(crate) fn server_done(&self) {
        let mut state = lock(&self.state);
        state.server_done = true;
        let bell = state.bell.clone();
        drop(state);
        ring(bell);
    }

    /// The next `count` bytes; waits for them. `None`: the client dropped TCP first.
    pub(crate) fn server_read(&self, count: usize) -> Option<Vec<u8>> {
        let mut read = Vec::new();
        let mut state = lock(&self.state);
        loop {
            let most = (count - read.len()).min(state.to_server.len());
            read.extend(state.to_server.drain(..most));
            let bell = state.bell.clone();
            if most > 0 {
                drop(state);
                ring(bell);
                state = lock(&self.state);
            }
            if read.len() == count {
                return Some(read);
            }
            if state.to_server.is_empty() {
                if state.client_done {
                    return None;
                }
                state = self.arrived.wait(state);
            }
        }
    }
}

fn ring(bell: Option<Arc<Bell>>) {
    if let Some(bell) = bell {
        bell.ring();
    }
}
