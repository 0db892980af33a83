# A plan-cache hit costs at most an eighth of pg_query_scan of the same text, in instructions. That it allocates nothing is
# asserted by tests/unit/planner/planner_test.c.
use strict;
use warnings;
use lib 'tests/lib';
use PgbraidTest::Gauge;
use PgbraidTest::Proc qw(run workdir);
use PgbraidTest::Tree;
use Test::More;

plan skip_all => 'not under a sanitizer' if PgbraidTest::Tree::build() =~ /san$/;

my $out = workdir() . '/plan_hit';
my $r = run([ 'valgrind', '-q', '--tool=callgrind', "--callgrind-out-file=$out", '--dump-before=mark', PgbraidTest::Tree::build() . '/bench/plan_hit' ]);
is($r->{rc}, 0, 'the program ran') or diag($r->{out} . $r->{err});
my $dump = 0;
for my $line (split /\n/, $r->{out}) {
    my ($count, $sql) = split / /, $line, 2;
    my ($hit, $scan) = map { PgbraidTest::Gauge::callgrind_total("$out." . ($dump + $_)) / $count } 2, 3;
    $dump += 3;
    cmp_ok($hit, '<=', $scan / 8, sprintf '%.60s: a hit takes %.0f instructions, pg_query_scan %.0f', $sql, $hit, $scan);
}
cmp_ok($dump, '>', 0, 'there were statements');

done_testing();
