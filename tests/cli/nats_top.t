#!/bin/bash
# nats-top: Go's flag syntax, texts and statuses, and what needs no server.
set -u
BIN=$(realpath "${BIN:-build/bin}")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
n=0

ok() { # STATUS-OF-CONDITION NAME
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		sed 's/^/# out: /' out
		sed 's/^/# err: /' err
	fi
}

refuses() { # NAME TEXT ARG…: status 1, one line on stderr, nothing on stdout
	local name=$1 want=$2 rc
	shift 2
	timeout 30 "$BIN/signbox" nats-top "$@" >out 2>err </dev/null
	rc=$?
	[ $rc = 1 ] && [ ! -s out ] && [ "$(wc -l <err)" = 1 ] && grep -qF -- "$want" err
	ok $? "$name"
}

says() { # NAME PATTERN ARG…: status 0 and a line of stdout
	local name=$1 want=$2 rc
	shift 2
	timeout 30 "$BIN/signbox" nats-top "$@" >out 2>err </dev/null
	rc=$?
	[ $rc = 0 ] && [ ! -s err ] && grep -qE -- "$want" out
	ok $? "$name"
}

says '-v' '^nats-top v[0-9]' -v
says '--version' '^nats-top v[0-9]' --version
says '-h shows help' '^usage: nats-top \[-s server\]' -h
says '-help lists each flag' '^  -display-subscriptions-column ' -help
says '-help-json' '"name":"sort","arg":"BY"' -help-json
refuses 'an unknown flag' 'flag provided but not defined: -foo' -foo
refuses 'a flag without its value' 'flag needs an argument: -s' -s
refuses 'no number' 'invalid value "x" for flag -n: parse error' -n x
refuses 'a number out of range' 'value out of range' -n 99999999999999999999
refuses 'no bool' 'invalid boolean value "maybe" for -b: parse error' -b=maybe
refuses 'bad syntax' 'bad flag syntax: ---b' ---b
refuses 'a port that is none' '-m must be from 1 to 65535' -m 0
refuses 'no refresh interval' '-d must be from 1' -d 0
refuses 'no connection' '-n must be from 1' -n 0
refuses 'an unknown order' 'invalid option to sort by: size' -sort size
refuses 'parts of an order are none' 'invalid option to sort by: ci' -sort ci
refuses 'two orders are none' 'invalid option to sort by: cid|subs' -sort 'cid|subs'
refuses 'no host' 'invalid monitoring endpoint' -s ''
refuses 'no host in a URL' 'invalid monitoring endpoint' -s http://
refuses 'an unknown scheme' 'only http, https, nats and tls are known' -s ftp://x
refuses 'a port that is no number' 'is no port' -s http://127.0.0.1:http
refuses 'an unclosed bracket' 'is no address' -s 'http://[::1'
refuses 'a host with a blank' 'invalid monitoring endpoint' -s 'a b'
refuses 'nobody listens' 'smoke test failed: 127.0.0.1:1 refuses connections' -m 1 -o -
refuses 'nobody listens on IPv6' '[::1]:1 refuses connections' -s '[::1]:1' -o -
refuses 'half a client certificate' 'needs both -cert and -key' -ms 1 -cert x
refuses 'no such context' 'nosuch' -context nosuch -o -
echo x >bad.creds
refuses 'creds that are none' 'bad.creds' -creds bad.creds -s nats://127.0.0.1:1 -o -
echo "1..$n"
