#!/usr/bin/perl
# The image that is a rootfs, and what stands on it; building again and comparing; forms of
# compression; a disk that is full, one image that fails, a run that is killed. Packages
# are made here, and a script plays mmdebstrap: it writes a tar with all that a rootfs can
# hold.
use strict;
use warnings;
use Digest::SHA 'sha256_hex';
use File::Path qw(make_path remove_tree);
use JSON::PP;
use Test::More;
use lib "$ENV{SRC}/tests/cli";
use Tool;

my $online = "$ENV{T}/ocibuild";
$ocibuild = "$ENV{BIN}/ocibuild";
chdir $tmp or die;
$ENV{SIGNBOX_CACHE} = "$tmp/cache";
$ENV{DEBIAN_MIRROR} = "file://$tmp/mirror";
$ENV{DEBIAN_SECURITY_MIRROR} = "file://$tmp/security";
$ENV{PATH} = "$tmp/fake:$ENV{PATH}";

# ---- a mirror ----------------------------------------------------------------
sub package_file {
	my ($name, %files) = @_;
	my $dir = "$tmp/p";
	remove_tree($dir);
	put("$dir/DEBIAN/control", "Package: $name\nVersion: 1\nArchitecture: amd64\n"
		. "Maintainer: n <n\@example.org>\nDescription: x\n");
	put("$dir/usr/share/doc/$name/copyright", "copyright of $name\n");
	put("$dir/$_", $files{$_}) for keys %files;
	make_path("$tmp/mirror/pool/main");
	system("dpkg-deb --root-owner-group -Zgzip -b $dir $tmp/mirror/pool/main/${name}_1_amd64.deb >/dev/null") == 0 or die;
}

sub lock {
	for my $m (["$tmp/mirror", 'trixie'], ["$tmp/security", 'trixie-security']) {
		my ($dir, $suite) = @$m;
		my $packages = '';
		for my $deb (sort glob "$dir/pool/main/*.deb") {
			my $text = slurp($deb);
			$packages .= `dpkg-deb -f $deb` . 'Filename: ' . ($deb =~ s{^\Q$dir\E/}{}r)
				. "\nSize: " . length($text) . "\nSHA256: " . sha256_hex($text) . "\n\n";
		}
		put("$dir/dists/$suite/main/binary-amd64/Packages", $packages);
		put("$dir/dists/$suite/Release", "Origin: Debian\nCodename: $suite\n"
			. "Date: Sat, 31 Jan 2026 00:00:00 UTC\nArchitectures: amd64\nComponents: main\nSHA256:\n "
			. sha256_hex($packages) . ' ' . length($packages) . " main/binary-amd64/Packages\n");
	}
	my ($rc, $out, $err) = run("$online lock --keyring none && $online fetch");
	is($rc, 0, 'lock and fetch') or diag($out, $err);
}

package_file('one', 'usr/share/one/file' => "one\n");
# noise, which takes its room on any disk
package_file('big', map { my $k = $_; +"usr/share/big/$k" => join('', map { sha256_hex("$k $_") } 1 .. 12_000) } 1 .. 4);
package_file('two', 'usr/share/one/file' => "two\n", 'usr/share/two/file' => "two\n");

# ---- a rootfs ----------------------------------------------------------------
# [path, type, mode, uid, content or target, pax records]
sub tar_of {
	my $out = '';
	my $header = sub {
		my ($name, $type, $mode, $uid, $size, $link) = @_;
		my $h = pack('a100 a8 a8 a8 a12 a12 A8 a1 a100 a6 a2 a32 a32 a8 a8 a155 x12', $name,
			sprintf('%07o', $mode), sprintf('%07o', $uid), sprintf('%07o', $uid), sprintf('%011o', $size),
			sprintf('%011o', 1000000000), '', $type, $link, 'ustar', '00', 'somebody', 'some', '0000001', '0000003', '');
		substr($h, 148, 8) = sprintf("%06o\0 ", unpack('%32C*', $h));
		return $h;
	};
	for my $e (@_) {
		my ($path, $type, $mode, $uid, $what, $pax) = @$e;
		my $data = $type eq '0' ? $what : '';
		if ($pax) {
			my $rec = " $pax\n";
			my $n = length($rec);
			$n = length($n . $rec) for 1 .. 3;
			$rec = ($n) . $rec;
			$out .= $header->('x', 'x', 0644, 0, length $rec, '') . $rec . "\0" x (-length($rec) % 512);
		}
		$out .= $header->($path, $type, $mode, $uid, length $data, $type =~ /[12]/ ? $what : '')
			. $data . "\0" x (-length($data) % 512);
	}
	return $out . "\0" x 10240;
}

