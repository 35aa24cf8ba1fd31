//! SOCKS version 5 (RFC 1928), with user name and password (RFC 1929).

use std::net::{IpAddr, SocketAddr};

use super::tunnel::{Refusal, Target, looks_like_http};
use crate::auth::Credentials;

const NO_PROOF: u8 = 0;
const PASSWORD: u8 = 2;
const NOTHING_SUITS: u8 = 0xff;

#[derive(Debug)]
pub(super) struct Socks5 {
    pub(super) out: Vec<u8>,
    awaits: Awaits,
    /// The user's name and the password as they are sent.
    proof: Option<Vec<u8>>,
    request: Vec<u8>,
}

/// What the proxy has to answer next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    Method,
    Verdict,
    Answer,
}

impl Socks5 {
    pub(super) fn new(target: &Target, credentials: Option<&Credentials>) -> Result<Self, Refusal> {
        let proof = credentials.map(proof).transpose()?;
        let mut request = vec![5, 1, 0];
        let port = match target {
            Target::Address(address) => push_address(&mut request, address.ip(), address.port()),
            Target::Host(host, port) => match host.parse::<IpAddr>() {
                Ok(address) => push_address(&mut request, address, *port),
                Err(_) => {
                    let len = u8::try_from(host.len()).map_err(|_| {
                        Refusal::new("cannot be asked for this host: SOCKS5 takes names of up to 255 bytes")
                    })?;
                    request.extend([3, len]);
                    request.extend(host.bytes());
                    *port
                }
            },
        };
        request.extend(port.to_be_bytes());
        let out = if proof.is_some() { vec![5, 2, NO_PROOF, PASSWORD] } else { vec![5, 1, NO_PROOF] };
        Ok(Self { out, awaits: Awaits::Method, proof, request })
    }

    pub(super) fn receive(&mut self, input: &mut Vec<u8>) -> Result<bool, Refusal> {
        loop {
            let done = match self.awaits {
                Awaits::Method => self.method(input)?,
                Awaits::Verdict => self.verdict(input)?,
                Awaits::Answer => return answer(input),
            };
            if !done {
                return Ok(false);
            }
            if !input.is_empty() {
                return Err(Refusal::new("answered before it was asked"));
            }
        }
    }

    /// Which of the ways to prove who asks the proxy wants.
    fn method(&mut self, input: &mut Vec<u8>) -> Result<bool, Refusal> {
        check_version(input)?;
        let [_, method, ..] = *input.as_slice() else { return Ok(false) };
        input.drain(..2);
        match (method, self.proof.take()) {
            (NO_PROOF, _) => self.ask(),
            (PASSWORD, Some(proof)) => {
                self.out.extend(proof);
                self.awaits = Awaits::Verdict;
            }
            (NOTHING_SUITS, None) => {
                return Err(Refusal::new(
                    "accepts nobody without a name: write user name and password into its address \
                     (socks5://user:password@proxy)",
                ));
            }
            (NOTHING_SUITS, Some(_)) => {
                return Err(Refusal::new("accepts neither user name and password nor anybody without them"));
            }
            (method, _) => {
                return Err(Refusal::new(format!(
                    "chose method {method}, which was not offered (RFC 1928 section 3)"
                )));
            }
        }
        Ok(true)
    }

    /// What it says of user name and password (RFC 1929 section 2).
    fn verdict(&mut self, input: &mut Vec<u8>) -> Result<bool, Refusal> {
        let [_, status, ..] = *input.as_slice() else { return Ok(false) };
        input.drain(..2);
        if status != 0 {
            return Err(Refusal::new("does not accept the user name and the password of its address"));
        }
        self.ask();
        Ok(true)
    }

    fn ask(&mut self) {
        self.out.append(&mut self.request);
        self.awaits = Awaits::Answer;
    }
}

