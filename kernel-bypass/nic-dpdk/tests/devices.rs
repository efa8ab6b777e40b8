//! Buffers, pools and ports over devices that need nothing but memory. One process has one environment,
//! so the tests of this file share it.

use nic::{Burst, Pool as _, Rx as _, Tx as _};
use nic_dpdk::{
    Device, Eal, EalError, EalOptions, Mbuf, Pool, PoolConfig, Port, PortConfig, PortFailure,
    Queues, Started,
};
use std::sync::OnceLock;
use wire::{Packet, RxChecksum};

fn eal() -> &'static Eal {
    static EAL: OnceLock<Eal> = OnceLock::new();
    EAL.get_or_init(|| {
        let options = EalOptions { no_huge: true, ..EalOptions::default() };
        Eal::init(&options).unwrap_or_else(|error| panic!("{error}"))
    })
}

fn pool(buffers: u32) -> Pool {
    let config = PoolConfig { cache: 32, ..PoolConfig::for_mtu(buffers, 1500) };
    Pool::new(eal(), &config).unwrap_or_else(|error| panic!("{error}"))
}

fn start(device: &str, queues: u16, pool: &Pool) -> (Port<Started>, Queues) {
    let device: Device = device.parse().unwrap_or_else(|error| panic!("{error}"));
    let config = PortConfig { queues, ..PortConfig::default() };
    Port::probe(eal(), &device, &config)
        .and_then(|port| port.configure(pool))
        .and_then(Port::start)
        .unwrap_or_else(|error| panic!("{error}"))
}

fn packet(pool: &mut Pool, contents: &[u8]) -> Mbuf {
    let mut mbuf = pool.alloc().expect("a free buffer");
    assert!(mbuf.set_len(contents.len()));
    mbuf.bytes_mut().copy_from_slice(contents);
    mbuf
}

/// Frame `number` of a trace: every byte says which it is.
fn contents(number: usize) -> Vec<u8> {
    (0..60 + number % 1400).map(|at| (at * 7 + number * 13) as u8).collect()
}

#[test]
fn frames_cross_a_ring_in_order_and_unharmed_and_no_buffer_is_lost() {
    let mut pool = pool(2047);
    let (port, mut queues) = start("ring", 1, &pool);
    let mut burst = Burst::new();
    let (mut sent, mut received) = (0, 0);
    while received < 10_000 {
        for _ in 0..1 + sent % 32 {
            assert!(burst.push(packet(&mut pool, &contents(sent))).is_ok());
            sent += 1;
        }
        queues.tx[0].send(&mut burst);
        assert!(burst.is_empty(), "the ring is never full here");
        queues.rx[0].receive(&mut burst);
        for mbuf in &burst {
            assert_eq!(mbuf.bytes(), contents(received), "frame {received}");
            assert!(mbuf.contiguous());
            assert_eq!(mbuf.rx_checksum(), RxChecksum::Unknown);
            received += 1;
        }
        burst.clear();
    }
    assert_eq!(sent, received);
    let stats = port.stats();
    assert_eq!((stats.tx_packets, stats.rx_packets), (sent as u64, sent as u64));
    assert_eq!(pool.available(), pool.capacity());
}

#[test]
fn what_a_full_ring_does_not_take_stays_in_order() {
    let mut pool = pool(4095);
    let (_port, mut queues) = start("ring", 1, &pool);
    let mut burst = Burst::new();
    let mut sent = 0;
    let left = loop {
        while !burst.is_full() {
            assert!(burst.push(packet(&mut pool, &contents(sent))).is_ok());
            sent += 1;
        }
        // The ring holds 1023, no multiple of this, so that the last burst is taken in part.
        burst.truncate(30);
        sent -= 2;
        queues.tx[0].send(&mut burst);
        if !burst.is_empty() {
            break burst.len();
        }
    };
    assert!(left < 30, "some of the last burst went in");
    for (at, mbuf) in burst.iter().enumerate() {
        assert_eq!(mbuf.bytes(), contents(sent - left + at), "left over {at}");
    }
    let mut into = Burst::new();
    let mut received = 0;
    loop {
        queues.rx[0].receive(&mut into);
        if into.is_empty() {
            break;
        }
        for mbuf in &into {
            assert_eq!(mbuf.bytes(), contents(received));
            received += 1;
        }
        into.clear();
    }
    assert_eq!(received, sent - left);
    drop(burst);
    assert_eq!(pool.available(), pool.capacity());
}

#[test]
fn receiving_appends_behind_what_is_there() {
    let mut pool = pool(255);
    let (_port, mut queues) = start("ring", 1, &pool);
    let mut burst = Burst::new();
    for number in 0..3 {
        assert!(burst.push(packet(&mut pool, &contents(number))).is_ok());
    }
    queues.tx[0].send(&mut burst);
    let mut into = Burst::new();
    assert!(into.push(packet(&mut pool, b"first")).is_ok());
    queues.rx[0].receive(&mut into);
    let seen: Vec<&[u8]> = into.iter().map(Packet::bytes).collect();
    assert_eq!(seen, [b"first".as_slice(), &contents(0), &contents(1), &contents(2)]);
}

