#!/bin/bash
# A captured store while changes are made, played by hostile_commit.c; at the end the
# real hsm-store, killed again and again.
exec "$T/e2e/hostile_commit"
