//! The close path: whatever the server sends and whatever the program does, in any order, at the most one Close leaves,
//! nothing leaves behind it, and the connection comes to rest. A receiver and a sender apart do the same as a client.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sunsocket_wire::{Client, Event, Limits, MessageKind, Receiver, Sender, State};

const KEY: [u8; 4] = [0; 4];

/// The opcodes of what the client wrote; its key of zeros leaves payloads readable.
fn opcodes(mut bytes: &[u8]) -> Vec<u8> {
    let mut opcodes = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert_ne!(second & 0x80, 0, "a client masks");
        let (length, rest) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().expect("eight")), &rest[8..]),
            short => (u64::from(short), rest),
        };
        let opcode = first & 0x0f;
        if opcode >= 8 {
            assert!(length <= 125 && first & 0x80 != 0);
        }
        if opcode == 8 {
            let payload = &rest[4..4 + length as usize];
            assert_ne!(payload.len(), 1);
            assert!(payload.len() < 2 || std::str::from_utf8(&payload[2..]).is_ok());
        }
        opcodes.push(opcode);
        bytes = &rest[4 + length as usize..];
    }
    opcodes
}

/// A client's two directions, driven as a program does that has a lock for each.
struct Halves {
    receiver: Receiver,
    sender: Sender,
    out: Vec<u8>,
}

impl Halves {
    fn receive(&mut self, mut portion: &[u8]) {
        loop {
            match self.receiver.receive(&mut portion) {
                Ok(Some(Event::Ping(payload))) => self.sender.owe_pong(payload),
                Ok(Some(Event::Close(frame))) => self.sender.owe_close(frame.code),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(violation) => drop(self.sender.fail(&violation, KEY, &mut self.out)),
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { max_message_size: 1000, ..Limits::default() };
    let mut client = Client::new(limits, None);
    let mut halves = Halves { receiver: Receiver::new(limits, None), sender: Sender::new(), out: Vec::new() };
    let mut out = Vec::new();
    let mut rest = bytes;
    let mut dead = false;
    while let [step, behind @ ..] = rest {
        rest = behind;
        let (count, argument) = (usize::from(step >> 3), step >> 3);
        let Halves { sender, out: apart, .. } = &mut halves;
        match step & 7 {
            0 => {
                let sent = client.send(MessageKind::Text, b"message", None, KEY, &mut out);
                assert_eq!(sender.takes_message(), sent);
                assert_eq!(sender.send(MessageKind::Text, b"message", false, KEY, apart), sent);
            }
            1 => assert_eq!(client.ping(b"ping", KEY, &mut out), sender.ping(b"ping", KEY, apart)),
            2 => {
                let (code, reason) = (1000 + u16::from(argument), "a reason, perhaps\u{e9}");
                assert_eq!(client.close(code, reason, KEY, &mut out), sender.close(code, reason, KEY, apart));
            }
            3 => {
                let owes = sender.owes();
                assert_eq!(client.transmit(&mut || KEY, &mut out), owes);
                assert_eq!(sender.transmit(&mut || KEY, apart), owes);
            }
            4 => {
                let last = argument & 1 != 0;
                let sent = client.send_piece(MessageKind::Binary, b"piece", last, None, KEY, &mut out);
                assert_eq!(sender.send_piece(MessageKind::Binary, b"piece", last, false, KEY, apart), sent);
            }
            _ => {
                let (mut portion, behind) = rest.split_at(count.min(rest.len()));
                rest = behind;
                halves.receive(portion);
                loop {
                    match client.receive(&mut portion) {
                        Ok(Some(_)) => assert!(!dead, "nothing is reported after the end"),
                        Ok(None) => break,
                        Err(violation) => {
                            assert!(!dead);
                            dead = true;
                            client.fail(&violation, KEY, &mut out);
                        }
                    }
                }
                dead |= matches!(client.state(), State::Closed);
            }
        }
        assert_eq!(client.state(), halves.sender.state());
    }
    client.transmit(&mut || KEY, &mut out);
    halves.sender.transmit(&mut || KEY, &mut halves.out);
    assert_eq!(out, halves.out);
    let opcodes = opcodes(&out);
    let closes = opcodes.iter().filter(|opcode| **opcode == 8).count();
    assert!(closes <= 1, "{opcodes:?}");
    if closes == 1 {
        assert_eq!(opcodes.last(), Some(&8), "{opcodes:?}");
        assert_ne!(client.state(), State::Open);
    }
});
