//! What client and server agree on (RFC 7692 7.1): the offer, and the checks of the answer.

use crate::extension::Extension;

const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// The largest window, 32 KiB, which is also the default of both sides.
pub(super) const MOST_WINDOW_BITS: u8 = 15;

/// What the client offers, and how it compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateOffer {
    /// 0 (store) to 9 (smallest).
    pub level: u8,
    /// 1 (least memory) to 9 (most).
    pub memory_level: u8,
    /// The base-2 logarithm of the client's window, 9 to 15, of which the server may ask for less. `None`: 15, and the offer
    /// does not speak of it, for servers that refuse an offer with a parameter that they do not know.
    pub client_window_bits: Option<u8>,
    /// The largest that the server may use, 9 to 15.
    pub server_window_bits: u8,
    /// The client begins each message anew.
    pub client_no_context_takeover: bool,
    /// The server is asked to begin each message anew.
    pub server_no_context_takeover: bool,
}

impl Default for DeflateOffer {
    fn default() -> Self {
        Self {
            level: 6,
            memory_level: 8,
            client_window_bits: Some(MOST_WINDOW_BITS),
            server_window_bits: MOST_WINDOW_BITS,
            client_no_context_takeover: false,
            server_no_context_takeover: false,
        }
    }
}

/// What was agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateAgreed {
    /// 0 to 9.
    pub level: u8,
    /// 1 to 9.
    pub memory_level: u8,
    /// 8 to 15.
    pub client_window_bits: u8,
    /// 8 to 15.
    pub server_window_bits: u8,
    /// Whether the client begins each message anew.
    pub client_no_context_takeover: bool,
    /// Whether the server does.
    pub server_no_context_takeover: bool,
}

impl DeflateOffer {
    /// The header's value.
    pub(crate) fn encode(&self) -> String {
        let mut text = NAME.to_owned();
        if self.server_no_context_takeover {
            text.push_str("; ");
            text.push_str(SERVER_NO_CONTEXT_TAKEOVER);
        }
        if self.client_no_context_takeover {
            text.push_str("; ");
            text.push_str(CLIENT_NO_CONTEXT_TAKEOVER);
        }
        if self.server_window_bits < MOST_WINDOW_BITS {
            text.push_str(&format!("; {SERVER_MAX_WINDOW_BITS}={}", self.server_window_bits));
        }
        match self.client_window_bits {
            None => {}
            // Without a value it only says that the server may name one.
            Some(MOST_WINDOW_BITS) => text.push_str(&format!("; {CLIENT_MAX_WINDOW_BITS}")),
            Some(bits) => text.push_str(&format!("; {CLIENT_MAX_WINDOW_BITS}={bits}")),
        }
        text
    }

    /// Checks the server's list; `None`: it does without compression.
    ///
    /// # Errors
    /// Anything that was not offered, or is not as RFC 7692 7.1 says.
    pub(crate) fn accept(&self, answer: &[Extension]) -> Result<Option<DeflateAgreed>, String> {
        let extension = match answer {
            [] => return Ok(None),
            [extension] if extension.name.eq_ignore_ascii_case(NAME) => extension,
            [extension] => return Err(format!("the extension {:?} was not offered", extension.name)),
            _ => return Err("more than one extension, and one was offered".to_owned()),
        };
        let mut agreed = DeflateAgreed {
            level: self.level,
            memory_level: self.memory_level,
            client_window_bits: self.client_window_bits.unwrap_or(MOST_WINDOW_BITS),
            server_window_bits: MOST_WINDOW_BITS,
            client_no_context_takeover: self.client_no_context_takeover,
            server_no_context_takeover: false,
        };
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in &extension.parameters {
            if seen.contains(&name.as_str()) {
                return Err(format!("the parameter {name} comes twice"));
            }
            seen.push(name);
            let value = value.as_deref();
            match name.as_str() {
                SERVER_NO_CONTEXT_TAKEOVER => {
                    no_value(name, value)?;
                    agreed.server_no_context_takeover = true;
                }
                CLIENT_NO_CONTEXT_TAKEOVER => {
                    no_value(name, value)?;
                    agreed.client_no_context_takeover = true;
                }
                SERVER_MAX_WINDOW_BITS => {
                    agreed.server_window_bits = window_bits(name, value, self.server_window_bits)?;
                }
                CLIENT_MAX_WINDOW_BITS => {
                    let Some(most) = self.client_window_bits else {
                        return Err(format!("the parameter {name} was not offered"));
                    };
                    agreed.client_window_bits = window_bits(name, value, most)?;
                }
                _ => return Err(format!("the parameter {name:?} is unknown")),
            }
        }
        if self.server_no_context_takeover && !agreed.server_no_context_takeover {
            return Err(format!("{SERVER_NO_CONTEXT_TAKEOVER} was asked for and is missing"));
        }
        if agreed.server_window_bits > self.server_window_bits {
            return Err(format!(
                "{SERVER_MAX_WINDOW_BITS}={} was asked for and is missing",
                self.server_window_bits
            ));
        }
        Ok(Some(agreed))
    }
}

