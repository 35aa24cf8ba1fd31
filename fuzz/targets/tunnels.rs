//! What a proxy answers, and what a server challenges with: whatever it is, it ends in a tunnel or in words, it is the same
//! however it is cut on its way, and a challenge is answered by one header line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sunsocket_wire::{Challenge, Credentials, Digest, ProxyUrl, Target, Tunnel};

const PROXIES: [&str; 6] =
    ["http://p", "https://u:p@p", "socks4a://p", "socks4://u@p", "socks5h://p", "socks5://u:p@p"];

/// How it ends when the answer comes in pieces of so many bytes, and how many bytes were kept at the most; `None`: it waits
/// for more.
fn outcome(proxy: &ProxyUrl, answer: &[u8], size: usize) -> (Option<Result<(), String>>, usize) {
    let target = Target::Address(([1, 2, 3, 4], 80).into());
    let mut tunnel = Tunnel::new(proxy, &target, Some("fuzz/1"), None, [7; 16]).expect("can be asked for");
    let (mut input, mut most) = (Vec::new(), 0);
    for piece in answer.chunks(size) {
        tunnel.transmit();
        input.extend_from_slice(piece);
        most = most.max(input.len());
        match tunnel.receive(&mut input) {
            Ok(false) => {}
            Ok(true) => return (Some(Ok(())), most),
            // What the answer begins with is shown as far as it has come.
            Err(refusal) => {
                let words = refusal.text.split("; it begins").next().unwrap_or_default();
                return (Some(Err(words.to_owned())), most);
            }
        }
    }
    (None, most)
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, answer)) = data.split_first() else { return };
    let proxy = ProxyUrl::parse(PROXIES[usize::from(first) % PROXIES.len()]).expect("an address");
    let (whole, _) = outcome(&proxy, answer, answer.len().max(1));
    for size in [1, 7] {
        let (cut, most) = outcome(&proxy, answer, size);
        assert!(most <= (64 << 10) + 8, "no more is kept than a head may have");
        let same = match (&whole, &cut) {
            // A head is looked at when it may be complete: what is wrong in the middle of one is seen later, or never.
            (Some(Err(_)), None) => true,
            // Whoever sees the end of an answer alone cannot see what comes behind it.
            (Some(Err(text)), Some(Ok(()))) => {
                text.contains("behind its answer") || text.contains("before it was asked")
            }
            (Some(Err(_)), Some(Err(_))) => true,
            _ => whole == cut,
        };
        assert!(same, "{cut:?} is not {whole:?}");
    }
    if let Ok(text) = std::str::from_utf8(answer) {
        let challenges = Challenge::parse_all(text.lines());
        assert!(challenges.len() <= 8);
        // A header's value has no control characters: that is refused before.
        if let Some(mut digest) =
            Digest::choose(&challenges).filter(|_| !text.chars().any(|c| c.is_control() && c != '\n'))
        {
            let user = Credentials::new("us\"er", "pass").expect("valid");
            let proof = digest.authorization(&user, "GET", "/", [7; 16]);
            assert!(proof.starts_with("Digest username=\"") && !proof.contains(['\r', '\n']), "{proof}");
        }
    }
});