my @rootfs = (
	['./', 5, 0755, 0],
	['./bin', 2, 0777, 0, 'usr/bin'],
	['./dev/', 5, 0755, 0],
	['./dev/null', 3, 0666, 0],
	['./etc/', 5, 0755, 0],
	['./etc/hostname', 0, 0644, 0, "leak\n"],
	['./home/', 5, 0755, 0],
	['./home/u/', 5, 0700, 1000],
	['./usr/', 5, 0755, 0],
	['./usr/bin/', 5, 0755, 0],
	['./usr/bin/perl', 0, 0755, 0, "#!perl\n" x 1000],
	['./usr/bin/perl5', 1, 0755, 0, './usr/bin/perl'],
	['./usr/bin/su', 0, 04755, 0, "setuid\n", 'SCHILY.xattr.user.x=y'],
	['./usr/share/', 5, 0755, 0],
	['./usr/share/one/', 5, 02775, 50],
	['./usr/share/one/file', 0, 0644, 0, "one\n"],
	['./usr/share/doc/', 5, 0755, 0],
	['./usr/share/doc/one/', 5, 0755, 0],
	['./usr/share/doc/one/copyright', 0, 0644, 0, "copyright of one\n"],
	['./var/', 5, 0755, 0],
	['./var/lib/', 5, 0755, 0],
	['./var/lib/dpkg/', 5, 0755, 0],
	['./var/lib/dpkg/info/', 5, 0755, 0],
	['./var/lib/dpkg/info/one:amd64.list', 0, 0644, 0,
		"/.\n/bin/perl5\n/usr\n/usr/share/one\n/usr/share/one/file\n/usr/share/doc/one/copyright\n"],
	['./var/tmp/', 5, 01777, 0],
);
put('rootfs.tar', tar_of(@rootfs));
put('fake/mmdebstrap', "#!/bin/sh\necho made >>$tmp/made\nexec cat $tmp/rootfs.tar\n", 0755);

my %def = (
	dev => "summary: A rootfs\nsuites: [trixie, trixie-security]\npackages: [one]\nimage: {title: dev, user: \"0:0\", workdir: /, cmd: [/bin/sh]}\n",
	'on-dev' => "summary: On a rootfs\nbase: dev\nfiles:\n  - {path: home/u/file, text: x}\n"
		. "  - {path: usr/share/one/more, text: x}\n  - {path: usr/bin/perl, text: mine, mode: \"0755\"}\nimage: {title: on-dev}\n",
	st => "summary: Alone\nsuites: [trixie, trixie-security]\nslices:\n  - {package: one, files: [usr/share/one/*]}\nimage: {title: st, user: \"1:1\"}\n",
	app => "summary: On st\nbase: st\nfiles: [{path: f, copy: build/bin/f}]\nimage: {title: app}\n",
	large => "summary: Large\nsuites: [trixie, trixie-security]\nslices: [{package: big, files: [usr/share/big/*]}]\nimage: {title: large, user: \"1:1\"}\n",
);
put("images/$_.yaml", $def{$_}) for keys %def;
put('build/bin/f', "f\n", 0755);
lock();

