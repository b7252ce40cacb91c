#!/usr/bin/perl
# The images of images/, as `make images` left them in build/images: what must be in each
# and what must not, sizes, and that their programs start in nothing but the image.
use strict;
use warnings;
use Digest::SHA 'sha256_hex';
use File::Temp 'tempdir';
use JSON::PP;
use Test::More;

my $dir = "$ENV{BUILD}/images";
my $ocibuild = "$ENV{BIN}/ocibuild";
plan skip_all => 'images are not built: run `make images`' unless -e "$dir/index.json";
my $tmp = tempdir(CLEANUP => 1);
chmod 0755, $tmp;

sub slurp { open my $f, '<', $_[0] or return undef; local $/; return scalar(<$f>) // '' }
sub blob { return "$dir/blobs/sha256/" . ($_[0] =~ s/^sha256://r) }

my %man;
for my $m (@{decode_json(slurp("$dir/index.json"))->{manifests}}) {
	my $ref = $m->{annotations}{'org.opencontainers.image.ref.name'} // next; # attached to an image
	$man{$ref} = decode_json(slurp(blob($m->{digest}))) unless $ref =~ /:/;
}
chdir $ENV{SRC} or die;
is(join(' ', sort keys %man), join(' ', map { $_->{name} } @{decode_json(scalar `$ocibuild ls --json`)}),
	'every definition and variant is built');
my %cfg = map { $_ => decode_json(slurp(blob($man{$_}{config}{digest})))->{config} } keys %man;
my %variant = map { $_ => $cfg{$_}{Labels}{'signbox.variant'} } keys %man;
is($variant{$_}, /^dev\b/ ? 'dev' : /-(\w+)$/ && $_ ne 'ktls-utils' ? $1 : $_ eq 'busybox' ? 'debug' : 'runtime',
	"$_: its variant") for sort keys %man;

# dev is large: what stands on it is another small layer, and tests/cli/image_tests.t runs it
for my $name (grep { $variant{$_} eq 'dev' } sort keys %man) {
	is($man{$name}{layers}[0]{digest}, $man{dev}{layers}[0]{digest}, "$name: the first layer is that of dev");
	is($cfg{$name}{User}, '0:0', '… it runs as root');
	is($cfg{$name}{Labels}{'signbox.shell'}, 'bash', '… and has a shell');
}
my @small = grep { $variant{$_} ne 'dev' } sort keys %man;

# compressed, in bytes
my %most = (static => 400_000, busybox => 1_100_000, box => 5_500_000, nats => 9_000_000, hsm => 7_500_000);
for my $name (sort keys %most) {
	my $size = -s blob($man{$name}{config}{digest});
	$size += $_->{size} for @{$man{$name}{layers}};
	cmp_ok($size, '<=', $most{$name}, "size of $name");
}

my $root = $> == 0;
for my $name (@small) {
	mkdir "$tmp/$name";
	for my $l (@{$man{$name}{layers}}) {
		my $same = $root ? '--same-owner' : '--no-same-owner';
		system("tar -xpzf @{[blob($l->{digest})]} -C $tmp/$name --numeric-owner $same") == 0 or die;
	}
}
sub found { my ($name, $what) = @_; return `cd $tmp/$name && find . $what | LC_ALL=C sort` }

for my $name (@small) {
	my $cfg = {config => $cfg{$name}};
	is($cfg->{config}{User}, '65532:65532', "$name: user");
	is($cfg->{config}{WorkingDir}, '/', "$name: working directory");
	is(found($name, '-perm /6000'), '', "$name: no setuid file");
	my $open = join ' ', split /\n/, found($name, '! -type l -perm /022');
	is($open, $name eq 'busybox' ? '' : './tmp ./var/tmp', "$name: nothing others can write to but /tmp");
	my $program = ($cfg->{config}{Entrypoint} // $cfg->{config}{Cmd})->[0] if $name ne 'static';
	ok(-x "$tmp/$name$program" || -l "$tmp/$name$program", "$name: $program is there") if $program;
	my @lost = grep { my $p = "$tmp/$name/$_"; my $to = readlink $p; $to =~ m{^/} || !-e $p }
		split /\n/, found($name, '-type l');
	is("@lost", './usr/share/zoneinfo/localtime' x ($name ne 'busybox'),
		"$name: links are relative and lead somewhere, but tzdata's to /etc/localtime");
	is(system("cd $tmp/$name && cat var/lib/dpkg/status.d/*.md5sums | md5sum --quiet -c") >> 8, 0, "$name: md5sums");
	my %owned = map { /^\S+  (.*)/ ? ("./$1" => 1) : () }
		map { split /\n/, slurp($_) } glob "$tmp/$name/var/lib/dpkg/status.d/*.md5sums";
	my %ours = map { ("./$_" => 1) } qw(etc/passwd etc/group etc/nsswitch.conf usr/share/doc/signbox/copyright
		etc/signbox/hsm.yaml etc/nats/nats-server.conf etc/softhsm2.conf etc/tlshd/config usr/bin/signbox),
		map { "usr/bin/$_" } qw(hsmd hsm-front hsm-keyd hsm-store hsm-testing nk);
	my @orphans = grep { !$owned{$_} && !$ours{$_} && !m{^\./var/lib/dpkg/status\.d/} } split /\n/, found($name, '-type f');
	is("@orphans", '', "$name: every file is of a package or of the project");
	next if $variant{$name} ne 'runtime';
	my @shell = split /\n/, found($name, '-regex ".*/\(sh\|bash\|dash\|busybox\|apt\|apt-get\|dpkg\|perl.*\|python.*\)" ! -path "*/doc/*" ! -type d');
	is("@shell", '', "$name: no shell, interpreter or package manager");
	ok(!grep({ /^#!/ } map { slurp($_) =~ /^(..)/s ? $1 : '' } glob "$tmp/$name/usr/bin/* $tmp/$name/usr/sbin/*"), "$name: no script");
}

my $bundle = 'etc/ssl/certs/ca-certificates.crt';
is(sha256_hex(slurp("$tmp/static/$bundle")), sha256_hex(slurp("$ENV{BUILD}/rootfs/dev/$bundle") // ''),
	'the CA bundle is what update-ca-certificates writes');
my @elf = grep { slurp($_) =~ /^\x7fELF/ } split /\n/, `find $tmp/static -type f`;
is("@elf", '', 'no program in static');
like(slurp("$tmp/static/etc/os-release"), qr/^ID=debian$/m, 'os-release');
like(slurp("$tmp/static/etc/os-release"), qr/^PRETTY_NAME="Signbox/m, '… with our name');
for my $p (qw(hsmd hsm-front hsm-keyd hsm-store)) {
	is(sha256_hex(slurp("$tmp/$_/usr/bin/$p")), sha256_hex(slurp("$ENV{BIN}/$p")), "$_ has $p as it was built")
		for qw(hsm hsm-testing);
}
for my $name (qw(hsm box)) {
	my %linked = map { /^(\S+) / ? ($1 => 1) : () } map { split /\n/, slurp("$ENV{BIN}/$_.linked") }
		$name eq 'box' ? 'signbox' : qw(hsmd hsm-front hsm-keyd hsm-store);
	ok($linked{'libc6-dev'} && $linked{'libssl-dev'} && $linked{'libnats-dev'}, "$name: what is linked into its programs is known");
	my @lost = grep { !-s "$tmp/$name/usr/share/doc/$_/copyright" || !-s "$tmp/$name/var/lib/dpkg/status.d/$_" } sort keys %linked;
	is("@lost", '', '… with copyright text and package data of each');
}
my $dev = "$ENV{BUILD}/rootfs/dev";
ok(-e "$tmp/hsm-testing/usr/bin/hsm-testing" && !-e "$tmp/hsm/usr/bin/hsm-testing", 'what sets itself up is in the test image only');
for my $p (qw(hsmd hsm-front hsm-keyd hsm-store hsm-testing signbox ocibuild)) {
	is(scalar `$ocibuild linked $ENV{BUILD}/obj/bin/$p.map --root $dev`, slurp("$ENV{BIN}/$p.linked"), "linked: $p");
}
is(scalar `$ocibuild linked $ENV{SRC}/README.md --root $dev 2>&1`, "ocibuild: $ENV{SRC}/README.md: this is no map of the linker (-Wl,-Map)\n",
	'linked: no map');
like(scalar `$ocibuild linked $ENV{BUILD}/obj/bin/hsmd.map --root $ENV{SRC}/src 2>&1`, qr/^ocibuild: [^\n]*libc\.a is linked in, and of no package\n$|^ocibuild: [^\n]*rcrt1\.o is linked in, and of no package\n$/,
	'linked: no package data');
is(system("cd $dev && md5sum --quiet -c var/lib/dpkg/status.d/*.md5sums"), 0, 'dev has package data of its slices');
my $links = join "\n", map { -l $_ ? m{([^/]+)$} : () } sort glob "$tmp/box/usr/local/bin/*";
is($links, join("\n", sort split /\n/, `$ENV{BIN}/signbox --list`), 'box has a link for each applet');
my %applets = map { $_ => 1 } split /\n/, `$tmp/busybox/usr/bin/busybox --list`;
my @wrong = grep { !$applets{$_} } map { m{([^/]+)$} } glob "$tmp/busybox/bin/*";
is("@wrong", '', 'every link of busybox is an applet');
like(`$tmp/busybox/bin/sh -c 'echo \$((6 * 7))'`, qr/^42$/, 'busybox runs where it is mounted');

# other people's readers; not in the test rootfs, so run this on a host that has them
for my $tool (['skopeo', 'skopeo inspect oci:%s:%s'], ['umoci', 'umoci stat --image %s:%s']) {
	SKIP: {
		skip "no $tool->[0] here", scalar keys %man unless grep { -x "$_/$tool->[0]" } split /:/, $ENV{PATH};
		for my $name (sort keys %man) {
			is(system(sprintf("$tool->[1] >/dev/null", $dir, $name)), 0, "$tool->[0] reads $name");
		}
	}
}

done_testing;
