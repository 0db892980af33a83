#!/usr/bin/perl
# Recovery and what an operator can do: abandoned transactions, lost decisions, rows that may go; SHOW TRANSACTIONS, SHOW PREPARED,
# SHOW RECOVERY, RESOLVE TRANSACTION. Rules X1, X2, X7, X8, X10, P9.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'id', commit_timeout => '1s' });
$router->do('CREATE TABLE t (id bigint PRIMARY KEY, v int NOT NULL)', 'INSERT INTO t VALUES ' . join(', ', map { "($_, 0)" } 1 .. 30));
my ($a, $b, $c) = map { $cluster->value($_, 'SELECT min(id) FROM t') } 1 .. 3;

sub console { my ($sql) = @_; my $r = $router->wire(database => 'pgbraid')->query($sql); return [ map { my %h; @h{ @{ $r->{columns} } } = @$_; \%h } @{ $r->{rows} } ]; }
sub refused { my ($sql) = @_; return $router->wire(database => 'pgbraid')->error($sql); }
sub recovery { return console('SHOW RECOVERY')->[0]; }
# Two whole looks of recovery from now on.
sub looked { my $n = recovery()->{looks}; wait_for('recovery has looked again', sub { $router->wire(database => 'pgbraid')->query('RECOVER'); return recovery()->{looks} > $n + 1 }); return; }
sub sum { my $n = 0; $n += $cluster->value($_, 'SELECT sum(v) FROM t') for 1 .. 3; return $n; }
my $number = 0xa0;
sub name { my ($age_s) = @_; return sprintf '%014x-0000000a-0000000b-%016x', (time - ($age_s // 0)) * 1_000_000, ++$number; }

# A part as a router of ours leaves it: prepared on shard $i, with decider $decider.
sub prepare
{
    my ($i, $gtid, $decider, $key) = @_;
    my $x = $cluster->wire($i);
    $x->do('BEGIN', "UPDATE t SET v = v + 1 WHERE id = $key", "PREPARE TRANSACTION 'pgbraid:$gtid:$decider:$i'");
    return;
}
# The lock that a transaction's backends have (gtid_lock): class, time in units of 128 microseconds, chance.
sub lock_sql
{
    my ($g) = @_;
    no warnings 'portable';
    return 'SELECT pg_advisory_xact_lock_shared(' . (0x7067 << 48 | (hex(substr $g, 0, 14) >> 7 << 12 & (1 << 48) - 1) | hex substr $g, -3) . ')';
}
sub is_prepared { my ($i, $gtid) = @_; return $cluster->value($i, "SELECT count(*) FROM pg_prepared_xacts WHERE gid LIKE 'pgbraid:$gtid:%' AND database = current_database()"); }

# --- abandoned: rolled back, and nobody can commit it afterwards
my $gtid = name();
prepare(2, $gtid, 1, $b);
looked();
wait_for('an abandoned part is finished', sub { !is_prepared(2, $gtid) });
is(sum(), 0, '... rolled back');
is_deeply($cluster->rows(1, "SELECT committed FROM pgbraid.decisions WHERE gtid = '$gtid'"), [ ['f'] ], '... and forbidden');
my $late = $cluster->wire(1);
$late->do('BEGIN');
is($late->error("SELECT pgbraid.decide('$gtid', '{2}', 'x')")->{C}, '40001', 'X1: a decider that wakes up cannot commit');
like($router->log_text, qr/rolled back a prepared transaction.*gid=pgbraid:$gtid/, 'it is logged');

# --- somebody is at it: its lock on the decider is seen by every router, until commit_timeout and a little more have passed
$gtid = name();
my $live = $cluster->wire(1);
$live->do('BEGIN', lock_sql($gtid));
prepare(2, $gtid, 1, $b);
looked();
is(is_prepared(2, $gtid), 1, 'one that another router may be committing is left alone');
is((grep { $_->{gtid} eq $gtid } @{ console('SHOW PREPARED') })[0]{decision}, 'in progress', 'SHOW PREPARED says so');
like(refused("RESOLVE TRANSACTION '$gtid' ABORT")->{M}, qr/being committed now/, 'RESOLVE does not, either');
wait_for('X10: ... but not for ever', sub { !is_prepared(2, $gtid) });
wait_for('X10: and its backend is ended', sub { !eval { $live->query('SELECT 1'); 1 } || $live->at_eof });

# --- X10: the row of the decision is being written, and its router has gone
$gtid = name();
my $stuck = $cluster->wire(1);
$stuck->do('BEGIN', lock_sql($gtid), "SELECT pgbraid.decide('$gtid', '{2}', 'x')");
prepare(2, $gtid, 1, $b);
looked();
wait_for('X10: who holds the row for too long is ended', sub { !is_prepared(2, $gtid) });
is_deeply($cluster->rows(1, "SELECT committed FROM pgbraid.decisions WHERE gtid = '$gtid'"), [ ['f'] ], 'X10: then it is forbidden');

# --- X7: parts that other roles have prepared
$cluster->do(1, 'CREATE ROLE someone LOGIN');
$cluster->do(3, 'GRANT ALL ON t TO someone');
$gtid = name();
my $theirs = $cluster->wire(3, user => 'someone');
$theirs->do('BEGIN', "UPDATE t SET v = v + 1 WHERE id = $c", "PREPARE TRANSACTION 'pgbraid:$gtid:1:3'");
looked();
wait_for('X7: one that another role has prepared', sub { !is_prepared(3, $gtid) });

# --- P9: an ordinary role commits over several shards, and neither makes, changes nor loses a decision otherwise
$cluster->do($_, 'GRANT ALL ON t TO someone') for 1, 2;
my $ordinary = $router->wire(user => 'someone');
$ordinary->do('BEGIN', "UPDATE t SET v = v + 1 WHERE id = $b", "UPDATE t SET v = v - 1 WHERE id = $c");
my $decided = $ordinary->value('SELECT pgbraid.current_gtid()');
is($ordinary->do('COMMIT'), 'COMMIT', 'P9: an ordinary role commits over several shards');
is_deeply([ map { @{ $cluster->rows($_, "SELECT committed FROM pgbraid.decisions WHERE gtid = '$decided'") } } 1 .. 3 ], [ ['t'] ], 'P9: ... which leaves a decision');
for my $i (1 .. 3) {
    my $direct = $cluster->wire($i, user => 'someone');
    is($direct->error($_)->{C}, '42501', "P9: shard $i: not allowed: $_") for "INSERT INTO pgbraid.decisions (gtid, committed) VALUES ('x', true)", 'UPDATE pgbraid.decisions SET committed = false', 'DELETE FROM pgbraid.decisions', 'TRUNCATE pgbraid.decisions', 'DROP TABLE pgbraid.decisions';
    is($direct->error("SELECT pgbraid.decide('$decided', '{1}', 'x')")->{C}, '40001', 'P9: a decision that is there is not made again') if @{ $cluster->rows($i, "SELECT 1 FROM pgbraid.decisions WHERE gtid = '$decided'") };
    is_deeply($cluster->rows($i, q{SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'pgbraid' AND p.prosecdef
        AND NOT EXISTS (SELECT FROM unnest(p.proconfig) s WHERE s ~ '^search_path=(pg_catalog|"")$')}), [], "P9: shard $i: what runs as its owner has a search path of its own");
}

# --- nothing is presumed: unknown decider, a name of another shard, too old, a table of decisions that is newer
my $unknown = name();
prepare(2, $unknown, 77, $b);
my $elsewhere = name();
$cluster->wire(3)->do('BEGIN', "UPDATE t SET v = v WHERE id = $c", "PREPARE TRANSACTION 'pgbraid:$elsewhere:1:2'");
looked();
is(is_prepared(2, $unknown), 1, 'X2: a decider that is not in the directory: left alone');
is(is_prepared(3, $elsewhere), 1, 'X2: a name for another shard: left alone');
is(recovery()->{alarmed}, 2, 'X2: two alarms');
is(scalar(() = $router->log_text =~ /nothing is presumed.*$unknown/g), 1, 'X2: said once, not at each look');
is((grep { $_->{gtid} && $_->{gtid} eq $unknown } @{ console('SHOW PREPARED') })[0]{decision}, 'lost', 'SHOW PREPARED says so');
my $done = console("RESOLVE TRANSACTION '$unknown' COMMIT");
is_deeply([ map { "$_->{shard} $_->{result}" } @$done ], ['s2 committed'], 'RESOLVE ... COMMIT of one whose decider is gone');
is(sum(), 1, '... it is committed');
like($router->log_text, qr/AN OPERATOR DECIDES.*$unknown.*decision=commit/, '... with a line that cannot be overlooked');
is(console("RESOLVE TRANSACTION '$elsewhere' ABORT")->[0]{result}, 'aborted', 'RESOLVE ... ABORT');
is(refused("RESOLVE TRANSACTION '$elsewhere' ABORT")->{C}, '42704', '... nothing is left of it');
is(refused("RESOLVE TRANSACTION 'pgbraid:1' ABORT")->{C}, '42601', 'not a name');

# --- RESOLVE does not contradict: a decision that is there, or is known not to be
{
    $router->stop;
    { local $ENV{PGBRAID_FAULT} = 'commit.after_decide=kill'; $router->start; }
    my $x = $router->wire;
    $x->do('BEGIN', map { "UPDATE t SET v = v + 1 WHERE id = $_" } $a, $b);
    $gtid = $x->value('SELECT pgbraid.current_gtid()');
    $x->send(Query('COMMIT'));
    wait_for('the router dies after its decision', sub { !$router->alive });
    $router->kill_now;
    { local $ENV{PGBRAID_FAULT} = 'recovery.before_decide=stop'; $router->{proc} = PgbraidTest::Proc->spawn([ $router->{binary}, 'serve', '-c', $router->conf ], log => "$router->{dir}/log2"); }
    wait_for('recovery stands before it', sub { (qx(ps -o stat= -p @{[ $router->pid ]}) // '') =~ /^T/ });
    is(is_prepared(1, $gtid) + is_prepared(2, $gtid), 1, 'a part is prepared');
    kill 'CONT', $router->pid;
    wait_for('recovery goes on', sub { is_prepared(1, $gtid) + is_prepared(2, $gtid) == 0 });
    is(sum(), 3, 'the decision stood');
    $router->stop;
    $router->start;
}
my $committed = name();
$cluster->do(1, "INSERT INTO pgbraid.decisions (gtid, committed) VALUES ('$committed', false)");
my $x2 = $cluster->wire(2);
$router->write_config(decision_retention => '2s');
$router->restart;
prepare(2, $committed, 77, $b); # somebody has prepared it under another decider: nobody decides for him
looked();
is(is_prepared(2, $committed), 1, 'a decision of one shard does not count for another');
console("RESOLVE TRANSACTION '$committed' ABORT");

# --- X2: older than the retention: alarmed, although there is no row; row and RESOLVE
my $old = name();
$router->stop;
prepare(2, $old, 1, $b);
sleep 3;
$router->start;
looked();
is(is_prepared(2, $old), 1, 'X2: older than decision_retention: not presumed aborted');
is((grep { $_->{gtid} && $_->{gtid} eq $old } @{ console('SHOW PREPARED') })[0]{decision}, 'lost', '... but shown');
$done = console("RESOLVE TRANSACTION '$old' COMMIT");
is($done->[0]{result}, 'committed', 'RESOLVE ... COMMIT');
is_deeply($cluster->rows(1, "SELECT committed, participants FROM pgbraid.decisions WHERE gtid = '$old'"), [ [ 't', '{2}' ] ], '... leaves a decision on the shard that decides');
is(sum(), 4, '... and its change');

# --- X1, X2: rows go after the retention, but not before everybody is done
sub rows_of { my ($g) = @_; return $cluster->value(1, "SELECT count(*) FROM pgbraid.decisions WHERE gtid = '$g'"); }
wait_for('X2: a row whose participants are done goes after the retention', sub { !rows_of($old) });
my $w = $router->wire;
my $snapshot = $cluster->wire(1);
my $aborted = name();
$snapshot->do('BEGIN', 'SELECT pg_current_xact_id()');
$cluster->do(1, "INSERT INTO pgbraid.decisions (gtid, committed) VALUES ('$aborted', false)");
sleep 4;
looked();
is(rows_of($aborted), 1, 'X1: an abort row stays while a transaction is open that may be its decider');
is($snapshot->error("SELECT pgbraid.decide('$aborted', '{}', 'x')")->{C}, '40001', 'X1: ... which can still not commit');
$snapshot->do('ROLLBACK');
wait_for('X1: then it goes', sub { !rows_of($aborted) });
ok(recovery()->{forgotten} > 0, 'SHOW RECOVERY counts them');

# --- somebody else's prepared transactions: reported, once
$router->write_config(prepared_transaction_warning => '1s', decision_retention => '7d');
$router->restart;
my $other = $cluster->wire(3);
$other->do('BEGIN', 'CREATE TABLE elsewhere (i int)', "PREPARE TRANSACTION 'not ours'");
wait_for('a prepared transaction of somebody else is counted', sub { recovery()->{foreign} == 1 && recovery()->{oldest_s} >= 1 });
looked();
is(scalar(() = $router->log_text =~ /not pgbraid's holds back vacuum/g), 1, '... and warned of once');
is((grep { $_->{gid} eq 'not ours' } @{ console('SHOW PREPARED') })[0]{decision}, 'foreign', '... and shown');
$other->do("ROLLBACK PREPARED 'not ours'");
wait_for('... until it is over', sub { recovery()->{foreign} == 0 });

# --- SHOW TRANSACTIONS
$w = $router->wire;
$w->do('BEGIN', "UPDATE t SET v = v WHERE id = $a");
is(scalar @{ console('SHOW TRANSACTIONS') }, 0, 'a transaction on one shard is none');
$w->do("UPDATE t SET v = v WHERE id = $b");
my ($t) = @{ console('SHOW TRANSACTIONS') };
is_deeply([ @$t{qw(user database phase waiting_for)}, join ',', sort split /, /, $t->{shards} ], [ 'postgres', 'test', 'idle', '', 's1,s2' ], 'SHOW TRANSACTIONS');
$w->do('COMMIT');
is(scalar @{ console('SHOW TRANSACTIONS') }, 0, '... until it ends');

# --- the table of decisions: dropped, emptied, changed: commits are refused, it is made again, nothing older is presumed
# The shard that was written to last decides: the first.
sub two { my $x = $router->wire; $x->do('BEGIN', map { "UPDATE t SET v = v + 1 WHERE id = $_" } $b, $a); return $x->query('COMMIT'); }
my $key = sub { $cluster->value(1, "SELECT conname FROM pg_constraint WHERE conrelid = 'pgbraid.decisions'::regclass AND contype = 'p'") };
for my $how ([ 'dropped', 'DROP TABLE pgbraid.decisions' ], [ 'without its key', sub { 'ALTER TABLE pgbraid.decisions DROP CONSTRAINT ' . $key->() } ],
    [ 'without a column', 'ALTER TABLE pgbraid.decisions DROP COLUMN participants' ], [ 'without its function', 'DROP FUNCTION pgbraid.decide(text, text[], text)' ])
{
    my ($what, $sql) = @$how;
    my $before = sum();
    $cluster->do(1, ref $sql ? $sql->() : $sql);
    my $r = two();
    ok($r->{error}, "a table $what: refused") or diag explain $r;
    is(sum(), $before, '... nothing is committed');
    wait_for("... it is made again ($what)", sub { !two()->{error} });
}
my $older = name();
$router->stop;
prepare(2, $older, 1, $b);
$cluster->do(1, 'TRUNCATE pgbraid.decisions');
$router->start;
looked();
is(is_prepared(2, $older), 1, 'X2: after somebody has emptied the table nothing older is presumed aborted');
is(console("RESOLVE TRANSACTION '$older' ABORT")->[0]{result}, 'aborted', '... RESOLVE');
done_testing();
