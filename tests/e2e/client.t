#!/bin/bash
# The client library against a false HSM that loses, forges, refuses, swaps and forgets
# (client_fake.c), over a real nats-server.
set -u
BIN=$(realpath "${BIN:-build/bin}")
T=$(realpath "${T:-build/test}")
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

NATS_PORT=$(free_port)
nats-server -a 127.0.0.1 -p "$NATS_PORT" >"$W/nats.log" 2>&1 &
NATS_PID=$!
wait_for 10 port_open "$NATS_PORT" || bail "nats-server does not start"
timeout 400 "$T/e2e/client_fake" "nats://127.0.0.1:$NATS_PORT" "$W/epoch"
