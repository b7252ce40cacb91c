#!/usr/bin/env python3
"""A hostile NATS broker, for rogue_broker.t.

rogue_broker.py oracle PORT NONCE-JSON LOG
    Alone: greets with the nonce (a JSON string) and writes what clients send to LOG.
rogue_broker.py between PORT UPSTREAM-PORT MODE-FILE LOG
    Between its clients and a real nats-server. MODE-FILE holds a line "mode [argument]",
    read again when it changes. What is seen is counted in LOG, one JSON object a line.

Modes change messages to the client (replies) unless said otherwise; a number between
0 and 1 behind some says how many of them:
  pass                       forge, flip (a bit), truncate, empty, random-length
  replay (an older reply)    swap (two replies change places)     other-session
  duplicate (both ways)      delay (both ways, out of order)      drop (both ways, a third)
  refuse CODE (every request, not passed on)   hint CODE (sealed ones, and passed on)
  impostor (answers openings itself)           redirect PORT (INFO sends clients there)
  hold (sealed requests are kept back) and release (… and all go out)
  inject (to a service: what lies in MODE-FILE.inject, hex lines of whole MSGs)
  again (to a service: every request it has had, three times)
  garbage (lines that are no protocol, to the client)
  mute (an INFO without max_payload: whoever believes it publishes nothing any more)
"""
import asyncio
import json
import os
import random
import sys

rng = random.Random(int(os.environ.get("SEED", "1")))


class Log:
    def __init__(self, path):
        self.f = open(path, "a", buffering=1)

    def put(self, **kw):
        self.f.write(json.dumps(kw) + "\n")


async def oracle(port, nonce, log):
    async def serve(r, w):
        info = ('{"server_id":"NROGUE","version":"2.11.0","proto":1,"headers":true,'
                '"max_payload":1048576,"auth_required":true,"nonce":%s}' % nonce)
        w.write(b"INFO " + info.encode() + b"\r\n")
        try:
            while True:
                line = await asyncio.wait_for(r.readline(), 10)
                if not line:
                    break
                log.put(line=line.decode("latin1").strip())
                if line.startswith(b"PING"):
                    w.write(b"PONG\r\n")
        except (asyncio.TimeoutError, ConnectionError):
            pass
        w.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=1 << 22)
    async with server:
        await server.serve_forever()


class Message:
    """PUB, HPUB, MSG or HMSG with its payload, or another line."""

    def __init__(self, line, payload=None):
        self.words = line.split()
        self.line = line
        self.payload = payload
        self.op = self.words[0].upper() if self.words else b""

    def has_payload(self):
        return self.op in (b"PUB", b"HPUB", b"MSG", b"HMSG")

    def head(self):
        """Bytes of headers in the payload."""
        return int(self.words[-2]) if self.op in (b"HPUB", b"HMSG") else 0

    @property
    def subject(self):
        return self.words[1].decode("latin1")

    @property
    def reply(self):
        n = {b"PUB": 4, b"HPUB": 5, b"MSG": 5, b"HMSG": 6}[self.op]
        at = 2 if self.op in (b"PUB", b"HPUB") else 3
        return self.words[at] if len(self.words) == n else None

    def body(self):
        return self.payload[self.head():]

    def with_body(self, body):
        words = list(self.words)
        payload = self.payload[:self.head()] + body
        words[-1] = b"%d" % len(payload)
        m = Message(b" ".join(words), payload)
        return m

    def with_subject(self, subject):
        words = list(self.words)
        words[1] = subject
        return Message(b" ".join(words), self.payload)

    def wire(self):
        if self.payload is None:
            return self.line + b"\r\n"
        return b" ".join(self.words) + b"\r\n" + self.payload + b"\r\n"


async def read(r):
    line = await r.readline()
    if not line.endswith(b"\n"):
        return None
    m = Message(line.rstrip(b"\r\n"))
    if m.has_payload():
        m.payload = (await r.readexactly(int(m.words[-1]) + 2))[:-2]
    return m


class Mode:
    def __init__(self, path):
        self.path, self.seen, self.words, self.changes = path, None, ["pass"], 0

    def get(self):
        try:
            st = os.stat(self.path)
        except FileNotFoundError:
            return self.words
        if (st.st_mtime_ns, st.st_ino) != self.seen:
            self.seen = (st.st_mtime_ns, st.st_ino)
            self.words = open(self.path).read().split() or ["pass"]
            self.changes += 1
        return self.words


