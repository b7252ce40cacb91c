#!/usr/bin/env python3
"""One request by the NATS protocol alone; prints {"headers": …, "body": …} of each
reply as a line of JSON; a body of at most 4096 bytes also in hex. Exit 1: no reply."""
import argparse
import json
import os
import socket
import sys


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("port", type=int)
    p.add_argument("subject")
    p.add_argument("body", nargs="?", default="")
    p.add_argument("--hex", action="store_true", help="the body is hex")
    p.add_argument("--size", type=int, help="the body is so many zero bytes")
    p.add_argument("--header", action="append", default=[])
    p.add_argument("--reply", help="reply subject in place of an inbox")
    p.add_argument("--listen", help="what to listen on in place of the reply subject")
    p.add_argument("--no-reply", action="store_true")
    p.add_argument("--repeat", type=int, default=1, help="publish it so many times")
    p.add_argument("--replies", type=int, default=1)
    p.add_argument("--timeout", type=float, default=60)
    return p.parse_args()


def headers(raw):
    out = {}
    for line in raw.decode("latin1").split("\r\n")[1:]:
        if ":" in line:
            k, v = line.split(":", 1)
            out[k] = v.strip()
    status = raw.decode("latin1").split("\r\n")[0][8:].strip()
    if status:
        out["Status"] = status
    return out


def read_message(f, s):
    while True:
        line = f.readline()
        if not line:
            raise EOFError
        word = line.split()
        if not word:
            continue
        if word[0] == b"PING":
            s.sendall(b"PONG\r\n")
        elif word[0] == b"-ERR":
            print(line.decode().strip(), file=sys.stderr)
        elif word[0] == b"MSG":
            body = f.read(int(word[-1]) + 2)[:-2]
            return word[1].decode(), {}, body
        elif word[0] == b"HMSG":
            hl, total = int(word[-2]), int(word[-1])
            data = f.read(total + 2)[:-2]
            return word[1].decode(), headers(data[:hl]), data[hl:]


def main():
    a = parse()
    s = socket.create_connection(("127.0.0.1", a.port), a.timeout)
    s.settimeout(a.timeout)
    f = s.makefile("rb")
    f.readline()
    s.sendall(b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n')
    inbox = a.reply or "_INBOX.req.%s" % os.urandom(6).hex()
    s.sendall(b"SUB %s 1\r\nPING\r\n" % (a.listen or inbox).encode())
    while f.readline().strip() != b"PONG":
        pass
    body = a.body.encode()
    if a.hex:
        body = bytes.fromhex(a.body)
    if a.size is not None:
        body = bytes(a.size)
    reply = b"" if a.no_reply else inbox.encode() + b" "
    for _ in range(a.repeat - 1):
        s.sendall(b"PUB %s %s%d\r\n" % (a.subject.encode(), reply, len(body)) + body + b"\r\n")
    if a.header:
        h = b"NATS/1.0\r\n" + b"".join(x.encode() + b"\r\n" for x in a.header) + b"\r\n"
        s.sendall(b"HPUB %s %s%d %d\r\n" % (a.subject.encode(), reply, len(h), len(h) + len(body)))
        s.sendall(h + body + b"\r\n")
    else:
        s.sendall(b"PUB %s %s%d\r\n" % (a.subject.encode(), reply, len(body)) + body + b"\r\n")
    for _ in range(a.replies):
        try:
            subject, h, data = read_message(f, s)
        except (socket.timeout, EOFError):
            return 1
        out = {"subject": subject, "headers": h, "len": len(data)}
        if len(data) <= 4096:
            out["hex"] = data.hex()
            out["body"] = data.decode(errors="replace")
        print(json.dumps(out), flush=True)
    return 0


sys.exit(main())
