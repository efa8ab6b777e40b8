# A client that means no good: sys.argv is the address, the port with the big file behind it, and what
# to do. It says how the connection ended, and what was sent until then.
import struct

DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
CALM = h2.errors.ErrorCodes.ENHANCE_YOUR_CALM
# More of anything than this is not needed to be noticed.
MOST = 64 << 20


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """Without indexing (RFC 7541 section 6.2.2); lengths below 127."""
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


def head(method=b"GET", path=b"/name"):
    pseudo = [(b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", b"a")]
    return b"".join(literal(*field) for field in pseudo)


class Flood(Peer):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.sent, self.stream, self.heard = 0, -1, b""
        self.until(lambda: self.greeted, "settings")
        self.socket.setblocking(False)

    def listen(self):
        """Takes what there is, without hyper-h2: it knows nothing of the streams of a flood."""
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except ConnectionError:
            self.closed = True
            return
        self.closed |= not data
        self.heard += data
        while len(self.heard) >= 9:
            size = int.from_bytes(self.heard[:3], "big")
            if len(self.heard) < 9 + size:
                return
            kind, payload = self.heard[3], self.heard[9 : 9 + size]
            if kind == 7:
                self.goaway = int.from_bytes(payload[4:8], "big")
            self.heard = self.heard[9 + size :]

    def flood(self, pieces):
        """Sends until the balancer has had enough."""
        for piece in pieces:
            while piece and self.goaway is None and not self.closed:
                try:
                    count = self.socket.send(piece)
                    self.sent += count
                    piece = piece[count:]
                except BlockingIOError:
                    time.sleep(0.001)
                except ConnectionError:
                    self.closed = True
                self.listen()
            if self.goaway is not None or self.closed or self.sent > MOST:
                break
        deadline = time.monotonic() + LIMIT
        while self.goaway is None and not self.closed and time.monotonic() < deadline:
            time.sleep(0.01)
            self.listen()
        assert self.goaway is not None, f"no GOAWAY after {self.sent} octets"

    def next(self):
        self.stream += 2
        return self.stream


def forever(make):
    while True:
        yield b"".join(make() for _ in range(50))


def rapid_reset(peer):
    def one():
        stream = peer.next()
        block = frame(HEADERS, END_HEADERS | END_STREAM, stream, head(path=b"/big"))
        return block + frame(RST, 0, stream, struct.pack(">I", 8))

    return forever(one)


def made_you_reset(peer):
    """Each stream is reset by the balancer, for a window beyond 2^31 - 1 (CVE-2025-8671)."""

    def one():
        stream = peer.next()
        block = frame(HEADERS, END_HEADERS | END_STREAM, stream, head(path=b"/big"))
        return block + frame(WINDOW, 0, stream, struct.pack(">I", (1 << 31) - 1))

    return forever(one)


def continuation(peer):
    yield frame(HEADERS, 0, peer.next(), head())
    yield from forever(lambda: frame(CONTINUATION, 0, peer.stream, literal(b"x", b"y" * 100)))


def empty_continuation(peer):
    yield frame(HEADERS, 0, peer.next(), head())
    yield from forever(lambda: frame(CONTINUATION, 0, peer.stream))


def settings(peer):
    return forever(lambda: frame(SETTINGS, 0, 0, struct.pack(">HI", 3, 100)))


def ping(peer):
    return forever(lambda: frame(PING, 0, 0, b"12345678"))


def priority(peer):
    return forever(lambda: frame(PRIORITY, 0, 1001, struct.pack(">IB", 0, 7)))


def empty_data(peer):
    yield frame(HEADERS, END_HEADERS, peer.next(), head(b"POST"))
    yield from forever(lambda: frame(DATA, 0, peer.stream))


def window_update(peer):
    return forever(lambda: frame(WINDOW, 0, 0, struct.pack(">I", 1)))


def hpack_bomb(peer):
    """One entry of the table, 4,000 octets long, named 16,000 times in each head."""
    value = b"v" * 3900
    long = b"\x7f" + bytes([(3900 - 127) & 0x7F | 0x80, (3900 - 127) >> 7]) + value
    entry = frame(HEADERS, END_HEADERS | END_STREAM, peer.next(), head() + b"\x40\x01x" + long)
    bomb = lambda: frame(HEADERS, END_HEADERS | END_STREAM, peer.next(), head() + b"\xbe" * 16000)
    yield entry
    yield from forever(bomb)


def never_opened():
    """As many streams as are allowed, each of a long answer for which there is no window."""
    peer = Peer(address, port, reads=False, window=0)
    peer.until(lambda: peer.greeted, "settings")
    streams = [peer.ask("/big") for _ in range(peer.h2.remote_settings.max_concurrent_streams)]
    for stream in streams:
        same(peer.answer(stream).reset, h2.errors.ErrorCodes.CANCEL, "a stream without a window")
    same(peer.answer(peer.ask("/name", "HEAD")).status, 200, "behind them")
    return len(streams)


address, port, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if what == "never_opened":
    print(f"{what}: {never_opened()} streams reset")
else:
    peer = Flood(address, port)
    peer.flood(globals()[what](peer))
    same(peer.goaway, CALM, what)
    print(f"{what}: ENHANCE_YOUR_CALM after {peer.sent} octets")