#[test]
fn a_full_burst_receives_nothing() {
    let mut pool = pool(255);
    let (_port, mut queues) = start("null", 1, &pool);
    let mut burst = Burst::new();
    while !burst.is_full() {
        assert!(burst.push(packet(&mut pool, b"own")).is_ok());
    }
    queues.rx[0].receive(&mut burst);
    assert!(burst.iter().all(|mbuf| mbuf.bytes() == b"own"));
}

#[test]
fn the_front_moves_within_the_head_room_only() {
    let mut pool = pool(63);
    let mut mbuf = packet(&mut pool, b"payload");
    let head_room = mbuf.head_room();
    assert_eq!(head_room, PoolConfig::HEAD_ROOM);
    assert!(mbuf.prepend(head_room));
    assert_eq!((mbuf.bytes().len(), mbuf.head_room()), (head_room + 7, 0));
    mbuf.bytes_mut()[..head_room].fill(0xee);
    assert!(!mbuf.prepend(1));
    assert!(!mbuf.prepend(usize::MAX));
    assert!(!mbuf.prepend(65_536), "no wrap-around");
    assert!(mbuf.strip_front(head_room));
    assert_eq!(mbuf.bytes(), b"payload");
    assert!(!mbuf.strip_front(8));
    assert!(!mbuf.strip_front(65_536));
    assert!(mbuf.strip_front(7));
    assert!(mbuf.bytes().is_empty());
    assert!(mbuf.prepend(7));
    assert_eq!(mbuf.bytes(), b"payload");
    assert!(mbuf.prepend(0) && mbuf.strip_front(0));
}

#[test]
fn the_end_moves_within_the_tail_room_and_shows_nothing_old() {
    let mut pool = pool(63);
    let mut mbuf = packet(&mut pool, &[0xaa; 1000]);
    assert!(mbuf.set_len(10));
    assert!(mbuf.set_len(20));
    assert_eq!(mbuf.bytes(), [[0xaa; 10], [0; 10]].concat());
    let most = mbuf.bytes().len() + mbuf.tail_room();
    assert_eq!(most, 2048, "as the pool says");
    assert!(mbuf.set_len(most));
    assert!(!mbuf.set_len(most + 1));
    assert!(!mbuf.set_len(65_536 + 20));
    assert_eq!(mbuf.bytes().len(), most);
    assert!(mbuf.set_len(0));
    assert!(mbuf.bytes().is_empty());
}

#[test]
fn an_empty_pool_says_so_and_recovers() {
    let mut pool = pool(63);
    let mut held: Vec<Mbuf> = std::iter::from_fn(|| pool.alloc()).collect();
    assert_eq!((held.len(), pool.available()), (63, 0));
    let mut burst = Burst::new();
    assert!(!pool.fill(&mut burst));
    assert!(burst.is_empty());
    held.truncate(31);
    assert!(pool.fill(&mut burst));
    assert!(burst.is_full());
    assert!(burst.iter().all(|mbuf| mbuf.bytes().is_empty()));
    drop((held, burst));
    assert_eq!(pool.available(), pool.capacity());
}

#[test]
fn a_buffer_outlives_its_pool() {
    let mut one = pool(63);
    let mut mbuf = packet(&mut one, b"still here");
    drop(one);
    let _other = pool(63);
    assert_eq!(mbuf.bytes(), b"still here");
    assert!(mbuf.set_len(5));
    assert_eq!(mbuf.bytes(), b"still");
}

#[test]
fn registered_threads_pass_frames_on() {
    const FRAMES: usize = 20_000;
    let pool = pool(4095);
    let (_port, mut queues) = start("ring", 1, &pool);
    let (mut rx, mut tx) = (queues.rx.remove(0), queues.tx.remove(0));
    std::thread::scope(|scope| {
        let mut mine = pool.clone();
        scope.spawn(move || {
            let _registered = eal().register_thread().unwrap_or_else(|error| panic!("{error}"));
            let mut burst: Burst<Mbuf> = Burst::new();
            for number in 0..FRAMES {
                let mbuf = loop {
                    match mine.alloc() {
                        Some(mbuf) => break mbuf,
                        None => std::thread::yield_now(),
                    }
                };
                burst.push(mbuf).unwrap_or_else(|_| panic!("room"));
                let last = burst.len() - 1;
                assert!(burst[last].set_len(60));
                burst[last].bytes_mut()[..8].copy_from_slice(&number.to_be_bytes());
                while burst.is_full() || (number == FRAMES - 1 && !burst.is_empty()) {
                    tx.send(&mut burst);
                }
            }
        });
        scope.spawn(move || {
            let _registered = eal().register_thread().unwrap_or_else(|error| panic!("{error}"));
            let mut burst = Burst::new();
            let mut expected = 0_usize;
            while expected < FRAMES {
                rx.receive(&mut burst);
                for mbuf in &burst {
                    assert_eq!(mbuf.bytes()[..8], expected.to_be_bytes());
                    expected += 1;
                }
                burst.clear();
            }
        });
    });
    assert_eq!(pool.available(), pool.capacity());
}

