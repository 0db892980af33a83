# Where things are: the source tree and the build that is under test.
package PgbraidTest::Tree;
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);

my $root = abs_path(dirname(__FILE__) . '/../../..');

# The top of the source tree.
sub root { return $root; }

# The build directory: PGBRAID_BUILD (set by ./dev asan and tsan), else build/.
sub build { return $ENV{PGBRAID_BUILD} || "$root/build"; }

# The binary under test.
sub pgbraid { return build() . '/pgbraid'; }

# Where PostgreSQL's own programs are.
sub pgbin { return $ENV{PGBRAID_PGBIN} || '/usr/lib/postgresql/15/bin'; }

# Paths, relative to the root, of the tree's files that match one of the patterns; new files count, ignored ones do not.
sub files
{
    my @patterns = @_;
    open my $in, '-|', 'git', '-C', $root, 'ls-files', '--cached', '--others', '--exclude-standard', '--', @patterns or die "git: $!";
    my %seen;
    while (my $line = <$in>) {
        chomp $line;
        $seen{$line} = 1 if -e "$root/$line";
    }
    close $in or die 'git ls-files failed';
    return sort keys %seen;
}

# The content of a file, path relative to the root or absolute.
sub slurp
{
    my ($path) = @_;
    $path = "$root/$path" unless $path =~ m{^/};
    open my $in, '<', $path or die "$path: $!";
    local $/;
    return scalar <$in>;
}

1;
