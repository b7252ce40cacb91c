#!/bin/bash
# A front that floods keyd and does not read, played by hostile_flood.c.
exec "$T/e2e/hostile_flood"
