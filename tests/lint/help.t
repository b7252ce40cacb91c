#!/usr/bin/perl
# Every command of every program has help and an example, and the examples are command
# lines that the program takes: words, options and number of operands.
use strict;
use warnings;
use JSON::PP;
use Test::More;
use Text::ParseWords;

my $bin = $ENV{BIN} // 'build/bin';
my @programs = (
	['hsmd', "$bin/hsmd"], ['hsm-testing', "$bin/hsm-testing"], ['ocibuild', "$bin/ocibuild"],
	map { [$_, "$bin/signbox", $_] } qw(hsm mesh nats nats-config nats-top nk nsc pause),
);
binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

# Output and status of a command, without a shell.
sub run {
	my $pid = open(my $p, '-|') // die $!;
	if (!$pid) {
		open STDERR, '>', '/dev/null';
		exec @_ or exit 127;
	}
	local $/;
	my $out = <$p> // '';
	close $p;
	return ($out, $?);
}

# The words of an example up to a pipe or redirection, without variables in front.
sub command {
	my ($line) = @_;
	$line =~ s/^(?:\w+=\S+ )+//;
	$line =~ s/^[^'"|]* \| (?=nats )//;
	$line =~ s/\$\([^)]*\)/X/g;
	$line =~ s/ +(?:[|<]|[0-9]?>|&&).*//;
	return shellwords($line);
}

# --help behind the program's name: everything is parsed, nothing is done.
sub wrong {
	my ($program, $line) = @_;
	my ($name, @call) = @$program;
	return () if $line =~ /^\w[\w-]*$|^source </;
	my ($first, @words) = command($line);
	return ("$line: is about another program") if $first ne $name;
	my ($out, $status) = run(@call, '--help', @words);
	return ("$line: status " . ($status >> 8)) if $status;
	return $out =~ /^Usage: \Q$name\E \[OPTION/m && @words && $words[0] !~ /^-/ ? ("$line: no command") : ();
}

sub without {
	my ($t) = @_;
	my @bad;
	push @bad, 'the program has no help' unless length($t->{help} // '');
	# programs with flags alone say it in their -help
	push @bad, 'the program has no example' unless $t->{program} || map { @{$_->{examples} // []} } $t,
		grep { !length $_->{path} } @{$t->{commands} // []};
	for my $c (@{$t->{commands} // []}) {
		push @bad, "'$c->{path}' has no help" unless length($c->{help} // '');
		push @bad, "'$c->{path}' has no example" unless @{$c->{examples}} || !length $c->{path};
	}
	for my $c ($t, @{$t->{commands} // []}) {
		push @bad, map { "option $_->{name} has no help" } grep { !length($_->{help} // '') } @{$c->{options} // []};
	}
	return @bad;
}

for my $p (@programs) {
	my ($name, @call) = @$p;
	my $t = decode_json((run(@call, '--help-json'))[0]);
	is(join("\n", without($t)), '', "$name: each command has help and an example");
	my @lines = map { @{$_->{examples} // []} } $t, @{$t->{commands} // []};
	next unless @lines;
	is(join("\n", map { wrong($p, $_) } @lines), '', "$name: its " . @lines . ' examples are right');
}
for my $a ('nk', 'nats-top') {
	my ($out) = run("$bin/signbox", $a, '-help');
	like($out, qr/$a -\w+ /, "$a -help has an example");
}
is(scalar without({ help => '', commands => [{ path => 'x', help => '', examples => [] }] }), 4,
	'self-check: missing help and examples are found');
my ($hsm) = grep { $_->[0] eq 'hsm' } @programs;
is(join('', wrong($hsm, 'hsm key gen k --nope')), 'hsm key gen k --nope: status 2',
	'self-check: a wrong example is found');
is(join('', wrong($hsm, 'hsm key generate k')), 'hsm key generate k: status 2',
	'self-check: so is a wrong command');
done_testing;
