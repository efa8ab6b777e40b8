//! The sockets behind an `af_packet` port, replaced by ones set up as a balancer needs them.
//!
//! DPDK's driver puts its sockets into a fanout group that reassembles IPv4 fragments, even when there
//! is one socket only, and it sees what the kernel itself sends by the interface as if it had arrived.
//! A balancer must see the frames that came, as they came. Neither can be undone on a socket, nor asked
//! of the driver. So, between probing and starting, each of its sockets is exchanged under its
//! descriptor number, and its rings under their address: same layout, no reassembly, no echo.

use std::ffi::c_int;
use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

/// The layout of a socket's receive ring and of its transmit ring, which are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RingLayout {
    /// Bytes per frame slot.
    pub frame: u32,
    /// Bytes per block.
    pub block: u32,
    /// Frame slots asked for.
    pub frames: u32,
    /// Send past the queueing discipline.
    pub bypass: bool,
}

impl RingLayout {
    fn request(self) -> libc::tpacket_req {
        libc::tpacket_req {
            tp_block_size: self.block,
            tp_block_nr: self.frames / (self.block / self.frame),
            tp_frame_size: self.frame,
            tp_frame_nr: self.frames,
        }
    }

    /// Bytes of both rings.
    fn bytes(self) -> usize {
        let request = self.request();
        2 * request.tp_block_size as usize * request.tp_block_nr as usize
    }
}

