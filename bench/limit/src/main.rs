//! The limit over TLS and with compression: a blocking client that does nothing but what the bytes need, on the crates
//! that the engine uses (rustls' unbuffered interface, zlib-rs). As `peers/limit.c` it knows the sizes beforehand, validates
//! nothing and lets messages share writes.
//!
//! Arguments: `echo|flood|send|connect SIZE IN_FLIGHT SECONDS PORT CA_FILE TEXT`; without a CA there is no TLS, and a
//! text means that it is compressed. Prints what `sample.py` prints.

mod link;

use std::sync::Arc;
use std::time::{Duration, Instant};

use link::{Link, Result};
use rustls::ClientConfig;
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush};

const FIRST: u64 = 64;
const WRITE_AT: usize = 64 << 10;
/// What each compressed message ends with, and what is not sent (RFC 7692 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

struct Client {
    shape: String,
    size: usize,
    in_flight: u64,
    port: u16,
    config: Option<Arc<ClientConfig>>,
    text: Vec<u8>,
    link: Option<Link>,
    compression: Option<Box<Compression>>,
    output: Vec<u8>,
    keys: Keys,
    opened: u64,
}

/// Masking keys out of a pool, as in the engine.
struct Keys {
    pool: [u8; 4096],
    at: usize,
}

impl Keys {
    fn next(&mut self) -> [u8; 4] {
        if self.at == self.pool.len() {
            getrandom::fill(&mut self.pool).expect("the system has random bytes");
            self.at = 0;
        }
        self.at += 4;
        self.pool[self.at - 4..self.at].try_into().expect("four bytes")
    }
}

struct Compression {
    deflate: Deflate,
    inflate: Inflate,
    packed: Vec<u8>,
    unpacked: Vec<u8>,
}

fn header(first: u8, len: usize, mask: u8) -> Vec<u8> {
    let mut head = vec![first];
    match len {
        0..126 => head.push(len as u8 | mask),
        126..65536 => {
            head.push(126 | mask);
            head.extend((len as u16).to_be_bytes());
        }
        _ => {
            head.push(127 | mask);
            head.extend((len as u64).to_be_bytes());
        }
    }
    head
}

/// Appends one masked frame.
fn put(output: &mut Vec<u8>, key: [u8; 4], first: u8, payload: &[u8]) {
    output.extend(header(first, payload.len(), 0x80));
    output.extend(key);
    let start = output.len();
    output.extend_from_slice(payload);
    let wide = u64::from_ne_bytes([key, key].concat().try_into().expect("eight bytes"));
    let mut words = output[start..].chunks_exact_mut(8);
    for word in &mut words {
        let bytes: [u8; 8] = (&*word).try_into().expect("eight bytes");
        word.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ wide).to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key) {
        *byte ^= key;
    }
}

