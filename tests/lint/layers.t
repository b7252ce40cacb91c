#!/usr/bin/perl
# Every #include "…" in src/ stays within the layers that the table of src/README.md allows.
use strict;
use warnings;
use lib 'tests/lint';
use Lint;
use Test::More;

sub table {
	my %may;
	for (split /\n/, $_[0]) {
		next unless m{^\|\s*`([a-z/]+)/`\s*\|.*\|\s*([^|]*?)\s*\|$};
		$may{$1} = [grep { length } split /[\s,]+/, $2];
	}
	return \%may;
}

# Longest folder of the table that a path is in.
sub layer {
	my ($may, $path) = @_;
	my ($best) = sort { length $b <=> length $a } grep { index($path, "$_/") == 0 } keys %$may;
	return $best;
}

sub reach {
	my ($may, $from) = @_;
	my %seen;
	my @todo = ($from, 'base');
	while (defined(my $l = pop @todo)) {
		push @todo, @{$may->{$l} // []} unless $seen{$l}++;
	}
	return \%seen;
}

# Complaints about one file (path below src/).
sub check {
	my ($may, $path, $text, $exists) = @_;
	my @bad = ("$path: its folder is not in the table");
	my $own = layer($may, $path) or return @bad;
	my $ok = reach($may, $own);
	@bad = ();
	while ($text =~ /^\s*#\s*include\s+"([^"]+)"/mg) {
		my $inc = $1;
		my $l = layer($may, $inc);
		if (!$exists->($inc)) {
			push @bad, "$path: no src/$inc";
		} elsif (!$l || !$ok->{$l}) {
			push @bad, "$path: $own must not include $inc";
		}
	}
	return @bad;
}

my $may = table(slurp('src/README.md'));
ok(keys %$may > 5 && $may->{base}, 'the table of src/README.md is read');
for my $l (sort keys %$may) {
	my @unknown = grep { !$may->{$_} } @{$may->{$l}};
	is("@unknown", '', "$l names known folders");
	ok(!grep({ $_ ne $l && reach($may, $_)->{$l} } @{$may->{$l}}), "$l is in no cycle");
}
my @bad = map { check($may, s{^src/}{}r, slurp($_), sub { -f "src/$_[0]" }) } files(qr{\.[ch]$}, 'src');
is("@bad", '', 'every include stays within its layers') or diag(join "\n", @bad);

# the test itself: these must be found
my $t = table("| `base/` | x | |\n| `a/` | x | base |\n| `b/` | x | a |\n");
my @found = check($t, 'a/x.c', qq{#include "b/y.h"\n#include "base/z.h"\n#include "a/gone.h"\n},
	sub { $_[0] ne 'a/gone.h' });
is(scalar @found, 2, 'self-check: a forbidden and a missing include are found');
is(scalar check($t, 'c/x.c', '', sub { 1 }), 1, 'self-check: an unknown folder is found');
is(scalar check($t, 'b/x.c', qq{#include "base/z.h"\n}, sub { 1 }), 0, 'self-check: transitive is fine');
done_testing;
