#!/bin/bash
# Random damage of the database file at rest: whatever is hit, the service either works
# with every key, or tells what is wrong and exits or stays locked; it never hangs and
# never loses a key silently. SEED=N repeats the damage of an earlier run.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

ROUNDS=${ROUNDS:-20}
SEED=${SEED:-$RANDOM}
echo "# seed $SEED"

# damage FILE ROUND: prints what it did
damage() {
	python3 - "$1" "$((SEED * 1000 + $2))" <<-'EOF'
		import os, random, sys
		path, r = sys.argv[1], random.Random(int(sys.argv[2]))
		size, page = os.path.getsize(path), 4096
		pages = size // page
		def put(f, at, b): f.seek(at); f.write(b)
		with open(path, "r+b") as f:
		    what = r.choice(["bytes", "bits", "zero page", "random page", "swap pages",
		                     "copy page", "truncate", "head", "both heads"])
		    if what == "bytes":
		        for _ in range(r.randint(1, 40)):
		            put(f, r.randrange(size), bytes([r.randrange(256)]))
		    elif what == "bits":
		        at = r.randrange(size); f.seek(at); b = f.read(1)[0]
		        put(f, at, bytes([b ^ 1 << r.randrange(8)]))
		    elif what == "zero page":
		        put(f, r.randrange(pages) * page, bytes(page))
		    elif what == "random page":
		        put(f, r.randrange(pages) * page, r.randbytes(page))
		    elif what in ("swap pages", "copy page"):
		        a, b = (r.randrange(2, pages) for _ in range(2))
		        f.seek(a * page); pa = f.read(page); f.seek(b * page); pb = f.read(page)
		        put(f, a * page, pb)
		        if what == "swap pages": put(f, b * page, pa)
		    elif what == "truncate":
		        f.truncate(r.randrange(size))
		    elif what == "head":
		        put(f, r.randrange(2) * page + r.randrange(150), r.randbytes(8))
		    else:
		        put(f, 0, r.randbytes(2 * page))
		print(what)
	EOF
}

up 'workers: 1' || bail "the service does not start"
HSM_NKEY=$W/admin.nk NATS_NKEY=$W/admin.nk "$T/e2e/hsm_many" keys k 300 -w 32 -d 120000 >"$W/made" || bail "keys"
for i in 1 2 3 4 5; do as admin key rm "k.$i" --yes >/dev/null 2>&1; done
stop_hsm
cp -a "$W/data" "$W/good"
cp "$W/anchor/anchor" "$W/good.anchor"

# outcome: what became of a start, in end. hsmd may exit (8: damaged), tell a problem, or
# work. (Not in a subshell: that cannot wait for hsmd.)
outcome() {
	local until=$((SECONDS + 60)) line
	end=hangs
	while [ "$SECONDS" -lt "$until" ]; do
		if ! kill -0 "$HSM_PID" 2>/dev/null; then
			wait "$HSM_PID"
			end="exit $?"
			return
		fi
		line=$(health 2>/dev/null)
		case $line in
		*state=operational*problem=none*) end=works && return ;;
		*problem=none*) ;;
		*problem=*) end=$(sed 's/.*problem=\([A-Z_]*\).*/problem \1/' <<<"$line") && return ;;
		esac
		sleep 0.05
	done
}

works() {
	[ "$(as admin key ls --json | jq length)" = 295 ] &&
		as alice sign k.77 "$W/hsm.yaml" -o "$W/sig" && as admin key gen fresh
}

for round in $(seq 1 "$ROUNDS"); do
	rm -rf "$W/data" "$XDG_CONFIG_HOME" && cp -a "$W/good" "$W/data"
	cp "$W/good.anchor" "$W/anchor/anchor"
	what=$(damage "$W/data/store/data.mdb" "$round")
	: >"$W/hsm.log"
	hsmd -c "$W/hsm.yaml" run >>"$W/hsm.log" 2>&1 &
	HSM_PID=$!
	outcome
	case $end in
	works) ok "$round: $what: works, with every key" works ;;
	"exit 8") ok "$round: $what: exit status 8, and why" grep -Eqi 'level=error.*(damaged|newer|not a store|device key)' "$W/hsm.log" ;;
	"problem STORE_DAMAGED" | "problem ROLLED_BACK" | "problem WRONG_DEVICE_KEY" | "problem STORE_NEWER")
		ok "$round: $what: ${end#* }, and why" grep -q 'level=error prog=hsm-keyd' "$W/hsm.log"
		;;
	*)
		is "$round: $what" "$end" "works, or one of the documented ends"
		sed 's/^/# /' "$W/hsm.log" | tail -20
		;;
	esac
	if kill -0 "$HSM_PID" 2>/dev/null; then
		stop_hsm
		rc=$?
		# it may have given up by itself meanwhile, which health cannot tell
		[ $rc = 8 ] && grep -Eq 'prog=hsmd.*(the store cannot be used|stopping: a process cannot start)' "$W/hsm.log" ||
			[ $rc = 0 ] || { is "$round: $what, $end: stops in order" $rc 0 && sed 's/^/# /' "$W/hsm.log" | tail -20; }
	fi
	HSM_PID=
done
rm -rf "$W/data" "$XDG_CONFIG_HOME" && cp -a "$W/good" "$W/data"
cp "$W/good.anchor" "$W/anchor/anchor"
start_hsm || bail "the copy does not start"
operational() { health --ready; }
wait_for 10 operational
ok "the undamaged copy works" works
done_testing
