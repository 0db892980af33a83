#!/usr/bin/perl
# Routing hints: in a comment, by settings, at the start of a session; and that they never make a wrong answer by accident.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster);
my $w = $router->wire;
my $function = 'CREATE FUNCTION here() RETURNS bigint LANGUAGE sql AS $f$ SELECT count(*) FROM t $f$';
$w->do('CREATE TABLE t (id bigint PRIMARY KEY, v int)', "SELECT pgbraid.shard_table('t', 'id')", 'CREATE TABLE s (k text PRIMARY KEY)', "SELECT pgbraid.shard_table('s', 'k')", 'INSERT INTO t VALUES ' . join(',', map { "($_, $_)" } 1 .. 60),
    'CREATE TABLE r (id int PRIMARY KEY)', "SELECT pgbraid.reference_table('r')", 'CREATE TABLE u (id int)', 'INSERT INTO u VALUES (1)', $function);
my $list = $router->wire(database => 'pgbraid')->query('SHOW SHARDS');
my ($name_at) = grep { $list->{columns}[$_] eq 'shard' } 0 .. $#{ $list->{columns} };
my @shards = map { $_->[$name_at] } @{ $list->{rows} };
my %rows; # shard number => rows there
$rows{$_} = $cluster->value($_, 'SELECT count(*) FROM t') for 1 .. 3;
my %shard_of; # key => shard number
for my $i (1 .. 3) { $shard_of{ $_->[0] } = $i for @{ $cluster->rows($i, 'SELECT id FROM t') }; }
my ($k1) = grep { $shard_of{$_} == 1 } 1 .. 60;
my ($k2) = grep { $shard_of{$_} == 2 } 1 .. 60;
my ($k3) = grep { $shard_of{$_} == 3 } 1 .. 60;

# --- an explicit choice of one shard
is($w->value("SELECT count(*) FROM t /* pgbraid:key=$k2 */"), $rows{2}, 'a key chooses the shard of the rows');
is($w->value("/* pgbraid:shard=$shards[2] */ SELECT count(*) FROM t"), $rows{3}, 'a shard by its name');
is($w->value("/* other */ /* x pgbraid:shard=-5555 y */ SELECT count(*) FROM t"), $rows{1}, 'a shard by its key range');
is($w->value(qq{SELECT count(*) FROM t -- pgbraid:shard='-5555'\n}), $rows{1}, 'in a line comment, quoted');
is($w->value("SELECT count(*) FROM t WHERE v > \$1 /* pgbraid:key=$k3 */", 0), $rows{3}, 'by the extended protocol');
is($w->value(q{SELECT '/* pgbraid:shard=nosuch */' || count(*) FROM t}), '/* pgbraid:shard=nosuch */60', 'what looks like one inside a literal is none');
is($w->value('SELECT count(*) FROM t'), 60, 'others are not hinted');

# --- every statement of a string has its own, from one semicolon to the next
my $r = $w->query("SELECT count(*) FROM t /* pgbraid:key=$k2 */; SELECT count(*) FROM t; /* pgbraid:key=$k3 */ SELECT count(*) FROM t;\n-- pgbraid:key=$k1\nSELECT count(*) FROM t ; ; SELECT count(*) FROM t /* pgbraid:key=$k2 */ /* other */");
is(join(' ', map { $_->[0] } @{ $r->{rows} }), "$rows{2} 60 $rows{3} $rows{1} $rows{2}", 'in a string of statements');
$w->do('BEGIN');
$w->query("UPDATE t SET v = v + 1000 /* pgbraid:key=$k2 */; SELECT 1");
is($w->value('SELECT count(*) FROM t WHERE v >= 1000'), $rows{2}, '... a change of one shard only');
$w->do('ROLLBACK');

# --- statements about statements
my $hint = "/* pgbraid:key=$k2 */";
is($w->query("COPY t TO STDOUT $hint")->{tags}[0], "COPY $rows{2}", 'COPY TO');
is($w->query("COPY (SELECT id FROM t) TO STDOUT $hint")->{tags}[0], "COPY $rows{2}", 'COPY of a query');
is($w->value("EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT id FROM t $hint"), "Seq Scan on t (actual rows=$rows{2} loops=1)", 'EXPLAIN: the plan of that shard');
$r = $w->query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM t $hint; FETCH ALL FROM c; COMMIT");
is($r->{tags}[2], "FETCH $rows{2}", 'DECLARE CURSOR');
$w->do("DECLARE c CURSOR WITH HOLD FOR SELECT id FROM t $hint");
is($w->query('FETCH ALL FROM c')->{tags}[0], "FETCH $rows{2}", '... WITH HOLD');
$w->do('CLOSE c', "PREPARE p AS SELECT count(*) FROM t $hint", 'PREPARE q AS SELECT count(*) FROM t');
is($w->value('EXECUTE p'), $rows{2}, 'PREPARE');
is($w->value('EXECUTE q'), 60, '... without');
is($w->error("EXECUTE $_")->{C}, '0A000', "refused: a comment at EXECUTE $_") for "q $hint", "p /* pgbraid:key=$k3 */", "p $hint";
$w->do("SET pgbraid.key = $k3");
is($w->value('EXECUTE q'), $rows{3}, 'a setting counts when it is executed');
is($w->value('EXECUTE p'), $rows{2}, '... but for what has a comment');
$w->do('RESET pgbraid.key', 'DEALLOCATE ALL');
for my $sql ("COPY t FROM STDIN $hint", "COPY r FROM STDIN $hint", "TRUNCATE t $hint", "LOCK TABLE t $hint", "CREATE TABLE x AS SELECT 1 $hint") { is($w->error($sql)->{C}, '0A000', "refused: $sql"); }
is($w->value('SELECT count(*) FROM t'), 60, 'and nothing has happened');

