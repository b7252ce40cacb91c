#!/bin/bash
# clang-format of the lock, so that its version is the same for everybody.
set -u
cd "$(dirname "$0")/../.." || exit 1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mapfile -t files < <(find src tests -name '*.[ch]' | sort)
echo 1..2
if out=$(printf '%s\0' "${files[@]}" | xargs -0 -n 40 -P "$(nproc)" clang-format --dry-run -Werror 2>&1); then
	echo "ok 1 - ${#files[@]} files"
else
	grep -E 'error:' <<<"$out" | cut -d: -f1 | sort | uniq -c | sed 's/^/# /'
	echo "# repair with: clang-format -i FILE (in the test rootfs)"
	echo "not ok 1 - ${#files[@]} files"
fi
cp .clang-format "$tmp"
printf 'int  f( void ) {\n  return 0; }\n' >"$tmp/bad.c"
if clang-format --dry-run -Werror "$tmp/bad.c" 2>/dev/null; then
	echo "not ok 2 - self-check: a badly formatted file is found"
else
	echo "ok 2 - self-check: a badly formatted file is found"
fi
