#!/bin/bash
# What holds when store, front and users make trouble at a bad moment (failures.c).
exec "$T/e2e/failures"
