#!/usr/bin/perl
# Clients whose connection dies at COMMIT: pgbraid.current_gtid() before it, pgbraid.transaction_status() afterwards, on any router.
use strict;
use warnings;
use Test::More;
use Time::HiRes ();
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'id', commit_timeout => '5s' });
$router->do('CREATE TABLE t (id bigint PRIMARY KEY, v int NOT NULL)', 'INSERT INTO t VALUES ' . join(', ', map { "($_, 0)" } 1 .. 30));
my ($a, $b, $c) = map { $cluster->value($_, 'SELECT min(id) FROM t') } 1 .. 3;
my $w = $router->wire;
my $form = qr/^[0-9a-f]{14}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{16}$/;

sub status { my ($gtid) = @_; return $router->wire->value("SELECT pgbraid.transaction_status('$gtid')"); }
sub update { my (@ids) = @_; return map { "UPDATE t SET v = v + 1 WHERE id = $_" } @ids; }
sub begin { my ($x) = @_; $x->do('BEGIN'); return $x->value('SELECT pgbraid.current_gtid()'); }

# --- the name
is($w->value('SELECT pgbraid.current_gtid()'), undef, 'outside a transaction there is none');
my $gtid = begin($w);
like($gtid, $form, 'a transaction has one');
is($w->value('SELECT pgbraid.current_gtid()'), $gtid, '... and keeps it');
is($w->value('SELECT pgbraid.current_gtid() AS name'), $gtid, '... under any column name');
is_deeply($w->query('SELECT pgbraid.current_gtid()')->{columns}, ['current_gtid'], 'the column');
$w->do(update($a), 'SAVEPOINT s', update($b), 'ROLLBACK TO s');
is($w->value('SELECT pgbraid.current_gtid()'), $gtid, '... through savepoints');
is(status($gtid), 'in progress', 'while it runs: in progress');
is($w->value("SELECT pgbraid.transaction_status('$gtid')"), 'in progress', '... also asked by itself');
$w->do('COMMIT');
isnt(begin($w), $gtid, 'the next one has another');
$w->do('COMMIT');
is_deeply($w->query('BEGIN; SELECT pgbraid.current_gtid() IS NULL')->{error}{C}, '0A000', 'not inside an expression');
$w->do('ROLLBACK');
is(scalar(grep { ($_->[0] // '') =~ $form } @{ $w->query('SELECT 1; SELECT pgbraid.current_gtid()')->{rows} }), 1, 'a string of statements is a transaction');

# --- outcomes: one writer, several, none; committed, rolled back, failed
for my $ids ([$a], [ $a, $b ], [ $a, $b, $c ]) {
    my $n = @$ids;
    $gtid = begin($w);
    $w->do(update(@$ids), 'COMMIT');
    is(status($gtid), 'committed', "$n writing: committed");
    $gtid = begin($w);
    $w->do(update(@$ids), 'ROLLBACK');
    is(status($gtid), 'aborted', "$n writing: rolled back");
    $gtid = begin($w);
    $w->do(update(@$ids));
    $w->query("UPDATE t SET v = 'x' WHERE id = $a");
    $w->do('COMMIT');
    is(status($gtid), 'aborted', "$n writing: failed");
    $w->do('BEGIN', update(@$ids));
    $gtid = $w->value('SELECT pgbraid.current_gtid()');
    $w->do('COMMIT');
    is(status($gtid), 'committed', "$n writing: asked for at the end");
    $gtid = begin($w);
    $w->do(update(@$ids));
    $w->close;
    wait_for("$n writing: the client's transaction is over", sub { status($gtid) eq 'aborted' });
    $w = $router->wire;
}
$gtid = begin($w);
$w->do("SELECT * FROM t WHERE id = $a", 'COMMIT');
isnt(status($gtid), 'committed', 'a transaction that wrote nothing leaves no row');

# --- also under best_effort it is one outcome
$w->do('SET pgbraid.commit = best_effort');
$gtid = begin($w);
$w->do(update($a, $b));
is_deeply($w->query('COMMIT')->{notices}, [], 'best_effort: whose name was asked for commits in two phases');
is(status($gtid), 'committed', '... and says so');
$w->do('RESET pgbraid.commit');

# --- a name does not tell its database: any of the directory's may be asked
my $apart = PgbraidTest::Cluster->new(shards => 1);
$router->wire(database => 'pgbraid')->do("ADD SHARD 'all' DATABASE 'apart' RANGE '-' CONNINFO '" . $apart->conninfo(1) . "'");
wait_for('the other database', sub { my $x = $router->try_wire(database => 'apart'); return $x && !$x->{error} ? $x : 0 });
$gtid = begin($w);
$w->do(update($a), 'COMMIT');
is($router->wire(database => 'apart')->value("SELECT pgbraid.transaction_status('$gtid')"), 'committed', 'asked in another database');

# --- the extended protocol
$w->send(Parse('', 'BEGIN'), Bind('', '', []), Execute(''), Parse('', 'SELECT pgbraid.current_gtid()'), Describe('S', ''), Bind('', '', []), Describe('P', ''), Execute(''), Sync());
my @frames = $w->until_ready;
my ($row) = grep { $_->{type} eq 'D' } @frames;
like($row->{values}[0], $form, 'in a pipeline') or diag explain \@frames;
$gtid = $row->{values}[0];
$w->query_params("UPDATE t SET v = v + 1 WHERE id = \$1", $a);
$w->query_params('COMMIT');
is($w->rows('SELECT pgbraid.transaction_status($1)', $gtid)->[0][0], 'committed', 'with a parameter');
is($w->rows('SELECT pgbraid.transaction_status($1::text)', $gtid)->[0][0], 'committed', '... with a cast');
is($w->rows('SELECT pgbraid.transaction_status($1)', undef)->[0][0], undef, '... of NULL: NULL');

# --- what nobody has ever heard of
my $now = sprintf '%014x', Time::HiRes::time() * 1_000_000; # not the start of this second: the tables may be younger
is(status("$now-0000000a-0000000b-00000000000000bb"), 'aborted', 'a name that no router has given: forbidden, hence aborted');
is($cluster->value($_, "SELECT count(*) FROM pgbraid.decisions WHERE gtid LIKE '%00000000000000bb' AND NOT committed"), 1, "... on shard $_") for 1 .. 3;
is(status('00000000000001-0000000a-0000000b-00000000000000bc'), undef, 'from before the retention: unknown');
is(status('ffffffffffffff-0000000a-0000000b-00000000000000bd'), undef, 'from the future: unknown');
is($w->error("SELECT pgbraid.transaction_status('$_')")->{C}, '22023', "no name: \"$_\"") for '', 'x', "$now-0000000a-0000000b-0000000000000bbb0";
$cluster->do(2, "INSERT INTO pgbraid.decisions (gtid, committed, participants, mac) VALUES ('$now-0000000a-0000000b-00000000000000be', true, '{}', repeat('0', 64))");
is(status("$now-0000000a-0000000b-00000000000000be"), 'aborted', 'X8: a forged row commits nothing');

# --- the decider dies at COMMIT: the error names the transaction and the function
$cluster->do(1, 'CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NULL; END$$',
    'CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()');
my $gate = $cluster->wire(1);
$gate->do('SELECT pg_advisory_lock(77)');
$gtid = begin($w);
$w->do(update($a));
$w->send(Query('COMMIT'));
wait_for('COMMIT waits in a trigger', sub { $cluster->value(1, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted") });
is(status($gtid), 'in progress', 'while COMMIT runs: in progress');
$cluster->do(1, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted");
my ($e) = grep { $_->{type} eq 'E' } $w->until_ready;
is($e->{fields}{C}, '08007', 'a lost connection at COMMIT: the outcome is unknown') or diag explain $e;
like("$e->{fields}{D} $e->{fields}{H}", qr/$gtid.*transaction_status/s, '... the error says whom to ask');
wait_for('... and it is known soon', sub { (status($gtid) // '') eq 'aborted' });
$gate->do('SELECT pg_advisory_unlock(77)');
$cluster->do(1, 'DROP TRIGGER slow ON t');

# --- a router dies at each point of the commit; another answers
for my $point (qw(commit.before_prepare commit.before_decide commit.decide_sent commit.after_decide commit.before_answer)) {
    $router->stop;
    { local $ENV{PGBRAID_FAULT} = "$point=kill"; $router->start; }
    my $x = $router->wire;
    my @before = map { $cluster->value($_, 'SELECT sum(v) FROM t') } 1 .. 3;
    $gtid = begin($x);
    $x->do(update($a, $b));
    $x->send(Query('COMMIT'));
    wait_for("$point: the router's death", sub { !$router->alive });
    $router->kill_now;
    $router->start;
    wait_for("$point: a final answer", sub { (status($gtid) // '') =~ /^(?:committed|aborted)$/ });
    my $word = status($gtid);
    wait_for("$point: recovery", sub { $cluster->value(1, "SELECT count(*) FROM pg_prepared_xacts") == 0 });
    my @now = map { $cluster->value($_, 'SELECT sum(v) FROM t') } 1 .. 3;
    is($now[0] + $now[1] - $before[0] - $before[1], $word eq 'committed' ? 2 : 0, "$point: $word, and so it is");
    is($word, $point =~ /after_decide|before_answer/ ? 'committed' : $word, "$point: never less than what was decided");
}

# --- a shard that is down: no answer rather than a wrong one
$w = $router->wire;
$cluster->stop_server(1);
is($w->error("SELECT pgbraid.transaction_status('$now-0000000a-0000000b-00000000000000bf')")->{C}, '08006', 'a shard that is down: not now');
$cluster->start_server(1);
done_testing();
