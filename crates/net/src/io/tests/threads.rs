//! Both halves at full speed, each on a thread of its own.

use std::thread;

use rustix::event::{PollFd, PollFlags, poll};

use super::*;

const COUNT: usize = 8 << 20;

fn wait(fd: BorrowedFd<'_>, flags: PollFlags) {
    let mut fds = [PollFd::from_borrowed_fd(fd, flags)];
    poll(&mut fds, None).expect("a socket");
}

fn write_all(mut writer: Writer, socket: &OwnedFd, bytes: &[u8]) {
    let mut written = 0;
    while written < bytes.len() || writer.wants_write() {
        // Sizes from a byte to more than a record.
        let end = (written + 1 + written % 40_000).min(bytes.len());
        let step = if written < end { writer.write(&bytes[written..end]) } else { writer.flush().map(|_| 0) };
        match step {
            Ok(count) => written += count,
            Err(error) if is_blocked(&error) => wait(socket.as_fd(), PollFlags::OUT),
            Err(error) => panic!("{error}"),
        }
    }
}

fn read_so_many(mut reader: Reader, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        let max = (1 + all.len() % 70_000).min(count - all.len());
        all.reserve(max);
        match reader.read_append(&mut all, max) {
            Ok(0) => panic!("it ended after {} bytes", all.len()),
            Ok(_) => {}
            Err(error) if is_blocked(&error) => wait(reader.fd(), PollFlags::IN),
            Err(error) => panic!("{error}"),
        }
    }
    all
}

#[test]
fn one_thread_reads_while_another_writes() {
    let sent = bytes(COUNT);
    for layers in 0..=2 {
        let (transport, mut peer) = open(layers);
        let socket = transport.fd().try_clone_to_owned().expect("descriptors");
        let (reader, writer) = transport.into_halves();
        thread::scope(|scope| {
            scope.spawn(|| write_all(writer, &socket, &sent));
            let reading = scope.spawn(|| read_so_many(reader, COUNT));
            // The peer echoes.
            let mut echoed = 0;
            while echoed < COUNT {
                wait(peer.socket.as_fd(), PollFlags::IN);
                peer.hear(1 << 20);
                let heard = std::mem::take(&mut peer.heard);
                assert!(heard == sent[echoed..echoed + heard.len()], "as it was written, {layers} layers");
                echoed += heard.len();
                peer.say(&heard);
                if let Some(layer) = peer.layers.last_mut() {
                    // Both directions change their keys in the middle of it.
                    layer.refresh_traffic_keys().expect("TLS 1.3");
                }
                // It sends all before it hears more: the client reads, however much it writes.
                while peer.has_unsent() {
                    wait(peer.socket.as_fd(), PollFlags::OUT);
                    peer.send();
                }
            }
            assert!(reading.join().expect("it reads") == sent, "as it was sent, {layers} layers");
        });
    }
}