impl Client {
    fn open(&mut self) -> Result<Link> {
        self.opened += 1;
        // The server has several addresses, so that ports do not run out.
        let host = format!("127.0.0.{}", 1 + self.opened % 4);
        let mut link = Link::connect((&host, self.port), self.config.as_ref())?;
        let path = match self.shape.as_str() {
            "echo" if self.compression.is_some() => "deflate".to_owned(),
            "echo" => "echo".to_owned(),
            "flood" => format!("flood/{}", self.size),
            _ => "sink".to_owned(),
        };
        let offer =
            if self.compression.is_some() { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
        link.send(
            format!(
                "GET /{path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{offer}\
                 Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            .as_bytes(),
        )?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            link.receive(usize::MAX, |piece| answer.extend_from_slice(piece))?;
        }
        Ok(link)
    }

    fn put(&mut self, first: u8, payload: &[u8]) {
        put(&mut self.output, self.keys.next(), first, payload);
    }

    fn write_out(&mut self, link: &mut Link) -> Result<()> {
        link.send(&self.output)?;
        self.output.clear();
        Ok(())
    }

    fn run(&mut self, count: u64) -> Result<()> {
        if self.shape == "connect" {
            return (0..count).try_for_each(|_| self.connect_and_close());
        }
        let mut link = match self.link.take() {
            Some(link) => link,
            None => self.open()?,
        };
        match self.shape.as_str() {
            "echo" if self.compression.is_some() => {
                (0..count).try_for_each(|_| self.echo_compressed(&mut link))?;
            }
            "echo" => self.echo(&mut link, count)?,
            "flood" => {
                self.put(0x81, count.to_string().as_bytes());
                self.write_out(&mut link)?;
                let frame = header(0x81, self.size, 0).len() + self.size;
                let mut left = count as usize * frame;
                while left > 0 {
                    link.receive(left, |piece| left -= piece.len())?;
                }
            }
            _ => {
                let text = std::mem::take(&mut self.text);
                for _ in 0..count {
                    self.put(0x81, &text);
                    if self.output.len() >= WRITE_AT {
                        self.write_out(&mut link)?;
                    }
                }
                self.text = text;
                self.put(0x81, b"end");
                self.write_out(&mut link)?;
                let mut left = 5;
                while left > 0 {
                    link.receive(left, |piece| left -= piece.len())?;
                }
            }
        }
        self.link = Some(link);
        Ok(())
    }

    fn connect_and_close(&mut self) -> Result<()> {
        let mut link = self.open()?;
        self.put(0x88, &1000_u16.to_be_bytes());
        self.write_out(&mut link)?;
        link.wait_for_end()
    }

    fn echo(&mut self, link: &mut Link, count: u64) -> Result<()> {
        let text = std::mem::take(&mut self.text);
        let frame = header(0x81, self.size, 0).len() + self.size;
        for _ in 0..self.in_flight {
            self.put(0x81, &text);
        }
        self.write_out(link)?;
        let (mut sent, mut received, mut bytes) = (self.in_flight, 0, 0);
        while received < count {
            link.receive(usize::MAX, |piece| bytes += piece.len())?;
            while bytes >= frame {
                bytes -= frame;
                received += 1;
                if sent < count {
                    self.put(0x81, &text);
                    sent += 1;
                }
            }
            if !self.output.is_empty() {
                self.write_out(link)?;
            }
        }
        self.text = text;
        Ok(())
    }

    fn echo_compressed(&mut self, link: &mut Link) -> Result<()> {
        let compression = self.compression.as_mut().ok_or("no compression")?;
        let Compression { deflate, inflate, packed, unpacked } = &mut **compression;
        packed.resize(self.text.len() + 64, 0);
        // The server wants each message to be compressed by itself.
        deflate.reset();
        let before = deflate.total_out();
        deflate.compress(&self.text, packed, DeflateFlush::SyncFlush).map_err(|e| e.as_str())?;
        let len = (deflate.total_out() - before) as usize - TAIL.len();
        put(&mut self.output, self.keys.next(), 0xc1, &packed[..len]);
        link.send(&self.output)?;
        self.output.clear();
        let head = header(0xc1, len, 0).len();
        packed.clear();
        while packed.len() < head + len {
            link.receive(usize::MAX, |piece| packed.extend_from_slice(piece))?;
        }
        packed.extend(TAIL);
        unpacked.resize(self.text.len() + 64, 0);
        inflate.reset(false);
        let before = inflate.total_out();
        inflate.decompress(&packed[head..], unpacked, InflateFlush::SyncFlush).map_err(|e| e.as_str())?;
        if (inflate.total_out() - before) as usize != self.text.len() {
            return Err("another text came back".into());
        }
        Ok(())
    }
}

/// CPU time of this process.
fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, shape, size, in_flight, seconds, port, ca_file, text] = arguments.as_slice() else {
        return Err("usage: see the head of main.rs".into());
    };
    let size: usize = size.parse()?;
    let deflate = DeflateConfig { window_bits: -15, ..DeflateConfig::default() };
    let mut client = Client {
        shape: shape.clone(),
        size,
        in_flight: in_flight.parse()?,
        port: port.parse()?,
        config: if ca_file.is_empty() { None } else { Some(link::client_config(ca_file)?) },
        text: if text.is_empty() { vec![b'x'; size] } else { text.clone().into_bytes() },
        link: None,
        compression: (!text.is_empty()).then(|| {
            Box::new(Compression {
                deflate: Deflate::new_with_config(deflate),
                inflate: Inflate::new(false, 15),
                packed: Vec::new(),
                unpacked: Vec::new(),
            })
        }),
        output: Vec::new(),
        keys: Keys { pool: [0; 4096], at: 4096 },
        opened: 0,
    };
    let seconds = Duration::from_secs_f64(seconds.parse()?);
    // As sample.py: the counts grow until one takes a quarter of the sample, which is also the warm-up.
    let mut count = FIRST;
    let mut is_last = false;
    loop {
        let (used, start) = (cpu(), Instant::now());
        client.run(count)?;
        let (took, used) = (start.elapsed(), cpu() - used);
        if is_last {
            println!("{{\"messages\": {count}, \"seconds\": {:.9}, \"cpu\": {used:.6}}}", took.as_secs_f64());
            return Ok(());
        }
        is_last = took >= seconds / 4;
        count = if is_last {
            FIRST.max((count as f64 * seconds.as_secs_f64() / took.as_secs_f64()) as u64)
        } else {
            count * if took > seconds / 16 { 2 } else { 4 }
        };
    }
}
