#!/usr/bin/perl
# now() is one moment in a statement and in a transaction, on however many shards (rule X22): the first shard's, as a literal. What
# reads a clock in another way is refused on a second shard, not answered by another clock.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'id' });
my $w = $router->wire;
my $columns = q{at timestamptz DEFAULT now(), v int DEFAULT 7, d date NOT NULL DEFAULT CURRENT_DATE, u timestamp(3) DEFAULT (now() AT TIME ZONE 'utc'), "Odd ""name" text DEFAULT to_char(CURRENT_TIMESTAMP, 'YYYY')};
$w->do("CREATE TABLE t (id bigint PRIMARY KEY, $columns)", 'CREATE TABLE h (k int PRIMARY KEY, at timestamptz DEFAULT now())', "CREATE TABLE ref (k int PRIMARY KEY, $columns)", "SELECT pgbraid.reference_table('ref')");
$w->do('INSERT INTO t (id) VALUES ' . join ', ', map { "($_)" } 1 .. 12);
my ($a, $b, $c) = map { $cluster->value($_, 'SELECT min(id) FROM t') } 1 .. 3;

sub moments { my ($table, $where) = @_; return join ' ', @{ $w->rows("SELECT count(DISTINCT at), count(DISTINCT d), count(DISTINCT u) FROM $table WHERE $where")->[0] }; }
sub at { my ($id, $column) = @_; return $w->value('SELECT ' . ($column // 'at') . " FROM t WHERE id = $id"); }

# --- a statement by itself
is(moments('t', 'true'), '1 1 1', 'X22: an INSERT for several shards: defaults that read the clock are one time');
is($w->value(q{SELECT bool_and(abs(extract(epoch from at - (u AT TIME ZONE 'utc'))) < 0.001 AND d = at::date AND "Odd ""name" = to_char(at, 'YYYY') AND v = 7 AND at BETWEEN now() - interval '1 min' AND now()) FROM t}), 't', '... and as they should be');
for my $insert ('INSERT INTO t VALUES (%d), (%d), (%d)', 'INSERT INTO t (id, v) VALUES (%d, 1), (%d, (2)), (%d, 3)', 'INSERT INTO t VALUES (%d, DEFAULT, 5), (%d, DEFAULT, DEFAULT), (%d, DEFAULT, 6)', 'INSERT INTO t (v, "id") VALUES (1, %d), (DEFAULT, %d), (1, %d)',
    'INSERT INTO t AS values (id, at) VALUES (%d, now()), (%d, CURRENT_TIMESTAMP), (%d, transaction_timestamp())', 'INSERT INTO t (at, id, d) VALUES (DEFAULT, %d, DEFAULT), (DEFAULT, %d, current_date), (now(), %d, DEFAULT) ON CONFLICT (id) DO UPDATE SET at = excluded.at') {
    $w->do("DELETE FROM t WHERE id IN ($a, $b, $c)");
    is($w->do(sprintf $insert, $a, $b, $c), 'INSERT 0 3', "X22: $insert");
    is(moments('t', "id IN ($a, $b, $c)"), '1 1 1', '... one time');
}
is($w->do('UPDATE t SET at = now(), d = CURRENT_DATE, u = LOCALTIMESTAMP'), 'UPDATE 12', 'X22: an UPDATE of all shards');
is(moments('t', 'true'), '1 1 1', '... one time');
is($w->do('UPDATE t SET (at, v) = (now(), 1), d = CURRENT_DATE'), 'UPDATE 12', 'X22: ... of several columns at once');
is(moments('t', 'true'), '1 1 1', '... one time');
is($w->do('UPDATE t SET at = DEFAULT, v = DEFAULT, d = DEFAULT, u = DEFAULT'), 'UPDATE 12', 'X22: ... to defaults');
is(moments('t', 'true'), '1 1 1', '... one time');
is($w->do("DELETE FROM t WHERE at < now() - interval '1 day'"), 'DELETE 0', 'X22: a DELETE by age');
is_deeply($w->rows("SELECT id, at < now() AS past FROM t WHERE at > now() - interval '1 hour' ORDER BY at, id LIMIT 2"), [ [ 1, 't' ], [ 2, 't' ] ], 'X22: a merged SELECT');
is($w->value("SELECT count(DISTINCT x) FROM (SELECT now() AS x FROM t) y"), 1, 'X22: a gathered one');
my $k = 0;
for my $insert ('INSERT INTO ref (k) VALUES (%d)', 'INSERT INTO ref (k) VALUES (%d), (-%1$d)', 'INSERT INTO ref VALUES (%d, now())', 'INSERT INTO ref (k, at) VALUES (%d, CURRENT_TIMESTAMP(2))') {
    $w->do(sprintf $insert, ++$k);
    my @copies = map { join '|', map { join ',', @$_ } @{ $cluster->rows($_, "SELECT * FROM ref WHERE abs(k) = $k ORDER BY k") } } 1 .. 3;
    is_deeply([ @copies[ 1, 2 ] ], [ @copies[ 0, 0 ] ], "X22, P42: $insert: the copies of a reference table are equal");
}
is($w->do('UPDATE ref SET at = now() WHERE k > 0'), 'UPDATE 4', 'X22: UPDATE of a reference table');
is($w->do('UPDATE ref SET (v, at) = (1, DEFAULT)'), 'UPDATE ' . $w->value('SELECT count(*) FROM ref'), 'X22: ... of a reference table');
is_deeply([ map { $cluster->value($_, 'SELECT count(DISTINCT at) || min(at)::text FROM ref') } 2, 3 ], [ ($cluster->value(1, 'SELECT count(DISTINCT at) || min(at)::text FROM ref')) x 2 ], 'X22, P42: ... whose copies are equal');

# --- as one server names and types it
my $plain = $cluster->wire(1);
$plain->do('CREATE TABLE plain AS SELECT * FROM t');
for my $item ('now()', 'NOW( )', 'pg_catalog.now()', 'CURRENT_TIMESTAMP', 'current_timestamp(3)', 'current_date', 'CURRENT_TIME', 'current_time(1)', 'LOCALTIME', 'LOCALTIME(0)', 'localtimestamp', 'LOCALTIMESTAMP (2)', 'transaction_timestamp()',
    'now()::date', 'CAST(now() AS date)', 'now() AT TIME ZONE \'utc\'', 'date_trunc(\'day\', now())', 'now() - now()', 'extract(epoch from now()) > 0', 'coalesce(NULL, now())', 'CASE WHEN true THEN now() END', '(now())', 'now() AS "x"', 'ARRAY[now()]', '(SELECT now())', 'now() IS NULL') {
    my @r = map { my ($x, $t) = @$_; $x->query("SELECT $item, id FROM $t WHERE now() IS NOT NULL AND /* now() */ 'now()' <> id::text") } [ $w, 't' ], [ $plain, 'plain' ];
    is(($r[0]{error} // {})->{M}, undef, "SELECT $item: runs");
    is(description($r[0]), description($r[1]), "... name, type and typmod as on one server");
}
sub description { my ($r) = @_; my ($d) = grep { $_->{type} eq 'T' } @{ $r->{frames} }; return join ' ', map { my $c = $_; join ',', map { $c->{$_} // '' } qw(name type modifier) } @{ $d->{columns} // [] }; }

# --- a transaction
sub in_txn { my (@sql) = @_; $w->do('BEGIN', @sql); my $now = $w->value('SELECT now()'); $w->do('COMMIT'); return $now; }
my $now = in_txn("UPDATE t SET at = now() WHERE id = $a", "UPDATE t SET at = now() WHERE id = $b", "UPDATE t SET at = CURRENT_TIMESTAMP WHERE id = $c");
is_deeply([ map { at($_) } $a, $b, $c ], [ ($now) x 3 ], 'X22: three statements on three shards: one time');
$now = in_txn("DELETE FROM t WHERE id IN ($a, $b)", "INSERT INTO t (id) VALUES ($a)", "INSERT INTO t (id, v) VALUES ($b, 2)", 'INSERT INTO ref (k) VALUES (100)', 'INSERT INTO h VALUES (1)', "UPDATE t SET at = now() WHERE id > 0 AND id <> $a AND id <> $b");
is_deeply([ at($a), at($b), at($c), $w->value('SELECT at FROM ref WHERE k = 100'), $w->value('SELECT at FROM h WHERE k = 1') ], [ ($now) x 5 ], 'X22: defaults, a reference table and one of the home shard, a scattered change');
$now = in_txn("UPDATE t SET at = now() WHERE id = $b", 'INSERT INTO h VALUES (2)', "UPDATE t SET at = DEFAULT WHERE id = $c");
is_deeply([ at($c), $w->value('SELECT at FROM h WHERE k = 2') ], [ ($now) x 2 ], 'X22: a default of the home shard, after another shard');
$now = in_txn("UPDATE t SET at = now() WHERE id = $b", 'UPDATE h SET at = DEFAULT');
is($w->value('SELECT at FROM h WHERE k = 2'), $now, 'X22: ... in an UPDATE');
is(in_txn("UPDATE t SET at = now() WHERE id = $b", "INSERT INTO h VALUES (3, '2000-01-01')"), at($b), '... and one that is not read is in nobody\'s way');
$w->do('BEGIN', "UPDATE t SET v = 1 WHERE id = $b", "UPDATE t SET at = now() WHERE id = $a");
$now = $w->value('SELECT now()');
is(at($a), $now, 'SELECT now() goes where the time was read');
$w->query_params("UPDATE t SET at = now(), v = \$1 WHERE id = $b", 5);
$w->query_params("UPDATE t SET v = \$1, at = now() - (\$2 || ' days')::interval WHERE id = $c AND at < now()", 6, 1);
is_deeply($w->query_params('SELECT id, now() FROM t WHERE id = $1 AND at = now()', $b)->{rows}, [ [ $b, $now ] ], 'X22: in the extended protocol');
is($w->value("SELECT now() - at FROM t WHERE id = $c"), '1 day', '... with parameters');
$w->do('SAVEPOINT s', "UPDATE t SET at = now() WHERE id = $c", 'ROLLBACK TO s', "UPDATE t SET at = now() WHERE id = $c", 'COMMIT');
is_deeply([ map { at($_) } $a, $b, $c ], [ ($now) x 3 ], '... one time, through savepoints');
isnt($w->value('SELECT now()'), $now, 'and another one afterwards');
$w->do('PREPARE p(bigint) AS UPDATE t SET at = now() WHERE id = $1', 'BEGIN', map({ "EXECUTE p($_)" } $a, $b, $c), 'COMMIT');
is($w->value("SELECT count(DISTINCT at) FROM t WHERE id IN ($a, $b, $c)"), 1, 'X22: SQL EXECUTE');
$w->do('BEGIN ISOLATION LEVEL REPEATABLE READ', map({ "UPDATE t SET at = now() WHERE id = $_" } $c, $a, $b), 'COMMIT AND CHAIN');
$now = at($a);
is($w->value("SELECT count(DISTINCT at) FROM t WHERE id IN ($a, $b, $c)"), 1, 'X22: REPEATABLE READ');
$w->do("UPDATE t SET at = now() WHERE id = $a", 'COMMIT');
isnt(at($a), $now, 'AND CHAIN: another time');
$w->do("UPDATE t SET at = now() WHERE id = $a; UPDATE t SET at = now() WHERE id = $b");
is(at($a), at($b), 'X22: a string of statements');
$w->do('BEGIN', "SET LOCAL timezone = 'Asia/Tokyo'", "SET LOCAL datestyle = 'SQL, DMY'", "UPDATE t SET at = now(), d = current_date WHERE id = $a", "UPDATE t SET at = now(), d = current_date WHERE id = $b", 'COMMIT');
is_deeply([ at($a), at($a, 'd') ], [ at($b), at($b, 'd') ], 'X22: whatever the time zone and DateStyle are');
$w->do('BEGIN', 'DECLARE x CURSOR FOR SELECT id, now() FROM t');
is(scalar(keys %{ { map { $_->[1] => 1 } @{ $w->rows('FETCH ALL FROM x') } } }), 1, 'X22: a cursor');
$w->do('COMMIT');

# --- what cannot have it
sub refused { my ($what, @sql) = @_; my $last = pop @sql; $w->do('BEGIN', @sql); is(($w->query($last)->{error} // {})->{C}, '0A000', "X22: $what: refused"); $w->do('ROLLBACK'); return; }
refused("'now' on a second shard", "UPDATE t SET at = now() WHERE id = $a", "UPDATE t SET at = 'now' WHERE id = $b");
refused('age()', "UPDATE t SET at = now() WHERE id = $a", "SELECT age(at) FROM t WHERE id = $b");
refused('INSERT ... SELECT with a default', "UPDATE t SET at = now() WHERE id = $a", "INSERT INTO t (id, v) SELECT $b, 1");
is($w->error("UPDATE ref SET at = 'now'")->{C}, '0A000', "X22, P42: 'now' in a reference table: refused");
$w->do('CREATE FUNCTION public.now() RETURNS int LANGUAGE sql IMMUTABLE AS $$SELECT 1$$');
refused('a user function of that name', "UPDATE t SET at = CURRENT_TIMESTAMP WHERE id = $a", "SELECT now() FROM t WHERE id = $b");
$w->do('BEGIN', "UPDATE t SET at = pg_catalog.now() WHERE id = $a", "UPDATE t SET at = pg_catalog.now() WHERE id = $b", 'COMMIT', 'DROP FUNCTION public.now()');
is(at($a), at($b), 'X22: pg_catalog.now() is the one that is meant');
$w->do('BEGIN');
is($w->error("UPDATE t SET v = 1 / 0 WHERE at < now()")->{C}, '22012', 'errors are those of the statement');
$w->do('ROLLBACK');
$w->do("UPDATE t SET at = now() WHERE id = $_") for $a, $b;
pass('one shard, and statements by themselves, read it as they like');
done_testing();
