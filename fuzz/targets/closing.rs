//! The close path: whatever the server sends and whatever the program does, in any order, at the most one Close leaves,
//! nothing leaves behind it, and the client comes to rest.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sunsocket_wire::{Client, Limits, MessageKind, State};

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

fuzz_target!(|bytes: &[u8]| {
    let mut client = Client::new(Limits { max_message_size: 1000, ..Limits::default() }, None);
    let mut out = Vec::new();
    let mut rest = bytes;
    let mut dead = false;
    while let [step, behind @ ..] = rest {
        rest = behind;
        let (count, argument) = (usize::from(step >> 3), step >> 3);
        match step & 7 {
            0 => drop(client.send(MessageKind::Text, b"message", None, KEY, &mut out)),
            1 => drop(client.ping(b"ping", KEY, &mut out)),
            2 => drop(client.close(1000 + u16::from(argument), "a reason, perhaps\u{e9}", KEY, &mut out)),
            3 => drop(client.transmit(&mut || KEY, &mut out)),
            4 => drop(client.send_piece(MessageKind::Binary, b"piece", argument & 1 != 0, None, KEY, &mut out)),
            _ => {
                let (mut portion, behind) = rest.split_at(count.min(rest.len()));
                rest = behind;
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
    }
    client.transmit(&mut || KEY, &mut out);
    let opcodes = opcodes(&out);
    let closes = opcodes.iter().filter(|opcode| **opcode == 8).count();
    assert!(closes <= 1, "{opcodes:?}");
    if closes == 1 {
        assert_eq!(opcodes.last(), Some(&8), "{opcodes:?}");
        assert_ne!(client.state(), State::Open);
    }
});
