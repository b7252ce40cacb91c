#!/usr/bin/env python3
"""Logs in to a nats-server with a creds file by the protocol alone (the nonce is signed
by nk), then publishes and subscribes: nsc_client.py PORT CREDS [pub|sub SUBJECT]…
Prints what the server said; exit 0: nothing was refused, 1: something was."""
import json
import os
import socket
import subprocess
import sys
import tempfile


def sign(creds, nonce):
    with tempfile.NamedTemporaryFile("w") as f:
        f.write(nonce)
        f.flush()
        nk = [os.environ["BIN"] + "/signbox", "nk", "-sign", f.name, "-inkey", creds]
        return subprocess.run(nk, capture_output=True, text=True, check=True).stdout.strip()


def main():
    port, creds, ops = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    jwt = [w for w in open(creds).read().split() if w.startswith("eyJ")][0]
    s = socket.create_connection(("127.0.0.1", port), timeout=60)
    f = s.makefile("rb")
    info = json.loads(f.readline().decode()[5:])
    connect = {"verbose": False, "pedantic": False, "jwt": jwt, "lang": "python",
               "version": "1", "protocol": 1, "headers": True, "no_responders": True,
               "sig": sign(creds, info["nonce"])}
    s.sendall(b"CONNECT " + json.dumps(connect).encode() + b"\r\n")
    for i, (op, subject) in enumerate(zip(ops[::2], ops[1::2])):
        if op == "pub":
            s.sendall(f"PUB {subject} 2\r\nhi\r\n".encode())
        else:
            s.sendall(f"SUB {subject} {i + 1}\r\n".encode())
    s.sendall(b"PING\r\n")
    bad = False
    while True:
        line = f.readline().decode().strip()
        if not line:
            print("closed by the server")
            return 1
        if line.startswith("-ERR"):
            print(line)
            bad = True
            if "Authorization" in line or "Expired" in line:
                return 1
        elif line.startswith("MSG"):
            f.readline()
            print(line)
        elif line == "PONG":
            print("done")
            return bad


sys.exit(main())
