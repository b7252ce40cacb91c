#!/usr/bin/perl
# ocibuild's commands with good and bad input, against a mirror in a folder and against
# a server that stalls and cuts off. Nothing here leaves the machine.
use strict;
use warnings;
use Cwd 'getcwd';
use Digest::SHA 'sha256_hex';
use File::Path qw(make_path remove_tree);
use IO::Socket::INET;
use Test::More;
use lib "$ENV{SRC}/tests/cli";
use Tool;

$ocibuild = "$ENV{T}/ocibuild";
my ($mirror, $cache) = ("$tmp/mirror", "$tmp/cache");
chdir $tmp or die;
$ENV{SIGNBOX_CACHE} = $cache;
$ENV{DEBIAN_MIRROR} = "file://$mirror";
$ENV{DEBIAN_SECURITY_MIRROR} = "file://$tmp/mirror-security";

sub cached { my @f = glob("$cache/sha256/*/*"); return scalar @f }
sub halves { my @f = glob("$cache/tmp/*"); return scalar @f }
sub forget { remove_tree($cache, 'build') }

my $spec = "summary: s\nsuites: [trixie, trixie-security]\npackages: [one, two]\n";
put('images/img.yaml', $spec);

# ---- usage -----------------------------------------------------------------
my $version = slurp("$ENV{SRC}/VERSION") =~ s/\n//r;
like((run("$ocibuild --version"))[1], qr/\Q$version\E/, '--version');
like((run("$ocibuild --help"))[1], qr/lock.*fetch.*rootfs.*enter/s, '--help lists the commands');
says('frobnicate', 2, qr/^ocibuild: [^\n]*\n$/, 'an unknown command is one line');
says('rootfs', 2, qr/^ocibuild: [^\n]*\n$/, 'a missing operand is one line');
says('lock --frob', 2, qr/frob/, 'an unknown option');
says('rootfs img', 1, qr/there is no images\/ocibuild.lock: run `make lock`/, 'no lock');
my ($rc, $out, $err) = run("$ENV{BIN}/ocibuild --help");
unlike($out, qr/^\s*(?:lock|fetch)\b/m, 'the static ocibuild neither locks nor fetches');

# ---- definitions -----------------------------------------------------------
for my $bad (
	["summary: s\ncolour: red\n", qr{images/img.yaml:2:.*colour}, 'an unknown key'],
	["summary: s\nsuites: [trixie]\npackages: [a b]\n", qr{images/img.yaml:3:.*a b}, 'a malformed package'],
	["summary: s\nsuites: [trixie]\npackages: [-o]\n", qr{images/img.yaml:3:}, 'a package like an option'],
	["summary: s\nsuites: [trixie]\npackages: [a, a]\n", qr{:3:.*twice}, 'a package twice'],
	["summary: s\npackages: [a]\n", qr{no suites}, 'no suites'],
	["suites: [trixie]\n", qr{summary}, 'no summary'],
	["summary: s\nbase: img\n", qr{images/img.yaml:2:.*cycle}, 'a cycle'],
	["summary: s\nbase: ../img\n", qr{images/img.yaml:2:}, 'a base outside'],
	["summary: s\nbase: gone\n", qr{gone.yaml}, 'a base that is missing'],
	["summary: s\nsuites: trixie\n", qr{images/img.yaml:2:}, 'a wrong type'],
	["summary: s\nslices:\n  - package: a\n    suite: forky\n    files: [../x]\n", qr{:5:}, 'a slice outside'],
	["summary: s\nslices:\n  - package: a\n    suite: forky\n    files: []\n", qr{:3:}, 'an empty slice'],
	["summary: [\n", qr{images/img.yaml:}, 'no YAML'],
) {
	put('images/img.yaml', $bad->[0]);
	says('lock --keyring none', 2, $bad->[1], $bad->[2]);
}
put('images/img.yaml', $spec);

# ---- a mirror in a folder --------------------------------------------------
sub package_file {
	my ($name, $ver) = @_;
	remove_tree("$tmp/p");
	put("$tmp/p/DEBIAN/control",
		"Package: $name\nVersion: $ver\nArchitecture: amd64\nMaintainer: n <n\@example.org>\nDescription: x\n");
	put("$tmp/p/usr/share/$name/text", "$name $ver\n" x 1000);
	make_path("$mirror/pool/main");
	my $deb = "$mirror/pool/main/${name}_${ver}_amd64.deb";
	system("dpkg-deb --root-owner-group -Znone -b $tmp/p $deb >/dev/null") == 0 or die;
	return $deb;
}

