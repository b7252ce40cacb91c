#!/usr/bin/env python3
"""An account server for tests, in the paths of nats-account-server: GET DIR/jwt/v1/operator,
GET and POST DIR/jwt/v1/accounts/KEY and DIR/jwt/v1/activations. What it has are files of
DIR; POST writes them there. With the path /KIND in front (KIND below) it is hostile.

usage: account_server.py DIR PORTFILE [CERT KEY]"""
import http.server, os, ssl, sys, time

root, portfile = sys.argv[1], sys.argv[2]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, fmt, *args):
        print(self.command, self.path, self.headers.get("Content-Type", "-"), flush=True)

    def file(self):
        return os.path.join(root, *[p for p in self.path.split("?")[0].split("/") if p not in ("", "..")])

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def hostile(self, kind):
        if kind == "redirect":
            self.answer(302, Location=f"http://127.0.0.1:{port}/jwt/v1/operator")
        elif kind == "huge":
            self.answer(200, b"e" * (3 << 20))
        elif kind in ("endless", "slow"):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for _ in range(100000 if kind == "endless" else 40):
                self.wfile.write(b"1000\r\n" + b"e" * 4096 + b"\r\n" if kind == "endless" else b"1\r\ne\r\n")
                if kind == "slow":
                    self.wfile.flush()
                    time.sleep(0.5)
        elif kind == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"eyJ")
        elif kind == "drive":
            self.answer(200, b"\x1b[2J\x1b]0;x\x07 no JWT\n\n")
        elif kind == "denied":
            self.answer(401)
        elif kind == "pending":
            self.answer(202, b"wait\x1b[2J for it\nreally")
        elif kind == "full":
            self.answer(507, b"no room")
        else:
            return False
        self.close_connection = True
        return True

    def do_GET(self):
        if self.hostile(self.path.split("/")[1]):
            return
        try:
            with open(self.file(), "rb") as f:
                self.answer(200, f.read())
        except OSError:
            self.answer(404, b"not here")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.hostile(self.path.split("/")[1]):
            return
        os.makedirs(os.path.dirname(self.file()), exist_ok=True)
        with open(self.file() if "activations" not in self.path else self.file() + ".jwt", "wb") as f:
            f.write(body)
        self.answer(200, b"stored it")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
port = server.server_address[1]
if len(sys.argv) > 4:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True)
with open(portfile + ".new", "w") as f:
    f.write(str(port))
os.rename(portfile + ".new", portfile)
server.serve_forever()
