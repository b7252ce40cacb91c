#!/bin/bash
# Runs shellcheck on every shell script, found by its first line or its name.
set -u
cd "$(dirname "$0")/../.." || exit 1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mapfile -t files < <(
	find . -path ./build -prune -o -path ./.git -prune -o -type f -print | sort |
		while read -r f; do
			case $f in
			*.sh) echo "$f" ;;
			*) head -c 80 "$f" | head -1 | tr -d '\0' | grep -qE '^#!.*\b(ba|da)?sh\b' && echo "$f" ;;
			esac
		done
)
echo 1..2
if printf '%s\0' "${files[@]}" | xargs -0 -n 4 -P "$(nproc)" shellcheck -x -S warning >"$tmp/out" 2>&1; then
	echo "ok 1 - ${#files[@]} scripts"
else
	sed 's/^/# /' "$tmp/out"
	echo "not ok 1 - ${#files[@]} scripts"
fi
# shellcheck disable=SC2016
printf '#!/bin/sh\nif [ $a == 1 ]; then cd $b; fi\n' >"$tmp/bad.sh"
if shellcheck -S warning "$tmp/bad.sh" >/dev/null; then
	echo "not ok 2 - self-check: a bad script is found"
else
	echo "ok 2 - self-check: a bad script is found"
fi
