#!/usr/bin/perl
# The router's connections to its shards through TLS: each libpq sslmode of a shard's conninfo. The servers take nothing
# else than TLS, so a statement that is answered was encrypted.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Certs;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;

my $certs = PgbraidTest::Certs->new;
my $server = $certs->make('server', san => 'IP:127.0.0.1');
my $cluster = PgbraidTest::Cluster->new(shards => 2, separate => 1, tls => $server,
    conninfo => 'sslmode=verify-full sslrootcert=' . $certs->ca);
my $router = PgbraidTest::Router->new(cluster => $cluster);

$router->do('CREATE TABLE t (id int PRIMARY KEY, v text)', q{SELECT pgbraid.shard_table('t', 'id')});
$router->do(q{INSERT INTO t VALUES } . join ', ', map { "($_, 'v$_')" } 1 .. 200);
is($router->value('SELECT count(*) FROM t'), 200, 'verify-full: rows on both shards');
for my $i (1, 2) {
    is($cluster->value($i, q{SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND NOT ssl}),
        0, "no connection of the router to shard $i is plain");
    cmp_ok($cluster->value($i, q{SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE backend_type = 'client backend' AND ssl}),
        '>', 0, "and there are some");
}

subtest 'large values and results' => sub {
    my $w = $router->wire;
    for my $size (1, 16_383, 16_384, 16_385, 1_000_000, 5_000_000) {
        is($w->value("SELECT length(repeat('x', $size)) FROM t WHERE id = 1"), $size, "$size computed");
        is(length $w->value("SELECT repeat('x', $size) FROM t WHERE id = 1"), $size, "$size bytes come");
        is($w->value('SELECT length($1) FROM t WHERE id = 1', 'y' x $size), $size, "$size bytes go");
    }
    is(scalar @{ $w->rows(q{SELECT i, repeat('z', 1000) FROM t, generate_series(1, 20000) i WHERE id = 2}) }, 20_000, 'many rows');
    my $sum = 0;
    $sum += length $_->[1] for @{ $w->rows(q{SELECT id, repeat('z', 100000) FROM t}) };
    is($sum, 200 * 100_000, 'many rows of both shards');
};

subtest 'a client that reads slowly' => sub {
    my $w = $router->wire;
    $w->send(PgbraidTest::Wire::Query(q{SELECT i, repeat('z', 1000) FROM t, generate_series(1, 40000) i WHERE id = 2}));
    sleep 2;
    my $n = grep { $_->{type} eq 'D' } $w->until_ready;
    is($n, 40_000, 'gets every row');
};

subtest 'transactions over both shards, and cancel' => sub {
    my $w = $router->wire;
    $w->do('BEGIN', q{UPDATE t SET v = 'changed'}, 'COMMIT');
    is($router->value(q{SELECT count(*) FROM t WHERE v = 'changed'}), 200, 'two-phase commit');
    $w->send(PgbraidTest::Wire::Query('SELECT pg_sleep(60) FROM t WHERE id = 1'));
    sleep 1;
    $w->cancel;
    my ($e) = grep { $_->{type} eq 'E' } $w->until_ready;
    is($e && $e->{fields}{C}, '57014', 'canceled');
};

subtest 'a certificate that is not good' => sub {
    my $other = PgbraidTest::Certs->new;
    (my $conninfo = $cluster->conninfo(1)) =~ s{sslrootcert=\S+}{'sslrootcert=' . $other->ca}e;
    $router->cli_ok('shard', 'add', '--config', $router->conf, 'bad1', '--database', 'bad', '--range', '-', '--conninfo', $conninfo);
    my $w = wait_for('the database', sub { my $try = $router->try_wire(database => 'bad'); return ($try->{error}{C} // '') eq '3D000' ? 0 : $try; });
    like($w->{error}{M}, qr/certificate verify failed/, 'of another authority: nobody gets in, and the client is told why');
    is($router->value('SELECT count(*) FROM t'), 200, 'the other database goes on');
};

done_testing();
