# The part "gate" of ./dev bench: what it costs that scattered reads see distributed commits whole (consistent_reads).
#
# Sessions with the setting on and off take turns, timed by one client: reads of two shards, and changes. Then changes once
# more while another process does nothing but scattered reads, in the one mode or the other.
package PgbraidTest::BenchGate;
use strict;
use warnings;
use PgbraidTest::Bench;
use PgbraidTest::Wire;
use POSIX ();
use Time::HiRes qw(time);

# Title, the statements that are timed together.
sub kinds
{
    my ($a, $b) = @_;
    return (
        [ 'SELECT of two shards', "SELECT abalance FROM pgbench_accounts WHERE aid IN ($a, $b)" ],
        [ 'sum over two shards (gathered)', "SELECT sum(abalance) FROM pgbench_accounts WHERE aid IN ($a, $b)" ],
        [ 'UPDATE of two shards', "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid IN ($a, $b)" ],
        [ 'UPDATE of one shard', "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = $a" ],
        [ 'two UPDATEs and COMMIT over two shards', 'BEGIN', (map { "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = $_" } $a, $b), 'COMMIT' ],
    );
}

sub medians
{
    my ($router, $kinds, $rounds) = @_;
    my %client = map { my $w = $router->wire; $w->do("SET pgbraid.consistent_reads = $_"); $_ => $w } qw(on off);
    my %us;
    for my $round (-10 .. $rounds - 1) {
        for my $kind (@$kinds) {
            my ($title, @sql) = @$kind;
            for my $mode ($round % 2 ? qw(on off) : qw(off on)) {
                my $start = time;
                $client{$mode}->do(@sql);
                push @{ $us{$title}{$mode} }, (time - $start) * 1e6 if $round >= 0;
            }
        }
    }
    return { map { my $t = $_; $t => { map { $_ => PgbraidTest::Bench::median(@{ $us{$t}{$_} }) } qw(on off) } } keys %us };
}

# Another process reads both shards all the time, until killed.
sub reader
{
    my ($router, $sql, $mode) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    my $w = $router->wire;
    $w->do("SET pgbraid.consistent_reads = $mode");
    while (1) { eval { $w->do($sql); 1 } or POSIX::_exit(1); }
}

# The rows of the table: [title, µs with on, µs with off, difference].
sub run
{
    my (%opt) = @_;
    my $cluster = PgbraidTest::Bench::cluster(shards => 2, separate => 1, rows => 1000);
    my $router = PgbraidTest::Bench::router($cluster);
    my ($a, $b) = map { $cluster->value($_, 'SELECT max(aid) FROM pgbench_accounts') } 1, 2;
    my ($c, $d) = map { $cluster->value($_, 'SELECT min(aid) FROM pgbench_accounts') } 1, 2;
    my @kinds = kinds($a, $b);
    my $alone = medians($router, \@kinds, $opt{rounds});
    my %beside;
    for my $mode (qw(on off)) {
        my $pid = reader($router, "SELECT abalance FROM pgbench_accounts WHERE aid IN ($c, $d)", $mode);
        my $us = medians($router, [ @kinds[ 3, 4 ] ], $opt{rounds});
        kill KILL => $pid;
        waitpid $pid, 0;
        $beside{$_}{$mode} = $us->{$_}{on} for keys %$us;
    }
    $router->stop;
    my $row = sub { my ($title, $us) = @_; return [ $title, (map { sprintf '%.0f', $us->{$_} } qw(on off)), sprintf '%+.0f', $us->{on} - $us->{off} ]; };
    return ((map { $row->($_->[0], $alone->{ $_->[0] }) } @kinds), map { $row->("$_->[0], beside a process that reads both shards all the time", $beside{ $_->[0] }) } @kinds[ 3, 4 ]);
}

1;
