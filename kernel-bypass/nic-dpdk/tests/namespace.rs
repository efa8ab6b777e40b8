//! A port on a veth pair and a companion interface, with a kernel at either end. Needs root and the
//! commands `ip` and `ethtool`; everything lies in network namespaces that end with the test's threads.
//!
//! ```text
//!   namespace "far"        namespace "wire"             namespace "host"
//!   10.9.0.2  far0 ─ veth ─ lb0 ═ af_packet ═ forwarder ═ tap ═ eth0  10.9.0.1
//! ```

use nic::{Burst, Rx as _, Tx as _};
use nic_dpdk::{
    Companion, CompanionKind, Device, Eal, EalOptions, Mbuf, Pool, PoolConfig, Port, PortConfig,
    Queues, RxQueue, Started, TxQueue,
};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, gettid, move_into_link_name_space};
use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use wire::Packet;

const MTU: u16 = 1400;
const FAR: &str = "10.9.0.2";
const HOST: &str = "10.9.0.1";

#[test]
fn frames_pass_between_a_wire_and_the_kernel() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: making network namespaces needs root");
        return;
    }
    let options = EalOptions { no_huge: true, ..EalOptions::default() };
    let eal = Eal::init(&options).unwrap_or_else(|error| panic!("{error}"));
    // More than once: what goes wrong between two steps of a set-up goes wrong now and then.
    for queues in [1, 2, 1, 2, 1, 2] {
        with_queues(&eal, queues);
    }
}

fn with_queues(eal: &Eal, queues: u16) {
    let pool = Pool::new(eal, &PoolConfig::for_mtu(8191, MTU)).unwrap_or_else(|e| panic!("{e}"));
    let far = Namespace::new();
    let wire = Namespace::new();
    let host = Namespace::new();

    wire.enter();
    ip(&format!("link add lb0 mtu {MTU} type veth peer name far0 mtu {MTU} netns {}", far.thread));
    ip("address add 10.9.9.1/24 dev lb0");
    ip("link set lb0 up");
    let device: Device = "af_packet:lb0".parse().unwrap_or_else(|error| panic!("{error}"));
    let config = PortConfig { queues, mtu: MTU, ..PortConfig::default() };
    let (port, mut on_wire) = start(Port::probe(eal, &device, &config), &pool);
    assert_eq!(port.queues(), queues);
    assert_eq!(colons(port.mac()), link("lb0", "link/ether"));
    assert!(
        ip("-d link show dev lb0").contains(&format!("allmulti {queues}")),
        "hears neighbour discovery"
    );
    far.enter();
    // A veth pair hands checksums over unfinished unless told not to.
    run("ethtool", "-K far0 tx off gso off tso off");
    ip(&format!("address add {FAR}/24 dev far0"));
    ip("link set far0 up");
    wire.enter();
    the_kernels_own_frames_are_not_received(&mut on_wire);

    host.enter();
    let companion = Companion {
        name: "eth0".into(),
        mac: port.mac(),
        queues,
        mtu: MTU,
        by: CompanionKind::Tap,
    };
    let probed = Port::companion(eal, &companion).unwrap_or_else(|error| panic!("{error}"));
    ip(&format!("address add {HOST}/24 dev eth0"));
    ip(&format!("neighbour add {FAR} lladdr {} dev eth0", colons([2, 0, 0, 0, 0, 9])));
    ip("link set eth0 up");
    let (inside, to_host) = while_the_host_sends(|| start(Ok(probed), &pool));
    ip(&format!("neighbour del {FAR} dev eth0"));
    assert_eq!(inside.queues(), queues);
    assert_eq!(link("eth0", "link/ether"), colons(port.mac()), "the port's address");
    assert_eq!(link("eth0", "mtu"), MTU.to_string(), "the port's MTU");
    assert!(ip("link show dev eth0").contains(",UP,"), "up without being asked");

    let seen = Seen::default();
    let (on_wire, to_host) = forwarding(&seen, on_wire, to_host, || {
        host.enter();
        let server = UdpSocket::bind((HOST, 7)).expect("a socket at the host");
        far.enter();
        datagrams_come_back(&server);
        a_fragmented_datagram_arrives_whole(&server);
    });
    assert_eq!(seen.wrong_sums.load(Ordering::Relaxed), 0, "the kernel finishes its checksums");
    assert!(seen.longest.load(Ordering::Relaxed) <= usize::from(MTU) + 14, "as they came");
    assert!(seen.fragments.load(Ordering::Relaxed) >= 2 * 6, "not reassembled on the way");

    host.enter();
    drop((inside, to_host));
    assert!(!ip("link").contains("eth0"), "the companion goes with its port");
    wire.enter();
    drop((port, on_wire));
    assert!(ip("link").contains("lb0"), "the wire is not ours to remove");
    assert_eq!(pool.available(), pool.capacity(), "no buffer is lost");
}

