# The part "commit" of ./dev bench: what a transaction over two shards costs beside one that stays on one.
#
# One client, two servers that flush (fsync = on). Kinds of transactions take turns, so that whatever else the machine does
# hits all of them: two rows of one shard, past the router; the same through it; two rows on two shards, committed in two
# phases. Timed are the COMMIT alone and the whole transaction, by the client.
package PgbraidTest::BenchCommit;
use strict;
use warnings;
use PgbraidTest::Bench;
use PgbraidTest::Wire;
use Time::HiRes qw(time);

my @KINDS = (
    [ direct => 'one shard, past the router' ],
    [ one => 'one shard, through pgbraid' ],
    [ two => 'two shards, atomic' ],
    [ torn => 'two shards, commit = best_effort' ],
);

# { kind => { commit => [microseconds], whole => [microseconds] } }: `rounds` transactions of each kind.
sub measure
{
    my ($cluster, $router, $best_effort, $rounds) = @_;
    my %client = (direct => $cluster->wire(1), one => $router->wire, two => $router->wire, torn => $best_effort->wire);
    my @here = map { $_->[0] } @{ $cluster->rows(1, 'SELECT aid FROM pgbench_accounts ORDER BY aid LIMIT 100') };
    my @there = map { $_->[0] } @{ $cluster->rows(2, 'SELECT aid FROM pgbench_accounts ORDER BY aid LIMIT 100') };
    my %us;
    for my $round (0 .. $rounds + 19) {
        my $first = $here[ $round % @here ];
        my %second = (direct => $here[ ($round + 1) % @here ], one => $here[ ($round + 1) % @here ], two => $there[ $round % @there ], torn => $there[ $round % @there ]);
        for my $kind (map { $_->[0] } @KINDS) {
            my $start = time;
            $client{$kind}->do('BEGIN', map { "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = $_" } $first, $second{$kind});
            my $commit = time;
            $client{$kind}->do('COMMIT');
            my $end = time;
            next if $round < 20; # connections open, plans are cached
            push @{ $us{$kind}{commit} }, ($end - $commit) * 1e6;
            push @{ $us{$kind}{whole} }, ($end - $start) * 1e6;
        }
    }
    return \%us;
}

# The rows of the table: [title, p50 of COMMIT, ratio, p50 of the whole, ratio].
sub rows
{
    my ($us) = @_;
    my %p50;
    for my $kind (keys %$us) {
        $p50{$kind}{$_} = PgbraidTest::Bench::median(@{ $us->{$kind}{$_} }) for qw(commit whole);
    }
    return map {
        my ($kind, $title) = @$_;
        [ $title, map { (sprintf('%.0f', $p50{$kind}{$_}), sprintf('%.2f', $p50{$kind}{$_} / $p50{one}{$_})) } qw(commit whole) ]
    } @KINDS;
}

# Both servers flush, as they would in production.
sub run
{
    my (%opt) = @_;
    my $cluster = PgbraidTest::Bench::cluster(shards => 2, separate => 1, rows => 1000, settings => { fsync => 'on', full_page_writes => 'on' });
    my $router = PgbraidTest::Bench::router($cluster);
    my $best_effort = PgbraidTest::Bench::router($cluster, config => { commit => 'best_effort' });
    my @rows = rows(measure($cluster, $router, $best_effort, $opt{transactions}));
    $_->stop for $router, $best_effort;
    return @rows;
}

1;