/// This process's packet sockets.
pub(crate) fn open() -> io::Result<Vec<RawFd>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let Some(fd) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        if option::<c_int>(fd, libc::SOL_SOCKET, libc::SO_DOMAIN)
            .is_ok_and(|d| d == libc::AF_PACKET)
        {
            found.push(fd);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Replaces the packet sockets that are open now and were not `before`.
///
/// # Safety
/// They are those of one `af_packet` port that is not started, with rings of this layout.
pub(crate) unsafe fn replace_since(before: &[RawFd], layout: RingLayout) -> io::Result<()> {
    let new: Vec<RawFd> = open()?.into_iter().filter(|fd| !before.contains(fd)).collect();
    if new.is_empty() {
        return Err(io::Error::other("the driver opened none"));
    }
    let mut group = None;
    for &fd in &new {
        // SAFETY: as the caller promises.
        unsafe { replace(fd, layout) }?;
        if new.len() > 1 {
            group = Some(join(fd, group)?);
        }
    }
    Ok(())
}

/// # Safety
/// `fd` is a socket with rings of this layout, and nobody reads or writes them now.
unsafe fn replace(fd: RawFd, layout: RingLayout) -> io::Result<()> {
    let address = bound_to(fd)?;
    let rings = mapping_of(fd)?;
    if rings.bytes != layout.bytes() {
        return Err(io::Error::other(format!(
            "rings of {} bytes where {} were expected",
            rings.bytes,
            layout.bytes()
        )));
    }
    let socket = socket(layout)?;
    // SAFETY: replaces one whole mapping of the driver's, at rest (see above), by one of the same
    // size and protection; the new rings are zeroed, which is how the driver found the old ones.
    let mapped = unsafe {
        libc::mmap(
            std::ptr::with_exposed_provenance_mut(rings.start),
            rings.bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_LOCKED | libc::MAP_FIXED,
            socket.as_raw_fd(),
            0,
        )
    };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both descriptors are open; the old socket closes, and the driver goes on with its number.
    checked(unsafe { libc::dup3(socket.as_raw_fd(), fd, libc::O_CLOEXEC) })?;
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: an address of the size named, as the kernel gave it for the old socket.
    checked(unsafe { libc::bind(fd, (&raw const address).cast(), length) })?;
    // The driver has no all-multicast; the socket's own ends with it. Neighbour discovery needs it.
    let membership = libc::packet_mreq {
        mr_ifindex: address.sll_ifindex,
        mr_type: libc::PACKET_MR_ALLMULTI as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    set(fd, libc::PACKET_ADD_MEMBERSHIP, membership)
}

/// A packet socket with its rings, not bound: nothing arrives yet.
fn socket(layout: RingLayout) -> io::Result<OwnedFd> {
    // SAFETY: makes a descriptor.
    let fd =
        checked(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: it is ours alone.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    set(fd, libc::PACKET_VERSION, libc::tpacket_versions::TPACKET_V2 as c_int)?;
    // A frame that cannot be sent is skipped; else it would stop the ring.
    set(fd, libc::PACKET_LOSS, 1)?;
    set(fd, libc::PACKET_QDISC_BYPASS, c_int::from(layout.bypass))?;
    set(fd, IGNORE_OUTGOING, 1)?;
    set(fd, libc::PACKET_RX_RING, layout.request())?;
    set(fd, libc::PACKET_TX_RING, layout.request())?;
    Ok(socket)
}

/// Joins the group over which the kernel spreads flows, both directions of one alike; makes it first
/// where there is none. Its number.
fn join(fd: RawFd, group: Option<u16>) -> io::Result<u16> {
    let unique = if group.is_none() { libc::PACKET_FANOUT_FLAG_UNIQUEID } else { 0 };
    let flags = libc::PACKET_FANOUT_FLAG_ROLLOVER | FANOUT_IGNORE_OUTGOING | unique;
    let request = u32::from(group.unwrap_or(0)) | (libc::PACKET_FANOUT_HASH | flags) << 16;
    set(fd, libc::PACKET_FANOUT, request)?;
    let joined: u32 = option(fd, libc::SOL_PACKET, libc::PACKET_FANOUT)?;
    Ok((joined & 0xffff) as u16)
}

/// Linux 4.20; libc does not name it.
const IGNORE_OUTGOING: c_int = 23;
/// The same for a group, whose sockets' own option is not looked at. Linux 5.16.
const FANOUT_IGNORE_OUTGOING: u32 = 0x4000;

/// Bytes of a page of memory.
pub(crate) fn page_size() -> u32 {
    // SAFETY: asks for a constant of the system.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as u32 }
}

fn bound_to(fd: RawFd) -> io::Result<libc::sockaddr_ll> {
    // SAFETY: all zeroes is a value of this C struct.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    let mut length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes.
    checked(unsafe { libc::getsockname(fd, (&raw mut address).cast(), &mut length) })?;
    Ok(address)
}

/// A part of the address space.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    start: usize,
    bytes: usize,
}

/// Where a socket's rings are mapped.
fn mapping_of(fd: RawFd) -> io::Result<Mapping> {
    let name = std::fs::read_link(format!("/proc/self/fd/{fd}"))?;
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    find_mapping(&maps, &name).ok_or_else(|| io::Error::other("its rings are not mapped"))
}

fn find_mapping(maps: &str, name: &Path) -> Option<Mapping> {
    let name = name.to_str()?;
    let line = maps.lines().find(|line| line.ends_with(name))?;
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    Some(Mapping { start, bytes: end.checked_sub(start)? })
}

fn set<T>(fd: RawFd, name: c_int, value: T) -> io::Result<()> {
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes of a value that large.
    checked(unsafe {
        libc::setsockopt(fd, libc::SOL_PACKET, name, (&raw const value).cast(), length)
    })?;
    Ok(())
}

fn option<T: Default>(fd: RawFd, level: c_int, name: c_int) -> io::Result<T> {
    let mut value = T::default();
    let mut length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes; T is an integer here.
    checked(unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &mut length) })?;
    Ok(value)
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rings_are_found_among_the_mappings() {
        let maps = "7f00-7f10 r--p 00000000 08:01 7 /usr/lib/libc.so.6\n\
                    100000-500000 rw-s 00000000 00:08 4711 socket:[4711]\n\
                    600000-700000 rw-s 00000000 00:08 47 socket:[47]\n";
        let found = find_mapping(maps, Path::new("socket:[47]"));
        assert_eq!(found, Some(Mapping { start: 0x60_0000, bytes: 0x10_0000 }));
        assert_eq!(find_mapping(maps, Path::new("socket:[11]")), None);
    }

    #[test]
    fn both_rings_are_counted() {
        let layout = RingLayout { frame: 2048, block: 65_536, frames: 4096, bypass: true };
        assert_eq!(layout.bytes(), 2 * 4096 * 2048);
    }
}
