# The part "scatter" of ./dev bench: statements that the router finishes over four shards.
#
# All shards are databases of one server, so that CPUs are shared alike. Beside the router's time stands that of the slowest shard
# while all four run what is sent to each of them (rule P57), and that of one database which has all rows. Beside its CPU time
# stands that of a libpq client in single-row mode that reads the same rows from the same shards (tests/bench/row_reader.c).
# Kinds take turns.
package PgbraidTest::BenchScatter;
use strict;
use warnings;
use PgbraidTest::Bench;
use PgbraidTest::Proc qw(run);
use PgbraidTest::Tree;
use Carp qw(croak);

# [title, statement, what each shard is asked]
my @STATEMENTS = (
    [ 'ORDER BY (no index) LIMIT 10', 'SELECT aid, abalance FROM pgbench_accounts ORDER BY abalance DESC, aid LIMIT 10' ],
    [ 'ORDER BY (index) LIMIT 10', 'SELECT aid, abalance FROM pgbench_accounts ORDER BY aid LIMIT 10' ],
    [ 'count(*), sum', 'SELECT count(*), sum(abalance) FROM pgbench_accounts' ],
    [ 'GROUP BY, 100 groups', 'SELECT abalance % 100, count(*), sum(aid), avg(abalance) FROM pgbench_accounts GROUP BY abalance % 100 ORDER BY 1',
        'SELECT abalance % 100, count(*), sum(aid), sum(abalance), count(abalance) FROM pgbench_accounts GROUP BY 1' ],
    [ 'ORDER BY, all rows', 'SELECT aid, bid, abalance, filler FROM pgbench_accounts ORDER BY aid' ],
    [ 'gather of 100,000 rows: window', 'SELECT max(r) FROM (SELECT rank() OVER (ORDER BY abalance, aid) AS r FROM pgbench_accounts WHERE aid <= 100000) q',
        'SELECT aid, abalance FROM pgbench_accounts WHERE aid <= 100000' ],
    [ 'gather of 100,000 rows: percentile_cont', 'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY abalance) FROM pgbench_accounts WHERE aid <= 100000',
        'SELECT abalance FROM pgbench_accounts WHERE aid <= 100000' ],
    [ 'gather of 100,000 rows: stddev of doubles', 'SELECT stddev(abalance::double precision) FROM pgbench_accounts WHERE aid <= 100000',
        'SELECT count(*), sum(abalance::double precision), stddev(abalance::double precision) FROM pgbench_accounts WHERE aid <= 100000' ],
    [ 'gather of 100,000 rows: string_agg of 84 characters', "SELECT bid, length(string_agg(filler, ',' ORDER BY aid)) FROM pgbench_accounts WHERE aid <= 100000 GROUP BY bid",
        'SELECT bid, filler, aid FROM pgbench_accounts WHERE aid <= 100000' ],
    [ 'gather of 2 x 50,000 rows: join', 'SELECT count(*), sum(a.abalance) FROM pgbench_accounts a JOIN pgbench_accounts b ON a.abalance = b.aid WHERE a.aid <= 50000 AND b.aid <= 50000',
        'SELECT aid, abalance FROM pgbench_accounts WHERE aid <= 50000' ],
    [ 'gather of 2 x 100,000 rows: join', 'SELECT count(*), sum(a.abalance) FROM pgbench_accounts a JOIN pgbench_accounts b ON a.abalance = b.aid WHERE a.aid <= 100000 AND b.aid <= 100000',
        'SELECT aid, abalance FROM pgbench_accounts WHERE aid <= 100000' ],
);

sub reader
{
    my ($sql, @conninfo) = @_;
    my $r = run([ PgbraidTest::Tree::build() . '/bench/row_reader', $sql, @conninfo ]);
    croak "row_reader: $r->{err}" if $r->{rc};
    my ($rows, $us, $cpu) = split ' ', $r->{out};
    return { rows => $rows, us => $us, cpu => $cpu };
}

sub run_all
{
    my ($cluster, $whole, $router, $rounds) = @_;
    my $through = sprintf 'host=127.0.0.1 port=%d dbname=%s user=postgres', $router->port, $router->database;
    my @shards = map { $cluster->conninfo($_) } 1 .. 4;
    my %seen;
    for my $round (0 .. $rounds) {
        for my $i (0 .. $#STATEMENTS) {
            my (undef, $sql, $part) = @{ $STATEMENTS[$i] };
            my $before = PgbraidTest::Bench::cpu_us($router->pid);
            my $got = reader($sql, $through);
            my $cpu = PgbraidTest::Bench::cpu_us($router->pid) - $before;
            my $shards = reader($part // $sql, @shards);
            my $one = reader($sql, $whole->conninfo(1));
            croak "$sql: $got->{rows} rows, not $one->{rows}" if $got->{rows} != $one->{rows};
            next if !$round; # connections open, temporary tables and caches are made
            push @{ $seen{$i}{$_->[0]} }, $_->[1] for [ us => $got->{us} ], [ cpu => $cpu ], [ shards => $shards->{us} ], [ libpq => $shards->{cpu} ], [ whole => $one->{us} ];
        }
    }
    return \%seen;
}

sub run_statements
{
    my (%opt) = @_;
    my $cluster = PgbraidTest::Bench::cluster(shards => 4, rows => $opt{rows});
    my $whole = PgbraidTest::Bench::cluster(shards => 1, rows => $opt{rows});
    for my $c ([ $cluster, 4 ], [ $whole, 1 ]) {
        $c->[0]->do($_, 'UPDATE pgbench_accounts SET abalance = aid::bigint * 7919 % 10007', 'VACUUM ANALYZE pgbench_accounts') for 1 .. $c->[1];
    }
    my $router = PgbraidTest::Bench::router($cluster);
    my $seen = run_all($cluster, $whole, $router, $opt{rounds});
    $router->stop;
    return map {
        my $s = $seen->{$_};
        my %m = map { my $k = $_; ($k => PgbraidTest::Bench::median(@{ $s->{$k} }) / 1000) } keys %$s;
        [ $STATEMENTS[$_][0], (map { sprintf '%.1f', $m{$_} } qw(us shards)), sprintf('%.2f', $m{us} / $m{shards}), sprintf('%.1f', $m{whole}), sprintf('%.0f', $m{cpu}), $m{libpq} > 50 ? sprintf('%.2f', $m{cpu} / $m{libpq}) : '' ]
    } 0 .. $#STATEMENTS;
}

1;