/// The proxy's last answer (RFC 1928 section 6).
fn answer(input: &mut Vec<u8>) -> Result<bool, Refusal> {
    check_version(input)?;
    let [_, code, ..] = *input.as_slice() else { return Ok(false) };
    let why = match code {
        0 => "",
        1 => "it has failed",
        2 => "its rules do not allow that",
        3 => "it does not reach the network",
        4 => "it does not reach the host, or does not know the name",
        5 => "the server refuses the connection",
        6 => "it took too long",
        7 => "it does not know this command",
        8 => "it does not know this kind of address",
        _ => "a code that SOCKS5 does not know",
    };
    if code != 0 {
        return Err(Refusal::new(format!("refused with code {code}: {why}")));
    }
    let [_, _, _, kind, length, ..] = *input.as_slice() else { return Ok(false) };
    // The address that it connects from, which nobody asks for, may be a name.
    let address = match kind {
        1 => 4,
        4 => 16,
        3 => 1 + usize::from(length),
        kind => {
            return Err(Refusal::new(format!(
                "answered with an address of kind {kind}, which SOCKS5 does not know"
            )));
        }
    };
    let size = 4 + address + 2;
    if input.len() < size {
        return Ok(false);
    }
    input.drain(..size);
    Ok(true)
}

fn check_version(input: &[u8]) -> Result<(), Refusal> {
    match input {
        [5, ..] | [] => Ok(()),
        _ if looks_like_http(input) => {
            Err(Refusal::new("answered with HTTP; if it is an HTTP proxy, write http:// in its address"))
        }
        [first, ..] => {
            Err(Refusal::new(format!("does not speak SOCKS5: its answer begins with {first:#04x}")))
        }
    }
}

fn proof(credentials: &Credentials) -> Result<Vec<u8>, Refusal> {
    let mut proof = vec![1];
    for part in [credentials.user(), credentials.password()] {
        let len = u8::try_from(part.len()).map_err(|_| {
            Refusal::new("cannot be given these credentials: SOCKS5 takes up to 255 bytes of each")
        })?;
        proof.push(len);
        proof.extend(part.bytes());
    }
    Ok(proof)
}

