#!/bin/bash
# docs/PROTOCOL.md and its vectors are enough for a client in another language.
exec python3 "$SRC/tests/e2e/vectors.py"
