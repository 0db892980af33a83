# Logins on servers with SCRAM cost milliseconds of CPU each. They are spent beside the event loop: while twenty connections
# are opened the worker's thread, which serves other clients meanwhile, uses a small part of the CPU time of the threads that
# log in. How long a turn of the loop takes is measured by ./dev bench.
use strict;
use warnings;
use lib 'tests/lib';
use PgbraidTest::Bench;
use PgbraidTest::Gauge;
use PgbraidTest::Tree;
use PgbraidTest::Wire;
use Test::More;

plan skip_all => 'not under a sanitizer' if PgbraidTest::Tree::build() =~ /san$/;

my $logins = 20;
my $cluster = PgbraidTest::Bench::cluster(shards => 1, rows => 100);
my $router = PgbraidTest::Bench::router($cluster, config => PgbraidTest::Bench::scram($cluster, 'scrammed'));
my $worker = PgbraidTest::Bench::worker_thread($router, 100);

# The first login of the user asks for its settings; the connections that follow are what is measured.
my @clients = map { $router->wire(user => 'scrammed') } 1 .. $logins;
my $before = PgbraidTest::Gauge::thread_cpu_us($router->pid);
$_->send(Query('BEGIN'), Query('SELECT 1')) for @clients;
for my $client (@clients) {
    $client->until_ready;
    $client->until_ready;
}
my $after = PgbraidTest::Gauge::thread_cpu_us($router->pid);

is($cluster->value(1, "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE usename = 'scrammed' AND state = 'idle in transaction'"), $logins, "$logins connections were opened");
my ($loop, $all) = (0, 0);
for my $thread (keys %$after) {
    my $us = $after->{$thread} - ($before->{$thread} // 0);
    $all += $us;
    $loop += $us if $thread == $worker;
}
cmp_ok($all, '>', 20_000, sprintf 'logging in cost %.0f ms of CPU', $all / 1000);
cmp_ok($loop, '<', $all / 5, sprintf '... %.1f ms of it in the event loop', $loop / 1000);

done_testing();
