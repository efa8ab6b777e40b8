# WebSocket over HTTP/2 (RFC 8441): sys.argv is the address, its port with a WebSocket server behind
# it, its port with a web server behind it that knows nothing of that, and how many at a time.
import os, struct


def framed(payload, opcode):
    """A frame of a client (RFC 6455 section 5.2)."""
    mask, size = os.urandom(4), len(payload)
    head = bytes([0x80 | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += bytes([0x80 | 126]) + struct.pack(">H", size)
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", size)
    times = size // 4 + 1
    masked = int.from_bytes(payload, "big") ^ int.from_bytes((mask * times)[:size], "big")
    return head + mask + masked.to_bytes(size, "big")


def unframed(octets):
    """The first whole frame of a server: its opcode, payload and length; or None."""
    if len(octets) < 2:
        return None
    assert not octets[1] & 0x80, "a server's frame is masked"
    size, at = octets[1] & 0x7F, 2
    if size >= 126:
        at = 4 if size == 126 else 10
        if len(octets) < at:
            return None
        size = int.from_bytes(octets[2:at], "big")
    if len(octets) < at + size:
        return None
    return octets[0] & 0x0F, bytes(octets[at : at + size]), at + size


CONNECT = [("sec-websocket-version", "13"), ("origin", "http://a.example")]


def connect(peer, end=False):
    return peer.ask("/chat", "CONNECT", [(":protocol", "websocket")] + CONNECT, end=end)


class Tunnel(Peer):
    def head(self, path, method="GET", more=()):
        more = list(more)
        pseudo = [field for field in more if field[0].startswith(":")]
        head = super().head(path, method)
        return head + pseudo + [field for field in more if field not in pseudo]


def receive(peer, stream):
    answer = peer.answers[stream]
    peer.until(lambda: unframed(answer.body) or answer.ended or answer.reset, f"stream {stream}")
    found = unframed(answer.body)
    assert found, f"stream {stream} has ended with {answer.status} {bytes(answer.body)}"
    opcode, payload, taken = found
    del answer.body[:taken]
    return opcode, payload


def talk(address, port, count):
    peer = Tunnel(address, port)
    peer.until(lambda: peer.greeted, "settings")
    code = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL
    same(peer.h2.remote_settings.get(code), 1, "SETTINGS_ENABLE_CONNECT_PROTOCOL")
    streams = [connect(peer) for _ in range(count)]
    names = set()
    for stream in streams:
        answer = peer.answers[stream]
        peer.until(lambda: answer.status is not None, "an answer")
        same(answer.status, 200, "the answer to CONNECT")
        own = {"sec-websocket-accept", "upgrade", "connection"} & set(answer.fields)
        assert not own, f"of HTTP/1.1 alone: {own}"
        names.add(receive(peer, stream)[1].decode())
    for size in [0, 1, 125, 126, 65535, 65536, 300_000]:
        messages = {stream: os.urandom(size) for stream in streams}
        for stream, message in messages.items():
            peer.send(stream, framed(message, 2), end=False)
        for stream, message in messages.items():
            same(receive(peer, stream), (2, message), f"{size} octets")
    for stream in streams[1:]:
        peer.send(stream, framed(struct.pack(">H", 1000), 8), end=False)
        same(receive(peer, stream), (8, struct.pack(">H", 1000)), "the end")
        peer.until(lambda: peer.answers[stream].ended, "the end of the stream")
    # One that is reset leaves the others alone, as all of the above did.
    peer.h2.reset_stream(streams[0], h2.errors.ErrorCodes.CANCEL)
    late = connect(peer)
    receive(peer, late)
    peer.send(late, framed(b"late", 1), end=False)
    same(receive(peer, late), (1, b"late"), "a session behind a reset")
    print("sessions", len(streams), "servers", *sorted(names))


def refusals(address, sockets, web):
    peer = Tunnel(address, web)
    # A server that answers 200 to what it takes for a GET has opened no tunnel.
    same(peer.answer(connect(peer)).status, 502, "a web server")
    peer = Tunnel(address, sockets)
    stream = connect(peer)
    peer.send(stream, b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", end=False)
    same(peer.answer(stream).reset, h2.errors.ErrorCodes.PROTOCOL_ERROR, "what comes too soon")
    other = peer.ask("/", "CONNECT", [(":protocol", "connect-udp")], end=False)
    same(peer.answer(other).status, 501, "another protocol")
    # A page of the same server, over the same connection.
    same(peer.answer(peer.ask("/")).status, 426, "a page")
    print("refusals")


address, sockets, web, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
talk(address, sockets, count)
refusals(address, sockets, web)
