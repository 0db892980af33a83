# User-space instructions per transaction of pgbench -S on a cached plan, two shards: the slope between two numbers of
# transactions under callgrind. What the kernel does is not in it; system calls are counted in syscalls.t.
use strict;
use warnings;
use lib 'tests/lib';
use PgbraidTest::Bench;
use PgbraidTest::Gauge;
use PgbraidTest::Tree;
use Test::More;

plan skip_all => 'not under a sanitizer' if PgbraidTest::Tree::build() =~ /san$/;

my %limit = (simple => 6000, extended => 8000, prepared => 8000);
my $rows = 1000;
my $cluster = PgbraidTest::Bench::cluster(shards => 2, rows => $rows);
my $router = PgbraidTest::Bench::router($cluster, binary => PgbraidTest::Gauge::callgrind_binary());

for my $mode (@PgbraidTest::Bench::MODES) {
    my $run = sub {
        my ($clients, $n) = @_;
        return PgbraidTest::Bench::pgbench(port => $router->port, database => $router->database, rows => $rows, mode => $mode, clients => $clients, transactions => int($n / $clients))->{transactions};
    };
    $run->(64, 1280); # opens all connections and prepares the statement on each
    for my $clients (1, 16, 64) {
        my $each = PgbraidTest::Gauge::instructions_per_transaction($router->pid, 640, sub { return $run->($clients, $_[0]); });
        cmp_ok($each, '<=', $limit{$mode}, sprintf '%s, %d clients: %.0f instructions per transaction', $mode, $clients, $each);
    }
}

done_testing();
