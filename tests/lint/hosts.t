#!/usr/bin/perl
# No address of a package mirror or registry and no path of somebody's machine.
use strict;
use warnings;
use lib 'tests/lint';
use Lint;
use Test::More;

my @rules = (
	[qr{(?:deb|ftp|security|snapshot|archive|httpredir|cdn-fastly)[\w.-]*\.debian\.(?:org|net)}i, 'a package mirror'],
	[qr{https?://[\w.-]*(?:mirror|artifactory|nexus|registry)[\w.-]*}i, 'a mirror or registry'],
	[qr{\b(?:proxy\.golang|registry\.npmjs|files\.pythonhosted|pypi|index\.docker|registry-1\.docker|ghcr|quay)\.(?:org|io|com)\b}i,
		'a registry'],
	[qr{(?<![\w.])/(?:work|home/(?!nonroot\b)[a-z]\w*|Users|tmp/boot|usr/local/bin/sbx)(?:/|\b)}, 'a path of a machine'],
	[qr{\b(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2,3}:\d+}, 'an address of a private network'],
);

sub check {
	my ($path, $text) = @_;
	my (@bad, $n);
	for my $line (split /\n/, $text) {
		$n++;
		for my $r (@rules) {
			push @bad, "$path:$n: $r->[1]: $&" if $line =~ $r->[0];
		}
	}
	return @bad;
}

my @bad = map { check($_, slurp($_)) } grep { $_ ne 'tests/lint/hosts.t' && -T $_ } files(qr{.});
is("@bad", '', 'no mirror, registry or machine path') or diag(join "\n", @bad);

is(scalar check('x', 'deb http://deb.' . 'debian.org/debian trixie main'), 1, 'self-check: a mirror is found');
is(scalar check('x', 'https://artifactory.example.com/x'), 1, 'self-check: a company mirror is found');
is(scalar check('x', 'cd /' . 'work/main && ls'), 1, 'self-check: a machine path is found');
is(scalar check('x', 'network /home/nonroot 127.0.0.1:4222 https://www.debian.org'), 0, 'self-check: others are fine');
done_testing;
