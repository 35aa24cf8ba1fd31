//! HTTP CONNECT (RFC 9110 9.3.6): the proxy answers with 200, and what follows is the tunnel.

use std::fmt;

use super::tunnel::{Refusal, Target};
use crate::auth::{Challenge, Credentials, Digest};
use crate::response::{Response, ResponseReader};
use crate::shown::shorten;

/// What a proxy asked for when it wanted proof by Digest, to be asked again with.
#[derive(Clone)]
pub struct AskedAgain(Box<Digest>);

impl fmt::Debug for AskedAgain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AskedAgain(..)")
    }
}

/// A request for a tunnel, and what has come of the answer.
#[derive(Debug)]
pub(super) struct Http {
    pub(super) out: Vec<u8>,
    reader: ResponseReader,
    /// The proof that was sent, which no error shows.
    proof: Option<String>,
    is_second: bool,
}

impl Http {
    pub(super) fn new(
        target: &Target,
        credentials: Option<&Credentials>,
        user_agent: Option<&str>,
        again: Option<AskedAgain>,
        nonce: [u8; 16],
    ) -> Self {
        let authority = match target {
            Target::Host(host, port) if host.contains(':') => format!("[{host}]:{port}"),
            Target::Host(host, port) => format!("{host}:{port}"),
            Target::Address(address) => address.to_string(),
        };
        let is_second = again.is_some();
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        let proof = credentials.map(|credentials| match again {
            Some(AskedAgain(mut digest)) => digest.authorization(credentials, "CONNECT", &authority, nonce),
            None => credentials.authorization(),
        });
        if let Some(proof) = &proof {
            request.push_str(&format!("Proxy-Authorization: {proof}\r\n"));
        }
        // What would end the line is no name of a program.
        if let Some(user_agent) = user_agent.filter(|agent| !agent.chars().any(char::is_control)) {
            request.push_str(&format!("User-Agent: {user_agent}\r\n"));
        }
        request.push_str("\r\n");
        Self { out: request.into_bytes(), reader: ResponseReader::default(), proof, is_second }
    }

    pub(super) fn receive(&mut self, input: &mut Vec<u8>) -> Result<bool, Refusal> {
        if matches!(input.as_slice(), [0x04 | 0x05] | [0x04 | 0x05, _, ..]) {
            return Err(Refusal::new(
                "does not speak HTTP; if it is a SOCKS proxy, write socks5h:// in its address",
            ));
        }
        let answered = self.reader.read(input).map_err(|error| {
            // The texts are about a server: here it is the proxy that answers.
            let text = error.to_string().replace("the server's answer", "its answer");
            Refusal::new(format!("gave no answer that can be read: {}", shorten(&text)))
        })?;
        match answered {
            None => Ok(false),
            Some(Response { status: 200..=299, .. }) => Ok(true),
            Some(response) => Err(self.refused(response)),
        }
    }

