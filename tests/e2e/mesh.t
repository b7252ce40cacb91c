#!/bin/bash
# What `mesh init` makes, in use: three real nats-servers, the service, users; for both ways
# of authentication. Who may not, cannot; a node that goes is no harm.
# shellcheck disable=SC2016 # $SRV is a subject
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
unset MESH_DIR MESH_AUTH NATS_CREDS NATS_NKEY NATS_CA NATS_URL HSM_NKEY HSM_IDENTITY NATS_CONTEXT
export XDG_DATA_HOME=$W/data-home HOME=$W
declare -A PID=() PORT=() ROUTE=() HTTP=()
NODES=(n1 n2 n3)

at_end() {
	local p
	for p in "${PID[@]}"; do
		kill "$p" 2>/dev/null && wait "$p" 2>/dev/null
	done
	PID=()
}
trap 'at_end; cleanup' EXIT

mesh() { "$BIN/signbox" mesh -q -d "$M" "$@" >"$W/mesh.out"; }
# nats NODE USER COMMAND…: with the context that mesh wrote, by one node
nats() {
	XDG_CONFIG_HOME=$M/box timeout 120 "$BIN/signbox" nats --context "$2" -s "tls://127.0.0.1:${PORT[$1]}" "${@:3}"
}
# hsm NODE USER COMMAND…
hsm() {
	NATS_URL=tls://127.0.0.1:${PORT[$1]} NATS_CA=$M/box/ca.pem NATS_CREDS=$M/box/$2.creds HSM_NKEY=$M/box/$2.nk \
		HSM_IDENTITY=@$M/identity/identity timeout 120 "$BIN/signbox" hsm --timeout 60 --context "$W/ctx-$auth" "${@:3}"
}
pub_of() { nk -inkey "$M/box/$1.nk" -pubout; }
start_node() {
	nats-server -c "$M/$1/nats-server.conf" >>"$W/$auth-$1.log" 2>&1 &
	PID[$1]=$!
	wait_for 10 port_open "${PORT[$1]}"
}
kill_node() {
	kill -9 "${PID[$1]}"
	wait "${PID[$1]}" 2>/dev/null
	unset "PID[$1]"
}
reload() { for node in "${!PID[@]}"; do [ "$node" = hsmd ] || kill -HUP "${PID[$node]}"; done; }
http() { python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=60).read().decode())' "http://127.0.0.1:$1"; }
peers() { http "${HTTP[$1]}/routez" | jq -r '[.routes[].remote_name] | unique | join(" ")'; }
full_mesh() { [ "$(peers n1)/$(peers n2)/$(peers n3)" = 'n2 n3/n1 n3/n1 n2' ]; }
# node that the service is connected to
hsm_node() { for node in "${NODES[@]}"; do [ -z "${PID[$node]:-}" ] || ! http "${HTTP[$node]}/connz" | jq -e '.connections[] | select(.name == "signbox-hsm")' >/dev/null || echo "$node"; done; }
healthy() { "$BIN/hsmd" -c "$M/hsm/hsm.yaml" health; }
# signed NODE: alice signs by that node, openssl verifies
signed() {
	echo "message $RANDOM" >"$W/text"
	hsm "$1" alice sign demo "$W/text" -o "$W/sig" && hsm "$1" alice key pub demo -o "$W/pub.pem" &&
		openssl pkeyutl -verify -pubin -inkey "$W/pub.pem" -rawin -in "$W/text" -sigfile "$W/sig"
}
plain() { # NODE USER: a signature by the plain surface
	printf plain >"$W/text"
	nats "$1" "$2" req "hsm.as.$(pub_of "$2").sign.demo" plain --raw >"$W/raw" || return 1
	# DER, and lines behind it
	head -c $((2 + $(od -An -tu1 -j1 -N1 "$W/raw"))) "$W/raw" >"$W/sig"
	openssl pkeyutl -verify -pubin -inkey "$W/pub.pem" -rawin -in "$W/text" -sigfile "$W/sig"
}
may() { WAIT=1s ok "$auth: $1 may $2 $3" "try_$2" "$1" "$3"; }
may_not() { WAIT=60s fails 1 'permissions violation' "$auth: $1 may not $2 $3" "try_$2" "$1" "$3"; }
try_pub() { nats n1 "$1" pub "$2" x --force-stdin </dev/null; }
# nothing comes: the time ends it with status 0 or 1, a refusal says so at once
try_sub() { nats n1 "$1" sub "$2" --wait "$WAIT"; }