class Between:
    def __init__(self, upstream, mode, log):
        self.upstream, self.mode, self.log = upstream, mode, log

    async def serve(self, cr, cw):
        try:
            ur, uw = await asyncio.open_connection("127.0.0.1", self.upstream, limit=1 << 23)
        except OSError:
            cw.close()
            return
        c = Connection(self, cw, uw)
        self.log.put(event="connection")
        tasks = [asyncio.ensure_future(c.pump(cr, c.from_client)),
                 asyncio.ensure_future(c.pump(ur, c.from_server)),
                 asyncio.ensure_future(c.clock())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for t in tasks:
            t.cancel()
        for w in cw, uw:
            w.close()


class Connection:
    def __init__(self, between, cw, uw):
        self.b, self.cw, self.uw = between, cw, uw
        self.subs, self.replies, self.requests = {}, [], []
        self.kept, self.held, self.taken_up = None, [], None
        self.injected = self.again = self.garbage = False

    async def pump(self, r, handle):
        try:
            while True:
                m = await read(r)
                if m is None:
                    break
                handle(m)
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass

    def later(self, w, data, seconds):
        def go():
            if not w.is_closing():
                w.write(data)
        asyncio.get_running_loop().call_later(seconds, go)

    def to_client(self, subject, payload):
        """A message that no server sent."""
        for pattern, sid in self.subs.items():
            p, s = pattern.split("."), subject.decode("latin1").split(".")
            if len(p) == len(s) and all(a in ("*", b) for a, b in zip(p, s)):
                self.cw.write(b"MSG %s %s %d\r\n%s\r\n" % (subject, sid, len(payload), payload))
                self.b.log.put(event="forged", subject=subject.decode("latin1"))
                return

    @staticmethod
    def refusal(code):
        return bytes([1, 255]) + int(code).to_bytes(2, "little") + b"the broker says no"

    def from_client(self, m):
        mode = self.b.mode.get()
        if m.op == b"CONNECT":
            self.b.log.put(event="connect", text=m.line.decode("latin1"))
        if m.op == b"SUB":
            self.subs[m.words[1].decode("latin1")] = m.words[-1]
        if m.op not in (b"PUB", b"HPUB"):
            self.uw.write(m.wire())
            return
        self.b.log.put(event="published", subject=m.subject, bytes=len(m.payload),
                       reply=(m.reply or b"").decode("latin1"))
        sealed = m.subject.startswith("hsm.i.")
        if m.reply and (mode[0] == "refuse" or (mode[0] == "hint" and sealed)):
            self.to_client(m.reply, self.refusal(mode[1]))
            if mode[0] == "refuse":
                return
        if mode[0] == "impostor" and m.subject.startswith("hsm.open.") and m.reply:
            self.to_client(m.reply, bytes([1, 1]) + rng.randbytes(97))
            return
        if mode[0] == "hold" and sealed:
            self.held.append(m)
            return
        if mode[0] == "drop" and rng.random() < 0.33:
            return
        if mode[0] == "delay":
            self.later(self.uw, m.wire(), rng.random() * 0.12)
            return
        for _ in range(3 if mode[0] == "duplicate" else 1):
            self.uw.write(m.wire())

    def change(self, m, how):
        """A reply that was changed, or None: as it is."""
        body = m.body()
        if how == "forge":
            return m.with_body(body[:18] + rng.randbytes(max(0, len(body) - 18)))
        if how == "flip" and body:
            at = rng.randrange(len(body) * 8)
            b = bytearray(body)
            b[at // 8] ^= 1 << at % 8
            return m.with_body(bytes(b))
        if how == "truncate":
            return m.with_body(body[:rng.randrange(len(body) + 1)])
        if how == "empty":
            return m.with_body(b"")
        if how == "random-length":
            return m.with_body(rng.randbytes(rng.randrange(2000)))
        if how == "other-session" and len(body) > 18:
            b = bytearray(body)
            b[2:10] = rng.randbytes(8)
            return m.with_body(bytes(b))
        return None

    def from_server(self, m):
        mode = self.b.mode.get()
        if m.op == b"INFO" and mode[0] == "redirect":
            info = json.loads(m.line[5:])
            info["connect_urls"] = ["127.0.0.1:%s" % mode[1]]
            m = Message(b"INFO " + json.dumps(info).encode())
        if not m.has_payload():
            self.cw.write(m.wire())
            return
        to_service = m.subject.startswith("hsm.")
        if to_service:
            self.requests.append(m)
            self.b.log.put(event="request", subject=m.subject)
        else:
            self.b.log.put(event="reply", subject=m.subject, bytes=len(m.payload))
            self.replies.append(m)
            if len(mode) > 1 and rng.random() > float(mode[1]):
                mode = ["pass"]
            changed = self.change(m, mode[0])
            if changed:
                self.cw.write(changed.wire())
                return
            if mode[0] == "replay":
                old = rng.choice(self.replies)
                self.cw.write(m.with_body(old.body()).wire())
                return
            if mode[0] == "swap":
                if self.kept is None:
                    self.kept = m
                    asyncio.get_running_loop().call_later(0.15, self.give_up, m)
                    return
                a, b, self.kept = self.kept, m, None
                self.cw.write(a.with_body(b.body()).wire() + b.with_body(a.body()).wire())
                return
        if mode[0] == "drop" and rng.random() < 0.33:
            return
        if mode[0] == "delay":
            self.later(self.cw, m.wire(), rng.random() * 0.12)
            return
        for _ in range(3 if mode[0] == "duplicate" else 1):
            self.cw.write(m.wire())

    def give_up(self, m):
        """Nothing came that it could change places with."""
        if self.kept is m and not self.cw.is_closing():
            self.kept = None
            self.cw.write(m.wire())

    async def clock(self):
        """What is not in answer to anything."""
        while True:
            await asyncio.sleep(0.02)
            mode = self.b.mode.get()[0]
            if self.b.mode.changes != self.taken_up:
                self.taken_up = self.b.mode.changes
                asyncio.get_running_loop().call_soon(lambda m=mode: self.b.log.put(event="mode", mode=m))
            if mode == "release" and self.held:
                for m in self.held:
                    self.uw.write(m.wire())
                self.held = []
            if mode == "again" and not self.again:
                for m in self.requests * 3:
                    self.cw.write(m.wire())
                self.b.log.put(event="again", requests=len(self.requests))
            self.again = mode == "again"
            if mode == "inject" and not self.injected and self.subs:
                for line in open(self.b.mode.path + ".inject"):
                    subject, reply, headers, body = (bytes.fromhex(x) for x in line.split(","))
                    self.inject(subject, reply, headers, body)
            self.injected = mode == "inject"
            if mode == "garbage" and not self.garbage:
                self.cw.write(rng.choice([
                    b"MSG\r\n", b"MSG x y z\r\n", b"MSG a 1 -1\r\n", b"MSG a 1 99999999999999\r\n",
                    b"HMSG a 1 50 10\r\nxx\r\n", b"INFO {\r\n", b"INFO {\"nonce\":1}\r\n",
                    b"-ERR\r\n", b"+FOO bar\r\n", b"\0\0\0\0\r\n", rng.randbytes(300) + b"\r\n",
                    b"A" * 100000]))
                self.b.log.put(event="garbage")
            if mode == "mute" and not self.garbage:
                self.cw.write(b"INFO {\"nonce\":1}\r\n")
            self.garbage = mode in ("garbage", "mute")

    def inject(self, subject, reply, headers, body):
        for pattern, sid in self.subs.items():
            p, s = pattern.split("."), subject.decode("latin1").split(".")
            full = p[-1] == ">" and len(s) >= len(p) and p[:-1] == s[:len(p) - 1]
            if not full and not (len(p) == len(s) and all(a in ("*", b) for a, b in zip(p, s))):
                continue
            r = b" " + reply if reply else b""
            if headers:
                h = b"NATS/1.0\r\n" + headers + b"\r\n\r\n"
                self.cw.write(b"HMSG %s %s%s %d %d\r\n%s%s\r\n" % (
                    subject, sid, r, len(h), len(h) + len(body), h, body))
            else:
                self.cw.write(b"MSG %s %s%s %d\r\n%s\r\n" % (subject, sid, r, len(body), body))
            self.b.log.put(event="injected", subject=subject.decode("latin1"))
            return


async def main():
    what, port = sys.argv[1], int(sys.argv[2])
    if what == "oracle":
        await oracle(port, sys.argv[3], Log(sys.argv[4]))
    b = Between(int(sys.argv[3]), Mode(sys.argv[4]), Log(sys.argv[5]))
    server = await asyncio.start_server(b.serve, "127.0.0.1", port, limit=1 << 23)
    async with server:
        await server.serve_forever()

try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
