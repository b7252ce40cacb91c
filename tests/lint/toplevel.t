#!/usr/bin/perl
# The top level has the entries of the design, and nothing else.
use strict;
use warnings;
use Test::More;

my %may = map { $_ => 1 } qw(Makefile images rootfs src nats compose debug tests docs README.md
	LICENSE VERSION build);

sub unexpected {
	return sort grep { !/^\./ && !$may{$_} } @_;
}

opendir my $d, '.' or die $!;
is(join(' ', unexpected(readdir $d)), '', 'only the entries of the design');
is(join(' ', unexpected('src', 'notes.txt', '.ci')), 'notes.txt', 'self-check: another one is found');
done_testing;
