# Frames as they are: sys.argv is the address and its port. A line is a HEADERS frame's flags and its
# fields, and the octets of a body, as hexadecimal; "-" is none. It goes on stream 1 of a new connection.
# When that is answered, GET /behind follows; the line in return says how both were answered.
import struct
import hpack


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def exchange(flags, fields, body):
    to = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=LIMIT)
    to.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(1, flags, 1, fields))
    if body:
        to.sendall(frame(0, 1, 1, body))
    heard, decoder, told, asked = b"", hpack.Decoder(), {}, False
    while 3 not in told:
        while len(heard) < 9 or len(heard) < 9 + int.from_bytes(heard[:3], "big"):
            data = to.recv(1 << 16)
            if not data:
                return f"{told} and the connection has ended"
            heard += data
        size = 9 + int.from_bytes(heard[:3], "big")
        kind, stream, payload = heard[3], int.from_bytes(heard[5:9], "big"), heard[9:size]
        heard = heard[size:]
        if kind == 1:
            told[stream] = f"status {dict(decoder.decode(payload))[':status']}"
        elif kind == 3:
            told.setdefault(stream, f"reset {int.from_bytes(payload, 'big')}")
        elif kind == 7:
            return f"{told} and GOAWAY {int.from_bytes(payload[4:8], 'big')}"
        if 1 in told and not asked:
            asked = True
            pseudo = [(":method", "GET"), (":scheme", "http"), (":path", "/behind"), (":authority", "b")]
            to.sendall(frame(1, 5, 3, hpack.Encoder().encode(pseudo)))
    to.close()
    return f"{told[1]}, {told[3]}"


for line in sys.stdin:
    words = [bytes.fromhex(word) if word != "-" else b"" for word in line.split()]
    print(exchange(words[0][0], words[1], words[2]), flush=True)
