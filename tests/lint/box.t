#!/usr/bin/perl
# The tables of docs/images/box.md have every command of nats and nsc and every option of
# nk and nats-top, and say nothing of what is there that it is not. Where the originals
# are (tests/interop/tools.sh), every command of theirs is in a table, and every option of
# theirs that ours lacks is named.
use strict;
use warnings;
use lib 'tests/lint';
use JSON::PP;
use Lint;
use Test::More;

my $bin = $ENV{BIN} // 'build/bin';
my $tools = ($ENV{BUILD} // 'build') . '/tools/bin';

sub run {
	my $pid = open(my $p, '-|') // die $!;
	if (!$pid) {
		open STDIN, '<', '/dev/null';
		open STDERR, '>&', \*STDOUT;
		exec @_ or exit 127;
	}
	local $/;
	return <$p> // '';
}

# Rows of a section: [status, [names], text]; a name "kv *" is a pattern.
sub rows {
	my ($doc, $tool) = @_;
	my ($section) = $doc =~ /^### \Q$tool\E\n(.*?)(?=^##|\z)/ms;
	my @rows;
	while (($section // '') =~ /^\| (`.*?) \| (same|better|not there) \|(.*)\|$/mg) {
		my ($names, $status, $text) = ($1, $2, $3);
		push @rows, [$status, [$names =~ /`([^`]+)`/g], $text];
	}
	return @rows;
}

sub fits {
	my ($pattern, $name) = @_;
	return $pattern eq $name || ($pattern =~ /^(.*) \*$/ && index($name, "$1 ") == 0);
}

# What is wrong between the rows, our names and theirs (undef: unknown).
sub wrong {
	my ($rows, $ours, $theirs) = @_;
	my @bad;
	for my $n (@$ours) {
		my @in = grep { my $r = $_; grep { fits($_, $n) } @{$r->[1]} } @$rows;
		push @bad, "$n is in no row" unless @in;
		push @bad, "$n is there" if grep { $_->[0] eq 'not there' } @in;
	}
	for my $r (@$rows) {
		for my $p (@{$r->[1]}) {
			my $ours_has = grep { fits($p, $_) } @$ours;
			push @bad, "$p is not there" if $r->[0] ne 'not there' && !$ours_has;
			push @bad, "the original has no $p"
				if $r->[0] eq 'not there' && $theirs && !grep { fits($p, $_) } @$theirs;
		}
	}
	for my $n (@{$theirs // []}) {
		push @bad, "$n of the original is in no row" unless grep { my $r = $_; grep { fits($_, $n) } @{$r->[1]} } @$rows;
	}
	return join("\n", @bad);
}

# Options of theirs that ours lacks and no row of the command names.
sub unsaid {
	my ($rows, $ours, $theirs, @always) = @_;
	my @bad;
	for my $n (grep { $ours->{$_} } sort keys %$theirs) {
		my $text = join ' ', map { $_->[2] } grep { my $r = $_; grep { fits($_, $n) } @{$r->[1]} } @$rows;
		for my $o (@{$theirs->{$n}}) {
			next if grep { $_ eq $o } @{$ours->{$n}}, @always, 'help', 'version';
			push @bad, "$n: --$o is not named" unless $text =~ /`--\Q$o\E`/;
		}
	}
	return join("\n", @bad);
}

sub table {
	my ($t) = @_;
	return map { ($_->{path} =~ s/\|\S*//gr) => [map { $_->{name} } @{$_->{options}}] } @{$t->{commands}};
}

# natscli: fisk knows its own commands; nsc: cobra shows them, group by group.
sub walk_fisk {
	my ($node, $path, $options) = @_;
	my @o = (@$options, map { $_->{name} } @{$node->{flags} // []});
	my @subs = @{$node->{commands} // []};
	return ("@$path" => [@o]) unless @subs;
	return map { walk_fisk($_, [@$path, $_->{name}], \@o) } @subs;
}

sub walk_cobra {
	my ($program, @path) = @_;
	my $help = run($program, @path, '--help');
	my ($list) = $help =~ /^Available Commands:\n((?:  .*\n)+)/m;
	return map { walk_cobra($program, @path, $_) } grep { $_ ne 'help' } $list =~ /^  (\S+)/mg if $list;
	my ($flags) = $help =~ /^Flags:\n((?:  .*\n)+)/m;
	return ("@path" => [($flags // '') =~ /--([\w-]+)/g]);
}

my $doc = slurp('docs/images/box.md');
my %original;
if (-x "$tools/nats") {
	my $top = decode_json(run("$tools/nats", '--fisk-introspect'));
	delete $top->{flags};
	$original{nats} = { walk_fisk($top, [], []) };
	local $ENV{HOME} = $ENV{TMPDIR} // '/tmp';
	$original{nsc} = { walk_cobra("$tools/nsc") };
} else {
	diag('not run: the commands of the original tools (tests/interop/tools.sh needs Go)');
}

for my $tool ('nats', 'nsc') {
	my $t = decode_json(run("$bin/signbox", $tool, '--help-json'));
	my %ours = table($t);
	my @global = map { $_->{name} } @{$t->{options}};
	# built in, not a row of a table
	$ours{"completion $_"} = [] for $tool eq 'nsc' ? qw(bash zsh fish) : ();
	my @rows = rows($doc, $tool);
	my $theirs = $original{$tool};
	cmp_ok(scalar @rows, '>', 10, "box.md has a table of $tool");
	is(wrong(\@rows, [sort keys %ours], $theirs && [sort keys %$theirs]), '', "$tool: all commands are in it");
	is(unsaid(\@rows, \%ours, $theirs, @global), '', "$tool: it names the options that are not there") if $theirs;
}
for my $tool ('nk', 'nats-top') {
	my $t = decode_json(run("$bin/signbox", $tool, '--help-json'));
	my @ours = map { "-$_->{name}" } grep { $_->{name} !~ /^help|^version$|^display-/ } @{$t->{options}};
	is(wrong([rows($doc, $tool)], \@ours, undef), '', "$tool: all options are in it");
}
my @rows = rows("### x\n| `a b`, `c *` | same | |\n| `d` | not there | no `--q` |\n", 'x');
is(wrong(\@rows, ['a b', 'd', 'e'], ['f']),
	"d is there\ne is in no row\nc * is not there\nthe original has no d\nf of the original is in no row",
	'self-check: what is wrong is found');
is(unsaid(\@rows, { 'a b' => ['x'] }, { 'a b' => ['x', 'y'] }), 'a b: --y is not named', 'self-check: so are options');
done_testing;
