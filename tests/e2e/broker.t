#!/bin/bash
# The service and a real broker: it goes and comes back, TLS and client certificates,
# credentials that the broker refuses, stopping with requests in hand, who may publish
# what, discovery as monitoring tools read it.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

health_says() { [[ "$(health)" == *"$1"* ]]; }
state_is() { [ "$(as admin state --json 2>/dev/null | jq -r .state)" = "$1" ]; }
logged() { tail -n "+$log_from" "$W/hsm.log" | grep -Eq "$1"; }
mark() { log_from=$(($(wc -l <"$W/hsm.log") + 1)); }
many() { # many USER ARG…
	local user=$1
	shift
	HSM_NKEY=$W/$user.nk NATS_NKEY=$W/$user.nk "$T/e2e/hsm_many" "$@"
}
begun() { grep -q 'the first answer' "$W/many.err"; }
counted() { sed -n "s/^$1 //p" "$W/many"; }

new_user hsm && new_user admin && new_user alice && new_user bob && new_user monitor && new_user stranger
users=(-u "${NKEY[admin]}" -u "${NKEY[alice]}:plain" -u "${NKEY[bob]}:plain" -m "${NKEY[monitor]}")
NATS_PORT=$(free_port)
NATS_URL=nats://127.0.0.1:$NATS_PORT
export NATS_URL
make_secrets
write_config

# ---- no broker yet ----
: >"$W/hsm.log"
mark
hsmd -c "$W/hsm.yaml" run >>"$W/hsm.log" 2>&1 &
HSM_PID=$!
wait_for 10 health_says health= || bail "hsmd does not answer"
fails 7 'nats=down' "without a broker health is down" health
wait_for 5 grep -q 'no NATS server answers' "$W/hsm.log"
is "and it says that there is none, once" "$(tail -n "+$log_from" "$W/hsm.log" | grep -c 'no NATS server answers')" 1
start_nats "${users[@]}" || bail "nats-server"
ok "the service finds the broker when it comes" wait_for 15 health
HSM_IDENTITY=$(cat "$W/data/identity")
export HSM_IDENTITY
fails 3 'state=unprovisioned' "up is not ready" health --ready
as admin provision --passphrase-file "$W/passphrase" || bail "provision"
for u in alice bob; do as admin user add $u "${NKEY[$u]}" --role operator || bail "user add"; done
as admin key gen k >/dev/null && as admin key set k --plain on >/dev/null || bail "key gen"
as admin user set alice --plain on >/dev/null && as admin user set bob --plain on >/dev/null
ok "provisioned it is ready" health --ready

# ---- the broker goes while requests are in flight ----
for how in TERM KILL; do
	mark
	many alice sign -w 32 -d 120000 -s 4 k 0 >"$W/many" 2>"$W/many.err" &
	client=$!
	wait_for 60 begun || bail "no signatures"
	kill -$how "$NATS_PID" && wait "$NATS_PID" 2>/dev/null
	ok "SIG$how to the broker: health tells" wait_for 5 health_says nats=down
	sleep 0.5
	run_nats || bail "nats-server"
	ok "SIG$how to the broker: the service comes back" wait_for 15 health
	wait $client
	is "SIG$how to the broker: the client of before has lost nothing" \
		"$(counted submitted) $(counted bad) $(grep -cE '^[A-Z_]+ ' "$W/many")" "$(counted OK) 0 1"
	ok "SIG$how to the broker: the log tells that" wait_for 60 logged 'level=warn.*lost NATS'
	ok "SIG$how to the broker: and that it is back" wait_for 60 logged 'prog=hsm-front.*connected to NATS'
done

# ---- stopping with requests in hand ----
# each request is sent once: one that was taken must be answered, others find nobody
for round in 1 2 3; do
	many alice sign -1 -w 64 -d 30000 -s 2 k 0 >"$W/many" 2>"$W/many.err" &
	client=$!
	wait_for 60 begun || bail "no signatures"
	sleep 0.$round
	mark
	stop_hsm
	is "SIGTERM under load: exit status ($round)" $? 0
	# requests that were not sent yet wait for the next
	start_hsm && wait_for 60 health --ready || bail "restart"
	wait $client
	ok "SIGTERM under load: there were answers ($round)" test "$(counted OK)" -gt 0
	is "SIGTERM under load: none was taken and not answered ($round)" "$(counted lost)" 0
	is "SIGTERM under load: no wrong answer ($round)" "$(counted bad)" 0