new_mesh() { # NAME AUTH
	local args=() node
	M=$W/$1
	for node in "${NODES[@]}"; do
		PORT[$node]=$(free_port) ROUTE[$node]=$(free_port) HTTP[$node]=$(free_port)
		args+=(--address "$node=127.0.0.1:${PORT[$node]}:${ROUTE[$node]}:${HTTP[$node]}")
	done
	mesh init --local --auth "$2" --nodes n1,n2,n3 "${args[@]}" --user admin:administrator --user alice:plain --user bob
}

# a fourth node, with n1's files but what is told: rogue NAME SED-SCRIPT
rogue() {
	rm -rf "$W/rogue"
	cp -r "$M/n1" "$W/rogue"
	chmod -R u+w "$W/rogue"
	sed -i "s,$M/n1/,$W/rogue/,g; s/^server_name: .*/server_name: $1/; s/^listen: .*/listen: \"127.0.0.1:$(free_port)\"/
		s/^http: .*//; s/^  listen: .*/  listen: \"127.0.0.1:$(free_port)\"/; $2" "$W/rogue/nats-server.conf"
	sed -i "/^  routes/a \"tls://route:$(cat "$M/authority/route_password")@127.0.0.1:${ROUTE[n1]}\"" "$W/rogue/nats-server.conf"
	[ -z "${3:-}" ] || sed -i "$3" "$W/rogue/nats-server.conf"
	nats-server -c "$W/rogue/nats-server.conf" >"$W/$1.log" 2>&1 &
	PID[rogue]=$!
}
end_rogue() {
	kill -9 "${PID[rogue]}"
	wait "${PID[rogue]}" 2>/dev/null
	unset 'PID[rogue]'
}
route_tls() { # [CERT KEY]: TLS at the port of the routes
	python3 - "${ROUTE[n1]}" "$M/box/ca.pem" "$@" <<-'PY'
		import socket, ssl, sys
		s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 60)
		context = ssl.create_default_context(cafile=sys.argv[2])
		if len(sys.argv) > 3:
		    context.load_cert_chain(sys.argv[3], sys.argv[4])
		try:
		    # the alert comes instead of the greeting
		    t = context.wrap_socket(s, server_hostname='n1')
		    assert t.recv(4096).startswith(b'INFO ')
		except ssl.SSLError as e:
		    sys.exit(str(e))
	PY
}
joined() { peers n1 | grep -qw "$1"; }
tried() { grep -Eq "$2" "$W/$1.log"; }
outside() { # NAME PATTERN: it has tried, was refused, and nobody knows it
	wait_for 15 tried "$1" "$2" && ! joined "$1" && ! peers n2 | grep -qw "$1"
}

