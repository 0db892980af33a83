#!/usr/bin/perl
# What gathers can be given up at each of its stages: while shards estimate, while rows are held, while they are copied into temporary tables. By
# the client that cancels or goes, by a shard that is lost, by the server that gathers; connections come back clean, no row stays, and no memory.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Gauge;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Tree;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 2, separate => 1, settings => { max_connections => 300 });
my $router = PgbraidTest::Router->new(cluster => $cluster, ranges => [ PgbraidTest::Router::equal_ranges(2) ], config => { sharding_key => 'k', pool_size => 50, schema_check_interval => 0, gather_array_rows => 500 });
$router->do('CREATE TABLE a (k bigint PRIMARY KEY, v int, w text)', 'CREATE TABLE b (k bigint PRIMARY KEY, v int)');
$router->do('INSERT INTO a VALUES ' . join(', ', map { "($_, $_ % 50, repeat('w', 600))" } 1 .. 400), 'INSERT INTO b VALUES ' . join(', ', map { "($_, $_ % 50)" } 1 .. 400));
my $console = $router->wire(database => 'pgbraid');
my $n = 0;

# Of each stage: the shard whose table b is locked, the statement, where it waits, and what the gathering server does meanwhile.
my %stages = (
    estimate => [ 1, sub { 'SELECT count(*) AS x' . ++$n . ' FROM a JOIN b ON a.v = b.v' }, 'EXPLAIN (FORMAT JSON)%', 3200 ],
    hold => [ 2, sub { 'SELECT count(*) FROM a, b WHERE a.v + 0 = b.v + 0 AND a.k <= 40' }, 'SELECT%', 320 ],
    copy => [ 2, sub { 'SELECT count(*), max(length(a.w)) FROM a, b WHERE a.v + 0 = b.v + 0' }, 'SELECT%', 3200 ],
);
sub count { my ($shard, $which) = @_; return $cluster->value($shard, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND $which"); }

# A session whose statement is at the stage, and the lock that it waits for.
sub at
{
    my ($stage) = @_;
    my ($shard, $sql, $like, $result) = @{ $stages{$stage} };
    my ($lock, $s, $text) = ($cluster->wire($shard), $router->wire, $sql->());
    $lock->do('BEGIN', 'LOCK TABLE b IN ACCESS EXCLUSIVE MODE');
    $s->send(PgbraidTest::Wire::Query($text));
    wait_for("$stage to be reached", sub { count($shard, "wait_event_type = 'Lock' AND query LIKE '$like'") && ($stage ne 'copy' || count(1, "query LIKE 'COPY pg_temp%' AND state = 'active'")) });
    return ($s, $lock, $text, $result);
}
sub quiet { wait_for('servers to be quiet', sub { !grep { count($_, "state <> 'idle' AND backend_type = 'client backend'") } 1, 2 }); return 1; }
sub error { my ($s) = @_; my $e = PgbraidTest::Wire::result($s->until_ready)->{error}; return $e ? $e->{C} : 'none'; }
my %events = (
    'the client cancels' => sub { my ($s) = @_; $s->cancel; is(error($s), '57014', 'cancelled'); },
    'the client goes' => sub { my ($s) = @_; $s->close; },
    'a shard is lost' => sub { my ($s, $shard) = @_; $cluster->value($shard, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"); like(error($s), qr/^(?:57P01|08006)$/, 'an error'); },
    'the gathering connection is lost' => sub {
        my ($s, $shard, $stage) = @_;
        my %busy = map { $_->[4] => 1 } grep { $_->[2] =~ /gather/ && $_->[5] ne 'idle' } @{ $console->rows('SHOW SERVERS') };
        is(scalar keys %busy, 1, 'it has one');
        $cluster->value(1, "SELECT pg_terminate_backend($_)") for keys %busy;
        like(error($s), qr/^(?:57P01|08006)$/, 'an error');
    },
    'the gathering server crashes' => sub { my ($s, $shard) = @_; $cluster->crash_server(1); like(error($s), qr/^(?:57P0[123]|08006)$/, 'an error'); $cluster->start_server(1) if !eval { $cluster->value(1, 'SELECT 1') }; },
);
for my $stage (qw(estimate hold copy)) {
    for my $event (sort keys %events) {
        next if $event =~ /connection/ && $stage eq 'estimate'; # there is none yet
        next if $event =~ /crashes/ && $stage ne 'copy';
        my ($s, $lock, $sql, $result) = at($stage);
        $events{$event}->($s, $stages{$stage}[0], $stage);
        if ($event =~ /crashes/) {
            wait_for('the server to be back', sub { eval { $cluster->value(1, 'SELECT 1') } && !$router->query('SELECT count(*) FROM a')->{error} });
        }
        undef $lock;
        ok(quiet(), "$stage: $event: nobody works on it any more");
        is($router->value($sql), $result, '... and the next one has the right rows');
        is($s->value($sql), $result, '... in the same session, too') if $event !~ /goes/;
    }
}

# Given up again and again: nothing is kept.
my ($lock) = map { $cluster->wire($_) } 2;
$lock->do('BEGIN', 'LOCK TABLE b IN ACCESS EXCLUSIVE MODE');
my $many = sub {
    for my $i (1 .. 30) {
        my $s = $router->wire;
        $s->send(PgbraidTest::Wire::Query($stages{ $i % 2 ? 'hold' : 'copy' }[1]->()));
        wait_for('it to wait', sub { count(2, "wait_event_type = 'Lock'") });
        $s->cancel;
        error($s);
    }
};
$many->();
my $before = PgbraidTest::Gauge::memory_kib($router->pid)->{Rss};
$many->();
my $freed = PgbraidTest::Tree::build() =~ /san$/ || $ENV{PGBRAID_VALGRIND} ? 64 : 1; # they keep what is freed
cmp_ok(PgbraidTest::Gauge::memory_kib($router->pid)->{Rss} - $before, '<', 1024 * $freed, 'given up 30 times: the router has not grown');

# 200 at once, all with rows in hand or waiting for a connection: bounded by the pool, and by what each may hold.
my @all = map { $router->wire } 1 .. 200;
my $idle = PgbraidTest::Gauge::memory_kib($router->pid)->{Rss};
$_->send(PgbraidTest::Wire::Query('SELECT count(*) FROM a, b WHERE a.v + 0 = b.v + 0 AND a.w <> \'\' AND a.k <= 100')) for @all;
wait_for('as many as the pool has to wait for the lock', sub { count(2, "wait_event_type = 'Lock'") == 50 });
cmp_ok(PgbraidTest::Gauge::memory_kib($router->pid)->{Rss} - $idle, '<', 200 * 128 * $freed, '200 gathers: less than 128 KiB each');
$lock->do('ROLLBACK');
is(join(' ', map { PgbraidTest::Wire::result($_->until_ready)->{rows}[0][0] // 'none' } @all), join(' ', (800) x 200), '... which all have their answer');
done_testing();
