#!/usr/bin/perl
# Bit for bit: every image of images/ from one lock in three folders, under another umask,
# time zone, language, host name, clock and number of threads, with the network cut, as
# root and as an ordinary user; dev too, whose rootfs is made anew. Takes a minute.
use strict;
use warnings;
use Digest::SHA;
use File::Path qw(make_path remove_tree);
use File::Temp 'tempdir';
use JSON::PP;
use Test::More;

my ($ocibuild, $later, $online) = ("$ENV{BIN}/ocibuild", "$ENV{T}/e2e/ocibuild_later", "$ENV{T}/ocibuild");
# on disk: /tmp is memory, and these are large; what a killed run left goes after a day
remove_tree(grep { -M > 1 } glob "$ENV{BUILD}/repro-*");
my $tmp = tempdir('repro-XXXXXX', DIR => $ENV{BUILD}, CLEANUP => 1);
chmod 0755, $tmp;

sub slurp { open my $f, '<', $_[0] or return undef; local $/; return scalar(<$f>) // '' }

sub run {
	my ($cmd) = @_;
	my $rc = system("{ $cmd; } >$tmp/out 2>$tmp/err </dev/null");
	return ($rc & 127 ? -1 : $rc >> 8, slurp("$tmp/out"), slurp("$tmp/err"));
}

sub ok_run {
	my ($cmd, $name) = @_;
	my ($rc, $out, $err) = run($cmd);
	is($rc, 0, $name) or diag(substr($out . $err, -2000));
	return $out;
}

sub digest_of { return Digest::SHA->new(256)->addfile($_[0], 'b')->hexdigest }

# path => digest of every file of a layout
sub layout {
	my ($dir) = @_;
	my %d;
	for (split /\n/, `cd $dir && find . -type f`) {
		$d{$_} = digest_of("$dir/$_");
	}
	return \%d;
}

plan skip_all => 'no download cache (SIGNBOX_CACHE)' unless -d ($ENV{SIGNBOX_CACHE} // '') . '/sha256';
plan skip_all => 'no rootfs dev: run `make`' unless -e "$ENV{BUILD}/rootfs/dev.stamp";

# one state of the inputs, whatever happens to the sources meanwhile
my $inputs = "$tmp/inputs";
make_path("$inputs/build", "$inputs/src/client");
system("cp -r $ENV{SRC}/images $ENV{SRC}/rootfs $ENV{SRC}/LICENSE $ENV{SRC}/VERSION $inputs/"
	. " && cp $ENV{SRC}/src/client/signbox.h $inputs/src/client/"
	. " && cp -r $ENV{BIN} $ENV{BUILD}/lib $inputs/build/") == 0 or die;
$ocibuild = "$inputs/build/bin/ocibuild";

sub project {
	my ($dir) = @_;
	system('cp', '-r', $inputs, $dir) == 0 or die;
}

# the master that is there, without its lock: another user could not take that
sub lend_rootfs {
	my ($dir) = @_;
	make_path("$dir/build/rootfs");
	for (qw(dev.tar dev.tar.sha256 dev.stamp)) {
		link("$ENV{BUILD}/rootfs/$_", "$dir/build/rootfs/$_") or die "$_: $!";
	}
}

# ---- the first ---------------------------------------------------------------
my $one = "$tmp/one";
project($one);
lend_rootfs($one);
is((run("cd $one/build/rootfs && sha256sum --quiet -c dev.tar.sha256"))[0], 0, 'the rootfs is the one that was made');
ok_run("cd $one && $ocibuild build", 'a build');
my $first = layout("$one/build/images");
my $names = decode_json(ok_run("cd $one && $ocibuild ls --json", 'its images'));
my @rootfs = map { $_->{name} } grep { -e "$one/build/rootfs/$_->{name}.tar" } @$names;
is("@rootfs", 'dev', 'dev is among ' . @$names . ' images');
cmp_ok(scalar(keys %$first), '>', 3 * @$names, 'index, manifests, configurations, layers');

# ---- another host ------------------------------------------------------------
# the clock is another one: what lay in the cache since just now is more than a day old
make_path("$tmp/cache/tmp");
for my $c (['0', 1, 'an unshifted clock'], [400 * 86400, 0, 'a clock that is 400 days ahead']) {
	open my $f, '>', "$tmp/cache/tmp/get-x" or die;
	close $f;
	run("cd $one && SIGNBOX_CACHE=$tmp/cache CLOCK_SHIFT=$c->[0] $later ls");
	is(-e "$tmp/cache/tmp/get-x" ? 1 : 0, $c->[1], "self-check: $c->[2]");
}
SKIP: {
	skip 'not run: another host name and no network (no right to unshare)', 6
		if system("unshare --uts --net true 2>/dev/null");
	my $other = "$tmp/a-longer-name-of-another/folder";
	make_path("$tmp/a-longer-name-of-another");
	project($other);
	my $env = "umask 077; export TZ=Asia/Tokyo LANG=tr_TR.UTF-8 LC_ALL=tr_TR.UTF-8 USER=x HOME=/nonexistent CLOCK_SHIFT=34560000";
	my $out = ok_run("cd $other && unshare --uts --net sh -c '$env; hostname another 2>/dev/null || echo another >/proc/sys/kernel/hostname;"
		. " uname -n; ip -o link show up; $online fetch --offline --locked && exec $later build -j 3'",
		'a build elsewhere, later, with the network cut');
	my ($name, @rest) = split /\n/, $out;
	is($name, 'another', '… under another host name');
	unlike($rest[0] // '', qr/^\d+: /, '… without an interface that is up');
	is(digest_of("$other/build/rootfs/dev.tar"), digest_of("$one/build/rootfs/dev.tar"), '… its own rootfs is the same');
	my $second = layout("$other/build/images");
	is_deeply($second, $first, '… and so is every blob, and the index');
	# and this test can tell: one bit in a text
	my ($file) = glob "$other/build/images/blobs/sha256/*";
	open my $f, '+<', $file or die;
	syswrite $f, chr(ord(substr(slurp($file), 0, 1)) ^ 1);
	close $f;
	isnt(layout("$other/build/images")->{'./blobs/sha256/' . $file =~ s{.*/}{}r}, $file =~ s{.*/}{}r, 'self-check: one bit');
	remove_tree($other);
}

# ---- an ordinary user --------------------------------------------------------
SKIP: {
	skip 'not run: as another user (not root here)', 2 if $>;
	my $user = "$tmp/user";
	project($user);
	lend_rootfs($user);
	system("chown -R 12345:12345 $user/build/bin $user/build/lib $user/src $user/images $user/rootfs && chown 12345:12345 $user $user/build $user/build/rootfs") == 0 or die;
	ok_run("cd $user && umask 027; exec setpriv --reuid 12345 --regid 12345 --clear-groups $ocibuild build -j 1",
		'a build as an ordinary user, with one thread');
	is_deeply(layout("$user/build/images"), $first, '… gives the same bytes');
	remove_tree($user);
}
diag('not run here: the rootfs in the name spaces of an ordinary user (tests/host/repro does, and .ci/run runs it)');

# ---- what make images left ---------------------------------------------------
# name => digest of all that decided an image
sub inputs_of {
	my ($dir) = @_;
	my $known = decode_json(slurp("$dir/images.json") // '{}');
	return {map { $_ => $known->{$_}{inputs} } keys %$known};
}
# name => digest of every image. Not of its documents: provenance may name a commit, and
# then that is a tag, too.
sub rows {
	my ($dir) = @_;
	my $index = decode_json(slurp("$dir/index.json"));
	return {map { $_->{annotations}{'org.opencontainers.image.ref.name'} => $_->{digest} }
		grep { ($_->{annotations}{'org.opencontainers.image.ref.name'} // ':' . '0' x 12) !~ /:[0-9a-f]{12}(?:-|$)/ }
		@{$index->{manifests}}};
}
SKIP: {
	my ($theirs, $ours) = map { inputs_of($_) } $ENV{BUILD}, "$one/build";
	skip 'not run: build/images is of other inputs (run `make images`)', 2
		if grep { ($theirs->{$_} // '') ne ($ours->{$_} // '') } keys %$theirs, keys %$ours;
	my $made = rows("$ENV{BUILD}/images");
	cmp_ok(scalar keys %$made, '>', 5, '`make images` left images');
	is_deeply($made, rows("$one/build/images"), 'what `make images` left is the same');
}
done_testing;
