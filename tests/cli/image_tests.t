#!/usr/bin/perl
# The tests that stand in images/*.yaml, each in the image that `make images` built, with
# nothing of the host but a few devices.
use strict;
use warnings;
use File::Path qw(make_path remove_tree);
use File::Temp 'tempdir';
use JSON::PP;
use Test::More;

my ($ocibuild, $inside, $dir) = ("$ENV{BIN}/ocibuild", "$ENV{T}/e2e/in_image", "$ENV{BUILD}/images");
plan skip_all => 'images are not built: run `make images`' unless -e "$dir/index.json";
chdir $ENV{SRC} or die;
# on the disk of the build folder: dev is large, and links between trees must be possible
my $tmp = tempdir('images-XXXXXX', DIR => $ENV{BUILD}, CLEANUP => 1);
chmod 0755, $tmp;

sub slurp { open my $f, '<', $_[0] or die "$_[0]: $!"; local $/; return scalar(<$f>) // '' }
sub blob { return "$dir/blobs/sha256/" . ($_[0] =~ s/^sha256://r) }
sub quiet { system(@_) == 0 or die "@_" }

my %manifest;
for my $m (@{decode_json(slurp("$dir/index.json"))->{manifests}}) {
	my $ref = $m->{annotations}{'org.opencontainers.image.ref.name'} // next;
	$manifest{$ref} = decode_json(slurp(blob($m->{digest}))) unless $ref =~ /:/;
}

# The tree of some layers: that of all but the last, linked, and the last one over it.
# tar removes what it replaces, so that it never writes into another tree's file.
my %tree;
sub tree {
	my (@digests) = @_;
	my $key = join ' ', @digests;
	return $tree{$key} //= do {
		my $top = pop @digests;
		my $at = "$tmp/" . keys %tree;
		$tree{$key} = $at;
		@digests ? quiet('cp', '-al', tree(@digests), $at) : make_path($at);
		my $form = slurp_head(blob($top)) eq "\x28\xb5\x2f\xfd" ? '--zstd' : '-z';
		quiet("tar -x $form -p --numeric-owner --same-owner --exclude='dev/*' -C $at -f " . blob($top));
		# an engine makes what it mounts over
		make_path(map { "$at/$_" } qw(dev proc dbg));
		mkdir "$at/tmp" and chmod 01777, "$at/tmp";
		$at;
	};
}
sub slurp_head { open my $f, '<:raw', $_[0] or die; read $f, my $b, 4; return $b }
sub image_tree { return tree(map { $_->{digest} } @{$manifest{$_[0]}{layers}}) }

my $debug = image_tree('busybox');
SKIP: {
	skip 'no right to mount', 1
		if system("$inside $debug 0:0 / ro -- /bin/true >$tmp/why 2>&1") && slurp("$tmp/why") =~ /Operation not permitted/;
	for my $name (sort keys %manifest) {
		my $d = decode_json(scalar `$ocibuild show --expanded --json $name`);
		my $cfg = decode_json(slurp(blob($manifest{$name}{config}{digest})))->{config};
		cmp_ok(scalar @{$d->{tests}}, '>', 0, "$name has tests");
		run_test($name, $_, $cfg, image_tree($name)) for @{$d->{tests}};
	}
}

# Fresh copies of what can be written to, for all commands of one test.
sub volumes {
	my ($root, $cfg) = @_;
	my $at = "$tmp/state";
	my @binds;
	remove_tree($at);
	mkdir $at or die;
	for my $v ('/tmp', sort keys %{$cfg->{Volumes} // {}}) {
		my $from = "$at/" . @binds;
		mkdir $from or die;
		my @st = stat "$root$v" or die "$root$v: $!";
		chown $st[4], $st[5], $from;
		chmod $st[2] & 07777, $from;
		push @binds, "$from:$v";
	}
	return @binds;
}

sub run_test {
	my ($name, $t, $cfg, $root) = @_;
	my %env = ((map { split /=/, $_, 2 } @{$cfg->{Env}}), %{$t->{env}});
	my @env = map { "$_=$env{$_}" } sort keys %env;
	my $command = $t->{command} // [@{$cfg->{Entrypoint} // []},
		@{$t->{args}} || $cfg->{Entrypoint} ? @{$t->{args}} : (), @{$t->{args}} ? () : @{$cfg->{Cmd} // []}];
	my @enter = ('timeout', '60', 'env', '-i', @env, $inside, $root, $t->{user} || $cfg->{User} || '0:0',
		$cfg->{WorkingDir} || '/', $t->{read_only} ? 'ro' : 'rw', volumes($root, $cfg),
		$t->{debug} ? "$debug:/dbg" : (), '--');
	for my $before (@{$t->{before}}) {
		my ($rc, $out) = output(@enter, @$before);
		return fail("$name: $t->{name}: @$before") || diag($out) if $rc;
	}
	my ($rc, $out) = output(@enter, @$command);
	my $good = $rc == $t->{status} && ($t->{output} eq '' || grep { 1 } matches($t->{output}, $out));
	ok($good, "$name: $t->{name}") or diag("@$command: status $rc, wanted $t->{status} /$t->{output}/\n$out");
}

# As a POSIX extended regular expression, of any line.
sub matches {
	my ($re, $out) = @_;
	open my $f, '>', "$tmp/out" or die;
	print $f $out;
	close $f;
	return $re eq '^$' ? $out eq '' : system('grep', '-E', '-q', '--', $re, "$tmp/out") == 0;
}

sub output {
	my (@command) = @_;
	my $pid = open(my $f, '-|') // die;
	if (!$pid) {
		open STDIN, '<', '/dev/null';
		open STDERR, '>&', \*STDOUT;
		exec @command or exit 125;
	}
	local $/;
	my $out = <$f>;
	close $f;
	return ($? & 127 ? 128 + ($? & 127) : $? >> 8, $out // '');
}
done_testing;
