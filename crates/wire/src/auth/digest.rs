//! The answer to a Digest challenge (RFC 7616): proof of a password that is not sent.
//!
//! MD5 and SHA-256 with their `-sess` forms; `qop` is `auth` or, for servers of RFC 2069, none. What a server asks for
//! beyond that (`auth-int` alone, another algorithm) is not answered.

use md5::Md5;
use sha2::Sha256;

use super::challenge::Challenge;
use super::credentials::Credentials;

/// A challenge that can be answered, and how often its nonce was used.
#[derive(Clone, Debug)]
pub struct Digest {
    challenge: Challenge,
    algorithm: Algorithm,
    /// `qop=auth` was offered; otherwise none was.
    has_qop: bool,
    /// How many requests were answered with the challenge's nonce (RFC 7616 3.4: `nc`).
    count: u32,
}

/// From the weakest up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5 { session: bool },
    Sha256 { session: bool },
}

impl Algorithm {
    fn parse(name: Option<&str>) -> Option<Self> {
        Some(match name.unwrap_or("MD5").to_ascii_uppercase().as_str() {
            "MD5" => Self::Md5 { session: false },
            "MD5-SESS" => Self::Md5 { session: true },
            "SHA-256" => Self::Sha256 { session: false },
            "SHA-256-SESS" => Self::Sha256 { session: true },
            _ => return None,
        })
    }

    fn is_session(self) -> bool {
        let (Self::Md5 { session } | Self::Sha256 { session }) = self;
        session
    }

    /// The hash in hexadecimal digits.
    fn hash(self, text: &str) -> String {
        fn hex<D: sha2::Digest>(text: &str) -> String {
            D::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
        }
        match self {
            Self::Md5 { .. } => hex::<Md5>(text),
            Self::Sha256 { .. } => hex::<Sha256>(text),
        }
    }
}

impl Digest {
    /// The strongest of the challenges that can be answered.
    pub fn choose(challenges: &[Challenge]) -> Option<Self> {
        let answerable = challenges.iter().filter(|challenge| challenge.is("Digest")).filter_map(Self::of);
        // The server's own order decides between equals (RFC 7616 3.7).
        answerable.reduce(|best, other| if other.algorithm > best.algorithm { other } else { best })
    }

    fn of(challenge: &Challenge) -> Option<Self> {
        let algorithm = Algorithm::parse(challenge.get("algorithm"))?;
        let has_qop = match challenge.get("qop") {
            None => false,
            Some(offered) => {
                offered.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")).then_some(true)?
            }
        };
        challenge.get("nonce")?;
        Some(Self { challenge: challenge.clone(), algorithm, has_qop, count: 0 })
    }

    /// Whether the server says that only its nonce was too old, and not that the credentials are wrong.
    pub fn is_stale(&self) -> bool {
        self.challenge.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"))
    }

    /// The value of `Authorization` (or `Proxy-Authorization`) for one request. `client_nonce`: random, new for each.
    pub fn authorization(
        &mut self,
        credentials: &Credentials,
        method: &str,
        target: &str,
        client_nonce: [u8; 16],
    ) -> String {
        let Self { challenge, algorithm, has_qop, count } = self;
        *count = count.saturating_add(1);
        let hash = |text: &str| algorithm.hash(text);
        let (user, password) = (credentials.user(), credentials.password());
        let realm = challenge.get("realm").unwrap_or_default();
        let nonce = challenge.get("nonce").unwrap_or_default();
        let client_nonce: String = client_nonce.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut secret = hash(&format!("{user}:{realm}:{password}"));
        if algorithm.is_session() {
            secret = hash(&format!("{secret}:{nonce}:{client_nonce}"));
        }
        let request = hash(&format!("{method}:{target}"));
        let count = format!("{count:08x}");
        let response = if *has_qop {
            hash(&format!("{secret}:{nonce}:{count}:{client_nonce}:auth:{request}"))
        } else {
            hash(&format!("{secret}:{nonce}:{request}"))
        };
        let hides_user = challenge.get("userhash").is_some_and(|hides| hides.eq_ignore_ascii_case("true"));
        let user = if hides_user {
            format!("username={}, userhash=true", quote(&hash(&format!("{user}:{realm}"))))
        } else if user.is_ascii() {
            format!("username={}", quote(user))
        } else {
            // RFC 8187 3.2.
            let encoded: String = user.bytes().map(|byte| format!("%{byte:02X}")).collect();
            format!("username*=UTF-8''{encoded}")
        };
        let mut value = format!(
            "Digest {user}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            quote(realm),
            quote(nonce),
            quote(target)
        );
        if let Some(algorithm) = challenge.get("algorithm") {
            value.push_str(&format!(", algorithm={algorithm}"));
        }
        if let Some(opaque) = challenge.get("opaque") {
            value.push_str(&format!(", opaque={}", quote(opaque)));
        }
        if *has_qop || algorithm.is_session() {
            value.push_str(&format!(", cnonce=\"{client_nonce}\""));
        }
        if *has_qop {
            value.push_str(&format!(", qop=auth, nc={count}"));
        }
        value
    }
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The challenges and the credentials of the example in RFC 7616 3.9.1.
    const MD5: &str = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=MD5, \
        nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
    const SHA_256: &str = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, \
        nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

    fn mufasa() -> Credentials {
        Credentials::new("Mufasa", "Circle of Life").expect("valid")
    }

    fn choose(values: &[&str]) -> Option<Digest> {
        Digest::choose(&Challenge::parse_all(values.iter().copied()))
    }

