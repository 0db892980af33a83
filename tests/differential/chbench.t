#!/usr/bin/perl
# CH-benCHmark: 22 queries (chbench.sql) over its tables (schema/chbench.sql, which says how they are sharded and why), on three shards
# and on one plain server, in each protocol: all run, with the same rows. PGBRAID_SCALE=N for more rows.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Truth qw(cases);

my $t = PgbraidTest::Truth->new('chbench', shards => [3]);
is(($t->twins)[0]->contents_differ, undef, 'the same rows to begin with');
my @cases = cases('chbench.sql');
is(scalar @cases, 22, '22 queries');
my $plain = $t->{cluster}->wire(1);
my $router = ($t->twins)[0]->router;
my %plans = ((map { $_ => 'aggregated' } 1, 4, 5, 6, 10, 12, 14, 16, 19, 21), (map { $_ => 'merged' } 3, 18));
for my $i (1 .. @cases) {
    my $rows = $plain->rows($cases[$i - 1]{sql});
    ok((grep { grep { defined } @$_ } @$rows), "Q$i: " . @$rows . ' rows');
    is($router->plan($cases[$i - 1]{sql}), $plans{$i} // 'gathered', "Q$i: how");
}
is($t->complain($t->run_cases(\@cases, stop => 22)), 0, 'as one server');
note $t->summary;
note $_ for $t->reasons;
is($t->{count}{same}, 66, 'all run');
done_testing();
