#!/bin/bash
# nats-top beside the original, on one server: snapshots as text and with delimiters, with
# each flag; memory, CPU and what goes on between two polls are masked.
# shellcheck disable=SC2034 # lib.sh ends NATS_PID and HSM_PID
. "$(dirname "$0")/../e2e/lib.sh"
REAL=${BUILD:-build}/tools/bin/nats-top
if [ ! -x "$REAL" ]; then
	echo '1..0 # SKIP not run: no original nats-top in build/tools (tests/interop/tools.sh needs Go)'
	exit 0
fi
MON=$(free_port) PORT=$(free_port)
export TZ=UTC
cat >"$W/s.conf" <<EOF
listen: 127.0.0.1:$PORT
http: 127.0.0.1:$MON
server_name: a-server
EOF
nats-server -c "$W/s.conf" >"$W/s.log" 2>&1 &
NATS_PID=$!
wait_for 10 port_open "$MON" || bail 'nats-server does not start'
python3 - "$PORT" >"$W/client.log" 2>&1 <<'PY' &
import socket, sys, time
def conn(name, subs):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    f = s.makefile("rwb")
    f.readline()
    f.write(b'CONNECT {"verbose":false,"name":"%s","lang":"py","version":"9.9"}\r\n' % name)
    for i, x in enumerate(subs):
        f.write(b"SUB %s %d\r\n" % (x, i + 1))
    f.flush()
    return s, f
keep = [conn(b"", [b"b"]), conn(b"short", [b"a"]), conn(b"a much longer name than the others", [b"zz"])]
f = keep[1][1]
for i in range(1500):
    f.write(b"PUB a 3000\r\n" + b"x" * 3000 + b"\r\n")
f.flush()
time.sleep(900)
PY
HSM_PID=$!
wait_for 10 bash -c "timeout 60 '$REAL' -m $MON -o - | grep -q 'Connections Polled: 3'" || bail 'no clients'
sleep 1.5

mask() { sed -E 's/CPU:(  |,|;|\t)[^ ,;\t]+(  |,|;|\t)Memory:([ ,;\t])[^ ,;\t]+/CPU Memory/; s/uptime: [0-9a-z]+/uptime: U/; s/([0-9]+m)?[0-9]+s( +|[,;\t])20/U 20/'; }
compare() {
	timeout 120 "$REAL" -m "$MON" "$@" 2>/dev/null | mask >"$W/theirs"
	timeout 120 "$BIN/signbox" nats-top -m "$MON" "$@" 2>/dev/null | mask >"$W/ours"
	[ -s "$W/ours" ] && diff "$W/theirs" "$W/ours"
}
for args in '-o -' '-o - -b' '-o - -u' '-o - -display-subscriptions-column' '-o - -u -b' '-o - -l ,' '-o - -l ; -u' \
	'-o - -l , -b -u' '-o - -n 1' '-o - -sort cid' '-o - -sort=msgs_from -n 1' '--o=- --sort msgs_to -n 1 -u' \
	'-o - -sort bytes_to -b -n 1' '-o - -sort pending -n 1' '-o - -s localhost' '-o - -lookup -n 1'; do
	read -r -a words <<<"$args"
	ok "nats-top $args" compare "${words[@]}"
done
for args in '-sort nosuch -o -' '-m 1 -o -' '-nosuch' '-n x'; do
	read -r -a words <<<"$args"
	timeout 120 "$REAL" -m "$MON" "${words[@]}" >/dev/null 2>&1
	a=$?
	timeout 120 "$BIN/signbox" nats-top -m "$MON" "${words[@]}" >/dev/null 2>&1
	is "status of nats-top $args" $? $a
done
timeout 120 "$REAL" -m "$MON" -o "$W/f1" -l ,
timeout 120 "$BIN/signbox" nats-top -m "$MON" -o "$W/f2" -l ,
ok '-o FILE' diff <(mask <"$W/f1") <(mask <"$W/f2")
done_testing
