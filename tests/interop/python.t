#!/bin/bash
# docs/PROTOCOL.md against the service and against tests/vectors, by a client that was
# written from the document alone (python/signbox.py).
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
if ! python3 -c 'import cryptography' 2>/dev/null; then
	echo '1..0 # SKIP no python3-cryptography here: the protocol was not checked by the second client'
	exit 0
fi
up >&2 || bail 'the service does not start'
export W SRC
python3 -B "$SRC/tests/interop/python/check.py" || bail 'the checks did not come to their end'
