#!/bin/bash
# Every image runs on every engine: the tests of its definition, read-only, without
# capabilities and without new privileges; as a user id that nobody knows, too.
# shellcheck source=tests/containers/lib.sh
. "${BASH_SOURCE%/*}/lib.sh"
RANDOM_USER=1000650000:0 # as OpenShift gives them

json() { jq -r "$1" <<<"$TEST"; }
strings() { jq -r "$1 // [] | .[] | @base64" <<<"$TEST"; }

# decode NAME: lines of base64 on stdin into an array; arguments may have any character
decode() {
	local -n into=$1
	local line
	into=()
	while read -r line; do
		into+=("$(base64 -d <<<"$line"; printf x)")
		into[-1]=${into[-1]%x}
	done
}

# Files that the commands of one test share: the image's volumes and /tmp.
share() { # ENGINE IMAGE
	local v
	FILES=()
	while read -r v; do
		[ -n "$v" ] || continue
		VOLUME_N=$((${VOLUME_N:-0} + 1))
		volume "$1" "v$VOLUME_N"
		FILES+=(-v "$CT-v$VOLUME_N:$v")
	done < <("$1" image inspect -f '{{json .Config.Volumes}}' "signbox/$2" | jq -r '. // {} | keys[]'; echo /tmp)
}

# in_image ENGINE IMAGE NAME COMMAND…: runs it; what it leaves in the root is in $ROOT
in_image() {
	local e=$1 entry=()
	shift
	[ "$1" = args ] || entry=(--entrypoint "$2")
	local n=2
	[ "$1" = args ] || n=3
	run timeout 120 "$e" run --name "$CT-one" "${OPTIONS[@]}" "${FILES[@]}" "${entry[@]}" "$ROOT" "${@:$n}"
}

run_test() { # ENGINE IMAGE [USER]
	local e=$1 image=$2 user=${3:-} name words=() env=() i n
	name="$e $image: $(json .name)${user:+ (user $user)}"
	ROOT=signbox/$image
	OPTIONS=(--network none --security-opt no-new-privileges)
	# root in a dev image is root: apt needs it
	[ "$VARIANT" = dev ] || OPTIONS+=(--cap-drop ALL)
	[ "$(json .read_only)" = false ] || OPTIONS+=(--read-only)
	user=${user:-$(json '.user // ""')}
	[ -z "$user" ] || OPTIONS+=(--user "$user")
	[ "$(json .debug)" != true ] || { dbg "$e" && OPTIONS+=("${DBG[@]}"); }
	decode env < <(jq -r '.env // {} | to_entries[] | "\(.key)=\(.value)" | @base64' <<<"$TEST")
	for i in "${env[@]}"; do OPTIONS+=(-e "$i"); done
	share "$e" "$image"
	MADE+=("$e container $CT-one")
	n=$(json '.before // [] | length')
	for ((i = 0; i < n; i++)); do
		decode words < <(strings ".before[$i]")
		in_image "$e" command "${words[@]}"
		if [ "$rc" != 0 ]; then
			check "$name: command $((i + 1)) before it"
			"$e" rm -f "$CT-one" >/dev/null 2>&1
			return
		fi
		# what it wrote into the root is there for the next one
		[ "$(json .read_only)" != false ] || { "$e" commit "$CT-one" "$CT-root" >/dev/null 2>&1 && ROOT=$CT-root; }
		"$e" rm -f "$CT-one" >/dev/null
	done
	if [ "$(json '.command == null')" = true ]; then
		decode words < <(strings .args)
		in_image "$e" args "${words[@]}"
	else
		decode words < <(strings .command)
		in_image "$e" command "${words[@]}"
	fi
	"$e" rm -f "$CT-one" >/dev/null 2>&1
	[ "$rc" = "$(json '.status // 0')" ] && { [ -z "$(json '.output // ""')" ] ||
		printf '%s\n%s\n' "$out" "$err" | grep -qE -- "$(json .output)"; }
	result $? "$name" || { diag && printf '# wanted: status %s, %s\n' "$(json '.status // 0')" "$(json '.output // ""')"; }
	[ "$ROOT" = "signbox/$image" ] || "$e" rmi -f "$ROOT" >/dev/null 2>&1
}

# what every image must do, whatever it is for
common() { # ENGINE IMAGE
	local e=$1 image=$2 f
	run "$e" image inspect -f '{{.Config.User}}' "signbox/$image"
	if [ "$VARIANT" = runtime ]; then
		is "$e $image: the user is a number" "$out" 65532:65532
		# `ocibuild check` looks for all others, under any name
		for f in /bin/sh /usr/bin/apt-get; do
			fails "… there is no $f" 'no such file|not found' \
				"$e" run --rm --entrypoint "$f" "signbox/$image" --version
		done
	fi
}

one_image() { # ENGINE IMAGE
	local e=$1 image=$2 i n
	"$BIN/ocibuild" show --expanded --json "$image" >"$W/show.json" || {
		ok "show $image" false
		return
	}
	VARIANT=$("$e" image inspect -f '{{index .Config.Labels "signbox.variant"}}' "signbox/$image")
	common "$e" "$image"
	n=$(jq '.tests // [] | length' "$W/show.json")
	ok "$e $image: its definition has tests ($n)" [ "$n" -gt 0 ]
	for ((i = 0; i < n; i++)); do
		TEST=$(jq -c ".tests[$i]" "$W/show.json")
		run_test "$e" "$image"
		# what users type must work for any user; files of volumes are the image's user's
		[ "$VARIANT" != runtime ] || [ "$(json '.args != null and .before == [] and .user == ""')" != true ] ||
			run_test "$e" "$image" "$RANDOM_USER"
	done
}

all() {
	local n
	for n in $(images); do one_image "$1" "$n"; done
}
for_engines all
done_testing
