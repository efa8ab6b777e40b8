# A web server by the standard library: sys.argv is the port. PUT answers what it has read: SHA-256,
# trailers. GET /trailers is chunked with a trailer; GET of anything else answers the path and the
# length of the cookies.
import hashlib, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    # A head and a body are two writes: without this each answer takes a delayed acknowledgement.
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        digest, trailers = hashlib.sha256(), []
        if self.headers.get("Transfer-Encoding"):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                while size:
                    part = self.rfile.read(min(size, 1 << 16))
                    digest.update(part)
                    size -= len(part)
                self.rfile.readline()
            while line := self.rfile.readline().strip():
                trailers.append(line.decode())
        else:
            left = int(self.headers["Content-Length"])
            while left:
                part = self.rfile.read(min(left, 1 << 16))
                if not part:
                    return
                digest.update(part)
                left -= len(part)
        self.answer(f"{digest.hexdigest()} {' '.join(trailers)}")

    def do_GET(self):
        if self.path == "/trailers":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Trailer", "X-Sum")
            self.end_headers()
            self.wfile.write(b"4\r\nwhol\r\n1\r\ne\r\n0\r\nX-Sum: 5\r\n\r\n")
            return
        self.answer(f"{self.path} {len(self.headers.get('Cookie', ''))}")

    def answer(self, text):
        body = (text.strip() + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer.request_queue_size = 128
ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
