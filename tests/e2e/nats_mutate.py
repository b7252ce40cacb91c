#!/usr/bin/env python3
"""A proxy between a NATS client and a real server that changes what the server says: members
of JSON become other types, huge numbers or nothing, bodies are cut, headers lie.

    nats_mutate.py SERVER_PORT SEED      prints its own port"""
import json
import random
import socket
import sys
import threading

UP, SEED = int(sys.argv[1]), int(sys.argv[2])
rnd = random.Random(SEED)
BAD = ['2250-12-31T23:59:59Z', '1700-01-01T00:00:00Z', '99999-01-01T00:00:00Z', 2**63 - 1, None, True, -1, 0,
       2**63, -2**63, 2**64 - 1, 10**30, 1e308, -1.5, '', 'x' * 3000, 'a/b/../c', '\u202e\u0085\x1b[2J',
       '\u0000a', [], {}, [[]], [1, '2', None], {'a': {'b': 1}}, '0001-01-01T00:00:00Z', '$JS.ACK.a.b.c',
       '%s%n%d', ['%s'], [{}], [{'name': 5}]]
LIES = [b'', b'-1', b'99999999999999999999', b'x' * 500, b'\x1b[2J', b'204', b'100', b'409']


def mutate(j, p):
    if rnd.random() < p:
        return rnd.choice(BAD)
    if isinstance(j, dict):
        return {k: mutate(v, p) for k, v in j.items() if rnd.random() >= p / 2}
    if isinstance(j, list):
        out = [mutate(v, p) for v in j]
        return out * 3 if out and rnd.random() < p else out
    return j


def body(b):
    if rnd.random() < 0.25 or b[:1] not in (b'{', b'['):
        return b
    try:
        j = json.loads(b)
    except ValueError:
        return b
    r = rnd.random()
    if r < 0.03:
        return b[:len(b) // 2]
    if r < 0.05:
        return rnd.randbytes(50)
    if r < 0.07:
        return b''
    return json.dumps(mutate(j, rnd.choice([0.01, 0.05, 0.15]))).encode()


def headers(h):
    lines = h.split(b'\r\n')
    i = rnd.randrange(len(lines))
    if rnd.random() < 0.2 and b':' in lines[i]:
        lines[i] = lines[i].split(b':')[0] + b': ' + rnd.choice(LIES)
    return b'\r\n'.join(lines)


def to_client(up, client):
    f = up.makefile('rb')
    for line in f:
        w = line.split()
        if w and w[0] == b'MSG':
            b = body(f.read(int(w[-1])))
            f.read(2)
            client.sendall(b' '.join(w[:-1]) + b' %d\r\n' % len(b) + b + b'\r\n')
        elif w and w[0] == b'HMSG':
            n, total = int(w[-2]), int(w[-1])
            h = headers(f.read(n)[:-4]) + b'\r\n\r\n'
            b = body(f.read(total - n))
            f.read(2)
            client.sendall(b' '.join(w[:-2]) + b' %d %d\r\n' % (len(h), len(h) + len(b)) + h + b + b'\r\n')
        else:
            client.sendall(line)


def to_server(client, up):
    while d := client.recv(65536):
        up.sendall(d)


def run(f, a, b):
    try:
        f(a, b)
    except (OSError, ValueError):
        pass
    for s in (a, b):
        try:
            s.shutdown(2)
        except OSError:
            pass


listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
while True:
    c, _ = listener.accept()
    u = socket.create_connection(('127.0.0.1', UP))
    threading.Thread(target=run, args=(to_client, u, c), daemon=True).start()
    threading.Thread(target=run, args=(to_server, c, u), daemon=True).start()