/// The kernel has frames for a companion from the moment that it exists: whoever configures the host
/// does not wait for the data plane.
fn while_the_host_sends<T>(action: impl FnOnce() -> T) -> T {
    let socket = UdpSocket::bind((HOST, 0)).expect("a socket at the host");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // Refused while no queue is there.
                let _ = socket.send_to(b"early", (FAR, 9));
            }
        });
        let result = action();
        stop.store(true, Ordering::Relaxed);
        result
    })
}

fn start(
    probed: Result<Port<nic_dpdk::Probed>, nic_dpdk::PortError>,
    pool: &Pool,
) -> (Port<Started>, Queues) {
    probed
        .and_then(|port| port.configure(pool))
        .and_then(Port::start)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The driver's own sockets would show a broadcast that this machine sends by the interface.
fn the_kernels_own_frames_are_not_received(queues: &mut Queues) {
    let socket = UdpSocket::bind("10.9.9.1:0").expect("a socket on the wire");
    socket.set_broadcast(true).expect("broadcast allowed");
    socket.send_to(b"from us", "10.9.9.255:9").expect("sent");
    for rx in &mut queues.rx {
        let mut burst = Burst::new();
        rx.receive(&mut burst);
        let ours = burst.iter().filter(|mbuf| mbuf.bytes().ends_with(b"from us")).count();
        assert_eq!(ours, 0, "an echo of what the kernel sent");
    }
}

/// Enough flows that both queues get some.
fn datagrams_come_back(server: &UdpSocket) {
    let mut buffer = [0; 2048];
    for flow in 0..32_usize {
        let client = client();
        let payload: Vec<u8> = (0..40 * flow).map(|at| (at + flow) as u8).collect();
        client.send(&payload).expect("sent");
        let (length, from) = receive(server, &mut buffer);
        assert_eq!(buffer[..length], payload, "there");
        server.send_to(&payload, from).expect("answered");
        let length = client.recv(&mut buffer).expect("an answer");
        assert_eq!(buffer[..length], payload, "and back");
    }
}

fn a_fragmented_datagram_arrives_whole(server: &UdpSocket) {
    let client = client();
    let payload: Vec<u8> = (0..8000_usize).map(|at| (at % 251) as u8).collect();
    let mut buffer = [0; 9000];
    client.send(&payload).expect("sent");
    let (length, from) = receive(server, &mut buffer);
    assert_eq!(buffer[..length], payload, "there");
    server.send_to(&payload, from).expect("answered");
    let length = client.recv(&mut buffer).expect("an answer");
    assert_eq!(buffer[..length], payload, "and back");
}

fn client() -> UdpSocket {
    let client = UdpSocket::bind((FAR, 0)).expect("a socket at the far end");
    client.set_read_timeout(Some(Duration::from_secs(10))).expect("a time limit");
    client.connect((HOST, 7)).expect("connected");
    client
}

fn receive(server: &UdpSocket, buffer: &mut [u8]) -> (usize, std::net::SocketAddr) {
    server.set_read_timeout(Some(Duration::from_secs(10))).expect("a time limit");
    server.recv_from(buffer).expect("a datagram at the host")
}

/// What the forwarders saw of IPv4.
#[derive(Default)]
struct Seen {
    longest: AtomicUsize,
    fragments: AtomicUsize,
    wrong_sums: AtomicUsize,
}

impl Seen {
    fn note(&self, frame: &[u8]) {
        self.longest.fetch_max(frame.len(), Ordering::Relaxed);
        if frame.len() < 34 || frame[12..14] != [8, 0] || frame[14] != 0x45 {
            return;
        }
        if frame[20] & 0x3f != 0 || frame[21] != 0 {
            self.fragments.fetch_add(1, Ordering::Relaxed);
        } else if frame[23] == 17 && !udp_sum_is_right(&frame[14..]) {
            self.wrong_sums.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn udp_sum_is_right(packet: &[u8]) -> bool {
    let length = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    if packet.len() < length {
        return false;
    }
    let words = packet[12..length].chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let mut sum = words.sum::<u32>() + 17 + (length as u32 - 20);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum == 0xffff
}

/// Runs `during` while one thread per pair of queues moves frames both ways; then gives the queues back.
fn forwarding(seen: &Seen, wire: Queues, host: Queues, during: impl FnOnce()) -> (Queues, Queues) {
    let stop = AtomicBool::new(false);
    let (mut back, mut back_host) =
        (Queues { rx: vec![], tx: vec![] }, Queues { rx: vec![], tx: vec![] });
    std::thread::scope(|scope| {
        let wire = wire.rx.into_iter().zip(wire.tx);
        let host = host.rx.into_iter().zip(host.tx);
        let threads: Vec<_> = wire
            .zip(host)
            .map(|(mut wire, mut host)| {
                let stop = &stop;
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        pass(seen, &mut wire.0, &mut host.1);
                        pass(seen, &mut host.0, &mut wire.1);
                    }
                    (wire, host)
                })
            })
            .collect();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(during));
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            let (wire, host) = thread.join().expect("a forwarder");
            back.rx.push(wire.0);
            back.tx.push(wire.1);
            back_host.rx.push(host.0);
            back_host.tx.push(host.1);
        }
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    (back, back_host)
}

fn pass(seen: &Seen, from: &mut RxQueue, to: &mut TxQueue) {
    let mut burst: Burst<Mbuf> = Burst::new();
    from.receive(&mut burst);
    for mbuf in &burst {
        seen.note(mbuf.bytes());
    }
    to.send(&mut burst);
}

/// A network namespace, held open by a file.
struct Namespace {
    file: File,
    /// A thread in it, by which `ip` finds it; ends with this.
    thread: u32,
    release: Option<std::sync::mpsc::Sender<()>>,
}

impl Namespace {
    fn new() -> Self {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // SAFETY: the thread shares its file table with the others; only its network is unshared.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.expect("a namespace");
            let file = File::open("/proc/thread-self/ns/net").expect("its handle");
            let thread = gettid().as_raw_nonzero().get().cast_unsigned();
            ip("link set lo up");
            tell.send((file, thread)).expect("the test waits");
            let _ = released.recv();
        });
        let (file, thread) = told.recv().expect("a namespace");
        Self { file, thread, release: Some(release) }
    }

    /// Moves the calling thread into it.
    fn enter(&self) {
        move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("entered");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.release.take());
    }
}

fn ip(arguments: &str) -> String {
    run("ip", arguments)
}

fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program)
        .args(arguments.split(' '))
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The word behind `key` in what `ip link` says of an interface.
fn link(name: &str, key: &str) -> String {
    let text = ip(&format!("link show dev {name}"));
    let mut words = text.split_whitespace().skip_while(|word| *word != key);
    words.nth(1).unwrap_or_default().to_owned()
}

fn colons(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