/// Appends the address, and returns the port, which follows.
fn push_address(request: &mut Vec<u8>, address: IpAddr, port: u16) -> u16 {
    match SocketAddr::new(address, port) {
        SocketAddr::V4(address) => {
            request.push(1);
            request.extend(address.ip().octets());
        }
        SocketAddr::V6(address) => {
            request.push(4);
            request.extend(address.ip().octets());
        }
    }
    port
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &[u8] = b"\x05\x01\x00\x03\x06h.test\x01\xbb";

    fn host() -> Target {
        Target::Host("h.test".to_owned(), 443)
    }

    fn user() -> Credentials {
        Credentials::new("me", "secret").expect("valid")
    }

    fn socks(credentials: Option<&Credentials>) -> Socks5 {
        Socks5::new(&host(), credentials).expect("can be asked")
    }

    /// What is sent after each of the proxy's answers, and whether the tunnel is open then.
    fn talk(socks: &mut Socks5, answers: &[&[u8]]) -> Result<(Vec<Vec<u8>>, bool), Refusal> {
        let mut sent = vec![std::mem::take(&mut socks.out)];
        let mut open = false;
        for answer in answers {
            let mut input = answer.to_vec();
            open = socks.receive(&mut input)?;
            assert!(input.is_empty());
            sent.push(std::mem::take(&mut socks.out));
        }
        Ok((sent, open))
    }

    const OPEN: &[u8] = &[5, 0, 0, 1, 1, 2, 3, 4, 0, 80];

    #[test]
    fn nobody_is_asked_for_proof_without_credentials() {
        let (sent, open) = talk(&mut socks(None), &[&[5, 0], OPEN]).expect("open");
        assert_eq!((sent, open), (vec![vec![5, 1, 0], NAME.to_vec(), vec![]], true));
    }

    #[test]
    fn a_name_and_a_password_are_sent_where_they_are_wanted() {
        let (sent, open) = talk(&mut socks(Some(&user())), &[&[5, 2], &[1, 0], OPEN]).expect("open");
        let proof = b"\x01\x02me\x06secret".to_vec();
        assert_eq!((sent, open), (vec![vec![5, 2, 0, 2], proof, NAME.to_vec(), vec![]], true));
        let (sent, _) = talk(&mut socks(Some(&user())), &[&[5, 0], OPEN]).expect("open");
        assert_eq!(sent[1], NAME, "not wanted: not sent");
    }

    #[test]
    fn addresses_are_sent_as_what_they_are() {
        let v6: SocketAddr = "[::1]:80".parse().expect("an address");
        let mut expected = vec![5, 1, 0, 4];
        expected.extend([0; 15]);
        expected.extend([1, 0, 80]);
        for target in [Target::Address(v6), Target::Host("::1".to_owned(), 80)] {
            assert_eq!(Socks5::new(&target, None).expect("can be asked").request, expected);
        }
        let v4 = Target::Host("1.2.3.4".to_owned(), 80);
        assert_eq!(Socks5::new(&v4, None).expect("can be asked").request, [5, 1, 0, 1, 1, 2, 3, 4, 0, 80]);
    }

    #[test]
    fn what_is_too_long_is_said_beforehand() {
        let long = "x".repeat(256);
        let error = Socks5::new(&Target::Host(long.clone(), 1), None).expect_err("too long").text;
        assert!(error.contains("255 bytes"), "{error}");
        let credentials = Credentials::new("me", long).expect("valid");
        let error = Socks5::new(&host(), Some(&credentials)).expect_err("too long").text;
        assert!(error.contains("255 bytes") && !error.contains("xxx"), "{error}");
    }

    #[test]
    fn answers_may_come_in_any_pieces_and_with_any_address() {
        let mut v6 = vec![5, 0, 0, 4];
        v6.extend([0; 18]);
        for last in [OPEN, &v6, b"\x05\0\0\x03\x02ab\0\x50", b"\x05\0\0\x03\x00\0\x50"] {
            let mut socks = socks(Some(&user()));
            let all = [&[5, 2][..], &[1, 0], last].concat();
            let mut input = Vec::new();
            for (at, byte) in all.iter().enumerate() {
                input.push(*byte);
                let open = socks.receive(&mut input).expect("not refused");
                assert_eq!(open, at + 1 == all.len(), "after {at} of {last:?}");
            }
            assert!(input.is_empty());
        }
    }

    #[test]
    fn a_refusal_says_why() {
        let refusal = |credentials: Option<&Credentials>, answers: &[&[u8]]| {
            talk(&mut socks(credentials), answers).expect_err("refused").text
        };
        let codes =
            ["failed", "rules", "network", "know the name", "refuses", "too long", "command", "kind", "know"];
        for (at, words) in codes.into_iter().enumerate() {
            let code = at as u8 + 1;
            let text = refusal(None, &[&[5, 0], &[5, code, 0, 1, 0, 0, 0, 0, 0, 0]]);
            assert!(text.contains(words) && text.contains(&format!("code {code}")), "{text}");
        }
        for (answers, words) in [
            (&[&[4, 0][..]][..], "does not speak SOCKS5: its answer begins with 0x04"),
            (&[b"HTTP/1.1 400 Bad\r\n"], "if it is an HTTP proxy"),
            (&[&[5, 255]], "accepts nobody without a name"),
            (&[&[5, 2]], "method 2, which was not offered"),
            (&[&[5, 0], &[5, 0, 0, 9, 0]], "kind 9"),
            (&[&[5, 0], &[5, 5]], "code 5"),
            (&[&[5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]], "before it was asked"),
            (&[&[5, 0], &[6, 0]], "does not speak SOCKS5"),
        ] {
            let text = refusal(None, answers);
            assert!(text.contains(words), "{words:?} is not in: {text}");
        }
        for (answers, words) in [
            (&[&[5, 255][..]][..], "neither user name"),
            (&[&[5, 2], &[1, 1]], "does not accept the user name"),
        ] {
            let text = refusal(Some(&user()), answers);
            assert!(text.contains(words) && !text.contains("secret"), "{text}");
        }
    }
}
