#!/bin/bash
# A captured front, played by hostile_front.c, against the real hsm-keyd.
exec "$T/e2e/hostile_front"
