#!/usr/bin/perl
# REPEATABLE READ and SERIALIZABLE over shards (rules P7, X21): all snapshots are taken together before the first statement, or the
# transaction stays on one shard.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'id', workers => 2 });
$router->do('CREATE TABLE t (id bigint PRIMARY KEY, v int NOT NULL)', 'CREATE TABLE home (n int)', 'INSERT INTO home VALUES (0)');
$router->do('INSERT INTO t VALUES ' . join(', ', map { "($_, 0)" } 1 .. 30));
my ($a, $b, $c) = map { $cluster->value($_, 'SELECT min(id) FROM t') } 1 .. 3;
my $w = $router->wire;
my $other = $router->wire;

sub all_change { $other->do('UPDATE t SET v = v + 1', 'UPDATE home SET n = n + 1'); return; }
sub v { my ($id, $x) = @_; return ($x // $w)->value("SELECT v FROM t WHERE id = $id"); }

# --- whatever the first statement is, all shards are seen as they were then
my %first = (
    'a statement of one shard' => sub { v($a) },
    '... in the extended protocol' => sub { $w->query_params('SELECT v FROM t WHERE id = $1', $a) },
    'a scattered statement' => sub { $w->do('SELECT id FROM t') },
    'a gathered one' => sub { $w->do('SELECT count(DISTINCT x.v) FROM t x JOIN t y ON x.v = y.v') },
    'a merged one' => sub { $w->do('SELECT id FROM t ORDER BY id LIMIT 3') },
    'a statement of any shard' => sub { $w->do('SELECT 1') },
    'one of the home shard' => sub { $w->do('SELECT n FROM home') },
    'a change' => sub { $w->do('UPDATE t SET v = v WHERE id = 1000') },
    'a change of all shards' => sub { $w->do('UPDATE t SET v = v WHERE id > 1000') },
    'a cursor' => sub { $w->do('DECLARE c CURSOR FOR SELECT id FROM t', 'FETCH 1 FROM c') },
    'COPY TO' => sub { $w->query('COPY t TO STDOUT') },
    'an SQL EXECUTE' => sub { $w->do("EXECUTE p($a)") },
    'an idempotency key' => sub { $w->do("SET pgbraid.idempotency_key = 'isolation'") },
    'a pipeline' => sub { $w->send(Parse('', 'SELECT $1::int'), Bind('', '', [1]), Execute(''), Parse('', "SELECT v FROM t WHERE id = $b"), Bind('', '', []), Execute(''), Sync()); $w->until_ready; },
);
$w->do('PREPARE p(bigint) AS SELECT v FROM t WHERE id = $1');
for my $how (sort keys %first) {
    for my $set ('', "SET LOCAL work_mem = '5MB'", 'SAVEPOINT s') {
        my $before = v($c);
        $w->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
        $w->do($set) if $set;
        $first{$how}->();
        all_change();
        is_deeply([ map { v($_) } $a, $b, $c ], [ ($before) x 3 ], "X21: after $how" . ($set && ", $set") . ': each shard as it was');
        is_deeply($w->rows('SELECT DISTINCT v FROM t'), [ [$before] ], '... together, too');
        is_deeply($w->rows('SELECT min(v), max(v), count(*) FROM t'), [ [ $before, $before, 30 ] ], '... and added up');
        is($w->value('SELECT t.v FROM t JOIN home ON t.v = home.n WHERE t.id = ' . $b), $before, '... with what is on the home shard');
        $w->do('ROLLBACK');
        is(v($c), $before + 1, 'afterwards: as it is');
    }
}

# --- as on one server
my $plain = $cluster->wire(1);
$plain->do('CREATE TABLE plain (id bigint PRIMARY KEY, v int NOT NULL)', "INSERT INTO plain VALUES ($a, 0), ($b, 0)");
my $plain_other = $cluster->wire(1);
sub conflict
{
    my ($x, $y, $t, $at, $second) = @_;
    my @said;
    $x->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
    $x->do("SELECT v FROM $t WHERE id = $at");
    $y->do("UPDATE $t SET v = v + 1 WHERE id = $second");
    push @said, $x->query("UPDATE $t SET v = v + 1 WHERE id = $second")->{error}{C}, $x->query('SELECT 1')->{error}{C};
    push @said, $x->query('COMMIT')->{tags}[0];
    return join ' ', @said;
}
is(conflict($w, $other, 't', $a, $b), conflict($plain, $plain_other, 'plain', $a, $b), 'X21: a row that has changed on another shard: 40001, as on one server');
is(conflict($w, $other, 't', $b, $b), '40001 25P02 ROLLBACK', 'on the same, too');
$w->do('BEGIN ISOLATION LEVEL REPEATABLE READ', "SELECT v FROM t WHERE id = $a");
$other->do("DELETE FROM t WHERE id = $c");
is(v($c) // 'gone', $router->value("SELECT max(v) FROM t WHERE id = $a"), 'a row that was deleted meanwhile is there');
$w->do('COMMIT');
is(v($c), undef, 'and gone afterwards');
$router->do("INSERT INTO t VALUES ($c, 7)");

$w->do('BEGIN ISOLATION LEVEL REPEATABLE READ', "UPDATE t SET v = -1 WHERE id = $a", 'SAVEPOINT s', "UPDATE t SET v = -1 WHERE id = $b", 'ROLLBACK TO s');
is_deeply([ map { v($_) } $a, $b ], [ -1, v($b, $other) ], 'own changes are seen, undone ones are not');
$w->do('COMMIT AND CHAIN');
all_change();
is(v($a), 0, 'AND CHAIN: a new snapshot with the first statement');
all_change();
is(v($b), v($b), 'and the same for the second');
is($w->value('SHOW transaction_isolation'), 'repeatable read', 'as the one before');
$w->do('COMMIT');

$w->do('SET default_transaction_isolation = "repeatable read"');
my $r = $w->query("SELECT v FROM t WHERE id = $a; SELECT sum(v) FROM t; UPDATE t SET v = 5 WHERE id = $b; SELECT v FROM t WHERE id = $b");
is(join(',', @{ $r->{tags} }), 'SELECT 1,SELECT 1,UPDATE 1,SELECT 1', 'a string of statements in REPEATABLE READ') or diag explain $r->{error};
is($w->value('SELECT count(*) FROM t'), 30, 'a statement by itself');
is($w->do('UPDATE t SET v = 3'), 'UPDATE 30', 'a change of all shards by itself');
$w->do('RESET default_transaction_isolation');

# --- no shard hears of it that need not
sub begun { return scalar grep { $cluster->value($_, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = current_database() AND state LIKE 'idle in transaction%'") } 1 .. 3; }
$w->do('BEGIN', "SELECT v FROM t WHERE id = $a");
is(begun(), 1, 'READ COMMITTED: one shard is in the transaction');
$w->do('COMMIT', 'BEGIN ISOLATION LEVEL REPEATABLE READ', "SELECT v FROM t WHERE id = $a");
is(begun(), 3, 'P7: REPEATABLE READ: all are');
$w->do('COMMIT');
is(begun(), 0, 'and none afterwards');
$w->do("SET pgbraid.snapshot_shards = 'one'", 'BEGIN ISOLATION LEVEL REPEATABLE READ', "SELECT v FROM t WHERE id = $a");
is(begun(), 1, 'snapshot_shards = one: one is');
is(v($a), 3, 'its statements go on there');
my $e = $w->error("SELECT v FROM t WHERE id = $b");
is($e->{C}, '0A000', 'P7: another shard is refused');
like("$e->{M} $e->{H}", qr/REPEATABLE READ.*over several shards.*snapshot_shards = 'all'/s, '... with the way out');
$w->do('ROLLBACK', 'RESET pgbraid.snapshot_shards');
$w->do("SET pgbraid.key = '$a'", 'BEGIN ISOLATION LEVEL REPEATABLE READ', "SELECT v FROM t WHERE id = $a");
is(begun(), 1, 'X21: a declared shard: one is');
$w->do('RESET pgbraid.key');
is($w->error("SELECT v FROM t WHERE id = $b")->{C}, '0A000', 'X21: a shard not included is never enlisted late');
$w->do('ROLLBACK', 'RESET pgbraid.key');

# --- SERIALIZABLE
$w->do('BEGIN ISOLATION LEVEL SERIALIZABLE', "SELECT v FROM t WHERE id = $a");
is(begun(), 1, 'P7: SERIALIZABLE stays on one shard');
is($w->error("SELECT v FROM t WHERE id = $b")->{C}, '0A000', 'P7: a second is refused');
$w->do('ROLLBACK', 'BEGIN ISOLATION LEVEL SERIALIZABLE');
like($w->error('SELECT sum(v) FROM t')->{H}, qr/all_serializable/, 'P7: so is a scattered statement');
$w->do('ROLLBACK', "SET pgbraid.snapshot_shards = 'all_serializable'", 'BEGIN ISOLATION LEVEL SERIALIZABLE');
is($w->value('SELECT sum(v) FROM t'), 90, 'P7: unless the session has chosen that');
all_change();
is_deeply($w->rows('SELECT DISTINCT v FROM t'), [ [3] ], '... with one snapshot');
$w->do('COMMIT');
$other->do("SET pgbraid.snapshot_shards = 'all_serializable'");
$_->do('BEGIN ISOLATION LEVEL SERIALIZABLE', "SELECT v FROM t WHERE id IN ($a, $b)") for $w, $other;
$w->do("UPDATE t SET v = 100 WHERE id = $a");
$other->do("UPDATE t SET v = 100 WHERE id = $b");
is_deeply([ map { $_->query('COMMIT')->{tags}[0] } $w, $other ], [ 'COMMIT', 'COMMIT' ], 'P7: then write skew over shards is possible');
is($w->error("SET pgbraid.snapshot_shards = 'some'")->{C}, '22023', 'a value that is none');
$_->do('RESET pgbraid.snapshot_shards') for $w, $other;

# --- what cannot be first, and what ends it
$w->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($w->error('NOTIFY x')->{C}, '0A000', 'X21: NOTIFY puts the transaction on one shard before the others');
$w->do('ROLLBACK', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT 1', 'NOTIFY x', 'COMMIT');
$w->do('BEGIN ISOLATION LEVEL REPEATABLE READ', "SELECT v FROM t WHERE id = $a");
$other->do('CREATE TABLE fresh (id bigint PRIMARY KEY)');
is($w->error("SELECT v FROM t WHERE id = $b")->{C}, '40001', 'a schema that has changed since');
$w->do('ROLLBACK');
$w->do('BEGIN ISOLATION LEVEL REPEATABLE READ', "SET LOCAL statement_timeout = '100ms'");
is($w->error('SELECT pg_sleep(5)')->{C}, '57014', 'an error after the snapshots');
is($w->query('COMMIT')->{tags}[0], 'ROLLBACK', '... ends the transaction as ever');
is(begun(), 0, 'nothing is left');
done_testing();
