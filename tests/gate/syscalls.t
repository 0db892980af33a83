# System calls per transaction of pgbench -S on a cached plan, two shards, 20 server connections a shard: one receive and one
# send for each direction, and a share of an epoll_wait; nothing else (no epoll_ctl, no second send for prepared statements).
use strict;
use warnings;
use lib 'tests/lib';
use PgbraidTest::Bench;
use PgbraidTest::Gauge;
use PgbraidTest::Tree;
use Test::More;

plan skip_all => 'not under a sanitizer' if PgbraidTest::Tree::build() =~ /san$/;

my %limit = (1 => 6.1, 16 => 4.7, 64 => 4.7);
my $rows = 1000;
my $cluster = PgbraidTest::Bench::cluster(shards => 2, rows => $rows);
my $router = PgbraidTest::Bench::router($cluster);

for my $mode (@PgbraidTest::Bench::MODES) {
    my $run = sub {
        my ($clients, $n) = @_;
        return PgbraidTest::Bench::pgbench(port => $router->port, database => $router->database, rows => $rows, mode => $mode, clients => $clients, transactions => int($n / $clients))->{transactions};
    };
    $run->(64, 1280); # opens all connections and prepares the statement on each
    for my $clients (sort { $a <=> $b } keys %limit) {
        my $each;
        # A busy machine wakes the router for each message alone: noise only adds, so the best of three counts.
        for (1 .. 3) {
            my $got = PgbraidTest::Gauge::syscalls_per_transaction($router->pid, 640, sub { return $run->($clients, $_[0]); });
            $each = $got if !defined $each || $got < $each;
            last if $each <= $limit{$clients};
        }
        cmp_ok($each, '<=', $limit{$clients}, sprintf '%s, %d clients: %.2f system calls per transaction', $mode, $clients, $each);
    }
}

done_testing();
