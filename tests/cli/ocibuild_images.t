#!/usr/bin/perl
# Images from definitions, against packages made here: what is in them, that nothing of
# the host is, and bad input. ocibuild of the second stage builds, the other one locks.
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
my $mirror = "$tmp/mirror";
chdir $tmp or die;
$ENV{SIGNBOX_CACHE} = "$tmp/cache";
$ENV{DEBIAN_MIRROR} = "file://$mirror";
$ENV{DEBIAN_SECURITY_MIRROR} = "file://$tmp/security";

# ---- packages --------------------------------------------------------------
sub package_file {
	my ($name, $version, %files) = @_;
	my $dir = "$tmp/p";
	remove_tree($dir);
	put("$dir/DEBIAN/control", "Package: $name\nVersion: $version\nArchitecture: amd64\n"
		. "Maintainer: n <n\@example.org>\nDescription: x\n");
	put("$dir/usr/share/doc/$name/copyright", "copyright of $name\n") unless $files{nocopyright};
	delete $files{nocopyright};
	for my $f (sort keys %files) {
		my $v = $files{$f};
		if ($v =~ /^-> (.*)/) {
			my $target = $1;
			make_path("$dir/$f" =~ s{/[^/]*$}{}r) if $f =~ m{/};
			symlink $target, "$dir/$f" or die;
		} else {
			put("$dir/$f", $v, $v =~ /^(?:#!|\x7fELF)/ ? 04755 : 0664);
		}
	}
	make_path("$mirror/pool/main");
	my $v = $version =~ s/^\d+://r;
	unlink glob "$mirror/pool/main/${name}_*";
	system("dpkg-deb --root-owner-group -Zgzip -b $dir $mirror/pool/main/${name}_${v}_amd64.deb >/dev/null") == 0
		or die;
}

sub index_mirror {
	for my $m ([$mirror, 'trixie'], ["$tmp/security", 'trixie-security']) {
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
}

sub lock {
	index_mirror();
	my ($rc, $out, $err) = run("$online lock --keyring none && $online fetch");
	is($rc, 0, 'lock and fetch') or diag($out, $err);
}

sub compile {
	my ($source, $out, @flags) = @_;
	put("$tmp/$out.c", $source);
	system('gcc', '-o', "$tmp/$out", "$tmp/$out.c", @flags) == 0 or die;
	return slurp("$tmp/$out");
}

my $lib = compile("int dep(void);\nint dep(void)\n{\n\treturn 7;\n}\n", 'libdep.so.1', '-shared', '-fPIC',
	'-Wl,-soname,libdep.so.1');
symlink 'libdep.so.1', "$tmp/libdep.so";
my $prog = compile("int dep(void);\nint main(void)\n{\n\treturn dep();\n}\n", 'prog', "-L$tmp", '-ldep');
my $libs = 'usr/lib/x86_64-linux-gnu';
package_file('certs', '1', 'usr/share/certs/b.crt' => "B", 'usr/share/certs/a.crt' => "A\n",
	'usr/share/certs/Z.crt' => "Z\n", 'usr/share/certs/readme' => 'no');
package_file('base', '13.1', 'usr/lib/rel' => "PRETTY_NAME=\"old\"\nID=x\n", 'etc/rel' => '-> ../usr/lib/rel',
	lib64 => '-> usr/lib64', 'usr/share/zone/Etc/UTC' => 'utc', 'usr/share/zone/Zulu' => '-> Etc/UTC',
	'usr/share/zone/empty' => '');
package_file('prog', '2:3.4.5-6+b1', 'usr/bin/prog' => $prog);
package_file('libdep1', '1', "$libs/libdep.so.1" => '-> libdep.so.1.0', "$libs/libdep.so.1.0" => $lib,
	"$libs/libother.so.1" => $lib);
package_file('libc6', '2', "$libs/libc.so.6" => slurp("/$libs/libc.so.6"),
	"$libs/ld-linux-x86-64.so.2" => slurp("/$libs/ld-linux-x86-64.so.2"),
	'usr/lib64/ld-linux-x86-64.so.2' => "-> ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2");
package_file('static-dev', '1', 'usr/lib/libstatic.a' => 'archive');
package_file('twice', '1', 'usr/share/certs/a.crt' => 'another');
package_file('bare', '1', nocopyright => 1, 'usr/bin/bare' => '#!x');

my %def;
$def{st} = <<'END';
summary: A base
suites: [trixie, trixie-security]
slices:
  - package: certs
    files: [usr/share/certs/*.crt]
    concat: etc/ssl/bundle.crt
  - {package: base, files: [usr/lib/rel, etc/rel, lib64, usr/share/zone/**]}
users:
  - {name: root, uid: 0, home: /root}
  - {name: nonroot, uid: 65532, home: /home/nonroot}
groups: {root: 0, nonroot: 65532}
files:
  - {path: usr/lib/rel, set: {PRETTY_NAME: new, MORE: "1"}}
  - {path: tmp/, mode: "1777"}
  - {path: home/nonroot/, mode: "0700", owner: "65532:65532"}
  - {path: etc/text, text: "hello\n"}
image:
  title: st
  user: "65532:65532"
  workdir: /
  env: {PATH: /usr/bin, LANG: C}
  cmd: [/nothing]
  labels: {signbox.shell: ""}
END
$def{app} = <<'END';
summary: An application
base: st
files:
  - {path: usr/bin/app, copy: build/bin/app}
  - {path: home/nonroot/file, text: x, owner: "65532:65532"}
  - {path: /, copy: rootfs/app}
  - {path: usr/local/bin/, link: ../../bin/app, names: [one, two]}
image:
  title: app
  entrypoint: [/usr/bin/app]
  env: {MORE: "1", LANG: D}
  ports: [4222/tcp]
  volumes: [/data]
  healthcheck: {command: [/usr/bin/app, health], interval: 10, start_period: 5, retries: 2}
END
$def{dyn} = <<'END';
summary: A dynamic program
base: st
slices:
  - {package: prog, files: [usr/bin/prog]}
libraries: [libc6, libdep1]
image:
  title: dyn
  version: prog
  entrypoint: [/usr/bin/prog]
END

# what programs are linked with is locked for the root file system where that happens
$def{tools} = "summary: Tools\nsuites: [trixie, trixie-security]\npackages: [static-dev]\n";

sub project {
	my ($dir) = @_;
	put("$dir/images/$_.yaml", $def{$_}) for keys %def;
	put("$dir/build/bin/app", "#!app\n", 0755);
	put("$dir/build/bin/app.linked", "static-dev 1 /usr/lib/libstatic.a\n");
	put("$dir/rootfs/app/etc/app/conf", "conf\n", 0640);
	symlink 'conf', "$dir/rootfs/app/etc/app/link";
	put("$dir/images/ocibuild.lock", slurp("$tmp/images/ocibuild.lock")) if $dir ne $tmp;
}

project($tmp);
lock();

# ---- building --------------------------------------------------------------
my $plan = says('plan', 0, qr/^$/, 'plan');
like($plan, qr/^dyn\s+slices\s[^\n]*: prog 2:3\.4\.5-6\+b1\n\s+libraries\s[^\n]*: libc6 2, libdep1 1\n/m, '… names the steps and what they are about');
unlike($plan, qr/^st\s[^\n]*\n(?:\s[^\n]*\n)*\s+libraries/m, '… but none that has nothing to do');
is_deeply([map { $_->{step} } @{(grep { $_->{name} eq 'app' } @{decode_json(says('plan --json app', 0, qr/^$/, 'plan --json'))})[0]{steps}}],
	[qw(files linked packages)], '… has the same');
ok(!-e 'build/images', '… and does nothing');
like(says('ls', 0, qr/^$/, 'ls before a build'), qr/^app\s.*^dyn\s+3\.4\.5\s.*^st\s/ms, '… with versions');
says('inspect st', 5, qr/st is not built: run `ocibuild build st`/, 'inspect before a build');
my $table = says('build', 0, qr/^$/, 'build');
is(scalar(() = $table =~ /built$/mg), 3, '… all three');
my $index = slurp('build/images/index.json');
is(slurp('build/images/oci-layout'), '{"imageLayoutVersion":"1.0.0"}', 'oci-layout');
# what is attached to an image has no name
sub named {
	return map { $_->{annotations}{'org.opencontainers.image.ref.name'} => $_ }
		grep { $_->{annotations}{'org.opencontainers.image.ref.name'} } @{decode_json($_[0])->{manifests}};
}
my %ref = named($index);
ok($ref{$_}, "the reference $_") for qw(st app dyn dyn:3.4.5 dyn:3.4 dyn:3 dyn:3.4-debian13);

my $bad = '';
for my $f (glob 'build/images/blobs/sha256/*') {
	$bad .= "$f " if sha256_hex(slurp($f)) ne $f =~ s{.*/}{}r;
}
is($bad, '', 'every blob is named by its content');

sub blob { return "build/images/blobs/sha256/" . ($_[0] =~ s/^sha256://r) }
sub doc { return decode_json(slurp(blob($_[0]))) }
my %man = map { $_ => doc($ref{$_}{digest}) } qw(st app dyn);
my %cfg = map { $_ => doc($man{$_}{config}{digest}) } qw(st app dyn);
is($man{app}{layers}[0]{digest}, $man{st}{layers}[0]{digest}, 'the layer of the base is shared');
is(scalar @{$man{app}{layers}}, 2, 'one layer more');
is($cfg{app}{created}, '2026-01-31T00:00:00Z', 'created at the date of the lock');
is_deeply($cfg{app}{config}{Env}, ['PATH=/usr/bin', 'LANG=D', 'MORE=1'], 'environment, merged');
is_deeply($cfg{app}{config}{Entrypoint}, ['/usr/bin/app'], 'entrypoint');
ok(!$cfg{app}{config}{Cmd}, "not the base's arguments");
is($cfg{app}{config}{User}, '65532:65532', 'user');
is_deeply($cfg{app}{config}{Volumes}, {'/data' => {}}, 'volumes');
is_deeply($cfg{app}{config}{ExposedPorts}, {'4222/tcp' => {}}, 'ports');
is_deeply($cfg{app}{config}{Healthcheck}, {Test => ['CMD', '/usr/bin/app', 'health'], Interval => 10_000_000_000,
	StartPeriod => 5_000_000_000, Retries => 2}, 'health check');
is($cfg{app}{config}{Labels}{'signbox.shell'}, '', 'an empty label');
is($man{app}{annotations}{'org.opencontainers.image.base.digest'}, $ref{st}{digest}, "the base's digest");
for my $name (qw(st app dyn)) {
	my $i = 0;
	for my $l (@{$man{$name}{layers}}) {
		my $gz = blob($l->{digest});
		is(-s $gz, $l->{size}, "$name: size of layer $i");
		is('sha256:' . sha256_hex(scalar `gzip -dc $gz`), $cfg{$name}{rootfs}{diff_ids}[$i++], '… diff id');
	}
}

# name => "mode uid/gid size date time [-> target]"
sub entries {
	my ($digest) = @_;
	my (%e, @names);
	for (split /\n/, `TZ=UTC tar --numeric-owner --full-time -tvzf @{[blob($digest)]}`) {
		my ($mode, $owner, $size, $day, $time, $name) = split ' ', $_, 6;
		my $to = $name =~ s/ -> (.*)// ? " -> $1" : '';
		push @names, $name;
		$e{$name} = "$mode $owner $day $time$to";
	}
	return (\%e, \@names);
}
my ($st, $names) = entries($man{st}{layers}[0]{digest});
my $when = '2026-01-31 00:00:00';
is_deeply($names, [sort @$names], 'entries are in order');
is(scalar(grep { !/ \Q$when\E/ } values %$st), 0, 'every time is that of the lock');
is($st->{'tmp/'}, "drwxrwxrwt 0/0 $when", '/tmp');
is($st->{'home/'}, "drwxr-xr-x 0/0 $when", 'a directory that nobody named');
is($st->{'home/nonroot/'}, "drwx------ 65532/65532 $when", 'the home');
is($st->{'usr/lib/rel'}, "-rw-r--r-- 0/0 $when", 'a file of a package, not writable for its group');
is($st->{'etc/rel'}, "lrwxrwxrwx 0/0 $when -> ../usr/lib/rel", 'a link');
ok($st->{'usr/share/zone/empty'}, 'an empty file');
ok(!exists $st->{'usr/share/certs/a.crt'} && !exists $st->{'usr/share/certs/'}, 'parts of a bundle are not in it');
my ($app) = entries($man{app}{layers}[1]{digest});
is($app->{'home/nonroot/'}, $st->{'home/nonroot/'}, "a directory of the base keeps its mode in the layer above");
is($app->{'usr/bin/app'}, "-rwxr-xr-x 0/0 $when", 'a program');
is($app->{'etc/app/conf'}, "-rw-r--r-- 0/0 $when", 'a copied file: only the x bit counts');
is($app->{'etc/app/link'}, "lrwxrwxrwx 0/0 $when -> conf", 'a copied link');
is($app->{'usr/local/bin/two'}, "lrwxrwxrwx 0/0 $when -> ../../bin/app", 'links by name');
ok(!exists $app->{'usr/lib/libstatic.a'} && $app->{'usr/share/doc/static-dev/copyright'}
	&& $app->{'var/lib/dpkg/status.d/static-dev'}, 'of what is linked: the copyright text and its package');
my ($dyn) = entries($man{dyn}{layers}[1]{digest});
is($dyn->{'usr/bin/prog'}, "-rwxr-xr-x 0/0 $when", 'a program of a package, without its setuid bit');
ok($dyn->{"$libs/$_"}, "library $_") for qw(libc.so.6 libdep.so.1 libdep.so.1.0 ld-linux-x86-64.so.2);
ok($dyn->{'usr/lib64/ld-linux-x86-64.so.2'}, 'the loader, where the program looks for it');
ok(!exists $dyn->{"$libs/libother.so.1"}, 'no library that nothing needs');

sub unpack_image {
	my ($name, $dir) = @_;
	remove_tree($dir);
	make_path($dir);
	for my $l (@{$man{$name}{layers}}) {
		system("tar -xzf @{[blob($l->{digest})]} -C $dir --no-same-owner") == 0 or die;
	}
}
unpack_image('dyn', 'root');
is(slurp('root/etc/ssl/bundle.crt'), "Z\nA\nB\n", 'a bundle in order of name, each with its newline');
is(slurp('root/usr/lib/rel'), "PRETTY_NAME=\"new\"\nID=x\nMORE=\"1\"\n", 'a line that was set stays in its place, a new one is last');
is(slurp('root/etc/passwd'), "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
	'/etc/passwd');
is(slurp('root/etc/group'), "root:x:0:\nnonroot:x:65532:\n", '/etc/group');
is((run('cd root && md5sum --quiet -c var/lib/dpkg/status.d/*.md5sums'))[0], 0, 'md5sums fit the files');
like(slurp('root/var/lib/dpkg/status.d/prog'), qr/^Package: prog\nVersion: 2:3\.4\.5-6\+b1\n/, 'package data');
my %owned = map { /^\S+  (.*)/ ? ($1 => 1) : () } map { split /\n/ } map { slurp($_) } glob 'root/var/lib/dpkg/status.d/*.md5sums';
my @orphans = grep { -f "root/$_" && !-l "root/$_" && !$owned{$_} && !m{^var/lib/dpkg/} && !m{^etc/(?:passwd|group|text)$} }
	map { s{^root/}{}r } split /\n/, `find root -type f`;
is("@orphans", '', 'every other file is of a package');
SKIP: {
	skip 'no right to chroot', 1 if $>;
	is(system("chroot root /usr/bin/prog") >> 8, 7, 'the program finds its libraries');
}

# ---- the same bytes --------------------------------------------------------
sub digests { my ($dir) = @_; return `cd $dir && find . -type f | LC_ALL=C sort | xargs sha256sum` }
my $first = digests('build/images');
my $other = "$tmp/elsewhere/deeper";
project($other);
{
	local $ENV{TZ} = 'Asia/Tokyo';
	local $ENV{LANG} = 'tr_TR.UTF-8';
	my ($rc, undef, $err) = run("sh -c 'umask 077; cd $other && exec $ocibuild build'");
	is($rc, 0, 'a build in another folder, with another umask and time zone') or diag($err);
	is(digests("$other/build/images"), $first, '… gives the same bytes');
}
SKIP: {
	skip 'not root', 2 if $>;
	my $user = "$tmp/user";
	project($user);
	system("chmod -R a+rX $tmp/cache $tmp/images; chown -R 1234:1234 $user");
	system("cp -r $tmp/cache $user/cache; chown -R 1234:1234 $user/cache");
	my ($rc, undef, $err) = run("sh -c 'cd $user && SIGNBOX_CACHE=$user/cache exec setpriv --reuid 1234 --regid 1234 --clear-groups $ocibuild build'");
	is($rc, 0, 'a build as an ordinary user') or diag($err);
	is(digests("$user/build/images"), $first, '… gives the same bytes');
}
is((run("cmp build/images.json $other/build/images.json"))[0], 0, 'what is remembered is the same, too');

# ---- again -----------------------------------------------------------------
is(scalar(() = says('build', 0, qr/^$/, 'a second build') =~ /unchanged$/mg), 3, '… does nothing');
is(digests('build/images'), $first, '… and changes nothing');
put('build/bin/app', "#!app 2\n", 0755);
like(says('build --json', 0, qr/^$/, 'after a change of a program'), qr/"name": "app".*?"made": true.*"name": "dyn".*?"made": false/s,
	'… only its image is made');
isnt(slurp('build/images/index.json'), $index, '… and the index is new');
my %used = map { my $m = $_; map { $_->{digest} => 1 } $m, doc($m->{digest})->{config}, @{doc($m->{digest})->{layers}} }
	@{decode_json(slurp('build/images/index.json'))->{manifests}};
is(join(' ', sort map { s{.*/}{sha256:}r } glob 'build/images/blobs/sha256/*'), join(' ', sort keys %used),
	'… blobs that nothing names are gone');
put('build/bin/app', "#!app\n", 0755);
says('build app', 0, qr/^$/, 'one image');
is(digests('build/images'), $first, '… the others stay in the index');
my ($layer) = map { blob($_->{digest}) } $man{st}{layers}[0];
unlink $layer;
like(says('build', 0, qr/^$/, 'after a blob was lost'), qr/^st .*built$/m, '… it is made again');
is(digests('build/images'), $first, '… the same');
put('build/images.json', '{ broken');
says('build', 0, qr/^$/, 'after the memory was damaged');
is(digests('build/images'), $first, '… the same');
remove_tree('build/images', 'build/images.json');
{
	my ($rc, undef, $err) = run("bash -c 'ulimit -f 20; trap \"\" XFSZ; exec $ocibuild build'");
	is($rc, 1, 'a file that cannot be written') or diag($err);
	like($err, qr/^ocibuild: [^\n]*File too large\n$/, '… is one clear line');
	ok(!-e 'build/images/index.json', '… and there is no index');
	is(scalar(my @half = grep { /new|tmp/ } glob 'build/images/blobs/sha256/{*,.n*}'), 0, '… nor half a blob');
}
says('build', 0, qr/^$/, 'the next build');
is(digests('build/images'), $first, '… is complete');

# killed at any point: the old index or the new one, with all its blobs
put('build/bin/app', "#!app 3\n", 0755);
project("$tmp/whole");
put("$tmp/whole/build/bin/app", "#!app 3\n", 0755);
says("build --images $tmp/whole/images --build $tmp/whole/build", 0, qr/^$/, 'the same in another place');
my $new = digests("$tmp/whole/build/images");
my ($broken, $killed) = ('', 0);
for my $ms (1 .. 40) {
	remove_tree('build/images', 'build/images.json');
	system("cp -r $other/build/images build/images") == 0 or die;
	my $pid = fork // die;
	if (!$pid) {
		open STDOUT, '>', '/dev/null';
		exec $ocibuild, 'build' or die;
	}
	select undef, undef, undef, $ms / 1000;
	kill 'KILL', $pid;
	waitpid $pid, 0;
	$killed++ if $? & 127;
	my $index = slurp('build/images/index.json');
	$broken .= "$ms: index " if $index ne slurp("$other/build/images/index.json")
		&& $index ne slurp("$tmp/whole/build/images/index.json");
	for my $m (@{decode_json($index)->{manifests}}) {
		my $doc = doc($m->{digest});
		$broken .= "$ms: $_->{digest} " for grep { !-f blob($_->{digest}) } $doc->{config}, @{$doc->{layers}};
	}
}
ok($killed > 3, "killed $killed builds");
is($broken, '', '… each left a whole layout');
says('build', 0, qr/^$/, 'the next build');
is(digests('build/images'), $new, '… leaves nothing of the killed ones');
put('build/bin/app', "#!app\n", 0755);
says('build', 0, qr/^$/, 'back to the first');

# ---- show, inspect, tree ---------------------------------------------------
my $shown = decode_json(says('show --expanded app --json', 0, qr/^$/, 'show --expanded'));
is($shown->{env}{PATH}, '/usr/bin', '… has what the base gives');
is_deeply([map { "$_->{package} $_->{version} $_->{image}" } @{$shown->{packages}}],
	['certs 1 st', 'base 13.1 st', 'static-dev 1 app'], '… all packages with their versions, and whose they are');
is_deeply($shown->{packages}[2]{files}, ['usr/lib/libstatic.a'], '… and what is linked');
is_deeply($shown->{bases}, ['st'], '… what it stands on');
is("$shown->{title} $shown->{version} $shown->{repository}", 'app 0.1.0 app', '… title, version, repository');
is_deeply($shown->{tags}[-1], '0-debian13', '… its tags');
is(scalar(grep { $_->{path} eq 'usr/bin/app' } @{$shown->{files}}), 1, '… its files');
is_deeply($shown->{groups}, {root => 0, nonroot => 65532}, '… and its groups');
like(says('show --expanded app', 0, qr/^$/, 'show as text'), qr/^bases:\n  - st\n.*^  PATH: \/usr\/bin\n/ms, '… is YAML');
is(decode_json(says('inspect app --json', 0, qr/^$/, 'inspect'))->{digest}, $ref{app}{digest}, '… tells the digest');
like(says('tree st --depth 2', 0, qr/^$/, 'tree'), qr{^\s*6  etc/ssl$}m, '… tells where bytes go');
says('build nosuch', 2, qr/no image 'nosuch'/, 'an unknown image');
says('show', 2, qr/IMAGE/, 'no image named');

# ---- variants --------------------------------------------------------------
put('images/vv.yaml', <<'END');
summary: A definition
base: st
files: [{path: both, text: vv}, {path: main, text: vv}]
tests: [{name: one, command: [/a]}]
image: {title: vv, env: {MORE: vv}, entrypoint: [/both]}
variants:
  more:
    summary: With more
    slices: [{package: prog, files: [usr/bin/prog]}]
    libraries: [libc6, libdep1]
    files: [{path: own, text: more}]
    image: {env: {OWN: more}, labels: {signbox.shell: prog}}
  moved:
    base: app
    files: [{path: both, text: moved}]
    image: {entrypoint: [], cmd: [/moved]}
END
lock();
says('build vv-more vv-moved', 0, qr/^$/, 'variants');
my %v = named(slurp('build/images/index.json'));
$_ = $_->{digest} for values %v;
is($v{'vv:0.1.0-debian13-more'}, $v{'vv-more'}, "tags are those of the definition's repository, with a suffix");
is($v{'vv:0-moved'}, $v{'vv-moved'}, '… each one');
is("$v{'vv:more'} $v{'vv:moved'}", "$v{'vv-more'} $v{'vv-moved'}", "… and the variant's word alone");
ok(!grep({ /^vv-\w+:/ } keys %v), '… and there is no other repository');
my ($more, $moved, $vv) = map { doc($v{$_}) } qw(vv-more vv-moved vv);
is_deeply([map { $_->{digest} } @{$more->{layers}}[0, 1]], [map { $_->{digest} } @{$vv->{layers}}],
	'a variant adds a layer to its definition');
is(scalar @{$more->{layers}}, 3, '… one');
is_deeply([map { $_->{digest} } @{$moved->{layers}}[0, 1]], [map { $_->{digest} } @{$man{app}{layers}}],
	'a variant with a base stands on that');
my ($entries) = entries($moved->{layers}[2]{digest});
ok($entries->{main} && $entries->{both}, '… with all files of its definition');
is(scalar `gzip -dc @{[blob($moved->{layers}[2]{digest})]} | tar -xO both`, 'moved', '… but those that it has itself');
my ($c1, $c2) = map { doc($_->{config}{digest})->{config} } $more, $moved;
is_deeply($c1->{Env}, ['PATH=/usr/bin', 'LANG=C', 'MORE=vv', 'OWN=more'], 'the environment, merged');
is_deeply($c1->{Entrypoint}, ['/both'], '… the entrypoint of the definition');
is($c1->{Labels}{'org.opencontainers.image.title'}, 'vv-more', '… a title of its own');
is($c1->{Labels}{'signbox.definition'}, 'images/vv.yaml', '… where it is defined');
is($c1->{Labels}{'org.opencontainers.image.base.name'}, 'signbox/vv:0.1.0', '… what it stands on');
is($c2->{Labels}{'org.opencontainers.image.base.name'}, 'signbox/app:0.1.0', '… or the other');
ok(!$c2->{Entrypoint}, 'an empty list takes the entrypoint away');
is_deeply($c2->{Cmd}, ['/moved'], '… for a command');
is_deeply([map { $_->{name} } @{decode_json(says('show --expanded --json vv-moved', 0, qr/^$/, 'show of a variant'))->{tests}}],
	['one'], 'tests of the definition are for its variants');
is(decode_json(says('show --expanded --json vv-more', 0, qr/^$/, 'show of the other'))->{title}, 'vv-more', '… its title');
is_deeply([map { "$_->{name} $_->{repository} $_->{tags}[0]" } grep { $_->{name} =~ /^vv/ } @{decode_json(says('ls --json', 0, qr/^$/, 'ls'))}],
	['vv vv 0.1.0', 'vv-more vv 0.1.0-more', 'vv-moved vv 0.1.0-moved'], '… has repositories and tags');
like(says('show vv-more', 0, qr/^$/, 'show of its part'), qr/^summary: "?With more"?\nslices:\n/, '… is short');
put('images/vv-more.yaml', "summary: s\nimage: {}\n");
says('ls', 2, qr{vv.yaml:7: there is another definition of this image: vv-more}, 'a definition of that name');
unlink 'images/vv.yaml', 'images/vv-more.yaml';
lock();
says('build', 0, qr/^$/, 'without variants');
is(digests('build/images'), $first, '… the layout is the first again');

# a program that changed without its list, and one that was linked with something else
put('build/bin/app', "\x7fELF", 0755);
unlink 'build/bin/app.linked';
says('build', 2, qr{there is no build/bin/app.linked.*run `make`}, 'a program without its list of libraries');
put('build/bin/app', "#!app\n", 0755);
put('build/bin/app.linked', "static-dev 2 /usr/lib/libstatic.a\n");
says('build', 1, qr{app.yaml: a program was linked with static-dev 2, which is not locked}, 'a program of other libraries');
put('build/bin/app.linked', "static-dev\n");
says('build', 2, qr{app.linked:1: }, 'a damaged list');
put('build/bin/app.linked', "static-dev 1 /usr/lib/libstatic.a\n");

# ---- bad definitions -------------------------------------------------------
for my $c (
	["image: {colour: red}\n", qr{x.yaml:3:.*colour}, 'an unknown key in image'],
	["image: {user: nonroot}\n", qr{x.yaml:3:.*two numbers}, 'a user that is no number'],
	["image: {workdir: home}\n", qr{:3:.*absolute}, 'a relative working directory'],
	["image: {ports: [http]}\n", qr{:3:.*NUMBER/tcp}, 'a malformed port'],
	["image: {entrypoint: /bin/x}\n", qr{:3:.*entrypoint}, 'an entrypoint that is no list'],
	["image: {env: {\"A=B\": c}}\n", qr{:3:.*malformed name}, 'a malformed variable'],
	["image: {env: {A: [b]}}\n", qr{:3:.*string}, 'a variable that is a list'],
	["files:\n  - {path: ../x, text: y}\n", qr{:4:.*malformed path}, 'a path outside'],
	["files:\n  - {path: /x, text: y}\n", qr{:4:.*malformed path}, 'an absolute path'],
	["files:\n  - {path: x, copy: ../../etc/passwd}\n", qr{:4:.*malformed path}, 'a copy from outside'],
	["files:\n  - {path: x}\n", qr{:4:.*one of copy}, 'a file without content'],
	["files:\n  - {path: x, text: y, link: z}\n", qr{:4:.*one of copy}, 'a file with two contents'],
	["files:\n  - {path: x, text: y, mode: \"0999\"}\n", qr{:4:.*octal}, 'a malformed mode'],
	["files:\n  - {path: x, text: y, owner: root}\n", qr{:4:.*two numbers}, 'an owner that is no number'],
	["files:\n  - {path: x/, link: y, names: [a/b]}\n", qr{:4:.*malformed name}, 'a link outside its directory'],
	["users:\n  - {name: \"a:b\", uid: 1, home: /}\n", qr{:4:.*malformed}, 'a malformed user'],
	["users:\n  - {name: a, uid: 70000, home: /}\n", qr{:4:.*uid}, 'a user number that is too large'],
	["groups: {a: b}\n", qr{:3:.*NAME: NUMBER}, 'a malformed group'],
	["libraries: [\"a b\"]\n", qr{:3:.*malformed}, 'a malformed package'],
	["variants: {a-b: {}}\n", qr{:3:.*malformed name}, 'a malformed variant'],
	["image: {}\nvariants:\n  v: {colour: red}\n", qr{x.yaml:5:.*colour}, 'an unknown key in a variant'],
	["image: {}\nvariants:\n  v: {base: x-v}\n", qr{x.yaml:5:.*cycle}, 'a variant on itself'],
	["waivers: [{rule: pie, path: usr/bin/x}]\n", qr{x.yaml:3:.*reason}, 'a waiver without a reason'],
	["tests: [{name: t, command: [/a], colour: red}]\n", qr{x.yaml:3:.*colour}, 'an unknown key in a test'],
) {
	put('images/x.yaml', "summary: s\nbase: st\n$c->[0]");
	says('plan', 2, $c->[1], $c->[2]);
}

# ---- definitions that do not fit -------------------------------------------
for my $c (
	['files: [{path: f, copy: build/gone}]', 1, qr{x.yaml: no file to copy, build/gone}, 'nothing to copy'],
	['files: [{path: tmp, text: x}]', 9, qr{'tmp' of the definition is a directory here}, 'a file for a directory'],
	['files: [{path: etc/text/x, text: x}]', 9, qr{below 'etc/text', which is no directory}, 'a file below a file'],
	['files: [{path: lib64/x, text: x}]', 9, qr{below 'lib64', which is no directory}, 'a file below a link'],
	['files: [{path: f, text: x}, {path: f, text: y}]', 9, qr{'f' is of the definition and of the definition}, 'a file twice'],
	['files: [{path: gone, set: {A: b}}]', 2, qr{no file 'gone'}, 'lines of a file that is not there'],
	['slices: [{package: certs, files: [usr/share/certs/*.crt]}, {package: twice, files: [usr/**]}]', 9,
		qr{'usr/share/certs/a.crt' is of certs and of twice}, 'two packages that own one file'],
	['slices: [{package: certs, files: [usr/share/certs/*.pem]}]', 2, qr{no file that matches}, 'a pattern without a file'],
	['slices: [{package: bare, files: [usr/bin/bare]}]', 2, qr{bare has no copyright text}, 'a package without a copyright text'],
	['libraries: [libdep1]', 2, qr{no program needs a library of libdep1}, 'a package of libraries that nothing needs'],
	['slices: [{package: prog, files: [usr/bin/prog]}]', 2, qr{usr/bin/prog needs \S+, which no package of `libraries`},
		'a library that is missing'],
	['image: {title: x, version: prog}', 2, qr{version is that of prog, which is not in it}, 'a version of nothing'],
) {
	my ($text, $status, $pattern, $name) = @$c;
	$text .= "\nimage: {title: x}" unless $text =~ /^image/;
	put('images/x.yaml', "summary: s\nbase: st\n$text\n");
	system("$online lock --keyring none >/dev/null 2>&1 && $online fetch >/dev/null 2>&1") == 0 or diag('lock failed');
	says('build', $status, $pattern, $name);
}
unlink 'images/x.yaml';
put('images/x.yaml', "summary: s\nbase: y\nimage: {title: x}\n");
put('images/y.yaml', "summary: s\nsuites: [trixie]\n");
system("$online lock --keyring none >/dev/null 2>&1");
says('build', 2, qr/its base y is no image/, 'a base that is no image');
unlink 'images/x.yaml', 'images/y.yaml';
system("$online lock --keyring none >/dev/null 2>&1");
is(digests('build/images'), $first, 'none of this changed the layout');

my ($row) = slurp('images/ocibuild.lock') =~ /^package \S+ \S+ prog \S+ \S+ (\S+)/m;
my $cached = "$tmp/cache/sha256/" . substr($row, 0, 2) . "/$row";
my $good = slurp($cached);
remove_tree('build/images');
put($cached, $good . 'x');
says('build dyn', 8, qr/prog was changed in the cache: remove \Q$cached\E/, 'a package that was changed');
unlink $cached;
says('build dyn', 1, qr/prog 2:3\.4\.5-6\+b1 is not in the cache: run `ocibuild fetch`/, 'a package that is not there');
ok(!-e 'build/images/index.json', '… nothing is published');
done_testing;