    /// What is answered, by name, with the client's nonce given as it is in the answer.
    fn answer(digest: &mut Digest, credentials: &Credentials) -> Challenge {
        let value = digest.authorization(credentials, "GET", "/dir/index.html", *b"0123456789abcdef");
        Challenge::parse_all([value.as_str()].into_iter()).remove(0)
    }

    /// As the RFC computes it.
    fn expected(algorithm: Algorithm, parts: [&str; 3], middle: &str) -> String {
        let [user, realm, password] = parts;
        let secret = algorithm.hash(&format!("{user}:{realm}:{password}"));
        let request = algorithm.hash("GET:/dir/index.html");
        algorithm.hash(&format!("{secret}:{middle}:{request}"))
    }

    #[test]
    fn the_hashes_are_those_of_their_rfcs() {
        let md5 = Algorithm::Md5 { session: false };
        let sha = Algorithm::Sha256 { session: false };
        assert_eq!(md5.hash("abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(sha.hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 7616 3.9.1, with the client's nonce that it has.
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let client_nonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let middle = format!("{nonce}:00000001:{client_nonce}:auth");
        let parts = ["Mufasa", "http-auth@example.org", "Circle of Life"];
        let md5 = expected(Algorithm::Md5 { session: false }, parts, &middle);
        assert_eq!(md5, "8ca523f5e9506fed4657c9700eebdbec");
        let sha = expected(Algorithm::Sha256 { session: false }, parts, &middle);
        assert_eq!(sha, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }

    #[test]
    fn an_answer_repeats_the_challenge_and_counts() {
        let mut digest = choose(&[MD5]).expect("answerable");
        for count in ["00000001", "00000002"] {
            let said = answer(&mut digest, &mufasa());
            let client_nonce = said.get("cnonce").expect("one");
            let nonce = said.get("nonce").expect("the server's");
            let middle = format!("{nonce}:{count}:{client_nonce}:auth");
            let parts = ["Mufasa", "http-auth@example.org", "Circle of Life"];
            let response = expected(Algorithm::Md5 { session: false }, parts, &middle);
            assert_eq!(said.get("response"), Some(response.as_str()));
            assert_eq!(
                (said.get("nc"), said.get("qop"), said.get("algorithm")),
                (Some(count), Some("auth"), Some("MD5"))
            );
            assert_eq!(said.get("opaque"), Some("FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"));
            assert_eq!((said.get("uri"), said.get("username")), (Some("/dir/index.html"), Some("Mufasa")));
        }
    }

    #[test]
    fn the_strongest_that_is_known_is_answered() {
        assert_eq!(choose(&[MD5, SHA_256]).expect("two").algorithm, Algorithm::Sha256 { session: false });
        assert_eq!(choose(&[SHA_256, MD5]).expect("two").algorithm, Algorithm::Sha256 { session: false });
        assert!(choose(&["Basic realm=x"]).is_none());
        assert!(choose(&["Digest realm=x, nonce=y, algorithm=SHA-512-256"]).is_none());
        assert!(choose(&["Digest realm=x, nonce=y, qop=\"auth-int\""]).is_none());
        assert!(choose(&["Digest realm=x"]).is_none(), "without a nonce");
    }

    #[test]
    fn a_server_of_rfc_2069_gets_what_it_knows() {
        let mut digest = choose(&["Digest realm=\"r\", nonce=\"n\""]).expect("answerable");
        let said = answer(&mut digest, &mufasa());
        let response = expected(Algorithm::Md5 { session: false }, ["Mufasa", "r", "Circle of Life"], "n");
        assert_eq!(said.get("response"), Some(response.as_str()));
        for absent in ["qop", "nc", "cnonce", "algorithm", "opaque"] {
            assert_eq!(said.get(absent), None, "{absent}");
        }
        assert!(!digest.is_stale());
    }

    #[test]
    fn a_session_s_secret_has_both_nonces_in_it() {
        let mut digest = choose(&["Digest realm=r, nonce=n, algorithm=SHA-256-sess, qop=auth, stale=TRUE"])
            .expect("answerable");
        assert!(digest.is_stale());
        let said = answer(&mut digest, &mufasa());
        let client_nonce = said.get("cnonce").expect("one");
        let sha = Algorithm::Sha256 { session: true };
        let secret = sha.hash(&format!("{}:n:{client_nonce}", sha.hash("Mufasa:r:Circle of Life")));
        let request = sha.hash("GET:/dir/index.html");
        let response = sha.hash(&format!("{secret}:n:00000001:{client_nonce}:auth:{request}"));
        assert_eq!(said.get("response"), Some(response.as_str()));
    }

    #[test]
    fn a_name_may_be_hidden_quoted_or_beyond_ascii() {
        let hidden =
            &mut choose(&["Digest realm=r, nonce=n, userhash=true, algorithm=md5-sess"]).expect("answerable");
        let said = answer(hidden, &mufasa());
        let name = Algorithm::Md5 { session: true }.hash("Mufasa:r");
        assert_eq!((said.get("username"), said.get("userhash")), (Some(name.as_str()), Some("true")));
        let plain = &mut choose(&["Digest realm=\"a\\\"b\", nonce=n"]).expect("answerable");
        let said = answer(plain, &Credentials::new("a\\\"b", "").expect("valid"));
        assert_eq!((said.get("username"), said.get("realm")), (Some("a\\\"b"), Some("a\"b")));
        let said = answer(plain, &Credentials::new("J\u{e4}s\u{f8}n", "").expect("valid"));
        assert_eq!(said.get("username*"), Some("UTF-8''%4A%C3%A4%73%C3%B8%6E"));
    }
}
