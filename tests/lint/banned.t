#!/usr/bin/perl
# Functions that have a safer form, and memcmp on what looks secret.
use strict;
use warnings;
use lib 'tests/lint';
use Lint;
use Test::More;

my $banned = join '|', qw(strcpy strcat stpcpy sprintf vsprintf gets atoi atol atoll atof
	strtok system popen alloca tmpnam tempnam mktemp rand srand random asctime ctime
	scanf fscanf);
# words of secrets and of authenticators, which take constant time (secret_equal)
my $secret = qr/secret|seed|priv|passw|passph|\bmac\b|_mac\b|\btag\b|_tag\b|token|hmac|sealed_key/i;

sub check {
	my ($path, $text) = @_;
	my (@bad, $n);
	for (split /\n/, code($text)) {
		$n++;
		push @bad, "$path:$n: $1" if /(?<![\w.>])($banned)\s*\(/;
		# freed by every return, so it must be set before the first
		push @bad, "$path:$n: CLEAN without a value" if /\bCLEAN\(\w+\)([^;(]*);/ && grep { !/=/ } split /,(?![^{]*\})/, $1;
		next unless /\b(memcmp|bcmp)\s*\(([^;]*)/;
		my ($call, $args) = ($1, $2);
		push @bad, "$path:$n: $call on a secret: $args" if $args =~ $secret;
	}
	return @bad;
}

my @bad = map { check($_, slurp($_)) } files(qr{\.[ch]$}, 'src');
is("@bad", '', 'no banned function in src/') or diag(join "\n", @bad);

is(scalar check('x.c', "strcpy(a, b);\n"), 1, 'self-check: strcpy is found');
is(scalar check('x.c', "x = atoi (s);\n"), 1, 'self-check: atoi with a space is found');
is(scalar check('x.c', "CLEAN(buf) struct buf a = {0}, b;\n"), 1, 'self-check: CLEAN without a value is found');
is(scalar check('x.c', "CLEAN(buf) struct buf a = {0}, b = {0};\n"), 0, 'self-check: CLEAN with values is fine');
is(scalar check('x.c', "if (memcmp(mac, got_mac, 16))\n"), 1, 'self-check: memcmp on a MAC is found');
is(scalar check('x.c', "/* strcpy(a) */ strtok_r(a, \"system()\", &s); my_system(1); x->rand(2);\n"), 0,
	'self-check: comments, strings and longer names are fine');
done_testing;
