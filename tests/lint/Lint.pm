# What the lint tests share: the files of the repository, and C without its comments.
package Lint;
use strict;
use warnings;
use Exporter 'import';
use File::Find;
our @EXPORT = qw(files slurp code);

# Paths below the current directory, without build/ and hidden folders, sorted.
sub files {
	my ($match, @roots) = @_;
	my @out;
	@roots = ('.') unless @roots;
	find({
		no_chdir => 1,
		wanted => sub {
			my $p = $_ =~ s{^\./}{}r;
			if (-d $_ && ($p eq 'build' || $p eq '.git')) {
				$File::Find::prune = 1;
				return;
			}
			push @out, $p if -f $_ && $p =~ $match;
		},
	}, grep { -e } @roots);
	return sort @out;
}

sub slurp {
	my ($path) = @_;
	open my $f, '<', $path or die "$path: $!";
	local $/;
	return <$f> // '';
}

# Blanks comments and the insides of strings, keeping lines where they are.
sub code {
	my ($t) = @_;
	$t =~ s{(/\*.*?\*/)|(//[^\n]*)|"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)+)'}{
		defined $3 ? '""' : defined $4 ? "' '" : ($1 // $2) =~ s/[^\n]//gr
	}gsex;
	return $t;
}
1;
