#!/usr/bin/perl
# Files of at most 700 lines, functions of at most 80, a Makefile of about 200 (at most 215).
use strict;
use warnings;
use lib 'tests/lint';
use Lint;
use Test::More;

use constant { FILE => 700, FUNCTION => 80, MAKEFILE => 215 };

# clang-format puts the braces of a function's body into the first column.
sub check {
	my ($path, $text) = @_;
	my (@bad, $start);
	my @lines = split /\n/, $text;
	push @bad, "$path: " . @lines . ' lines' if @lines > FILE;
	for my $i (0 .. $#lines) {
		$start = $i if $lines[$i] =~ /^\{/;
		next unless $lines[$i] =~ /^\}/ && defined $start;
		my $n = $i - $start + 1;
		push @bad, "$path:" . ($start + 1) . ": a function of $n lines" if $n > FUNCTION;
		undef $start;
	}
	return @bad;
}

my @bad = map { check($_, slurp($_)) } files(qr{\.[ch]$}, 'src', 'tests');
is("@bad", '', 'sizes of C files and functions') or diag(join "\n", @bad);
my $lines = () = slurp('Makefile') =~ /\n/g;
cmp_ok($lines, '<=', MAKEFILE, 'size of the Makefile');

my $long = "int f(void)\n{\n" . "\tx();\n" x 79 . "}\n";
is(scalar check('x.c', $long), 1, 'self-check: a long function is found');
is(scalar check('x.c', "\n" x 700 . "x\n"), 1, 'self-check: a long file is found');
is(scalar check('x.c', "int f(void)\n{\n" . "\tx();\n" x 78 . "}\n"), 0, 'self-check: 80 lines are fine');
done_testing;
