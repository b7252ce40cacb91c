#!/usr/bin/env python3
"""A client's half of docs/PROTOCOL.md in another language and without any library of
ours: makes the bytes of tests/vectors/session.json and request.json from their fields.
The primitives are written from their RFCs (7748, 8439, 2104): slow, and for tests only."""
import hashlib
import hmac
import json
import os
import struct

P = 2**255 - 19
NAME = b"Noise_IK_25519_ChaChaPoly_SHA256"


def x25519(secret, u):
    k = int.from_bytes(secret, "little") & ~7 & (1 << 255) - 1 | 1 << 254
    u = int.from_bytes(u, "little") & (1 << 255) - 1
    x2, z2, x3, z3, swapped = 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swapped ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swapped = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def quarter(s, a, b, c, d):
    for x, y, z, r in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = s[x] + s[y] & 0xFFFFFFFF
        v = s[z] ^ s[x]
        s[z] = (v << r | v >> 32 - r) & 0xFFFFFFFF


def chacha_block(key, counter, nonce):
    s = list(struct.unpack("<4I8II3I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce))
    w = s[:]
    for _ in range(10):
        for i in range(4):
            quarter(w, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(w, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<16I", *[(a + b) & 0xFFFFFFFF for a, b in zip(s, w)])


def chacha(key, nonce, text):
    blocks = b"".join(chacha_block(key, 1 + i, nonce) for i in range((len(text) + 63) // 64))
    return bytes(a ^ b for a, b in zip(text, blocks))


def tag(key, nonce, ad, c):
    def pad(b):
        return b + bytes(-len(b) % 16)

    one = chacha_block(key, 0, nonce)[:32]
    r = int.from_bytes(one[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    m, a = pad(ad) + pad(c) + struct.pack("<QQ", len(ad), len(c)), 0
    for i in range(0, len(m), 16):
        a = (a + int.from_bytes(m[i : i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return (a + int.from_bytes(one[16:], "little") & (1 << 128) - 1).to_bytes(16, "little")


def seal(key, counter, ad, text):
    nonce = bytes(4) + struct.pack("<Q", counter)
    c = chacha(key, nonce, text)
    return c + tag(key, nonce, ad, c)


def unseal(key, counter, ad, c):
    nonce = bytes(4) + struct.pack("<Q", counter)
    assert tag(key, nonce, ad, c[:-16]) == c[-16:]
    return chacha(key, nonce, c[:-16])


class Noise:
    """The initiator's handshake state."""

    def __init__(self, prologue, responder):
        self.h = self.ck = NAME
        self.mix_hash(prologue)
        self.mix_hash(responder)

    def mix_hash(self, data):
        self.h = hashlib.sha256(self.h + data).digest()

    def hkdf(self, data):
        t = hmac.digest(self.ck, data, "sha256")
        a = hmac.digest(t, b"\1", "sha256")
        return a, hmac.digest(t, a + b"\2", "sha256")

    def mix_key(self, data):
        self.ck, self.k = self.hkdf(data)

    def encrypt(self, text):
        c = seal(self.k, 0, self.h, text)
        self.mix_hash(c)
        return c


def hexes(d):
    return lambda key: bytes.fromhex(d[key])


def check_session(v):
    b = hexes(v)
    base = (9).to_bytes(32, "little")
    half = bytearray(hashlib.sha512(b("client_seed")).digest()[:32])
    half[0] &= 248
    half[31] = half[31] & 127 | 64
    ok(bytes(half) == b("client_static") and x25519(half, base) == b("client_public"),
       "the static key is the clamped half of the seed's SHA-512")
    n = Noise(b"signbox\1\1", b("hsm_public"))
    e = x25519(b("client_ephemeral"), base)
    n.mix_hash(e)
    n.mix_key(x25519(b("client_ephemeral"), b("hsm_public")))
    static = n.encrypt(b("client_public"))
    n.mix_key(x25519(b("client_static"), b("hsm_public")))
    ok(b"\1\1" + e + static + n.encrypt(b"") == b("opening"), "opening")
    answer = b("answer")
    e = answer[2:34]
    n.mix_hash(e)
    n.mix_key(x25519(b("client_ephemeral"), e))
    n.mix_key(x25519(b("client_static"), e))
    g = v["grant"]
    ok(answer[:2] == b"\1\1" and unseal(n.k, 0, n.h, answer[34:])
       == struct.pack("<Q8s16sQBII", int(g["session"]), hexes(g)("instance"), hexes(g)("boot_id"),
                      g["epoch"], g["state"], g["lifetime"], g["max_message"]), "answer and grant")
    keys = n.hkdf(b"")
    ok(keys == (b("key_request"), b("key_reply")), "keys")
    for s in v["sealed"]:
        counter = int(s["counter"])
        head = struct.pack("<BBQQ", 1, s["kind"], int(s["session"]), counter)
        ok(head + seal(keys[s["kind"] - 1], counter, head, hexes(s)("plain")) == hexes(s)("message"),
           f"sealed message of kind {s['kind']}, counter {counter}")
    for s in v["refusals"]:
        ok(struct.pack("<BBH", 1, 255, s["error"]) + s["text"].encode() == hexes(s)("message"),
           f"refusal {s['error']}")


def check_requests(v):
    def str8(text):
        return bytes([len(text)]) + text.encode()

    for q in v["requests"]:
        b = hexes(q)
        ok(struct.pack("<BBH", 1, q["credential"], q["operation"]) + str8(q["user"]) + b("boot_id")
           + b("idempotency_id") + str8(q["namespace"]) + str8(q["key"])
           + struct.pack("<IBI", q["key_version"], q["mode"], len(b("body"))) + b("body")
           == b("bytes"), f"request: {q['what']}")
    for s in v["responses"]:
        b = hexes(s)
        ok(struct.pack("<BHBBQI", 1, s["error"], s["state"], s["mode"], s["epoch"], len(b("body")))
           + b("body") == b("bytes"), f"response: {s['what']}")


count = 0


def ok(good, what):
    global count
    count += 1
    print("ok" if good else "not ok", count, "-", what)


def load(name):
    with open(os.path.join(os.environ["SRC"], "tests/vectors", name), encoding="utf-8") as f:
        return json.load(f)


check_session(load("session.json"))
check_requests(load("request.json"))
print(f"1..{count}")