    fn refused(&self, response: Response) -> Refusal {
        let challenges = Challenge::parse_all(response.headers.get_all("Proxy-Authenticate"));
        let has_credentials = self.proof.is_some();
        let digest = Digest::choose(&challenges).filter(|digest| {
            response.status == 407 && has_credentials && (!self.is_second || digest.is_stale())
        });
        let hint = match response.status {
            407 if digest.is_some() => "",
            // Tinyproxy says 401 where it means 407.
            401 | 407 if has_credentials => {
                "; it does not accept the user name and the password of its address"
            }
            407 if challenges.iter().any(|challenge| challenge.is("Basic") || challenge.is("Digest")) => {
                "; it wants a user name and a password: write them into its address (http://user:password@proxy)"
            }
            407 => {
                "; it wants an authentication scheme other than Basic and Digest, which are all that is known here"
            }
            403 | 405 => "; it does not let CONNECT through to this host and port",
            502..=504 => "; it does not reach the server",
            _ => "",
        };
        // It may be our own words, sent back.
        let is_ours = self.proof.as_ref().is_some_and(|proof| response.reason.contains(proof.as_str()));
        let reason = if is_ours { String::new() } else { shorten(&response.reason) };
        let text = format!("answered {} {reason}", response.status);
        Refusal {
            text: format!("{}{hint}", text.trim_end()),
            response: Some(Box::new(response)),
            again: digest.map(|digest| AskedAgain(Box::new(digest))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Target {
        Target::Host("server.example".to_owned(), 443)
    }

    fn user() -> Credentials {
        Credentials::new("user", "secret").expect("valid")
    }

    fn http(credentials: Option<&Credentials>, again: Option<AskedAgain>) -> Http {
        Http::new(&host(), credentials, Some("test/1"), again, [7; 16])
    }

    fn answered(http: &mut Http, answer: &[u8]) -> Result<bool, Refusal> {
        http.receive(&mut answer.to_vec())
    }

    fn refusal(http: &mut Http, answer: &str) -> Refusal {
        answered(http, answer.as_bytes()).expect_err("refused")
    }

    #[test]
    fn it_asks_for_the_host_and_nothing_of_the_program_s_goes_along() {
        let text = String::from_utf8(http(Some(&user()), None).out).expect("text");
        assert_eq!(
            text,
            "CONNECT server.example:443 HTTP/1.1\r\nHost: server.example:443\r\nProxy-Authorization: Basic \
             dXNlcjpzZWNyZXQ=\r\nUser-Agent: test/1\r\n\r\n"
        );
        for (target, authority) in [
            (Target::Host("::1".to_owned(), 80), "[::1]:80"),
            (Target::Address(([127, 0, 0, 1], 80).into()), "127.0.0.1:80"),
            (Target::Address("[::1]:80".parse().expect("an address")), "[::1]:80"),
        ] {
            let text = String::from_utf8(Http::new(&target, None, None, None, [0; 16]).out).expect("text");
            assert_eq!(text, format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n"));
        }
    }

    #[test]
    fn any_2xx_opens_the_tunnel_wherever_it_is_cut() {
        let answer =
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Connection established\r\nContent-Length: 5\r\n\r\n";
        for cut in 1..answer.len() {
            let mut http = http(None, None);
            let mut input = answer[..cut].to_vec();
            assert!(!http.receive(&mut input).expect("not refused"), "{cut}");
            input.extend(&answer[cut..]);
            assert!(http.receive(&mut input).expect("not refused"), "{cut}");
            assert!(input.is_empty(), "a length means nothing here (RFC 9110 9.3.6)");
        }
        let mut one_by_one = http(None, None);
        let mut input = Vec::new();
        let open = answer.iter().map(|byte| {
            input.push(*byte);
            one_by_one.receive(&mut input).expect("not refused")
        });
        assert_eq!(open.filter(|open| *open).count(), 1);
    }

    #[test]
    fn a_head_is_seen_to_end_wherever_the_pieces_end() {
        let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nsorry\n";
        for cut in 1..answer.len() {
            let mut http = http(None, None);
            let mut input = answer[..cut].to_vec();
            let first = http.receive(&mut input);
            input.extend(&answer[cut..]);
            let refusal = first.and_then(|_| http.receive(&mut input)).expect_err("refused");
            assert!(refusal.text.contains("answered 403"), "{cut}: {}", refusal.text);
        }
    }

    #[test]
    fn nothing_that_is_given_breaks_the_request_or_is_told() {
        let agent = Some("x\r\nInjected: yes");
        let text = String::from_utf8(Http::new(&host(), None, agent, None, [0; 16]).out).expect("text");
        assert!(!text.contains("Injected"), "{text}");
        let echo = format!("HTTP/1.1 502 Proxy-Authorization: {}\r\n\r\n", user().authorization());
        let refusal = refusal(&mut http(Some(&user()), None), &echo);
        assert_eq!(refusal.text, "answered 502; it does not reach the server");
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        for (answer, words) in [
            ("HTTP/1.1 403 Forbidden\r\n\r\n", "answered 403 Forbidden; it does not let CONNECT"),
            ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "it does not reach the server"),
            ("HTTP/1.1 301 Moved\r\nLocation: http://else/\r\n\r\n", "answered 301 Moved"),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "answered 101 Switching Protocols"),
            ("HTTP/1.1 407 \r\nProxy-Authenticate: Basic realm=x\r\n\r\n", "write them into its address"),
            ("HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM\r\n\r\n", "other than Basic and Digest"),
            ("SSH-2.0-OpenSSH\r\n", "no answer that can be read: its answer is not HTTP"),
            ("\u{5}\u{0}", "if it is a SOCKS proxy"),
        ] {
            let refusal = refusal(&mut http(None, None), answer);
            assert!(refusal.text.contains(words), "{words:?} is not in: {}", refusal.text);
            assert!(refusal.again.is_none());
        }
        let wrong =
            refusal(&mut http(Some(&user()), None), "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\n\r\n");
        assert!(wrong.text.contains("does not accept the user name"), "{}", wrong.text);
        assert_eq!(wrong.response.map(|response| response.status), Some(407));
    }

    #[test]
    fn an_endless_answer_is_cut_off() {
        let mut http = http(None, None);
        let mut input = b"HTTP/1.1 200 OK\r\n".to_vec();
        let refusal = loop {
            input.extend(b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(20));
            match http.receive(&mut input) {
                Ok(open) => assert!(!open),
                Err(refusal) => break refusal,
            }
        };
        assert!(input.len() < 140_000, "{}", input.len());
        assert!(refusal.text.contains("its answer has"), "{}", refusal.text);
        let mut http = self::http(None, None);
        let mut count = 0;
        while let Ok(open) =
            answered(&mut http, b"HTTP/1.1 100 Continue\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n\r\n")
        {
            assert!(!open);
            count += 1;
        }
        assert!(count < 2000, "{count}");
    }

    #[test]
    fn a_digest_is_asked_for_once() {
        let challenge = "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=r\r\nProxy-Authenticate: Digest realm=r, \
            nonce=n, qop=\"auth\"\r\n\r\n";
        let first = refusal(&mut http(Some(&user()), None), challenge);
        let again = first.again.expect("answerable");
        assert_eq!(format!("{again:?}"), "AskedAgain(..)");
        let mut second = http(Some(&user()), Some(again));
        let text = String::from_utf8(second.out.clone()).expect("text");
        assert!(text.contains("Proxy-Authorization: Digest username=\"user\""), "{text}");
        assert!(text.contains("uri=\"server.example:443\"") && !text.contains("Basic"), "{text}");
        let refused = refusal(&mut second, challenge);
        assert!(refused.again.is_none() && refused.text.contains("does not accept"), "{}", refused.text);
        let stale = challenge.replace("nonce=n", "nonce=m, stale=true");
        assert!(refusal(&mut second, &stale).again.is_some(), "the nonce was too old, and nothing else");
        assert!(refusal(&mut http(None, None), challenge).again.is_none(), "without credentials");
    }
}