sub index_mirror {
	for my $m ([$mirror, 'trixie'], ["$tmp/mirror-security", 'trixie-security']) {
		my ($dir, $suite) = @$m;
		my $packages = '';
		for my $deb (glob "$dir/pool/main/*.deb") {
			my $text = slurp($deb);
			my $control = `dpkg-deb -f $deb`;
			$packages .= $control . 'Filename: ' . ($deb =~ s{^\Q$dir\E/}{}r) . "\nSize: " . length($text)
				. "\nSHA256: " . sha256_hex($text) . "\n\n";
		}
		put("$dir/dists/$suite/main/binary-amd64/Packages", $packages);
		put("$dir/dists/$suite/Release", "Origin: Debian\nSuite: stable\nCodename: $suite\n"
			. "Date: Sat, 31 Jan 2026 00:00:00 UTC\nArchitectures: amd64\nComponents: main\nSHA256:\n "
			. sha256_hex($packages) . ' ' . length($packages) . " main/binary-amd64/Packages\n");
	}
}

my %deb = map { $_ => package_file($_, '1.0') } qw(one two);
make_path("$tmp/mirror-security");
index_mirror();
says('lock', 1, qr/not signed|NO_PUBKEY|signed-by|InRelease|keyring/i, 'an unsigned archive is refused');
ok(!-e 'images/ocibuild.lock', '… and no lock is written');
says('lock --keyring relative.gpg', 2, qr/absolute path/, 'a relative keyring');
says('lock --keyring none', 0, qr/NOT verified/, 'lock says that nothing was verified');
my $lock = slurp('images/ocibuild.lock');
like($lock, qr/^date 2026-01-31T00:00:00Z$/m, 'its date is that of the newest Release');
like($lock, qr/^package debian trixie one 1\.0 amd64 [0-9a-f]{64} \d+ pool\/main\/one_1\.0_amd64\.deb img$/m, 'a row');
unlike($lock, qr/\Q$tmp\E|file:/, 'no address of the mirror');
says('lock --keyring none', 0, qr//, 'lock again');
is(slurp('images/ocibuild.lock'), $lock, '… gives the same text');
like((run("$ocibuild lock --check"))[1], qr/in force and complete/, 'lock --check');
like((run("$ocibuild lock --check --json"))[1], qr/"packages": 2/, 'lock --check --json');

# ---- fetch -----------------------------------------------------------------
like(says('fetch', 0, qr/^$/, 'fetch'), qr/fetched 2 packages/, '… says how many');
is(says('fetch', 0, qr/^$/, 'a second fetch'), '', '… does nothing');
is(cached(), 2, 'two files in the cache');
my ($any) = glob("$cache/sha256/*/*");
is(sha256_hex(slurp($any)), $any =~ s{.*/}{}r, 'they are named by their content');
says('fetch --offline', 0, qr/^$/, 'offline with a full cache');
my $full = "$tmp/full";
rename $cache, $full or die;
says('fetch --offline', 1, qr/one 1\.0.*\n.*two 1\.0.*\n.*offline/, 'offline with an empty cache');
says("fetch --offline --from $full", 0, qr/^$/, 'from another cache');
forget();
says("fetch --offline --from $mirror/pool/main", 0, qr/^$/, 'from a folder of packages');
is(cached(), 2, '… they are in the cache');
forget();
my $good = slurp($deb{one});
put($deb{one}, $good =~ s/one 1\.0/one 6.6/gr);
says('fetch', 8, qr/one 1\.0 \(trixie\): sha256 is [0-9a-f]{64}, the lock says [0-9a-f]{64}; refused/, 'a changed package');
says("fetch --offline --from $mirror/pool/main", 8, qr/one 1\.0.*refused/, '… also from a folder');
ok(!-e "$cache/sha256/" . substr(sha256_hex(slurp($deb{one})), 0, 2), '… is not in the cache');
is(halves(), 0, '… and no half of it');
put($deb{one}, "$good and more");
says('fetch', 8, qr/one 1\.0.*more than/, 'a package that is too long');
put($deb{one}, substr($good, 0, 100));
says('fetch', 8, qr/one 1\.0.*(?:100 bytes|cut)/, 'a package that is too short');
is(halves(), 0, '… no halves');
put($deb{one}, $good);

# a disk that is full: a file system of 16 KiB, where this test may mount one
SKIP: {
	forget();
	make_path($cache);
	my ($fs, $dir, $opt) = ('tmpfs', "$cache", 'size=16k');
	skip 'no right to mount', 2 unless syscall(165, $fs, $dir, $fs, 0, $opt) == 0;
	says('fetch', 1, qr/^ocibuild: [^\n]*No space left on device\n$/, 'a full disk is one clear error');
	is(cached(), 0, '… and leaves nothing');
	syscall(166, $dir, 2);
}

# ---- a server that stalls, cuts off, or fails ------------------------------
my $listen = IO::Socket::INET->new(Listen => 20, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die;
my $mode = "$tmp/mode";
my $server = fork // die;
if (!$server) {
	setpgrp;
	while (my $c = $listen->accept) {
		next if fork;
		my $line = <$c> // '';
		while (defined(my $h = <$c>)) { last if $h =~ /^\r?$/ }
		my ($path) = $line =~ m{^\w+ (\S+)};
		my $body = slurp("$mirror$path") // '';
		my $how = slurp($mode);
		if ($how eq 'error') { print $c "HTTP/1.1 503 no\r\nContent-Length: 0\r\n\r\n" }
		elsif ($how eq 'forbidden') { print $c "HTTP/1.1 403 no\r\nContent-Length: 4\r\n\r\nno.\n" }
		else {
			print $c "HTTP/1.1 200 ok\r\nContent-Length: " . length($body) . "\r\n\r\n" . substr($body, 0, 5000);
			$c->flush;
			sleep 60 if $how eq 'stall';
		}
		exit 0;
	}
	exit 0;
}
$SIG{CHLD} = 'DEFAULT';
my $http = 'http://127.0.0.1:' . $listen->sockport;
{
	local $ENV{DEBIAN_MIRROR} = $http;
	local $ENV{DEBIAN_SECURITY_MIRROR} = $http;
	forget();
	put($mode, 'cut');
	says('fetch', 1, qr/1\.0 \(trixie\): \S/, 'downloads that are cut off');
	put($mode, 'error');
	says('fetch', 1, qr/the mirror answers 503/, 'a mirror that is down');
	put($mode, 'forbidden');
	says('fetch', 1, qr/the mirror answers 403/, 'a mirror that refuses');
	is(cached() + halves(), 0, '… nothing is in the cache');
	put($mode, 'stall');
	my $pid = fork // die;
	if (!$pid) {
		open STDERR, '>', '/dev/null';
		exec $ocibuild, 'fetch' or die;
	}
	for (1 .. 100) {
		last if grep { -s } glob("$cache/tmp/*");
		select undef, undef, undef, 0.05;
	}
	ok(halves() > 0, 'a download is under way');
	kill 'KILL', $pid;
	waitpid $pid, 0;
	is(cached(), 0, 'killed: no half file has a name in the cache');
}
kill 'KILL', -$server;
waitpid $server, 0;
says('fetch', 0, qr/^$/, 'the next fetch completes');

# ---- a version that left the mirror ----------------------------------------
forget();
unlink $deb{one};
package_file('one', '1.1');
index_mirror();
says('lock --check', 1, qr/one 1\.0 left the mirror/, 'lock --check fails');
says('fetch --locked', 1, qr/one 1\.0 \(trixie\) left the mirror.*\n.*1 locked package is not to be had/, 'fetch --locked fails');
says('fetch --keyring none', 0, qr/warning: one 1\.0 \(trixie\) left the mirror.*NOT of the committed lock/s, 'fetch locks anew and says so');
like(slurp('build/ocibuild.lock'), qr/^replaces [0-9a-f]{64}\n.*one 1\.1 /ms, 'below the build folder');
is(slurp('images/ocibuild.lock'), $lock, 'the committed lock is untouched');
says('fetch', 0, qr/not the committed lock/, 'the next fetch uses it, and says so');
says('lock --check', 1, qr/committed lock is replaced/, 'lock --check still fails');
says('rootfs --locked img', 1, qr/committed lock is replaced/, 'rootfs --locked fails');
says('lock --keyring none', 0, qr//, 'a new lock');
ok(!-e 'build/ocibuild.lock', '… removes it');
says('lock --check', 0, qr/^$/, 'lock --check is content');

# ---- lock and cache that do not fit ----------------------------------------
put('images/img.yaml', $spec . "essential: false\n# a comment\n");
says('fetch', 0, qr//, 'a comment does not change what is locked');
put('images/img.yaml', "summary: s\nsuites: [trixie, trixie-security]\npackages: [one]\n");
says('fetch', 1, qr/made from other definitions.*make lock/, 'a definition that changed');
put('images/img.yaml', $spec);
$lock = slurp('images/ocibuild.lock');
put('images/ocibuild.lock', $lock =~ s/^(package .*?) \d+ pool/$1 many pool/mr);
says('fetch', 1, qr{images/ocibuild.lock:\d+: bad size}, 'a damaged lock, with its line');
put('images/ocibuild.lock', substr($lock, 0, -10));
says('fetch', 1, qr{images/ocibuild.lock:\d+:.*cut off}, 'half a lock');
put('images/ocibuild.lock', $lock);
says('rootfs nosuch', 2, qr/nosuch/, 'a rootfs without a definition');
says('rootfs ../img', 2, qr/ocibuild: /, 'a rootfs outside');
my ($file) = glob("$cache/sha256/*/*");
my $text = slurp($file);
put($file, $text =~ s/1\.\d/9.9/gr);
says('rootfs img', 8, qr/was changed in the cache: remove \Q$file\E/, 'a package that changed in the cache');
unlink $file;
says('rootfs img', 1, qr/is not in the cache: run `ocibuild fetch`/, 'a package that is not in the cache');
ok(!-e 'build/rootfs/img' && !-e 'build/rootfs/img.tar' && !-e 'build/rootfs/img.repo', '… leaves nothing');
says('enter img -- true', 1, qr/no rootfs/, 'enter without a rootfs');
says('enter ../x -- true', 2, qr/malformed name/, 'enter outside');
{
	local $ENV{SIGNBOX_CACHE} = '/proc/nowhere';
	says('fetch', 1, qr{cache: cannot make directory /proc/nowhere}, 'a cache that cannot be made');
}
done_testing;
