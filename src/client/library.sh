#!/bin/sh
# Makes libsignbox-client.a for other people's programs, and what pkg-config says about it:
#
#   library.sh VERSION HEADER OUT.a ARCHIVE…
#
# One object with what the functions of HEADER need of the archives, and no other name to
# be seen: whatever a program calls its own functions, they do not meet ours.
set -eu
version=$1 header=$2 out=$3
shift 3
dir=${out%/*}
mkdir -p "$dir"
names=$(sed -n '/^typedef/d; s/^[^ #*].*[ *]\(signbox_[a-z_]*\)(.*/\1/p' "$header")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
printf '%s\n' "$names" >"$tmp/names"
# shellcheck disable=SC2046,SC2086
ld -r --gc-sections -o "$tmp/all.o" $(printf -- '-u %s\n' $names) --start-group "$@" --end-group
objcopy --keep-global-symbols="$tmp/names" --strip-debug "$tmp/all.o" "$tmp/signbox-client.o"
rm -f "$out"
ar rcsD "$out" "$tmp/signbox-client.o"
cat >"$dir/signbox-client.pc" <<END
Name: signbox-client
Description: Signatures from a Signbox HSM, over NATS
Version: $version
Libs: -lsignbox-client
Libs.private: -lnats_static -l25519 -lrandombytes -pthread
Requires.private: libprotobuf-c libssl libcrypto libsodium jansson
END
