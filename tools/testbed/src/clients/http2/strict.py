# A client that holds the balancer to the letter of RFC 9113: sys.argv is the address, its port with a
# server of uploads behind it, its port with the big file behind it, and the file's SHA-256.
import hashlib

address, uploads, web, wanted = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
BODY = bytes(range(256)) * 2000
SUM = hashlib.sha256(BODY).hexdigest()


def many():
    peer = Peer(address, uploads)
    for turn in range(3):
        streams = {peer.ask(f"/{turn}/{number}"): f"/{turn}/{number} 0\n" for number in range(100)}
        for stream, page in streams.items():
            answer = peer.answer(stream)
            same((answer.status, answer.body.decode()), (200, page), "a page")
    # Sent in one piece with the preface, before anything has come.
    peer = Peer(address, uploads)
    streams = [peer.ask("/early") for _ in range(50)]
    assert all(peer.answer(stream).status == 200 for stream in streams)


def crumbs():
    peer = Peer(address, uploads)
    answer = peer.answer(peer.ask("/", more=[("cookie", "a=1"), ("cookie", "b=2; c=3")]))
    same(answer.body.decode(), f"/ {len('a=1; b=2; c=3')}\n", "cookies")


def bodies():
    peer = Peer(address, uploads)
    length = [("content-length", str(len(BODY)))]
    for what, more, pad in [("length", length, None), ("chunks", [], None), ("padding", length, 200)]:
        stream = peer.ask("/up", "PUT", more, end=False)
        peer.send(stream, BODY, pad=pad)
        same(peer.answer(stream).body.decode(), SUM + "\n", what)
    stream = peer.ask("/up", "PUT", [("trailer", "x-sum")], end=False)
    peer.send(stream, BODY, end=False)
    peer.h2.send_headers(stream, [("x-sum", "7")], end_stream=True)
    said = peer.answer(stream).body.decode().lower()
    same(said, f"{SUM} x-sum: 7\n", "trailers of a request")
    answer = peer.answer(peer.ask("/trailers", more=[("te", "trailers")]))
    same((bytes(answer.body), answer.trailers), (b"whole", {"x-sum": "5"}), "trailers of an answer")


def wait_for_word():
    peer = Peer(address, uploads)
    more = [("content-length", str(len(BODY))), ("expect", "100-continue")]
    stream = peer.ask("/up", "PUT", more, end=False)
    answer = peer.answers[stream]
    peer.until(lambda: answer.interim, "100 Continue")
    peer.send(stream, BODY)
    peer.answer(stream)
    same((answer.interim, answer.status), ([100], 200), "100 and 200")
    same(answer.body.decode(), SUM + "\n", "what was sent after the word")


def oddities():
    """What may be sent at any time and means little."""
    peer = Peer(address, uploads)
    first = peer.ask("/a", priority_weight=16, priority_depends_on=0, priority_exclusive=True)
    for number in range(20):
        peer.h2.prioritize(1001 + 2 * number, weight=number + 1, depends_on=first)
        peer.h2.ping(b"%08d" % number)
        # A frame of an unknown type (RFC 9113 section 5.5).
        peer.h2._data_to_send += bytes([0, 0, 3, 0xBE, 0xFF, 0, 0, 0, 0]) + b"abc"
    peer.h2.update_settings({h2.settings.SettingCodes.HEADER_TABLE_SIZE: 0})
    same(peer.answer(first).status, 200, "a request with priority")
    peer.until(lambda: len(peer.pongs) == 20, "answers to PING")
    same(peer.pongs, [b"%08d" % number for number in range(20)], "PING")
    # The balancer's table of heads has to be empty by now; hyper-h2 would refuse a reference to it.
    for number in range(3):
        same(peer.answer(peer.ask(f"/{number}")).status, 200, "without a table")
    same(peer.goaway, None, "GOAWAY")


def starved():
    peer = Peer(address, web, reads=False, window=0)
    slow, answer = peer.ask("/big"), None
    answer = peer.answers[slow]
    peer.until(lambda: answer.status is not None, "a head")
    open_to = 0
    for more in [0, 1, 10, 1000, 16384, 7]:
        if more:
            peer.h2.increment_flow_control_window(more, slow)
        open_to += more
        peer.until(lambda: len(answer.body) == open_to, "as much as the window")
        peer.h2.ping(b"anything")
        pongs = len(peer.pongs)
        peer.until(lambda: len(peer.pongs) > pongs, "an answer to PING")
        same(len(answer.body), open_to, "not more than the window")
        # Others go on meanwhile.
        other = peer.ask("/name")
        peer.h2.increment_flow_control_window(100, other)
        same(peer.answer(other).status, 200, "another stream")
    got = sum(len(answer.body) for answer in peer.answers.values())
    peer.reads = True
    peer.h2.increment_flow_control_window(got)
    peer.h2.increment_flow_control_window(1 << 20, slow)
    peer.until(lambda: answer.ended, "the rest")
    same(hashlib.sha256(answer.body).hexdigest(), wanted, "the whole")


def endings():
    peer = Peer(address, uploads)
    # Reset in the middle of an upload; then everything else goes on.
    stream = peer.ask("/up", "PUT", [("content-length", "100")], end=False)
    peer.h2.send_data(stream, b"some")
    peer.h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
    same(peer.answer(peer.ask("/next")).status, 200, "behind a reset")
    # A head only, of which the length is told and nothing comes.
    answer = peer.answer(peer.ask("/none", "HEAD"))
    same((answer.status in (200, 501), bytes(answer.body)), (True, b""), "HEAD")
    last = peer.ask("/last")
    # hyper-h2 would take nothing more in after a GOAWAY that it knows of.
    peer.h2._data_to_send += bytes([0, 0, 8, 7, 0, 0, 0, 0, 0]) + bytes(8)
    same(peer.answer(last).status, 200, "a stream that is open at our GOAWAY")


for test in [many, crumbs, bodies, wait_for_word, oddities, starved, endings]:
    try:
        test()
    except BaseException:
        print("in", test.__name__, file=sys.stderr)
        raise
    print(test.__name__)
