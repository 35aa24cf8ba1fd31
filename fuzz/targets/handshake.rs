//! The server's answer to the opening handshake: any bytes are an answer, a refusal, or a wish for more; never a panic, and
//! never an agreement to what was not offered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sunsocket_wire::{DeflateOffer, Limits, Request, Response, Url};

/// The key and its answer of RFC 6455 1.3, so that the corpus can hold answers that are accepted.
const NONCE: &[u8; 16] = b"the sample nonce";

fuzz_target!(|bytes: &[u8]| {
    let Some((flags, bytes)) = bytes.split_first() else { return };
    let url = Url::parse("ws://server.example.com/chat").expect("valid");
    let offer = DeflateOffer {
        client_window_bits: (flags & 7 != 7).then_some(9 + (flags & 7)),
        server_no_context_takeover: flags & 8 != 0,
        ..DeflateOffer::default()
    };
    let names = ["chat".to_owned(), "superchat".to_owned()];
    let request = Request::new(&url, *NONCE)
        .deflate((flags & 16 != 0).then_some(offer))
        .subprotocols(if flags & 32 != 0 { &names } else { &[] })
        .expect("valid");
    let limits = Limits { max_head_size: 2000, max_head_lines: 16, ..Limits::default() };
    let outcome = Response::parse(bytes, &limits);
    match &outcome {
        Ok(Some((response, size))) => {
            assert!(*size <= bytes.len() && *size <= limits.max_head_size);
            assert!(response.headers.len() <= limits.max_head_lines);
            if let Ok(accepted) = request.verify(response) {
                assert_eq!(response.status, 101);
                assert!(accepted.subprotocol.is_none_or(|name| flags & 32 != 0 && names.contains(&name)));
                if let Some(agreed) = accepted.deflate {
                    assert_ne!(flags & 16, 0);
                    assert!(agreed.client_window_bits <= offer.client_window_bits.unwrap_or(15));
                    assert!(agreed.server_no_context_takeover || !offer.server_no_context_takeover);
                }
            }
            // What comes behind a head changes nothing about it.
            assert_eq!(Response::parse(&bytes[..*size], &limits), outcome);
        }
        Ok(None) => assert!(bytes.len() <= limits.max_head_size),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
