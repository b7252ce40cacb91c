#!/bin/bash
# A captured store, played by hostile_store.c, against the real hsm-keyd.
exec "$T/e2e/hostile_store"