#[test]
fn capture_files_are_ports() {
    let folder = std::env::temp_dir().join(format!("nic-dpdk-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for captures");
    let (input, output) = (folder.join("in.pcap"), folder.join("out.pcap"));
    let frames: Vec<Vec<u8>> = (0..100).map(contents).collect();
    std::fs::write(&input, capture(&frames)).expect("a capture written");
    let device = format!("pcap:rx={},tx={}", input.display(), output.display());
    let pool = pool(1023);
    let (port, mut queues) = start(&device, 2, &pool);
    assert_eq!(port.queues(), 1, "one file, one queue");
    let mut burst = Burst::new();
    let mut seen = Vec::new();
    loop {
        queues.rx[0].receive(&mut burst);
        if burst.is_empty() {
            break;
        }
        seen.extend(burst.iter().map(|mbuf| mbuf.bytes().to_vec()));
        queues.tx[0].send(&mut burst);
        assert!(burst.is_empty());
    }
    drop((port, queues));
    let written = std::fs::read(&output).expect("a capture read");
    std::fs::remove_dir_all(&folder).expect("the folder removed");
    assert_eq!(seen, frames);
    let bytes: usize = frames.iter().map(|frame| 16 + frame.len()).sum();
    assert_eq!(written.len(), 24 + bytes, "the file is whole once the port is gone");
    assert!(written.ends_with(&frames[99]));
}

/// A capture file: a header, and per frame its time and lengths.
fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    for frame in frames {
        let length = frame.len() as u32;
        for word in [0, 0, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

#[test]
fn a_port_closes_with_its_last_queue_and_its_name_is_free_again() {
    let pool = pool(255);
    for _ in 0..3 {
        let (port, queues) = start("net_null_again0,size=100", 1, &pool);
        assert_eq!(port.driver(), "net_null");
        drop(port);
        let Queues { mut rx, tx } = queues;
        drop(tx);
        let mut burst = Burst::new();
        rx[0].receive(&mut burst);
        assert_eq!(burst.len(), 32);
        assert!(burst.iter().all(|mbuf| mbuf.bytes().len() == 100));
    }
    assert_eq!(pool.available(), pool.capacity());
}

/// DPDK's own lists are not made for this; without a lock around them it ends in a crash, most times.
#[test]
fn threads_may_make_and_drop_ports_at_the_same_time() {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let device: Device =
                    format!("net_null_many{thread}").parse().unwrap_or_else(|e| panic!("{e}"));
                for _ in 0..8000 {
                    let port = Port::probe(eal(), &device, &PortConfig::default());
                    assert!(port.is_ok(), "{port:?}");
                }
            });
        }
    });
}

#[test]
fn ports_have_as_many_queues_as_wanted_where_the_driver_has_them() {
    let pool = pool(1023);
    let (port, queues) = start("null", 4, &pool);
    assert_eq!((port.queues(), queues.rx.len(), queues.tx.len()), (4, 4, 4));
    assert!(port.link().up);
    assert_eq!((port.mtu(), port.device()), (1500, "null"));
}

#[test]
fn a_frame_of_the_mtu_must_fit_into_one_buffer() {
    let small = PoolConfig { frame_room: 1500, ..PoolConfig::for_mtu(63, 1500) };
    let small = Pool::new(eal(), &small).unwrap_or_else(|error| panic!("{error}"));
    let device: Device = "null".parse().unwrap_or_else(|error| panic!("{error}"));
    let probe = || Port::probe(eal(), &device, &PortConfig::default());
    let error = probe().and_then(|port| port.configure(&small)).unwrap_err();
    assert!(
        matches!(error.failure, PortFailure::Room { mtu: 1500, needed: 1522, room: 1500 }),
        "{error}"
    );
    let jumbo = PortConfig { mtu: 9000, ..PortConfig::default() };
    let pool = Pool::new(eal(), &PoolConfig::for_mtu(2047, 9000)).unwrap_or_else(|e| panic!("{e}"));
    let port = Port::probe(eal(), &device, &jumbo).and_then(|port| port.configure(&pool));
    assert_eq!(port.map(|port| port.mtu()).map_err(|error| error.to_string()), Ok(9000));
}

#[test]
fn what_cannot_be_opened_names_the_device() {
    for device in ["net_nosuch0", "0000:fe:1f.7", "af_packet:nosuch0", "pcap:rx=/nonexistent"] {
        let parsed: Device = device.parse().unwrap_or_else(|error| panic!("{error}"));
        let error = Port::probe(eal(), &parsed, &PortConfig::default()).unwrap_err();
        assert!(matches!(error.failure, PortFailure::Probe(_)), "{error}");
        assert!(error.to_string().starts_with(device), "{error}");
    }
}

#[test]
fn a_process_has_one_environment() {
    eal();
    let again = Eal::init(&EalOptions { no_huge: true, ..EalOptions::default() });
    assert!(matches!(again, Err(EalError::Twice)), "{again:?}");
}
