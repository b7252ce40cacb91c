#!/usr/bin/perl
# The documents say what is there: links and paths lead somewhere, THREATS.md names tests
# that exist, CONFIGURATION.md has every setting as hsmd has it, and the man pages have
# every command and option of the programs' own tables (--help-json).
# `tests/lint/docs.t --settings` prints the table for CONFIGURATION.md.
use strict;
use warnings;
use lib 'tests/lint';
use File::Basename;
use JSON::PP;
use Lint;
use Test::More;

my $bin = $ENV{BIN} // 'build/bin';
my @pages = (
	['hsmd.8', "$bin/hsmd"], ['hsm.1', "$bin/signbox", 'hsm'], ['mesh.1', "$bin/signbox", 'mesh'], ['nk.1', "$bin/signbox", 'nk'],
	['nats-config.1', "$bin/signbox", 'nats-config'], ['nats.1', "$bin/signbox", 'nats'], ['nats-top.1', "$bin/signbox", 'nats-top'], ['nsc.1', "$bin/signbox", 'nsc'], ['ocibuild.1', ($ENV{T} // 'build/test') . '/ocibuild'],
	['ocibuild.1', "$bin/ocibuild"],
);

sub run {
	open my $p, '-|', @_ or return '';
	local $/;
	return <$p> // '';
}

sub setting_rows {
	my $list = decode_json(run("$bin/hsmd", 'settings', '--json'));
	return map {
		my %s = map { $_ => $_[0] } ();
		my ($env, $def) = map { length $_ ? "`$_`" : '' } $_->{env}, $_->{default};
		"| `$_->{key}` | $_->{kind} | $env | $def | $_->{help} |";
	} @$list;
}

if (($ARGV[0] // '') eq '--settings') {
	binmode STDOUT, ':utf8';
	print map { "$_\n" } setting_rows();
	exit;
}

# Relative links, and `paths` below a folder of this repository.
sub dead {
	my ($file, $text) = @_;
	my $dir = dirname($file);
	my @bad;
	while ($text =~ /\]\(([^)#]+)(?:#[^)]*)?\)/g) {
		my $to = $1;
		push @bad, "$file: link $to" unless $to =~ /^\w+:/ || -e "$dir/$to";
	}
	while ($text =~ m{`((?:src|tests|docs|images|nats|rootfs)/[\w./*-]+)`}g) {
		my @there = grep { -e } glob $1 =~ s/NAME.*/*/r;
		push @bad, "$file: path $1" unless @there;
	}
	return @bad;
}

# `tests/x/y` (name; name): the file has these names.
sub unknown_tests {
	my ($text) = @_;
	my @bad;
	while ($text =~ m{`(tests/[\w./-]+)` \(([^()|]+)\)}g) {
		my ($path, $names) = ($1, $2);
		my $code = -e $path ? slurp($path) : '';
		push @bad, "$path: $_" for grep { index($code, $_) < 0 } split /; /, $names;
	}
	return @bad;
}

# In mdoc a command is "Cm key gen", an option "Fl -type".
sub missing {
	my ($page, $help) = @_;
	my @bad;
	for my $c ({ path => '', options => $help->{options} }, @{$help->{commands} // []}) {
		# aliases ("stream|str add") are not repeated there
		my $path = $c->{path} =~ s/\|\S*//gr;
		push @bad, "command $path" if length $path && $page !~ /Cm \Q$path\E(?![\w-])/;
		for my $o (@{$c->{options} // []}) {
			push @bad, "$c->{path} --$o->{name}" unless $page =~ /Fl -?\Q$o->{name}\E(?![\w-])/;
		}
	}
	return @bad;
}

my @docs = files(qr{\.md$});
my @bad = map { dead($_, slurp($_)) } @docs;
is("@bad", '', 'links and paths lead somewhere') or diag(join "\n", @bad);
@bad = unknown_tests(slurp('docs/THREATS.md'));
is("@bad", '', 'THREATS.md names tests that exist') or diag(join "\n", @bad);

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);
my ($have) = slurp('docs/CONFIGURATION.md') =~ /^\| key \| kind .*\n\|[-|]+\n((?:\|.*\n)+)/m;
utf8::decode($have //= '');
is($have, join('', map { "$_\n" } setting_rows()), 'CONFIGURATION.md has the settings of hsmd');

my $man = slurp('docs/man/hsmd.8');
my @unsaid = grep { $man !~ /Va \Q$_\E(?![\w.])/ } map { /`([a-z_.]+)`/ } setting_rows();
is("@unsaid", '', 'hsmd.8 has every setting');

for (@pages) {
	my ($name, @program) = @$_;
	# nk has nkeys' own options and no table
	my $json = $name ne 'nk.1' ? decode_json(run(@program, '--help-json'))
		: { options => [map { { name => $_ } } run(@program, '--help') =~ /^ +-(\w+)/gm] };
	@bad = missing(slurp("docs/man/$name"), $json);
	is("@bad", '', "$name has every command and option") or diag(join "\n", @bad);
}

# Lists between ".\" table:" lines are from_table.py's, which says what to run.
for my $page (glob 'docs/man/*.[1-9]') {
	next unless slurp($page) =~ /^\.\\" table:/m;
	my $says = `docs/man/from_table.py --check $page 2>&1`;
	is($says, '', "$page is made from its table") or diag($says);
}
my $made = slurp('docs/man/nats.1');
my $tmp = ($ENV{TMPDIR} // '/tmp') . "/nats.1";
open my $out, '>', $tmp or die "$tmp: $!";
print $out $made =~ s/^\.It Cm rtt.*\n//mr;
close $out;
like(`docs/man/from_table.py --check $tmp 2>&1`, qr/run docs\/man\/from_table\.py/, 'self-check: a command that is missing in the list is found');
unlink $tmp;

is(scalar dead('docs/x.md', 'see [a](nowhere.md) and `src/nowhere/x.c`'), 2, 'self-check: dead ones are found');
is(scalar unknown_tests('`tests/lint/docs.t` (self-' . "chick)"), 1, 'self-check: an unknown test is found');
is(scalar missing('.It Cm run', { commands => [{ path => 'stop', options => [{ name => 'all' }] }] }), 2,
	'self-check: a command and an option that are missing are found');
done_testing;