sub blob { return "build/images/blobs/sha256/" . ($_[0] =~ s/^sha256://r) }
sub doc { return decode_json(slurp(blob($_[0]))) }
sub manifests {
	return { map { $_->{annotations}{'org.opencontainers.image.ref.name'} => doc($_->{digest}) }
		grep { ($_->{annotations}{'org.opencontainers.image.ref.name'} // ':') !~ /:/ }
		@{decode_json(slurp('build/images/index.json'))->{manifests}} };
}
sub digests { my ($dir) = @_; return `cd $dir && find . -type f | LC_ALL=C sort | xargs sha256sum` }

says('build', 0, qr/^$/, 'build');
is(slurp('made'), "made\n", 'the rootfs was made');
my $man = manifests();
my $first = digests('build/images');
my $layer = $man->{dev}{layers}[0]{digest};
is($man->{'on-dev'}{layers}[0]{digest}, $layer, 'what stands on the rootfs shares its layer');
my $tar = `gzip -dc @{[blob($layer)]}`;
is('sha256:' . sha256_hex($tar), doc($man->{dev}{config}{digest})->{rootfs}{diff_ids}[0], 'its diff id');
my %e;
for (split /\n/, `gzip -dc @{[blob($layer)]} | TZ=UTC tar --numeric-owner --full-time -tvf - 2>/dev/null`) {
	my ($mode, $owner, $size, $day, $time, $name) = split ' ', $_, 6;
	my $to = $name =~ s/( -> | link to )(.*)// ? "$1$2" : '';
	$e{$name} = "$mode $owner$to";
}
is($e{'usr/bin/su'}, '-rwsr-xr-x 0/0', 'a setuid file');
is($e{'usr/bin/perl5'}, 'hrwxr-xr-x 0/0 link to usr/bin/perl', 'a hard link');
is($e{bin}, 'lrwxrwxrwx 0/0 -> usr/bin', 'a symbolic link');
is($e{'home/u/'}, 'drwx------ 1000/1000', 'a home');
ok(!exists $e{'dev/null'} && exists $e{'dev/'}, 'no device');
ok(!exists $e{'etc/hostname'}, "nothing of the host's");
like($tar, qr/SCHILY\.xattr\.user\.x=y/, 'an extended attribute');
unlike($tar, qr/somebody/, 'owners are numbers');
%e = map { my @f = split ' ', $_, 6; $f[5] => "$f[0] $f[1]" } split /\n/,
	`gzip -dc @{[blob($man->{'on-dev'}{layers}[1]{digest})]} | TZ=UTC tar --numeric-owner --full-time -tvf - 2>/dev/null`;
is($e{'home/u/'}, 'drwx------ 1000/1000', 'a directory of the rootfs keeps its mode in the layer above');
is($e{'usr/share/one/'}, 'drwxrwsr-x 50/50', '… and its setgid bit and owner');
is($e{'usr/bin/perl'}, '-rwxr-xr-x 0/0', 'the project may replace a file');

# ---- again -------------------------------------------------------------------
is(scalar(() = says('build', 0, qr/^$/, 'a second build') =~ /unchanged$/mg), 5, '… does nothing');
is(slurp('made'), "made\n", '… makes no rootfs');
my @before = stat blob($layer);
put('images/dev.yaml', $def{dev} =~ s/title: dev/title: devel/r);
like(says('build', 0, qr/^$/, 'another title'), qr/^dev .*built$/m, '… makes the image');
is((stat blob($layer))[9] . (stat _)[1], $before[9] . $before[1], '… but not its layer');
isnt(digests('build/images'), $first, '… which is another');
put('images/dev.yaml', $def{dev});
says('build', 0, qr/^$/, 'and back');
is(digests('build/images'), $first, '… gives the same');
for my $j (1, 2, 7) {
	remove_tree('other');
	system('mkdir other && ln -s ../build/bin other/bin && cp -r build/rootfs other/') == 0 or die;
	unlink 'other/bin';
	system('cp -r build/bin other/bin');
	says("build -j $j --build other", 0, qr/^$/, "$j threads");
	is(digests('other/images'), $first, '… give the same bytes');
}
says('build -j 0', 2, qr/jobs/, 'no threads');

# ---- forms of compression ----------------------------------------------------
for my $form (['zstd', 'tar+zstd', '28b52ffd'], ['fast', 'tar+gzip', '1f8b0800000000000403']) {
	my ($name, $type, $magic) = @$form;
	says("build --compression $name", 0, qr/^$/, "--compression $name");
	is(digests('build/images'), $first, '… leaves the release alone');
	my ($i) = map { decode_json(slurp("build/images-$name/index.json"))->{manifests}[0] } 1;
	my $m = decode_json(slurp("build/images-$name/blobs/sha256/" . $i->{digest} =~ s/.*://r));
	like($m->{layers}[0]{mediaType}, qr/\Q$type\E$/, '… its media type');
	like(unpack('H*', slurp("build/images-$name/blobs/sha256/" . $m->{layers}[0]{digest} =~ s/.*://r)), qr/^$magic/, '… its form');
	is(scalar(() = says("build --compression $name", 0, qr/^$/, "$name again") =~ /unchanged$/mg), 5, '… does nothing');
	like(says("tree st --compression $name", 0, qr/^$/, "tree of $name"), qr{^\s*4  usr/share/one}m, '… reads it');
	is((run("$ocibuild verify --compression $name"))[0], 0, '… and verifies') or diag(slurp("$tmp/out"), slurp("$tmp/err"));
}
is(digests('build/images-fast'), digests(do { says('build --fast', 0, qr/^$/, '--fast'); 'build/images-fast' }), '--fast is the same');
says('build --compression lzma', 2, qr/no compression 'lzma'/, 'an unknown compression');

# ---- verify ------------------------------------------------------------------
put('made', '');
my $out = says('verify', 0, qr/^$/, 'verify');
is(scalar(() = $out =~ /\bsame\b/g), 5, '… all are the same');
is(slurp('made'), "made\n", '… with a rootfs of its own');
ok(!-e 'build/verify', '… and nothing is left');
says('verify st --keep-rootfs', 0, qr/^$/, 'one image, without a rootfs');
$out = says('verify dev --keep-rootfs --json', 0, qr/rootfs was taken as it is/, 'verify with the rootfs that is there');
ok(decode_json($out)->{same} && decode_json($out)->{rootfs_kept}, '… as JSON');
is(slurp('made'), "made\n", '… makes none');
says('verify nosuch', 2, qr/no image 'nosuch'/, 'an unknown image');

# tells what differs: a layout from other inputs, under the memory of these
sub swapped {
	my ($name, $change, $image, @expect) = @_;
	my %old = map { $_ => slurp("images/$_.yaml") } keys %def;
	my $prog = slurp('build/bin/f');
	system('cp -r build/images saved && cp build/images.json saved.json') == 0 or die;
	$change->();
	says('build', 0, qr/^$/, "$name: build");
	put("images/$_.yaml", $old{$_}) for keys %old;
	put('build/bin/f', $prog, 0755);
	my ($rc, $json, $err) = run("$ocibuild verify $image --keep-rootfs --json");
	is($rc, 8, "$name: exit status") or diag($json, $err);
	like($err, qr/inputs of $image changed/, '… a warning says that inputs changed');
	my $row = decode_json($json)->{images}[0];
	is($row->{result}, 'differs', '… it differs');
	my $d = $row->{differences}[0];
	is(join(' ', map { $d->{$_} } qw(where path what)), $expect[0], '… what differs first');
	is("$d->{was} / $d->{is}", $expect[1], '… and how') if $expect[1];
	like((run("$ocibuild verify $image --keep-rootfs"))[1], qr/^\Q$image\E\s+differs.*^\Q$image\E\s+\Q$d->{where}\E/ms, '… as a table');
	remove_tree('build/images');
	rename 'saved', 'build/images';
	rename 'saved.json', 'build/images.json';
}
swapped('a program', sub { put('build/bin/f', "g\n", 0755) }, 'app', 'layer 2 f contents', '67 at 0 / 66');
swapped('a mode', sub { put('images/app.yaml', $def{app} =~ s{build/bin/f}{build/bin/f, mode: "0700"}r) }, 'app',
	'layer 2 f mode', '0700 / 0755');
swapped('a size', sub { put('build/bin/f', "longer\n", 0755) }, 'app', 'layer 2 f size', '7 / 2');
swapped('a file more', sub { put('images/app.yaml', $def{app} =~ s{files: \[}{files: [{path: z, text: z}, }r) }, 'app',
	'layer 2 z entry', 'z / ');
swapped('an owner', sub { put('images/app.yaml', $def{app} =~ s{build/bin/f}{build/bin/f, owner: "5:6"}r) }, 'app',
	'layer 2 f owner', '5:6 / 0:0');
swapped('the environment', sub { put('images/st.yaml', $def{st} =~ s/title: st/title: st, env: {A: b}/r) }, 'st',
	'config config.Env[0] value', '"A=b" / nothing');
put('build/images/keep', '');
system('cp -r build/images saved && cp build/images.json saved.json') == 0 or die;
my $st = blob($man->{st}{layers}[0]{digest});
put($st, slurp($st) . 'x');
$out = says('verify st', 8, qr/^$/, 'a blob that was changed');
like($out, qr/^st\s+damaged.*layer 1.*blob was changed/ms, '… is named');
unlink $st;
like(says('verify st', 8, qr/^$/, 'a blob that is not there'), qr/damaged.*blob is missing/s, '… is named');
remove_tree('build/images');
says('verify', 5, qr/no image is built/, 'no layout');
rename 'saved', 'build/images';
unlink 'build/images/keep';
is(digests('build/images'), $first, 'verify changes nothing');

# ---- a rootfs that was changed -----------------------------------------------
open my $f, '+<', 'build/rootfs/dev.tar' or die;
seek $f, 512 * 11, 0;
print $f 'x';
close $f;
says('build', 0, qr/^$/, 'a rootfs that was changed, while its image is there');
is(digests('build/images'), $first, '… is not even read');
unlink blob($layer);
my $index = slurp('build/images/index.json');
says('build', 8, qr/dev: .*rootfs was changed.*make it again|damaged|malformed/, 'when its layer has to be made');
is(slurp('build/images/index.json'), $index, '… nothing is published');
is(scalar(my @half = glob 'build/images/blobs/sha256/.n*'), 0, '… and no half blob is left');
unlink 'build/rootfs/dev.stamp';
put('made', '');
says('build', 0, qr/^$/, 'without its stamp');
is(slurp('made'), "made\n", '… it is made again');
is(digests('build/images'), $first, '… the same');
for my $bad (
	[['./x', 3, 0666, 0], 'a device', 9, qr/'x' is no file, directory or link|'x' is a device/],
	[['./x', 1, 0644, 0, './nothing'], 'a hard link to nothing', 9, qr/hard link to .*nothing/],
	[['./../x', 0, 0644, 0, 'x'], 'a name outside', 9, qr/malformed file name/],
	[['./usr/bin/su', 0, 0644, 0, 'x'], 'a file twice', 9, qr/usr\/bin\/su' is in the rootfs twice/],
) {
	my ($entry, $name, $status, $pattern) = @$bad;
	put('rootfs.tar', tar_of(@rootfs, $entry));
	unlink 'build/rootfs/dev.stamp', blob($layer);
	put('build/images.json', '{}');
	says('build dev', $status, $pattern, "a rootfs with $name");
	is(slurp('build/images/index.json'), $index, '… nothing is published');
}
put('rootfs.tar', tar_of(@rootfs));
unlink 'build/rootfs/dev.stamp';
says('build', 0, qr/^$/, 'the right one');
is(digests('build/images'), $first, '… the same as ever');

# ---- what may not stand on it ------------------------------------------------
for my $c (
	['slices: [{package: two, files: [usr/share/one/file, usr/share/two/file]}]', 9, qr{usr/share/one/file' of two is in the base already, of one}, "a package's file twice"],
	['files: [{path: bin/x, text: x}]', 9, qr{below 'bin', which is no directory}, 'a file below a link of the rootfs'],
	['packages: [two]', 2, qr{packages}, 'packages on a rootfs'],
) {
	put('images/x.yaml', "summary: s\nbase: dev\n$c->[0]\nimage: {title: x}\n");
	system("$online lock --keyring none >/dev/null 2>&1; $online fetch >/dev/null 2>&1");
	says('build x', $c->[1], $c->[2], $c->[3]);
}
unlink 'images/x.yaml';

# ---- one fails, the others stop ----------------------------------------------
put('images/x.yaml', "summary: s\nbase: st\nfiles: [{path: f, copy: build/gone}]\nimage: {title: x}\n");
system("$online lock --keyring none >/dev/null 2>&1; $online fetch >/dev/null 2>&1");
for my $j (1, 3) {
	remove_tree('build/images', 'build/images.json');
	my ($rc, undef, $err) = run("$ocibuild build -j $j");
	is($rc, 1, "one image fails, $j threads") or diag($err);
	like($err, qr/^ocibuild: [^\n]*no file to copy, build\/gone[^\n]*\n$/, '… one line says which');
	ok(!-e 'build/images/index.json' && !-e 'build/images.json', '… nothing is published');
	is(scalar(@half = glob 'build/images/blobs/sha256/.n*'), 0, '… and no half blob is left');
}
unlink 'images/x.yaml';
system("$online lock --keyring none >/dev/null 2>&1");

# ---- a source that changes meanwhile -----------------------------------------
remove_tree('build/images', 'build/images.json');
unlink 'build/rootfs/dev.stamp';
my $fake = slurp('fake/mmdebstrap');
put('fake/mmdebstrap', $fake =~ s{exec}{echo changed >$tmp/build/bin/f\nexec}r, 0755);
says('build -j 1', 1, qr/^ocibuild: app: what it is made of changed meanwhile: build again\n$/, 'a program that changes during the build');
ok(!-e 'build/images/index.json' && !-e 'build/images.json', '… nothing is published');
put('fake/mmdebstrap', $fake, 0755);
put('build/bin/f', "f\n", 0755);

# ---- a disk that is full -----------------------------------------------------
my $mount = 'import ctypes,os,sys; l=ctypes.CDLL(None,use_errno=True); l.unshare(0x20000);'
	. 'l.mount(None,b"/",None,0x44000,None);'
	. 'r=l.mount(b"tmpfs",b"full",b"tmpfs",0,b"size=%dk,mode=755" % int(sys.argv[1]));'
	. 'sys.exit(77) if r else os.execv("/bin/sh",["sh","-c",sys.argv[2]])';
put('mount.py', $mount);
make_path('full');
SKIP: {
	skip 'not run: a full disk (no right to mount)', 12 if system("python3 mount.py 100 true") >> 8 == 77;
	says('build', 0, qr/^$/, 'all on a disk with room');
	for my $k (16, 64, 200, 900) {
		my ($rc, $o, $err) = run("python3 mount.py $k 'cp -r build/bin build/rootfs full/ 2>/dev/null; $ocibuild build --build full st app large;"
			. " rc=\$?; ls full/images/index.json full/images/blobs/sha256/.n* 2>/dev/null; exit \$rc'");
		is($rc, 1, "$k KiB of disk") or diag($o, $err);
		like($err, qr/^ocibuild: [^\n]*No space left on device\n$/, '… one clear line');
		is($o, '', '… no index, no half blob');
	}
}

# ---- killed at any point -----------------------------------------------------
remove_tree('build/images', 'build/images.json');
says('build', 0, qr/^$/, 'all once more');
$first = digests('build/images');
system('cp -r build/images saved && cp build/images.json saved.json') == 0 or die;
put('build/bin/f', "f2\n", 0755);
put('images/dev.yaml', $def{dev} =~ s/title: dev/title: devel/r);
says('build', 0, qr/^$/, 'all, changed');
my $new = slurp('build/images/index.json');
my $old = slurp('saved/index.json');
my ($broken, $killed) = ('', 0);
for my $step (0 .. 39) {
	remove_tree('build/images');
	system('cp -r saved build/images && cp saved.json build/images.json') == 0 or die;
	my $pid = fork // die;
	if (!$pid) {
		open STDOUT, '>', '/dev/null';
		exec $ocibuild, 'build', '-j', '4' or die;
	}
	select undef, undef, undef, $step * 0.0007;
	kill 'KILL', $pid;
	waitpid $pid, 0;
	$killed++ if $? & 127;
	my $text = slurp('build/images/index.json');
	$broken .= "$step: index " if $text ne $old && $text ne $new;
	for my $m (@{decode_json($text)->{manifests}}) {
		my $doc = doc($m->{digest});
		$broken .= "$step: $_->{digest} " for grep { !-f blob($_->{digest}) } $doc->{config}, @{$doc->{layers}};
	}
}
cmp_ok($killed, '>', 3, "killed $killed builds");
is($broken, '', '… each left the old layout or the new one');
says('build', 0, qr/^$/, 'the next build');
is(slurp('build/images/index.json'), $new, '… is the new one');
is(scalar(@half = glob 'build/images/blobs/sha256/.n*'), 0, '… and nothing of the killed ones is left');
done_testing;
