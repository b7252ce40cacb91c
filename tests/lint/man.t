#!/bin/bash
# mandoc's lint on every man page.
set -u
cd "$(dirname "$0")/../.." || exit 1
shopt -s nullglob
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
pages=(docs/man/*.[1-9])
echo 1..$((${#pages[@]} + 1))
n=0
for p in "${pages[@]}"; do
	n=$((n + 1))
	if out=$(mandoc -T lint -W warning "$p" 2>&1); then
		echo "ok $n - $p"
	else
		sed 's/^/# /' <<<"$out"
		echo "not ok $n - $p"
	fi
done
printf '.Dd $Mdocdate$\n.Dt X\n.Sh NAME\n.Bl -bullet\n' >"$tmp/bad.1"
if mandoc -T lint -W warning "$tmp/bad.1" >/dev/null 2>&1; then
	printf 'not '
fi
echo "ok $((n + 1)) - self-check: a bad page is found"
