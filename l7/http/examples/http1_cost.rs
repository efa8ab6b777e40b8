//! What one request and its response cost: parsed, decided, rewritten.
//!
//! `cargo run --release -p http1 --example http1_cost` prints nanoseconds. For instructions, which a busy
//! machine does not change: `valgrind --tool=callgrind --toggle-collect='cost::request' TARGET/
//! release/examples/http1_cost 10000`, and the same with `http1_cost::response`; divide by the argument.

use std::hint::black_box;
use std::time::Instant;

use http1::{
    AddressText, ClientAddress, Exchange, Limits, Record, RequestEdits, RequestHead, ResponseEdits,
    ResponseHead, Step,
};

const REQUEST: &[u8] = b"GET /static/app/main.js?v=1842 HTTP/1.1\r\n\
    Host: shop.example.org\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx\r\n\
    Date: Sat, 21 Nov 2026 08:00:00 GMT\r\n\
    Content-Type: text/javascript\r\n\
    Content-Length: 128\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: max-age=3600\r\n\
    ETag: \"5f3e-1842\"\r\n\r\n";

struct World {
    exchange: Exchange,
    request: RequestHead,
    response: ResponseHead,
    out: Vec<u8>,
    address: AddressText,
    body: Vec<u8>,
}

#[inline(never)]
fn request(world: &mut World, bytes: &[u8]) {
    world.out.clear();
    let client = ClientAddress {
        address: &world.address,
        secure: false,
        forwarded_for: Record::Append,
        forwarded: Record::AsItCame,
    };
    let edits = RequestEdits { client: Some(client), ..RequestEdits::default() };
    let step = world.exchange.client(bytes, &mut world.request, &mut world.out);
    assert_eq!(step, Ok(Step::Head));
    let take = world.exchange.forward_request(&world.request, bytes, &edits, &mut world.out);
    assert_eq!(take, bytes.len());
}

#[inline(never)]
fn response(world: &mut World, bytes: &[u8]) {
    world.out.clear();
    let step = world.exchange.server(bytes, &mut world.response, &mut world.out);
    assert_eq!(step, Ok(Step::Head));
    let edits = ResponseEdits::default();
    world.exchange.forward_response(&world.response, bytes, &edits, &mut world.out);
    let step = world.exchange.server(&world.body, &mut world.response, &mut world.out);
    assert!(matches!(step, Ok(Step::Send(_))));
    assert!(world.exchange.finish(b"").is_some_and(|outcome| outcome.client_stays));
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(2_000_000u64);
    let mut world = World {
        exchange: Exchange::new(Limits::default()),
        request: RequestHead::default(),
        response: ResponseHead::default(),
        out: Vec::with_capacity(16_384),
        address: AddressText::new([203, 0, 113, 7].into()),
        body: vec![b'x'; 128],
    };
    let mut spent = [0, 0];
    for _ in 0..rounds.div_ceil(1000) {
        let start = Instant::now();
        let mut halves = [0, 0];
        for _ in 0..1000 {
            let begin = Instant::now();
            request(&mut world, black_box(REQUEST));
            halves[0] += begin.elapsed().as_nanos();
            response(&mut world, black_box(RESPONSE));
        }
        spent[0] += halves[0];
        spent[1] += start.elapsed().as_nanos() - halves[0];
    }
    let rounds = u128::from(rounds.div_ceil(1000)) * 1000;
    println!("request  {} ns (a clock reading included)", spent[0] / rounds);
    println!("response {} ns (a clock reading included)", spent[1] / rounds);
}
