#!/usr/bin/perl
# Gathered rows as array parameters: up to which size, what becomes of them beyond it, and that the memory they take has a bound for
# all statements together, and is given back however they end.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 2, settings => { log_statement => 'all', log_parameter_max_length => 0 });
my $router = PgbraidTest::Router->new(cluster => $cluster, ranges => [ PgbraidTest::Router::equal_ranges(2) ],
    config => { sharding_key => 'k', pool_size => 40, schema_check_interval => 0, workers => 1 });
$router->do('CREATE TABLE a (k bigint PRIMARY KEY, v int, w text, t timestamp(3), n numeric(9,2))', 'CREATE TABLE b (k bigint PRIMARY KEY, v int)', 'CREATE TABLE c (k bigint PRIMARY KEY, v int)');
for my $t (qw(a b c)) {
    my $s = $router->wire;
    $s->send(PgbraidTest::Wire::Query("COPY $t (k, v" . ($t eq 'a' ? ', w, t, n' : '') . ') FROM STDIN'));
    $s->read_frame;
    $s->send(CopyData(join '', map { my $i = $_; "$i\t" . $i * 7 % 1001 . ($t eq 'a' ? "\t" . ($i % 5 ? "\\N" : "w$i") . "\t2024-01-01 00:00:00." . $i % 1000 . "\t" . $i % 97 . '.5' : '') . "\n" } 1 .. 20_000), CopyDone());
    is(PgbraidTest::Wire::result($s->until_ready)->{error}, undef, "rows of $t");
}
$cluster->do($_, 'ANALYZE') for 1, 2;
my $w = $router->wire;

# How the servers got a statement's rows: what they have logged since the last call.
my $from = length $cluster->server_log(1);
sub way
{
    my $log = substr $cluster->server_log(1), $from;
    $from += length $log;
    my $way = $log =~ /COPY pg_temp/ ? 'tables' : $log =~ /unnest\(\$1\)/ ? 'arrays' : 'neither';
    return $way . ($log =~ /set_config\('jit', 'off', true\)/ ? ', no jit' : '');
}
sub same
{
    my ($how, $sql, $rows, @values) = @_;
    is_deeply($w->rows($sql, @values), $rows, $sql);
    is(way(), $how, "... $how");
    return;
}
# Of v = 7 k mod 1001, k and k + 143 have the same.
sub joined { my ($n, $m) = @_; my %b; $b{ $_ * 7 % 1001 }++ for 1 .. $m; my $sum = 0; $sum += $b{ $_ * 7 % 1001 } // 0 for 1 .. $n; return $sum; }

my $join = 'SELECT count(*) FROM a JOIN b ON a.v = b.v WHERE a.k <= %d AND b.k <= %d';
same('arrays', sprintf($join, 400, 500), [ [ joined(400, 500) ] ]);
same('arrays, no jit', sprintf($join, 1500, 2500), [ [ joined(1500, 2500) ] ]);
same('arrays, no jit', sprintf($join, 20_000, 20_000), [ [ joined(20_000, 20_000) ] ]);
my $sum = 0;
$sum += $_ % 97 + 0.5 for 1 .. 20_000;
same('arrays, no jit', 'SELECT sum(r), max(t), sum(n), count(w), min(w) FROM (SELECT rank() OVER (ORDER BY v, k) AS r, * FROM a WHERE k > $1) q',
    [ [ 20_000 * 20_001 / 2, '2024-01-01 00:00:00.999', sprintf('%.2f', $sum), 4000, 'w10' ] ], 0);

note('more than two tables: where there are many rows, the server may look at them');
my $three = 'SELECT count(*) FROM a JOIN b ON a.v = b.v JOIN c ON c.v = b.v WHERE a.k <= %d AND b.k <= %d AND c.k <= %d';
same('arrays', sprintf($three, 10, 20, 30), [ [ 10 ] ]);
same('tables', sprintf($three, 600, 600, 600), [ [ 28 * 5**3 + 115 * 4**3 ] ]);

note('more than 4 MB');
my $wide = 'SELECT count(DISTINCT p), max(length(p)) FROM (SELECT lag(p) OVER (ORDER BY k) AS p FROM wide WHERE k <= %d) q';
$router->do('CREATE TABLE wide (k bigint PRIMARY KEY, p text)');
$router->do("INSERT INTO wide VALUES " . join ', ', map { "($_, repeat(md5('$_'), 500))" } 1 .. 400);
$from = length $cluster->server_log(1);
same('arrays', sprintf($wide, 200), [ [ 199, 16000 ] ]);
same('tables', sprintf($wide, 400), [ [ 399, 16000 ] ]);
same('arrays', sprintf($wide, 50), [ [ 49, 16000 ] ]);

note('what is held is given back: far more than the bound of all statements, one after the other');
for my $how ('to the end', 'cancelled', 'with an error', 'the client goes') {
    for my $i (1 .. 25) {
        my $s = $router->wire;
        if ($how eq 'to the end') { $s->rows(sprintf $wide, 240); next; }
        my $lock = $cluster->wire(2);
        $lock->do('BEGIN', 'LOCK TABLE wide') if $how ne 'with an error';
        $s->send(PgbraidTest::Wire::Query($how eq 'with an error' ? 'SELECT count(*) FROM (SELECT 1 / (row_number() OVER (ORDER BY k) - 3) AS p, p AS q FROM wide WHERE k <= 240) q WHERE p > 0 AND q > \'\'' : sprintf $wide, 240));
        if ($how eq 'with an error') { is(PgbraidTest::Wire::result($s->until_ready)->{error}{C}, '22012', 'an error') if $i == 1; next; }
        wait_for('the lock', sub { $cluster->value(2, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") });
        $s->cancel if $how eq 'cancelled';
        $s->until_ready if $how eq 'cancelled';
        $s->close if $how ne 'cancelled';
        wait_for('its end', sub { !$cluster->value(2, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") });
    }
    way();
    same('arrays', sprintf($wide, 240), [ [ 239, 16000 ] ]);
}

note('the bound of all statements: those beyond it take temporary tables');
my $lock = $cluster->wire(2);
$lock->do('BEGIN', 'LOCK TABLE b');
my @held = map { $router->wire } 1 .. 36;
way();
my $both = 'SELECT count(DISTINCT p) FROM (SELECT lag(p) OVER (ORDER BY wide.k) AS p FROM wide LEFT JOIN b ON b.v + 0 = wide.k + 0 WHERE wide.k <= 240) q';
$_->send(PgbraidTest::Wire::Query($both)) for @held;
wait_for('all to wait', sub { $cluster->value(2, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == @held });
wait_for('some to take tables', sub { way() =~ /tables/ });
$lock->do('COMMIT');
my %answers;
$answers{ PgbraidTest::Wire::result($_->until_ready)->{rows}[0][0] // 'error' }++ for @held;
is_deeply(\%answers, { 239 => 36 }, 'the answer of each');
way();
same('arrays', sprintf($wide, 240), [ [ 239, 16000 ] ]);
done_testing();
