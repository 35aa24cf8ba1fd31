//! How many bytes of a TCP connection the operating system still holds.
//!
//! Megabytes can lie in the kernel's send buffer on a slow link: that they become fewer is the only sign of life there
//! is. Linux tells their number by `ioctl(SIOCOUTQ)` and by `getsockopt(TCP_INFO)`, neither of which can be called
//! without unsafe code. So the kernel is asked as the program `ss` asks it, by a message: sock_diag(7). That takes four
//! system calls, which is nothing for what a timer asks every few seconds.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;

use rustix::fs::fstat;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, getpeername, getsockname, ipproto, netlink,
    recv, send, socket_with,
};

const HEADER: usize = 16;
/// `SOCK_DIAG_BY_FAMILY`: the kind of the request, and of its answer.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`.
const IS_REQUEST: u16 = 1;
/// `NLMSG_ERROR`.
const IS_ERROR: u16 = 2;
/// Both halves of a cookie that fits every socket (`INET_DIAG_NOCOOKIE`).
const ANY_COOKIE: [u8; 8] = [0xff; 8];

/// Where `struct inet_diag_msg`, behind the header, has what is asked for.
const SEND_QUEUE_AT: usize = HEADER + 60;
const INODE_AT: usize = HEADER + 68;

/// The bytes that were handed to the operating system and that the peer has not acknowledged.
///
/// # Errors
/// The socket is no connected TCP socket (any more); the system does not answer such questions (some sandboxes).
pub(crate) fn unsent_in_kernel(tcp: BorrowedFd<'_>) -> io::Result<usize> {
    let unsupported = || io::Error::from(io::ErrorKind::Unsupported);
    let local = SocketAddr::try_from(getsockname(tcp)?).map_err(|_| unsupported())?;
    let remote = getpeername(tcp)?.ok_or_else(unsupported)?;
    let remote = SocketAddr::try_from(remote).map_err(|_| unsupported())?;
    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    send(&kernel, &question(local, remote), SendFlags::DONTWAIT)?;
    // The kernel answers before `send` returns.
    let mut answer = [0; 512];
    let (length, _) = recv(&kernel, &mut answer, RecvFlags::DONTWAIT)?;
    let answer = &answer[..length];
    let kind = answer.get(4..6).map(|bytes| u16::from_ne_bytes([bytes[0], bytes[1]]));
    match (kind, number(answer, HEADER), number(answer, SEND_QUEUE_AT), number(answer, INODE_AT)) {
        (Some(IS_ERROR), Some(negated), ..) => {
            Err(io::Error::from_raw_os_error(negated.cast_signed().wrapping_neg()))
        }
        // Another socket may have the addresses already, when this one has just ended.
        (Some(BY_FAMILY), _, Some(queued), Some(inode)) if u64::from(inode) == fstat(tcp)?.st_ino => {
            Ok(queued as usize)
        }
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`: what about the TCP connection between these two?
fn question(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let family = if local.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let mut body = vec![family.as_raw() as u8, ipproto::TCP.as_raw().get() as u8, 0, 0];
    body.extend(u32::MAX.to_ne_bytes()); // In whichever state.
    for address in [local, remote] {
        body.extend(address.port().to_be_bytes());
    }
    for address in [local, remote] {
        let mut bytes = [0; 16];
        match address.ip() {
            IpAddr::V4(ip) => bytes[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => bytes = ip.octets(),
        }
        body.extend(bytes);
    }
    let interface = match remote {
        SocketAddr::V6(address) => address.scope_id(),
        SocketAddr::V4(_) => 0,
    };
    body.extend(interface.to_ne_bytes());
    body.extend(ANY_COOKIE);
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    message.extend(BY_FAMILY.to_ne_bytes());
    message.extend(IS_REQUEST.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    message
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    fn pair(address: &str) -> Option<(TcpStream, TcpStream)> {
        let listener = TcpListener::bind(address).ok()?;
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("somebody listens");
        let (server, _) = listener.accept().expect("it connects");
        Some((client, server))
    }

    #[test]
    fn what_the_peer_does_not_take_is_counted_until_it_does() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A machine may have no IPv6.
            let Some((mut client, mut server)) = pair(address) else { continue };
            assert_eq!(unsent_in_kernel(client.as_fd()).expect("connected"), 0);
            client.set_nonblocking(true).expect("a socket");
            let mut sent = 0;
            while let Ok(count) = client.write(&[7; 65536]) {
                sent += count;
            }
            let held = unsent_in_kernel(client.as_fd()).expect("connected");
            assert!(0 < held && held < sent, "{held} of {sent}");
            server.read_exact(&mut vec![0; sent]).expect("all of it comes");
            // The last acknowledgement is on its way through the loopback device.
            let mut left = held;
            while left > 0 {
                left = unsent_in_kernel(client.as_fd()).expect("connected");
            }
        }
    }

    #[test]
    fn what_is_no_connection_has_no_queue() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        assert!(unsent_in_kernel(listener.as_fd()).is_err());
        let (unix, _peer) = std::os::unix::net::UnixStream::pair().expect("descriptors");
        assert!(unsent_in_kernel(unix.as_fd()).is_err());
    }
}
