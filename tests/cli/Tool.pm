package Tool;
# What the tests of ocibuild's commands share: a folder of their own ($tmp), files, and
# runs of commands. A test sets $ocibuild.
use strict;
use warnings;
use File::Path 'make_path';
use File::Temp 'tempdir';
use Test::More;
use Exporter 'import';
our @EXPORT = qw($tmp $ocibuild put slurp run says);

our $tmp = tempdir(CLEANUP => 1);
our $ocibuild;
chmod 0755, $tmp;

# A file with this text, and the folders above it.
sub put {
	my ($path, $text, $mode) = @_;
	make_path($path =~ s{/[^/]*$}{}r) if $path =~ m{/};
	open my $f, '>', $path or die "$path: $!";
	print $f $text;
	close $f or die;
	chmod $mode // 0644, $path;
}

# undef: not there
sub slurp { open my $f, '<', $_[0] or return undef; local $/; return scalar(<$f>) // '' }

# Exit status (-1: a signal), stdout, stderr.
sub run {
	my ($cmd) = @_;
	my $rc = system("{ $cmd\n} >$tmp/out 2>$tmp/err </dev/null");
	return ($rc & 127 ? -1 : $rc >> 8, slurp("$tmp/out"), slurp("$tmp/err"));
}

# Runs ocibuild: its status and a pattern of what it says on stderr. Returns stdout.
sub says {
	my ($args, $status, $pattern, $name) = @_;
	my ($rc, $out, $err) = run("$ocibuild $args");
	subtest $name => sub {
		is($rc, $status, 'exit status') or diag($out, $err);
		like($err, $pattern, 'message');
	};
	return $out;
}

1;
