# What the tests of command lines share: a folder of their own, which is the current one,
# and `ok`. Sourced by bash scripts. A script that starts something defines `at_end`,
# which is called at the end.
# shellcheck shell=bash
set -u
BIN=$(realpath "${BIN:-build/bin}")
SRC=$(realpath "${SRC:-.}")
T=$(realpath "${T:-build/test}")
export BIN SRC T
tmp=$(mktemp -d)
n=0

at_end() { :; }
trap 'at_end; rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

ok() { # STATUS-OF-CONDITION NAME: out, err and log tell more when it is not
	local f
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
		return
	fi
	echo "not ok $n - $2"
	for f in out err log; do
		[ ! -e "$f" ] || tail -40 "$f" | sed "s/^/# $f: /"
	done
}
