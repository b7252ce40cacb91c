#!/bin/bash
# The commands of the original nats-box's document as they are typed there, with a server
# on loopback in place of the demo one, and a cluster of three as in its compose file.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
export HOME=$W TZ=UTC
PIDS=()
finish() {
	local p
	for p in "${PIDS[@]}"; do kill "$p" 2>/dev/null && wait "$p" 2>/dev/null; done
	cleanup
}
trap finish EXIT
for tool in nats nats-top nsc nk; do ln -s "$BIN/signbox" "$W/$tool"; done
PATH=$W:$PATH

# nats, nats-1, nats-2 of the document
P0=$(free_port) P1=$(free_port) P2=$(free_port) R=$(free_port) HTTP=$(free_port)
nats-server -a 127.0.0.1 -p "$P0" --cluster_name NATS --cluster "nats://ruser:T0pS3cr3t@127.0.0.1:$R" --http_port "$HTTP" >"$W/n0.log" 2>&1 &
PIDS+=($!)
for p in "$P1" "$P2"; do
	nats-server -a 127.0.0.1 -p "$p" --cluster_name NATS --cluster nats://127.0.0.1:-1 \
		--routes="nats://ruser:T0pS3cr3t@127.0.0.1:$R" >"$W/n$p.log" 2>&1 &
	PIDS+=($!)
done
for p in "$P0" "$P1" "$P2"; do wait_for 10 port_open "$p" || bail 'no cluster'; done

# ---- subscription on one node, publications on the others
nats sub -s "nats://127.0.0.1:$P0" hello >"$W/sub" 2>"$W/sub.err" &
SUB=$!
PIDS+=("$SUB")
heard() { grep -q "$1" "$W/sub"; }
published() { nats pub -s "nats://127.0.0.1:$1" hello "$2" && sleep 0.2 && heard "$2"; }
wait_for 10 grep -q Subscribing "$W/sub.err" || bail 'nats sub does not start'
ok 'nats pub hello first, on nats-1' wait_for 20 published "$P1" first
ok 'nats pub hello second, on nats-2' wait_for 20 published "$P2" second
is 'the subscriber shows both' "$(grep -E '^(first|second)$' "$W/sub" | sort -u | tr '\n' ' ')" 'first second '
is 'with their subject' "$(sed -n 1p "$W/sub")" '[#1] Received on "hello"'
kill "$SUB" && wait "$SUB" 2>/dev/null
is 'and ends by a signal with its status' $? 130

# ---- nats-top -s demo.nats.io -ms 8222 (there over HTTPS; here the monitoring port is HTTP)
nats-top -s 127.0.0.1 -m "$HTTP" -o - -d 1 -r 1 </dev/null >"$W/top" 2>&1
ok 'nats-top shows the server' grep -q '^NATS server version' "$W/top"
ok 'its connections' grep -q 'HOST *CID' "$W/top"

# ---- nsc init -d /nsc
mkdir "$W/nsc-dir"
ok 'nsc init -d DIR' nsc init -d "$W/nsc-dir"
ok 'it leaves creds' sh -c "find '$W' -name '*.creds' | grep -q ."

# ---- nk -gen user -pubout
nk -gen user -pubout >"$W/nk.out"
is 'nk prints a seed and a public key' "$(cut -c1-2 "$W/nk.out" | tr '\n' ' ' | sed -E 's/ U[A-Z2-7]/ U?/')" 'SU U? '
done_testing