# --- code that may look at tables: refused without a hint
is($w->error('SELECT here()')->{C}, '0A000', 'a function is refused when nobody says where');
is($w->value("SELECT here() /* pgbraid:key=$_->[0] */"), $rows{ $_->[1] }, "a function runs where the hint says: $_->[1]") for [ $k1, 1 ], [ $k2, 2 ], [ $k3, 3 ];

# --- contradictions
is($w->value("SELECT v FROM t WHERE id = $k2 /* pgbraid:key=$k2 */"), $k2, 'a hint that agrees');
is($w->error($_)->{C}, '0A000', "refused: $_") for "SELECT v FROM t WHERE id = $k2 /* pgbraid:key=$k3 */", "UPDATE t SET v = 0 WHERE id = $k1 /* pgbraid:shard=$shards[1] */", "INSERT INTO t VALUES (1000, 1), (1001, 1), (1002, 1), (1003, 1), (1004, 1), (1005, 1) /* pgbraid:key=$k1 */",
    "INSERT INTO r VALUES (1) /* pgbraid:key=$k1 */", "CREATE TABLE x (a int) /* pgbraid:key=$k2 */", "SELECT * FROM u /* pgbraid:shard=$shards[2] */", "SELECT v FROM t WHERE id IN ($k1, $k2) /* pgbraid:key=$k3 */";
is($w->error('SELECT 1 /* pgbraid:shard=nosuch */')->{C}, '42704', 'a shard that does not exist');
is($w->error('SELECT 1 /* pgbraid:colour=red */')->{C}, '42601', 'a hint that cannot be read');
is($w->error(q{SELECT 1 /* pgbraid:key='open */})->{C}, '42601', 'a string that does not end');
is($w->value('SELECT count(*) FROM r'), 0, 'nothing was written');
is($w->value('SELECT count(*) FROM t WHERE v = 0'), 0, 'nothing was changed');

# --- settings
$w->do("SET pgbraid.key = $k2");
is($w->value('SHOW pgbraid.key'), $k2, 'SHOW pgbraid.key');
is($w->value('SELECT count(*) FROM t'), $rows{2}, 'SET pgbraid.key');
is($w->value('SELECT here()'), $rows{2}, '... also for functions');
is($w->value("SELECT v FROM t WHERE id = $k2"), $k2, '... and what agrees');
is($w->error("SELECT v FROM t WHERE id = $k3")->{C}, '0A000', '... and not what contradicts');
is($w->value('SELECT id FROM u'), 1, 'what is on the home shard only is not concerned');
is($w->value("SELECT count(*) FROM t /* pgbraid:key=$k3 */"), $rows{3}, 'a comment goes before it');
$w->do("SET pgbraid.shard = '-5555'");
is($w->value('SELECT count(*) FROM t'), $rows{1}, 'SET pgbraid.shard goes before pgbraid.key');
$w->do('RESET pgbraid.shard', 'RESET pgbraid.key');
is($w->value('SELECT count(*) FROM t'), 60, 'RESET');
$w->do('BEGIN', "SET LOCAL pgbraid.key = $k1");
is($w->value('SELECT count(*) FROM t'), $rows{1}, 'SET LOCAL');
$w->do('COMMIT');
is($w->value('SELECT count(*) FROM t'), 60, '... until the end of the transaction');
is($w->value("SELECT count(*) FROM s /* pgbraid:key='x y' */"), 0, 'a key that is a text');

$w->do('SET pgbraid.allow_scatter = off');
is($w->error($_)->{C}, '0A000', "allow_scatter = off refuses: $_") for 'SELECT count(*) FROM t', 'SELECT v FROM t', 'UPDATE t SET v = v', 'DELETE FROM t', "SELECT v FROM t WHERE id IN ($k1, $k2)";
is($w->value("SELECT v FROM t WHERE id = $k1"), $k1, 'one shard is fine');
is($w->value("SELECT count(*) FROM t /* pgbraid:key=$k1 */"), $rows{1}, 'so is a hint');
$w->do('INSERT INTO r VALUES (5)');
is($w->error(q{SET pgbraid.allow_scatter = 'perhaps'})->{C}, '22023', 'a value that is none');

like($w->error("ALTER ROLE postgres SET pgbraid.key = $k1")->{H}, qr/\[user NAME\]/, 'not as a default on the servers: the router has those of a user');
my $hinted = $router->wire(params => { options => "-c pgbraid.key=$k3 -c pgbraid.allow_scatter=off" });
is($hinted->value('SELECT count(*) FROM t'), $rows{3}, 'options of the start of a session');
$hinted->do('RESET ALL');
is($hinted->value('SELECT count(*) FROM t'), $rows{3}, 'RESET ALL goes back to them');
is($router->wire->value('SELECT count(*) FROM t'), 60, 'no other session is concerned');
done_testing();
