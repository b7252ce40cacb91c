#!/usr/bin/perl
# Every executable that ships: static-pie, no interpreter, RELRO and BIND_NOW, no
# executable stack, no text relocation, no RPATH, stack canary, fortified calls, stripped.
use strict;
use warnings;
use File::Temp 'tempdir';
use Test::More;

# What is wrong with one executable; $debug is its unstripped form.
sub check {
	my ($path, $debug) = @_;
	my $head = `readelf -W -h $path`;
	my $seg = `readelf -W -l $path`;
	my $dyn = `readelf -W -d $path`;
	my $sym = `nm $debug`;
	my @bad;
	push @bad, 'not ET_DYN' unless $head =~ /Type:\s+DYN/;
	push @bad, 'no PIE flag' unless $dyn =~ /FLAGS_1\).*\bPIE\b/;
	push @bad, 'has an interpreter' if $seg =~ /\bINTERP\b/;
	push @bad, 'needs shared libraries' if $dyn =~ /\(NEEDED\)/;
	push @bad, 'no RELRO' unless $seg =~ /GNU_RELRO/;
	push @bad, 'no BIND_NOW' unless $dyn =~ /FLAGS\).*BIND_NOW/ || $dyn =~ /FLAGS_1\).*\bNOW\b/;
	push @bad, 'executable stack' unless $seg =~ /GNU_STACK\s+(?:0x[0-9a-f]+\s+){5}RW /;
	push @bad, 'a segment that is writable and executable' if $seg =~ /^\s+LOAD\s.*\sRWE\s/m;
	push @bad, 'text relocations' if $dyn =~ /TEXTREL/;
	push @bad, 'RPATH' if $dyn =~ /\((?:RPATH|RUNPATH)\)/;
	push @bad, 'no stack canary' unless $sym =~ /__stack_chk_fail/;
	push @bad, 'no fortified calls' unless $sym =~ /__(?:memcpy|snprintf|vsnprintf|fprintf|read|printf)_chk/;
	push @bad, 'not stripped' if `readelf -W -S $path` =~ /\.symtab|\.debug_info|\.eh_frame/;
	return @bad;
}

# Our own code's share of canaries: libraries must not hide that we have none.
sub own_canaries {
	my ($objects) = @_;
	my $n = 0;
	for my $o (@$objects) {
		$n++ if `nm $o` =~ /U __stack_chk_fail/;
	}
	return $n;
}

my %dir = qw(hsmd hsm/launcher hsm-front hsm/front hsm-keyd hsm/keyd hsm-store hsm/store hsm-testing hsm/testing signbox box
	nk box/nk ocibuild ocibuild);
for my $x (sort keys %dir) {
	SKIP: {
		skip "$x is not written yet", 3 unless -e "src/$dir{$x}/main.c";
		ok(-x "build/bin/$x", "$x was built") or next;
		my @bad = check("build/bin/$x", "build/obj/bin/$x");
		is(join(', ', @bad), '', "$x is hardened");
		cmp_ok(own_canaries([glob "build/obj/$dir{$x}/*.o"]), '>', 0, "$x: its own objects have canaries");
	}
}

# The tables for unwinding are not shipped (a tenth of the size): pthread_exit and
# pthread_cancel would abort. libcrypto's pool of threads, which nobody starts, may.
my $unwinds = join '', grep { /\b(?:pthread_exit|pthread_cancel|_Unwind_(?:ForcedUnwind|RaiseException))$/m }
	map { `nm -A -u $_ 2>/dev/null` =~ /(.*\n)/g } glob('build/obj/*/*.o build/obj/*/*/*.o'),
	map { "/usr/lib/x86_64-linux-gnu/lib$_.a" }
	qw(nats_static protobuf-c ssl sodium 25519 randombytes lmdb jansson yaml seccomp archive);
is($unwinds, '', 'nothing ends a thread by unwinding');
like(`nm -A -u /usr/lib/x86_64-linux-gnu/libcrypto.a 2>/dev/null`, qr/pthread_exit/, 'which would be seen');

my $tmp = tempdir(CLEANUP => 1);
open my $f, '>', "$tmp/bad.c" or die $!;
print $f "#include <string.h>\nint main(int c, char **v) { char b[64]; strncpy(b, v[0], 63); return b[c]; }\n";
close $f;
system("gcc -O1 -no-pie -fno-stack-protector -z norelro -z lazy -z execstack -Wl,-rpath,/x -o $tmp/bad $tmp/bad.c 2>/dev/null") == 0
	or die 'no compiler';
my %found = map { $_ => 1 } check("$tmp/bad", "$tmp/bad");
for my $want ('not ET_DYN', 'no PIE flag', 'has an interpreter', 'needs shared libraries', 'no RELRO',
	'no BIND_NOW', 'executable stack', 'RPATH', 'no stack canary', 'no fortified calls', 'not stripped') {
	ok($found{$want}, "self-check: $want is found");
}
done_testing;
