# What the clients of HTTP/2 have in common. hyper-h2 checks every frame that comes: one that breaks
# RFC 9113 raises, and the test fails.
import collections, socket, sys, time
import h2.config, h2.connection, h2.errors, h2.events, h2.exceptions, h2.settings

LIMIT = 20


class Answer:
    def __init__(self):
        self.status, self.fields, self.interim = None, {}, []
        self.body, self.trailers, self.ended, self.reset = bytearray(), {}, False, None


class Peer:
    """A connection. `reads`: windows are opened as data comes; a number: so much at the beginning."""

    def __init__(self, address, port=80, strict=True, reads=True, window=None):
        self.config = h2.config.H2Configuration(
            client_side=True,
            header_encoding="latin-1",
            validate_outbound_headers=strict,
            normalize_outbound_headers=strict,
        )
        self.h2 = h2.connection.H2Connection(config=self.config)
        if window is not None:
            self.h2.local_settings = h2.settings.Settings(
                client=True,
                initial_values={
                    h2.settings.SettingCodes.ENABLE_PUSH: 0,
                    h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window,
                    h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: 65536,
                },
            )
        self.socket = socket.create_connection((address, port), timeout=LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answers = collections.defaultdict(Answer)
        self.reads, self.pongs, self.goaway, self.closed = reads, [], None, False
        self.greeted = False
        self.h2.initiate_connection()
        self.flush()

    def head(self, path, method="GET", more=()):
        pseudo = [(":method", method), (":scheme", "http"), (":path", path)]
        return pseudo + [(":authority", "a.example")] + list(more)

    def ask(self, path, method="GET", more=(), end=True, **priority):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, self.head(path, method, more), end_stream=end, **priority)
        return stream

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.socket.sendall(data)

    def step(self):
        """Takes what comes; False at the end of it."""
        self.flush()
        data = self.socket.recv(1 << 16)
        if not data:
            self.closed = True
            return False
        for event in self.h2.receive_data(data):
            self.note(event)
        self.flush()
        return True

    def until(self, done, what):
        deadline = time.monotonic() + LIMIT
        while not done():
            assert time.monotonic() < deadline, f"{what}: nothing within {LIMIT} s"
            assert self.step(), f"{what}: the connection has ended, {self.goaway}"

    def answer(self, stream):
        answer = self.answers[stream]
        self.until(lambda: answer.ended or answer.reset is not None, f"stream {stream}")
        return answer

    def note(self, event):
        stream = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.ResponseReceived):
            fields = dict(event.headers)
            self.answers[stream].status = int(fields.pop(":status"))
            self.answers[stream].fields = fields
        elif isinstance(event, h2.events.InformationalResponseReceived):
            self.answers[stream].interim.append(int(dict(event.headers)[":status"]))
        elif isinstance(event, h2.events.DataReceived):
            self.answers[stream].body += event.data
            if self.reads and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.TrailersReceived):
            self.answers[stream].trailers = dict(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            self.answers[stream].ended = True
        elif isinstance(event, h2.events.StreamReset):
            self.answers[stream].reset = event.error_code
        elif isinstance(event, h2.events.PingAckReceived):
            self.pongs.append(event.ping_data)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event.error_code
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            self.greeted = True

    def send(self, stream, data, end=True, pad=None):
        """A body, as fast as windows open."""
        at = 0
        while at < len(data) or end:
            room = self.h2.local_flow_control_window(stream) - (pad + 1 if pad is not None else 0)
            count = min(room, self.h2.max_outbound_frame_size - 300, len(data) - at)
            if count <= 0 and at < len(data):
                assert self.step(), "the connection has ended"
                continue
            last = at + count == len(data)
            self.h2.send_data(stream, data[at : at + count], end_stream=last and end, pad_length=pad)
            self.flush()
            at += count
            if last:
                return


def same(found, wanted, what):
    assert found == wanted, f"{what}: {found!r} instead of {wanted!r}"
