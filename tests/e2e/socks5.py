#!/usr/bin/env python3
"""A SOCKS5 proxy on loopback for tests: socks5.py PORT-FILE MODE [USER PASSWORD]

MODE: relay; mute (says nothing); drip (a byte of its answer every 300 ms, for ever);
refuse (every CONNECT); http (no SOCKS at all). What clients send is told on stdout."""
import os
import socket
import sys
import threading
import time


def exactly(c, n):
    data = b''
    while len(data) < n:
        more = c.recv(n - len(data))
        if not more:
            raise OSError('closed')
        data += more
    return data


def pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    for s in (a, b):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(c, mode, login):
    methods = exactly(c, exactly(c, 2)[1])
    print('methods', list(methods), flush=True)
    if mode == 'mute':
        time.sleep(60)
    if mode == 'http':
        c.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n')
        return
    want = 2 if login else 0
    if want not in methods:
        c.sendall(b'\x05\xff')
        return
    c.sendall(bytes([5, want]))
    if login:
        name = exactly(c, exactly(c, 2)[1])
        password = exactly(c, exactly(c, 1)[0])
        good = [name.decode(), password.decode()] == login
        print('login', good, flush=True)
        c.sendall(bytes([1, not good]))
        if not good:
            return
    head = exactly(c, 4)
    assert head == b'\x05\x01\x00\x03', head
    host = exactly(c, exactly(c, 1)[0]).decode()
    port = int.from_bytes(exactly(c, 2), 'big')
    print('connect', host, port, flush=True)
    if mode == 'drip':
        for byte in b'\x05\x00\x00\x03\xff' + b'x' * 300:
            c.sendall(bytes([byte]))
            time.sleep(0.3)
    if mode == 'refuse':
        c.sendall(b'\x05\x05\x00\x01' + bytes(6))
        return
    try:
        to = socket.create_connection((host, port), 5)
    except OSError:
        c.sendall(b'\x05\x04\x00\x01' + bytes(6))
        return
    to.settimeout(None)
    c.sendall(b'\x05\x00\x00\x01' + bytes(6))
    threading.Thread(target=pump, args=(c, to), daemon=True).start()
    pump(to, c)


def one(c, mode, login):
    try:
        serve(c, mode, login)
    except (OSError, UnicodeDecodeError) as e:
        print('error', e, flush=True)
    c.close()


s = socket.create_server(('127.0.0.1', 0))
with open(sys.argv[1] + '.new', 'w', encoding='ascii') as f:
    f.write(str(s.getsockname()[1]))
os.rename(sys.argv[1] + '.new', sys.argv[1])
while True:
    peer, _ = s.accept()
    threading.Thread(target=one, args=(peer, sys.argv[2], sys.argv[3:]), daemon=True).start()