for auth in nkey jwt; do
	# another one, whose users and nodes are strangers here
	new_mesh other $auth >"$W/init" 2>&1 || bail 'mesh init'
	cp "$W/other/box/ca.pem" "$W/other-ca.pem"
	new_mesh "$auth" $auth >"$W/init" 2>&1
	ok "$auth: mesh init" test $? = 0
	for node in "${NODES[@]}"; do start_node $node || bail "nats-server of $node does not start"; done
	ok "$auth: three nodes know each other" wait_for 15 full_mesh
	"$BIN/hsmd" -c "$M/hsm/hsm.yaml" run >>"$W/$auth-hsm.log" 2>&1 &
	PID[hsmd]=$!
	wait_for 20 healthy || bail 'hsmd does not get healthy'
	HSM_AT=$(hsm_node)
	ok "$auth: the service is connected to one node, by its configuration" test -n "$HSM_AT"
	for node in "${NODES[@]}"; do [ "$node" = "$HSM_AT" ] || OTHER=$node; done
	ok "$auth: hsm apply, by another node" hsm "$OTHER" admin apply "$M/box/setup.yaml"
	for node in "${NODES[@]}"; do ok "$auth: a signature by $node, verified by openssl" signed "$node"; done
	ok "$auth: on the plain surface, with the context" plain "$OTHER" alice
	is "$auth: the server list, with the selected context" \
		"$(XDG_CONFIG_HOME=$M/box "$BIN/signbox" nats server ls --json 2>&1 | jq -r '[.. | .server_name? // .name? // empty | select(test("^n[0-9]$"))] | unique | join(" ")')" 'n1 n2 n3'
	ok "$auth: nats server report" nats n2 system server report connections
	ok "$auth: monitor lists the service" sh -c 'printf %s "$1" | grep -qi hsm' - "$(nats n3 monitor micro ls 2>&1)"

	# ---- who may do what
	A=$(pub_of alice) B=$(pub_of bob)
	may alice pub "hsm.open.X"
	may alice pub "hsm.i.inst.$A"
	may alice pub "hsm.as.$A.sign.nothing"
	may alice sub "_INBOX.$A.>"
	may_not alice pub "hsm.i.inst.$B"
	may_not alice pub "hsm.as.$B.sign.demo"
	may_not alice pub "_INBOX.$B.x"
	may_not alice pub '$SYS.REQ.SERVER.PING'
	may_not alice sub "_INBOX.$B.>"
	may_not alice sub '_INBOX.>'
	may_not alice sub '>'
	may_not bob pub "hsm.as.$B.sign.demo"
	may_not admin pub "hsm.as.$(pub_of admin).sign.demo"
	may_not admin sub 'hsm.i.>'
	may_not admin sub 'hsm.open.>'
	may_not bob sub 'hsm.as.>'
	may_not monitor pub 'hsm.open.X'
	may_not monitor sub 'hsm.>'
	may monitor pub '$SRV.PING'
	# the system's user lives in another account: it may subscribe, and hears nothing
	nats n1 system sub '>' --raw --wait 3s >"$W/heard" 2>&1 &
	listener=$!
	sleep 1
	signed n2 >/dev/null 2>&1
	wait $listener
	is "$auth: the operator of the bus hears nothing of the service" "$(grep -ac 'hsm\.\|_INBOX.U' "$W/heard")" 0
	cp "$M/hsm/hsm.yaml" "$W/x"
	for login in nkey creds; do sed -n "s/^  $login: \"\(.*\)\"/\1/p" "$W/x"; done >"$W/login"
	service() { NATS_URL=tls://127.0.0.1:${PORT[n1]} timeout 120 "$BIN/signbox" nats --no-context "$(if [ $auth = jwt ]; then echo --creds; else echo --nkey; fi)" "$(cat "$W/login")" --tlsca "$M/hsm/ca.pem" "$@"; }
	fails 1 'permissions violation' "$auth: the service may not ask in a user's name" service pub "hsm.as.$A.sign.demo" x
	fails 1 'permissions violation' "$auth: nor hear a user's inbox" service sub "_INBOX.$A.>" --wait 60s

	# ---- who is refused
	stranger() { timeout 120 "$BIN/signbox" nats -s "tls://127.0.0.1:${PORT[n1]}" "$@"; }
	fails 1 'authoriz|authentic' "$auth: a client without a name" stranger --tlsca "$M/box/ca.pem" pub x y
	fails 1 'certificate|tls|ssl' "$auth: a client that trusts another CA" stranger --tlsca "$W/other-ca.pem" --nkey "$M/box/alice.nk" pub x y
	nk -gen user >"$W/stranger.nk"
	chmod 600 "$W/stranger.nk"
	fails 1 'authoriz|authentic' "$auth: a key that nobody knows" stranger --tlsca "$M/box/ca.pem" --nkey "$W/stranger.nk" pub x y
	fails 1 'tls|secure|certificate' "$auth: a client without TLS" timeout 120 "$BIN/signbox" nats -s "nats://127.0.0.1:${PORT[n1]}" pub x y
	fails 1 'authoriz|authentic|JWT|jwt' "$auth: a user of another mesh" stranger --tlsca "$M/box/ca.pem" --creds "$W/other/box/alice.creds" pub x y
	rogue stranger-a '/^  authorization/,/^  }/s/password: .*/password: wrong/; s#route:[^@]*@#route:wrong@#'  's#tls://route:[^@]*@#tls://route:wrong@#'
	ok "$auth: a node without the route password stays outside" outside stranger-a 'uthorization|uthentication|Router connection closed'
	end_rogue
	rogue stranger-b ''
	wait_for 10 joined stranger-b
	is "$auth: self-check: with password and certificate it joins" "$(joined stranger-b && echo yes)" yes
	end_rogue
	wait_for 20 full_mesh
	cp "$W/other/n1/cert.pem" "$W/other/n1/key.pem" "$W/"
	rogue stranger-c "s,$W/rogue/cert.pem,$W/cert.pem,; s,$W/rogue/key.pem,$W/key.pem,"
	ok "$auth: a node with a certificate of another CA stays outside" outside stranger-c 'TLS|tls|x509'
	end_rogue
	fails 1 'certificate required' "$auth: nor one without" route_tls
	ok "$auth: self-check: TLS with a certificate is taken" route_tls "$M/n2/cert.pem" "$M/n2/key.pem"

	# ---- changes while it runs
	mesh user add carol --plain
	if [ $auth = nkey ]; then
		fails 1 'authoriz|authentic' "$auth: a new user is not known yet" nats n2 carol pub hsm.open.X x
		reload
	fi
	known() { nats n2 carol pub hsm.open.X x && nats n3 carol pub "hsm.as.$(pub_of carol).x.y" x; }
	ok "$auth: a new user$([ $auth = jwt ] || echo ', after SIGHUP')" wait_for 10 known
	cp "$M/box/carol.creds" "$W/carol-old.creds"
	chmod 600 "$W/carol-old.creds"
	ok "$auth: hsm apply makes him known to the service" hsm n1 admin apply "$M/box/setup.yaml"
	ok "$auth: who signs" hsm n2 carol sign demo "$W/text" -o "$W/sig"
	mesh user set carol --plain=off
	reload
	no_plain() { nats n3 carol pub hsm.open.X x && ! nats n3 carol pub "hsm.as.$(pub_of carol).x.y" x; }
	ok "$auth: without the plain surface, after SIGHUP" wait_for 10 no_plain
	if [ $auth = jwt ]; then
		fails 1 'authoriz|authentic|revoked' "$auth: the token before is revoked" stranger --tlsca "$M/box/ca.pem" --creds "$W/carol-old.creds" pub hsm.open.X x
	fi
	cp -r "$M/box" "$W/box-$auth"
	mesh user rm carol
	reload
	refused_now() { ! stranger --tlsca "$M/box/ca.pem" "$([ $auth = jwt ] && echo --creds || echo --nkey)" "$W/box-$auth/carol.$([ $auth = jwt ] && echo creds || echo nk)" pub hsm.open.X x; }
	ok "$auth: who was taken out is refused after SIGHUP" wait_for 10 refused_now
	ok "$auth: the others work on" signed "$OTHER"

	shown() { # serial number and TLS that n1 shows, behind NATS' greeting
		python3 - "${PORT[n1]}" "$M/box/ca.pem" <<-'PY'
			import socket, ssl, sys
			s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 60)
			s.recv(4096)
			t = ssl.create_default_context(cafile=sys.argv[2]).wrap_socket(s, server_hostname='n1')
			print(t.getpeercert()['serialNumber'], t.version())
		PY
	}
	file_serial() { echo "$(openssl x509 -in "$M/n1/cert.pem" -noout -serial | cut -d= -f2) TLSv1.3"; }
	is "$auth: a server shows its certificate, over TLS 1.3" "$(shown)" "$(file_serial)"
	before=$(shown)
	mesh renew
	reload
	same() { [ "$(shown)" = "$(file_serial)" ] && [ "$(shown)" != "$before" ]; }
	ok "$auth: after renew and SIGHUP another one" wait_for 10 same
	ok "$auth: and signatures go on" signed "$OTHER"

	# ---- a node that is silent: its connections are open, and nothing answers on them
	HSM_AT=$(hsm_node)
	for node in "${NODES[@]}"; do [ "$node" = "$HSM_AT" ] || OTHER=$node; done
	kill -STOP "${PID[$OTHER]}"
	dropped() { ! peers "$HSM_AT" | grep -qw "$OTHER"; }
	ok "$auth: a silent node is noticed by its routes" wait_for 20 dropped
	kill -CONT "${PID[$OTHER]}"
	ok "$auth: and comes back" wait_for 20 full_mesh

	# ---- a node that goes
	HSM_AT=$(hsm_node)
	for node in "${NODES[@]}"; do [ "$node" = "$HSM_AT" ] || OTHER=$node; done
	kill_node "$HSM_AT"
	ok "$auth: without the node that the service was at" wait_for 20 signed "$OTHER"
	is "$auth: the service is at another one" "$([ "$(hsm_node)" != "$HSM_AT" ] && [ -n "$(hsm_node)" ] && echo moved)" moved
	ID=$(cat "$M/identity/identity")
	rm -rf "${M:?}/$HSM_AT"
	ok "$auth: its lost directory is made again" mesh init
	start_node "$HSM_AT"
	ok "$auth: and it is back in the mesh" wait_for 15 full_mesh
	ok "$auth: where it serves" signed "$HSM_AT"
	at_end
	for node in "${NODES[@]}"; do start_node $node; done
	"$BIN/hsmd" -c "$M/hsm/hsm.yaml" run >>"$W/$auth-hsm.log" 2>&1 &
	PID[hsmd]=$!
	ok "$auth: all of it starts again, and unlocks itself" wait_for 20 signed n1
	is "$auth: with the same identity" "$(cat "$M/identity/identity")" "$ID"
	ok "$auth: hsm apply has nothing to do" hsm n3 admin apply "$M/box/setup.yaml"
	ok "$auth: mesh check" mesh check
	if [ $auth = jwt ]; then
		for f in "$M"/box/*.creds "$M/hsm/nats.creds"; do
			ok "jwt: nsc reads $(basename "$f")" "$BIN/signbox" nsc describe jwt --file "$f"
		done
	fi
	at_end
	rm -rf "$W/other"
done
done_testing
