//! SOCKS version 4, and 4a, which sends a name for the proxy to look up. There is no password, only a name of the user.

use std::net::{IpAddr, SocketAddr};

use super::tunnel::{Refusal, Target, looks_like_http};
use crate::auth::Credentials;

/// Bytes of an answer.
const ANSWER: usize = 8;

#[derive(Debug)]
pub(super) struct Socks4 {
    pub(super) out: Vec<u8>,
}

impl Socks4 {
    pub(super) fn new(target: &Target, credentials: Option<&Credentials>) -> Result<Self, Refusal> {
        if credentials.is_some_and(|credentials| !credentials.password().is_empty()) {
            return Err(Refusal::new(
                "cannot be given a password: SOCKS4 has none; use socks5:// or leave it out",
            ));
        }
        let (address, port, name) = match target {
            Target::Address(SocketAddr::V4(address)) => (address.ip().octets(), address.port(), None),
            Target::Address(SocketAddr::V6(_)) => return Err(no_ipv6()),
            Target::Host(host, port) => match host.parse::<IpAddr>() {
                Ok(IpAddr::V4(address)) => (address.octets(), *port, None),
                Ok(IpAddr::V6(_)) => return Err(no_ipv6()),
                // An address that nothing can have says that a name follows.
                Err(_) => ([0, 0, 0, 1], *port, Some(host)),
            },
        };
        let mut out = vec![4, 1];
        out.extend(port.to_be_bytes());
        out.extend(address);
        out.extend(credentials.map(Credentials::user).unwrap_or_default().bytes());
        out.push(0);
        if let Some(name) = name {
            out.extend(name.bytes());
            out.push(0);
        }
        Ok(Self { out })
    }

    pub(super) fn receive(&mut self, input: &mut Vec<u8>) -> Result<bool, Refusal> {
        match input.as_slice() {
            [0, ..] | [] => {}
            _ if looks_like_http(input) => {
                return Err(Refusal::new(
                    "answered with HTTP; if it is an HTTP proxy, write http:// in its address",
                ));
            }
            [first, ..] => {
                return Err(Refusal::new(format!(
                    "does not speak SOCKS4: its answer begins with {first:#04x}"
                )));
            }
        }
        if input.len() < ANSWER {
            return Ok(false);
        }
        let code = input[1];
        input.drain(..ANSWER);
        let why = match code {
            90 => return Ok(true),
            91 => "it was rejected or it failed",
            92 => "the proxy does not reach identd on this machine",
            93 => "identd on this machine reports another user",
            _ => "a code that SOCKS4 does not know",
        };
        Err(Refusal::new(format!("refused with code {code}: {why}")))
    }
}

fn no_ipv6() -> Refusal {
    Refusal::new(
        "cannot be asked for an IPv6 address: SOCKS4 has none; use socks5://, or socks4a:// with a name",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(target: &Target, user: Option<&str>) -> Vec<u8> {
        let credentials = user.map(|user| Credentials::new(user, "").expect("valid"));
        Socks4::new(target, credentials.as_ref()).expect("can be asked").out
    }

    #[test]
    fn an_address_or_a_name_is_asked_for() {
        let address = Target::Address(([1, 2, 3, 4], 0x1234).into());
        assert_eq!(out(&address, None), [4, 1, 0x12, 0x34, 1, 2, 3, 4, 0]);
        assert_eq!(
            out(&Target::Host("1.2.3.4".to_owned(), 80), Some("me")),
            b"\x04\x01\0P\x01\x02\x03\x04me\0"
        );
        assert_eq!(
            out(&Target::Host("h.test".to_owned(), 80), Some("me")),
            b"\x04\x01\0P\0\0\0\x01me\0h.test\0"
        );
    }

    #[test]
    fn what_the_protocol_lacks_is_said_beforehand() {
        let credentials = Credentials::new("me", "secret").expect("valid");
        let host = Target::Host("h".to_owned(), 1);
        let error = Socks4::new(&host, Some(&credentials)).expect_err("no password").text;
        assert!(error.contains("cannot be given a password") && !error.contains("secret"), "{error}");
        for target in
            [Target::Address("[::1]:1".parse().expect("an address")), Target::Host("::1".to_owned(), 1)]
        {
            let error = Socks4::new(&target, None).expect_err("no IPv6").text;
            assert!(error.contains("IPv6"), "{error}");
        }
    }

    #[test]
    fn only_code_90_opens_the_tunnel_wherever_the_answer_is_cut() {
        let mut socks = Socks4::new(&Target::Host("h".to_owned(), 1), None).expect("can be asked");
        let answer = [0, 90, 0, 0, 0, 0, 0, 0];
        for cut in 0..ANSWER {
            let mut input = answer[..cut].to_vec();
            assert!(!socks.receive(&mut input).expect("not refused"));
            input.extend(&answer[cut..]);
            assert!(socks.receive(&mut input).expect("not refused") && input.is_empty());
        }
        for (answer, words) in [
            (&[0, 91, 0, 0, 0, 0, 0, 0][..], "code 91: it was rejected"),
            (&[0, 92, 0, 0, 0, 0, 0, 0], "identd"),
            (&[0, 93, 0, 0, 0, 0, 0, 0], "another user"),
            (&[0, 1, 0, 0, 0, 0, 0, 0], "does not know"),
            (&[5, 0], "does not speak SOCKS4: its answer begins with 0x05"),
            (b"HTTP/1.1 400 Bad Request\r\n", "if it is an HTTP proxy"),
        ] {
            let text = socks.receive(&mut answer.to_vec()).expect_err("refused").text;
            assert!(text.contains(words), "{words:?} is not in: {text}");
        }
    }
}
