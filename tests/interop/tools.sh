#!/bin/bash
# The originals of the toolbox (nats, nsc, nk, nats-top of the versions in tools/go.mod)
# as static programs in build/tools/bin, where tests/interop compares with them, and the
# npm libraries for NKeys and JWTs in build/tools/npm, and the schemas of Kubernetes in
# build/tools/pypi. On the host; cached by what is asked for. Never fails: without Go, npm
# or pip the tests say that they were not run.
set -u
cd "$(dirname "$0")/tools" || exit 0
out=$(realpath -m ../../../build/tools)
say() { echo "interop tools: $*"; }

stamp() { cat "$@" | sha256sum | cut -c1-64; }

go_tools() {
	local want have
	want=$(stamp go.mod go.sum)
	have=$(cat "$out/go.stamp" 2>/dev/null)
	[ "$want" = "$have" ] && [ -x "$out/bin/nsc" ] && return
	if ! command -v go >/dev/null; then
		say "no Go here: comparisons with the original tools will not be run"
		return
	fi
	mkdir -p "$out/bin"
	if env CGO_ENABLED=0 GOFLAGS=-mod=readonly GOTOOLCHAIN=local GOBIN="$out/bin" \
		timeout 900 go install -trimpath tool >"$out/go.log" 2>&1; then
		echo "$want" >"$out/go.stamp"
		say "nats, nats-top, nk, nsc are in build/tools/bin"
	else
		say "go install failed (build/tools/go.log): $(tail -1 "$out/go.log")"
	fi
}

npm_libraries() {
	local want have
	want=$(stamp package.json)
	have=$(cat "$out/npm.stamp" 2>/dev/null)
	[ "$want" = "$have" ] && return
	if ! command -v npm >/dev/null; then
		say "no npm here: the npm libraries will not be tried"
		return
	fi
	mkdir -p "$out/npm" && cp package.json "$out/npm/"
	if (cd "$out/npm" && timeout 300 npm install --no-audit --no-fund --ignore-scripts) \
		>"$out/npm.log" 2>&1; then
		# the test rootfs has no node: the host's goes with it
		cp -L "$(command -v node)" "$out/npm/node" && echo "$want" >"$out/npm.stamp"
		say "nkeys.js, @nats-io/nkeys, @nats-io/jwt are in build/tools/npm"
	else
		say "npm install failed (build/tools/npm.log): $(tail -1 "$out/npm.log")"
	fi
}

schemas() {
	local want have
	want=$(stamp requirements.txt)
	have=$(cat "$out/pypi.stamp" 2>/dev/null)
	[ "$want" = "$have" ] && return
	if ! command -v pip >/dev/null; then
		say "no pip here: the manifests for Kubernetes will not be held against its schemas"
		return
	fi
	rm -rf "$out/pypi" && mkdir -p "$out/pypi"
	if timeout 300 pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
		--only-binary :all: -r requirements.txt -d "$out/pypi" >"$out/pypi.log" 2>&1; then
		echo "$want" >"$out/pypi.stamp"
		say "the schemas of Kubernetes are in build/tools/pypi"
	else
		say "pip download failed (build/tools/pypi.log): $(tail -1 "$out/pypi.log")"
	fi
}

go_tools
npm_libraries
schemas
exit 0
