#!/usr/bin/perl
# What a server session keeps, and whose it is: the role (rule P48), advisory locks and notifications (P55), temporary tables (P56).
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 2);
my $router = PgbraidTest::Router->new(cluster => $cluster);
my $w = $router->wire;
$w->do('CREATE TABLE t (id bigint PRIMARY KEY, v int)', "SELECT pgbraid.shard_table('t', 'id')", 'INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4)', 'CREATE ROLE app LOGIN', 'GRANT SELECT ON t TO app');

# --- P48: connections log in as the client's own role, so there is nothing to go back to
my $app = $router->wire(user => 'app');
is_deeply($app->rows('SELECT DISTINCT session_user, current_user FROM t'), [ [ 'app', 'app' ] ], 'P48: on every shard');
for my $sql ('RESET ROLE', 'SET ROLE NONE', 'RESET SESSION AUTHORIZATION', 'SET SESSION AUTHORIZATION DEFAULT', q{DO $$ BEGIN EXECUTE 'reset role'; END $$}, q{DO $$ BEGIN EXECUTE 'reset session authorization'; END $$}) {
    $app->query($sql);
    is_deeply($app->rows('SELECT DISTINCT session_user, current_user FROM t'), [ [ 'app', 'app' ] ], "P48: after $sql");
    is($app->error('DELETE FROM t WHERE id = 1')->{C}, '42501', "P48: no more rights after $sql");
}
isnt(($app->query('SET ROLE postgres')->{error} // {})->{C}, undef, 'P48: SET ROLE to a stranger is an error');
isnt(($app->query('SET SESSION AUTHORIZATION postgres')->{error} // {})->{C}, undef, 'P48: and so is SET SESSION AUTHORIZATION');

# --- P55: advisory locks are on the home shard (those of a session: e2e/pinned.t); inside functions they are opaque
my $home = $cluster->value(1, q{SELECT count(*) FROM pg_class WHERE relname = 'decisions'}) ? 1 : 0;
ok($home, 'the first shard is prepared');
my $other = $router->wire;
$w->do('BEGIN', 'SELECT pg_advisory_xact_lock(4711)');
is($other->value('SELECT pg_try_advisory_xact_lock(4711)'), 'f', 'P55: a lock keeps another client out');
is($cluster->value(1, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"), 1, 'P55: it is on the home shard');
is($w->error('SELECT pg_advisory_xact_lock(id) FROM t')->{C}, '0A000', 'P55: beside sharded rows it is refused');
$w->do('ROLLBACK');
is($other->value('SELECT pg_try_advisory_xact_lock(4711)'), 't', 'P55: and ends with its transaction');
is($w->query('SELECT pg_advisory_unlock_all()')->{error}, undef, 'P55: to unlock all that no session can hold is nothing');
is($w->error('SELECT pg_advisory_lock(id) FROM t')->{C}, '0A000', 'P55: locks of a session beside sharded rows are refused, too');
$w->do('CREATE FUNCTION locks() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN 1; END $f$');
is($w->error('SELECT locks() FROM t WHERE id = 1')->{C}, '0A000', 'P55: a function that may take one is opaque');
my $listener = $cluster->wire(1);
$listener->do('LISTEN news');
$w->do("NOTIFY news, 'hello'");
my $f = $listener->read_frame;
is_deeply([ @$f{qw(type payload)} ], [ 'A', 'hello' ], 'P55: NOTIFY is heard on the home shard');

# --- P56: temporary tables would shadow others on one connection only
is($w->error($_)->{C}, '0A000', "P56: $_ is refused")
    for 'CREATE TEMP TABLE t (id bigint, v int)', 'CREATE TEMPORARY TABLE x AS SELECT 1 AS a', 'CREATE TABLE pg_temp.x (a int)', 'SELECT 1 AS a INTO TEMP x', 'CREATE TEMP VIEW y AS SELECT 1 AS a', 'CREATE TEMP SEQUENCE z';
is($_->value('SELECT sum(v) FROM t'), 10, 'P56: nothing shadows the table') for $w, $other, $router->wire;
is($w->value($_), 0, "P56: nothing is left on a gathering connection: $_") for q{SELECT count(*) FROM pg_class WHERE relname IN ('x', 'y', 'z')};
done_testing();