done

# ---- who may publish what ----
violations() { grep -c "$1 Violation.*$2" "$W/nats.log"; }
violated() { [ "$(violations Publish "$1")" -ge 1 ]; }
echo hello >"$W/hello"
ask() { "$T/e2e/nats_req" -t "${3:-60000}" "$W/$1.nk" "$2" "$W/hello" "$W/reply"; }
ok "alice may ask as herself" ask alice "hsm.as.${NKEY[alice]}.sign.k"
rm "$W/reply"
instance=$(as admin state --json | jq -r .instance)
for s in "hsm.as.${NKEY[bob]}.sign.k" "hsm.i.$instance.${NKEY[bob]}" "_INBOX.${NKEY[bob]}.x" \
	"\$SYS.REQ.USER.INFO.x" "\$SRV.PING" "hsm.other"; do
	ok "alice cannot publish on ${s:0:24}…" test ! -e "$W/reply"
	ask alice "$s" 700 2>/dev/null && is "alice on $s" answered refused
	wait_for 60 violated "${s//\$/\\\$}"
	is "the broker refused it" "$(violations Publish "${s//\$/\\\$}")" 1
done
for s in "hsm.as.${NKEY[alice]}.sign.k" "hsm.i.$instance.${NKEY[alice]}" foo; do
	ask hsm "$s" 700 2>/dev/null
	ok "the service's user cannot publish on ${s:0:24}…" wait_for 60 violated "$s"
done
fails 1 'Permissions Violation' "a client of one user with another's login gets nowhere" \
	env HSM_NKEY="$W/bob.nk" NATS_NKEY="$W/alice.nk" "$T/e2e/hsm_many" -d 10000 sign k 1
PATIENCE=10 fails 4 'refuses these credentials' "a stranger does not come in" as stranger state
as bob sign k "$W/hello" -o "$W/sig"
is "bob may sign as himself" $? 0

# ---- discovery ----
srv() { "$T/e2e/nats_req" -t 60000 "$W/monitor.nk" "\$SRV.$1" /dev/null - | python3 -c '
import json, re, sys
verb, m = sys.argv[1], json.load(sys.stdin)
assert m["type"] == "io.nats.micro.v1.%s_response" % verb, m["type"]
assert m["name"] == "signbox-hsm" and re.fullmatch(r"[A-Za-z0-9_-]+", m["id"])
assert re.fullmatch(r"\d+\.\d+\.\d+.*", m["version"])
assert all(isinstance(v, str) for v in m["metadata"].values())
if verb != "ping":
    assert {e["name"] for e in m["endpoints"]} == {"open", "session", "plain"}
for e in m.get("endpoints", []):
    assert isinstance(e["subject"], str)
    assert e.get("queue_group", "") is not None
    if verb == "info":
        assert isinstance(e.get("metadata", {}), dict)
    if verb == "stats":
        for k in "num_requests", "num_errors", "processing_time", "average_processing_time":
            assert isinstance(e[k], int) and e[k] >= 0, k
        assert isinstance(e["last_error"], str)
if verb == "info":
    assert isinstance(m["description"], str)
if verb == "stats":
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", m["started"])
    assert sum(e["num_requests"] for e in m["endpoints"]) > 0
' "${1,,}"; }
for verb in PING INFO STATS; do ok "\$SRV.$verb is what ADR-32 wants" srv $verb; done
if command -v nats >/dev/null; then
	ok "the nats command lists it" sh -c "nats --nkey $W/monitor.nk micro ls | grep signbox-hsm"
else
	TAP_N=$((TAP_N + 1))
	echo "ok $TAP_N - the nats command lists it # SKIP there is no nats command here"
fi

# ---- credentials that the broker refuses ----
stop_hsm
cp "$W/hsm.nk" "$W/hsm.right" && cat "$W/stranger.nk" >"$W/hsm.nk"
mark
hsmd -c "$W/hsm.yaml" run >>"$W/hsm.log" 2>&1 &
HSM_PID=$!
ok "the log tells of unknown credentials" wait_for 60 logged 'level=(warn|error).*credentials'
fails 7 'nats=down' "and the service is not up" health
# the administrator of the broker adds it
sed -i "s/${NKEY[hsm]}/${NKEY[stranger]}/" "$W/nats.conf" && kill -HUP "$NATS_PID"
ok "and it comes up when the broker knows it" wait_for 15 health
stop_hsm
sed -i "s/${NKEY[stranger]}/${NKEY[hsm]}/" "$W/nats.conf"
kill -HUP "$NATS_PID"

# ---- a login that may not listen ----
cat "$W/alice.nk" >"$W/hsm.nk"
mark
hsmd -c "$W/hsm.yaml" run >>"$W/hsm.log" 2>&1 &
HSM_PID=$!
ok "the log tells that the broker does not let the service listen" \
	wait_for 60 logged 'level=warn.*Permissions Violation for Subscription to .*hsm.open'
ok "and health that it cannot be reached" wait_for 5 health_says nats=down
stop_hsm
cp "$W/hsm.right" "$W/hsm.nk"
stop_nats

# ---- TLS ----
ca() { # ca NAME: a CA of its own
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$W/$1.key" \
		-out "$W/$1.pem" -subj "/CN=$1" -days 2 2>/dev/null
}
cert() { # cert NAME CA EXTENSION: key and certificate
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$W/$1.key" \
		-out "$W/$1.csr" -subj "/CN=$1" 2>/dev/null &&
		openssl x509 -req -in "$W/$1.csr" -CA "$W/$2.pem" -CAkey "$W/$2.key" -CAcreateserial \
			-days 2 -extfile <(echo "$3") -out "$W/$1.pem" 2>/dev/null && chmod 600 "$W/$1.key"
}
ca ca && ca other && cert server ca "subjectAltName=IP:127.0.0.1" &&
	cert client ca "extendedKeyUsage=clientAuth" && cert false other "subjectAltName=IP:127.0.0.1" &&
	cert elsewhere ca "subjectAltName=DNS:elsewhere.example" || bail "openssl"
with_tls() { # with_tls NAME [option]: a broker with this certificate
	local name=$1
	shift
	start_nats "${users[@]}" --tls-cert "$W/$name.pem" --tls-key "$W/$name.key" "$@"
	NATS_URL=tls://127.0.0.1:$NATS_PORT
}
tls_config() { # tls_config LINE…
	write_config && printf '  %s\n' "$@" >>"$W/hsm.yaml"
}
refused() { # refused NAME: the service does not take this broker, and says why
	mark
	hsmd -c "$W/hsm.yaml" run >>"$W/hsm.log" 2>&1 &
	HSM_PID=$!
	ok "$1: the service says so" wait_for 60 logged 'level=(warn|error).*prog=hsm-front.*NATS'
	fails 7 'nats=down' "$1: and stays away" health
	PATIENCE=10 fails 7 'TLS' "$1: a client, too" as alice sign k "$W/hello"
	stop_hsm
	stop_nats
}

with_tls server || bail "nats-server with TLS"
tls_config "ca: $W/ca.pem"
start_hsm || bail "no start with TLS"
wait_for 10 health --ready
export NATS_CA=$W/ca.pem
ok "TLS: signs" as alice sign k "$W/hello" -o "$W/sig"
NATS_CA='' PATIENCE=10 fails 7 'TLS' "TLS: a client without the CA refuses" as alice sign k "$W/hello"
kill -9 "$NATS_PID" && wait "$NATS_PID" 2>/dev/null
run_nats
ok "TLS: comes back after the broker did" wait_for 15 health
ok "TLS: and signs" as alice sign k "$W/hello" -o "$W/sig"
stop_hsm
stop_nats

with_tls false || bail "nats-server"
refused "a broker with another CA's certificate"
with_tls elsewhere || bail "nats-server"
refused "a broker with another host's certificate"

with_tls server --tls-ca "$W/ca.pem" || bail "nats-server with client certificates"
tls_config "ca: $W/ca.pem" "cert: $W/client.pem" "key: $W/client.key"
start_hsm || bail "no start with a client certificate"
wait_for 10 health --ready
PATIENCE=10 fails 7 'TLS|not connected|no NATS server' "mutual TLS: a client without a certificate is refused" as alice sign k "$W/hello"
export NATS_CERT=$W/client.pem NATS_KEY=$W/client.key
ok "mutual TLS: signs" as alice sign k "$W/hello" -o "$W/sig"
NATS_CERT=$W/false.pem NATS_KEY=$W/false.key PATIENCE=10 fails 7 'TLS|not connected|no NATS server' \
	"mutual TLS: another CA's client is refused" as alice sign k "$W/hello"
ok "the audit log verifies" as admin audit verify
stop_hsm
is "it stops in order" $? 0
done_testing
