# Running the commands of a document: what tests/containers/guides.t does with docs/images,
# and others with theirs. Sourced after lib.sh.
#
# A fence ```console has commands ("$ " at the start of the line, "> " on lines that
# continue one) and below each command lines that must be in its output ("…" stands for
# anything). A fence with a language and a file name is that file. A fence ```text is only
# to be read. Nothing else is allowed, so that nothing is left out unseen. The commands say
# docker; with podman they run with podman in its place, and those that say podman run
# there only.
#
#   guide ENGINE FILE [GUIDE]    runs it; in the folder, and with the variables, of a guide
#                                that ran before
#   clear_engine ENGINE          removes all containers, networks and volumes
# shellcheck shell=bash disable=SC2154
RAN=0 ONLY_PODMAN=0

clear_engine() {
	local ids
	ids=$("$1" ps -aq) && [ -n "$ids" ] && xargs "$1" rm -f -v <<<"$ids"
	"$1" network prune -f
	ids=$("$1" volume ls -q) && [ -n "$ids" ] && xargs "$1" volume rm -f <<<"$ids"
} >/dev/null 2>&1

# splits GUIDE DIR: DIR/N.cmd and DIR/N.want for each command, files into DIR/files; prints
# what is wrong with the guide
splits() {
	awk -v dir="$2" '
	function close_command() { if (n) { close(dir "/" n ".cmd"); close(dir "/" n ".want") } }
	/^ *```/ && !fence {
		fence = 1; lang = $1; sub(/^ *```/, "", lang); file = $2; kind = "bad"
		if (lang == "console" && file == "") kind = "console"
		else if (lang == "text" && file == "") kind = "text"
		else if (file ~ /^[A-Za-z0-9._-]+$/) { kind = "file"; printf "" >(dir "/files/" file) }
		if (kind == "bad") print FILENAME ":" FNR ": a fence must be console, text or a file: " $0
		in_command = 0
		next
	}
	/^ *```/ { fence = 0; if (kind == "file") close(dir "/files/" file); next }
	!fence { next }
	kind == "file" { print >(dir "/files/" file) }
	kind == "console" && /^\$ / {
		close_command(); n++; in_command = 1
		print substr($0, 3) >(dir "/" n ".cmd"); printf "" >(dir "/" n ".want")
		next
	}
	kind == "console" && /^> / && in_command { print substr($0, 3) >(dir "/" n ".cmd"); next }
	kind == "console" && $0 != "" {
		if (!n) print FILENAME ":" FNR ": output without a command: " $0
		in_command = 0; print >(dir "/" n ".want")
	}
	END { if (fence) print FILENAME ": a fence is open at the end" }' "$1"
}

# every line of FILE is in $out or $err
shown() {
	local line pattern
	while IFS= read -r line; do
		pattern=$(sed 's/[][\.*^$+?(){}|]/\\&/g; s/ *…/.*/g' <<<"$line")
		printf '%s\n%s\n' "$out" "$err" | grep -qE -- "$pattern" || return 1
	done <"$1"
}

# A person takes a moment between two commands; a server may need it. What only asks is
# asked again, what makes something runs once. Variables stay for the next command.
run_command() { # FILE WANT PATH-PREFIX
	local i vars=$3/vars
	for i in {1..40}; do
		run timeout 120 env PATH="$3:$PATH" bash -c "
			BASE_NAMES=\$(compgen -v)
			[ ! -e '$vars' ] || . '$vars'
			set -o pipefail
			$(cat "$1")
			STATUS_OF_IT=\$?
			declare -p \$(compgen -v | grep -xE '[A-Z][A-Z0-9_]*' | grep -vxF -e BASE_NAMES -e STATUS_OF_IT -e PIPESTATUS \\
				-e \"\$BASE_NAMES\") BASH_VERSION | grep -v BASH_VERSION >'$vars'
			exit \$STATUS_OF_IT"
		[ "$rc" = 0 ] && shown "$2" && return 0
		grep -qE 'docker (logs|inspect|exec|ps)|run --rm|cat ' "$1" || return 1
		sleep 1
	done
	return 1
}

guide() { # ENGINE FILE [GUIDE]
	local e=$1 file=$2 dir at n i wrong name first
	name=$(basename "$file" .md)
	dir=$W/$e-$name
	at=$W/$e-${3:-$name}
	mkdir -p "$dir/files" "$at/files" "$at/bin"
	[ "$e" = docker ] || ln -sf "$(command -v "$e")" "$at/bin/docker"
	chmod 755 "$W" "$at" "$at/files"
	wrong=$(splits "$file" "$dir")
	is "$e: $name.md is well-formed" "$wrong" ''
	[ "$at" = "$dir" ] || cp -r "$dir/files/." "$at/files/"
	ln -sfn "$SRC/build" "$SRC/images" "$SRC/debug" "$at/files/"
	n=$(find "$dir" -maxdepth 1 -name '*.cmd' | wc -l)
	ok "… and has commands ($n)" [ "$n" -gt 0 ]
	cd "$at/files" || exit 1
	for ((i = 1; i <= n; i++)); do
		first=$(head -1 "$dir/$i.cmd")
		# only podman has it: another engine is not asked
		if [ "$e" != podman ] && grep -q '\bpodman ' "$dir/$i.cmd"; then
			ONLY_PODMAN=$((ONLY_PODMAN + 1))
			continue
		fi
		run_command "$dir/$i.cmd" "$dir/$i.want" "$at/bin"
		result $? "$e: $name: $first" || { diag && sed 's/^/# wanted: /' "$dir/$i.want"; }
		RAN=$((RAN + 1))
		[ "$e" != podman ] || keep_gateways
	done
	cd "$SRC" || exit 1
}