fn no_value(name: &str, value: Option<&str>) -> Result<(), String> {
    match value {
        None => Ok(()),
        Some(value) => Err(format!("{name} has no value, and {value:?} was given")),
    }
}

/// A decimal number from 8 to 15 without leading zeros (RFC 7692 7.1.2), and not above what was offered.
fn window_bits(name: &str, value: Option<&str>, most: u8) -> Result<u8, String> {
    let Some(value) = value else { return Err(format!("{name} has no value")) };
    let bits = match value.as_bytes() {
        [digit @ b'8'..=b'9'] => digit - b'0',
        [b'1', digit @ b'0'..=b'5'] => 10 + digit - b'0',
        _ => return Err(format!("{name} is a number from 8 to 15, not {value:?}")),
    };
    if bits > most {
        return Err(format!("{name}={bits} is more than the {most} that was offered"));
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::Headers;

    fn accept(offer: DeflateOffer, answer: &str) -> Result<Option<DeflateAgreed>, String> {
        let mut headers = Headers::new();
        headers.push("Sec-WebSocket-Extensions", answer).expect("a header");
        offer.accept(&Extension::parse_all(&headers)?)
    }

    fn all() -> DeflateOffer {
        DeflateOffer {
            client_window_bits: Some(12),
            server_window_bits: 10,
            client_no_context_takeover: true,
            server_no_context_takeover: true,
            ..DeflateOffer::default()
        }
    }

    #[test]
    fn the_offer_names_what_differs_from_the_default() {
        assert_eq!(DeflateOffer::default().encode(), "permessage-deflate; client_max_window_bits");
        assert_eq!(
            all().encode(),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=10; client_max_window_bits=12"
        );
    }

    #[test]
    fn an_offer_may_be_bare_and_then_our_window_is_our_own() {
        let bare = DeflateOffer { client_window_bits: None, ..DeflateOffer::default() };
        assert_eq!(bare.encode(), "permessage-deflate");
        let agreed =
            accept(bare, "permessage-deflate; server_max_window_bits=9").expect("valid").expect("agreed");
        assert_eq!((agreed.client_window_bits, agreed.server_window_bits), (15, 9));
        let error = accept(bare, "permessage-deflate; client_max_window_bits=15").expect_err("not offered");
        assert!(error.contains("not offered"), "{error}");
    }

    #[test]
    fn a_server_may_decline_or_ask_for_less() {
        assert_eq!(accept(DeflateOffer::default(), ""), Ok(None));
        let agreed = |answer| accept(DeflateOffer::default(), answer).expect(answer).expect("agreed");
        let plain = agreed("permessage-deflate");
        assert_eq!((plain.client_window_bits, plain.server_window_bits), (15, 15));
        assert!(!plain.client_no_context_takeover && !plain.server_no_context_takeover);
        let least = agreed(
            "Permessage-Deflate; client_max_window_bits=8; server_max_window_bits=\"9\"; client_no_context_takeover; \
             server_no_context_takeover",
        );
        assert_eq!((least.client_window_bits, least.server_window_bits), (8, 9));
        assert!(least.client_no_context_takeover && least.server_no_context_takeover);
    }

    #[test]
    fn what_was_asked_for_must_be_granted() {
        let granted = "permessage-deflate; server_no_context_takeover; server_max_window_bits=10";
        assert!(accept(all(), granted).is_ok());
        for answer in [
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_max_window_bits=10",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=11",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=13",
        ] {
            assert!(accept(all(), answer).is_err(), "{answer}");
        }
    }

    #[test]
    fn every_lie_is_refused() {
        for answer in [
            "permessage-deflate, permessage-deflate",
            "permessage-bzip2",
            "x-webkit-deflate-frame",
            "permessage-deflate; foo",
            "permessage-deflate; foo=1",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover=true",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; client_max_window_bits=10; client_max_window_bits=10",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=08",
            "permessage-deflate; server_max_window_bits=+9",
            "permessage-deflate; server_max_window_bits=1e1",
            "permessage-deflate; server_max_window_bits=99999999999999999999",
            "permessage-deflate; Server_Max_Window_Bits=10",
        ] {
            assert!(accept(DeflateOffer::default(), answer).is_err(), "{answer}");
        }
    }
}
