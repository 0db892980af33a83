# Memory: what an idle client costs, that a slow reader is held back instead of buffered for, and that 2,000 idle clients do
# not keep 64 busy ones from working, with default settings.
use strict;
use warnings;
use lib 'tests/lib';
use PgbraidTest::Bench;
use PgbraidTest::Gauge;
use PgbraidTest::Tree;
use Test::More;

plan skip_all => 'not under a sanitizer' if PgbraidTest::Tree::build() =~ /san$/;

my $idle_clients = 2000;
my $stream_mib = 200;
my $rows = 1000;
my $cluster = PgbraidTest::Bench::cluster(shards => 2, rows => $rows);
my $router = PgbraidTest::Router->new(cluster => $cluster);
my $limit = PgbraidTest::Gauge::raise_descriptor_limit();
cmp_ok($limit, '>', 2 * $idle_clients, 'descriptors enough for the test') or BAIL_OUT('the hard limit of open files is too low');

# Idle clients: each has logged in and run a statement.
my @idle = map { $router->wire } 1 .. 64;
$_->value('SELECT abalance FROM pgbench_accounts WHERE aid = 1') for @idle;
my $before = PgbraidTest::Gauge::memory_kib($router->pid)->{Anonymous};
for (1 .. $idle_clients) {
    my $client = $router->wire;
    $client->value('SELECT abalance FROM pgbench_accounts WHERE aid = ' . (1 + $_ % $rows));
    push @idle, $client;
}
my $each = (PgbraidTest::Gauge::memory_kib($router->pid)->{Anonymous} - $before) / $idle_clients;
cmp_ok($each, '<=', 4, sprintf 'an idle client costs %.2f KiB of anonymous memory', $each);

my $run = PgbraidTest::Bench::pgbench(port => $router->port, database => $router->database, rows => $rows, mode => 'prepared', clients => 64, transactions => 50);
is($run->{transactions}, 64 * 50, "64 busy clients beside $idle_clients idle ones: all transactions done");
is($run->{failed}, 0, '... none failed');
is($idle[-1]->value('SELECT 1'), 1, '... and the idle ones still work');

# A slow reader, one shard: bytes are relayed.
my $one = "SELECT repeat('x', 1000) FROM pg_catalog.generate_series(1, " . $stream_mib * 1000 . ')';
# Both shards: the router's own way of putting rows together.
my $both = "SELECT repeat('x', 1000) FROM pgbench_accounts, pg_catalog.generate_series(1, $stream_mib)";
for ([ 'from one shard', $one ], [ 'from two shards', $both ], [ 'COPY OUT from two shards', "COPY ($both) TO STDOUT" ]) {
    my ($name, $sql) = @$_;
    my $client = $router->wire;
    my $read;
    my $growth = PgbraidTest::Gauge::peak_growth_kib($router->pid, sub { $read = PgbraidTest::Gauge::read_slowly($client, $router->pid, $sql); });
    cmp_ok($read->{bytes}, '>', $stream_mib * 1_000_000, "$name: $stream_mib MB arrived");
    cmp_ok($growth, '<', 16 * 1024, "... for a slow reader: resident memory grew by $growth KiB at most");
}

done_testing();
