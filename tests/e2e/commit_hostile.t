#!/usr/bin/perl
# Commits over shards with bad input: participants that are down, names that are taken, two-phase commands of the client's own,
# READ ONLY after a write. Nothing is half done (rules X7, X8, X9).
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3, separate => 1);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'id', commit_timeout => '2s' });
$router->do('CREATE TABLE t (id bigint PRIMARY KEY, v bigint NOT NULL)', 'INSERT INTO t VALUES ' . join(', ', map { "($_, 100)" } 1 .. 30));
my ($a, $b, $c) = map { $cluster->value($_, 'SELECT min(id) FROM t') } 1 .. 3;

sub total { my $t = 0; $t += $cluster->value($_, 'SELECT sum(v) FROM t') for 1 .. 3; return $t; }
sub prepared { my $n = 0; $n += $cluster->value($_, 'SELECT count(*) FROM pg_prepared_xacts') for 1 .. 3; return $n; }
sub transfer { my ($x, @ids) = @_; $x->do('BEGIN', "UPDATE t SET v = v - $#ids WHERE id = $ids[0]", map { "UPDATE t SET v = v + 1 WHERE id = $_" } @ids[ 1 .. $#ids ]); return; }
sub settled { my ($what) = @_; wait_for("$what: nothing is left prepared", sub { $router->wire(database => 'pgbraid')->query('RECOVER'); return prepared() == 0 }); return; }

# --- two-phase commands of the client's own
my $w = $router->wire;
for my $sql ("PREPARE TRANSACTION 'mine'", "COMMIT PREPARED 'mine'", "ROLLBACK PREPARED 'mine'") {
    my $e = $w->error($sql);
    is($e->{C}, '0A000', "$sql: refused");
}
$w->do('BEGIN', "UPDATE t SET v = v WHERE id = $a");
is($w->error("PREPARE TRANSACTION 'mine'")->{C}, '0A000', '... in a transaction, too');
is($w->query('COMMIT')->{tags}[0], 'ROLLBACK', '... which has failed then');
is(prepared(), 0, 'nothing is prepared');

# --- a participant is killed before COMMIT; as decider, as participant, as reader
for my $down (1 .. 3) {
    my $x = $router->wire;
    transfer($x, $a, $b, $c);
    $cluster->kill_server($down);
    my $r = $x->query('COMMIT');
    my $told = $r->{error} ? $r->{error}{C} : $r->{tags}[0];
    like($told, qr/^(?:40...|57...|08...|ROLLBACK)$/, "COMMIT while shard $down is down: not committed");
    is($r->{status}, 'I', '... and the transaction is over');
    $cluster->start_server($down);
    settled("shard $down was down");
    is(total(), 3000, '... nothing half done');
}

# --- a name is taken: an error before the decision
my $x = $router->wire;
transfer($x, $a, $b);
my $gtid = $x->value('SELECT pgbraid.current_gtid()');
for my $i (1 .. 3) {
    for my $decider (1 .. 3) {
        my $thief = $cluster->wire($i);
        $thief->do('BEGIN', 'SELECT pg_current_xact_id()', "PREPARE TRANSACTION 'pgbraid:$gtid:$decider:$i'");
    }
}
is($x->error('COMMIT')->{C}, '42710', 'X7: somebody has prepared under its name: an error');
is(total(), 3000, '... nothing is committed');
settled('after the thief');

# --- READ ONLY after a write on several shards: the decision could not be written
$x = $router->wire;
transfer($x, $a, $b);
is($x->error('SET TRANSACTION READ ONLY')->{C}, '0A000', 'X8: READ ONLY after writes on two shards: refused');
$x->do('ROLLBACK');
is(total(), 3000, '... and nothing is committed');

# --- a shard without PREPARE's place: full
for my $i (1 .. 64) { my $t = $cluster->wire(2); $t->do('BEGIN', 'SELECT pg_current_xact_id()', "PREPARE TRANSACTION 'full $i'"); }
transfer($x, $a, $b);
$x->do("UPDATE t SET v = v WHERE id = $c");
my $full = $x->query('COMMIT');
if ($full->{error}) { like($full->{error}{C}, qr/^(?:53|55|40)/, 'max_prepared_transactions reached: refused whole'); }
else { pass('max_prepared_transactions reached on the shard that decides: no matter'); }
is(total(), 3000, '... nothing half done');
$cluster->do(2, map { "ROLLBACK PREPARED 'full $_'" } 1 .. 64);

# --- a participant that is down says nothing: the decision about it stays, however old (X2)
$router->write_config(decision_retention => '1s');
$router->restart;
my $looks = sub { my $console = $router->wire(database => 'pgbraid'); $console->query('RECOVER'); return $console->rows('SHOW RECOVERY')->[0][0] };
$cluster->stop_server(2);
$cluster->do(1, "INSERT INTO pgbraid.decisions (gtid, committed, participants, decided_at) VALUES ('long-ago', true, '{2}', now() - interval '1 day'), ('longer-ago', true, '{3}', now() - interval '2 days')");
my $row = sub { my ($name) = @_; return $cluster->value(1, "SELECT count(*) FROM pgbraid.decisions WHERE gtid = '$name'") };
wait_for('X2: a decision whose participants are done goes', sub { $looks->(); return !$row->('longer-ago') });
is($row->('long-ago'), 1, 'X2: one with a participant that is down stays');
$cluster->start_server(2);
wait_for('X2: ... until that one has been seen to be done', sub { $looks->(); return !$row->('long-ago') });
done_testing();
