#!/usr/bin/perl
# Any SELECT gives one server's answer (PgbraidTest::Truth), over tables with all types: statements written by hand, by subject
# (corpus/*.sql), and queries made at random (PgbraidTest::Queries).
#
# PGBRAID_SEED, PGBRAID_SEEDS and PGBRAID_STATEMENTS as in router.t; PGBRAID_CORPUS names files to run instead of all ('none': no file);
# PGBRAID_FULL=1 runs each statement in every protocol on every router; PGBRAID_CASE is a file that a failed test has kept: only that.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Queries;
use PgbraidTest::Tree;
use PgbraidTest::Truth qw(cases);

my $stop = $ENV{PGBRAID_STOP} // 5; # after so many wrong answers
if ($ENV{PGBRAID_CASE}) {
    my ($schema) = PgbraidTest::Tree::slurp($ENV{PGBRAID_CASE}) =~ /^-- schema: (\S+)/m or BAIL_OUT('the file does not name its schema');
    my $t = PgbraidTest::Truth->new($schema, full => 1);
    is($t->complain($t->run_cases([ cases($ENV{PGBRAID_CASE}) ], stop => 1000)), 0, 'as one server');
    note $t->summary;
    note $_ for $t->reasons;
    done_testing();
    exit;
}

my $t = PgbraidTest::Truth->new('types', timeout => '1s');
my $all = 0;
for my $file ($ENV{PGBRAID_CORPUS} ? grep { $_ ne 'none' } split ' ', $ENV{PGBRAID_CORPUS} : PgbraidTest::Tree::files('tests/differential/corpus/*.sql')) {
    my @cases = cases($file =~ s{^tests/differential/}{}r);
    $all += @cases;
    is($t->complain($t->run_cases(\@cases, stop => $stop)), 0, "$file: " . @cases . ' statements');
}
note $t->summary;
note $_ for $t->reasons;
cmp_ok($t->{count}{refused} // 0, '<', ($t->{count}{same} // 1) / 50, 'nearly all are answered');

@$t{qw(count refusals)} = ({}, []);
my $first = $ENV{PGBRAID_SEED} // 1;
my $wanted = $ENV{PGBRAID_STATEMENTS} // 200;
for my $seed ($first .. $first + ($ENV{PGBRAID_SEEDS} // 1) - 1) {
    srand $seed;
    my $g = PgbraidTest::Queries->new;
    my @cases = map { $g->query } 1 .. $wanted;
    is($t->complain($t->run_cases(\@cases, stop => $stop)), 0, "seed $seed: $wanted queries made at random");
}
my ($same, $refused) = map { $t->{count}{$_} // 0 } qw(same refused);
note $t->summary;
note $_ for $t->reasons;
cmp_ok($refused, '<=', 0.005 * ($same + $refused), sprintf 'of those that one server accepts %.2f %% run', 100 * $same / ($same + $refused || 1));
done_testing();
