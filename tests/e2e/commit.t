#!/usr/bin/perl
# Commit over several shards: two-phase, decided by a row on one of them, finished by recovery whatever dies in between. Rules X1 to
# X12 where they can be forced from outside.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'id' });
$router->do('CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL)', 'CREATE TABLE ledger (id bigint NOT NULL, n int NOT NULL, amount bigint NOT NULL, PRIMARY KEY (id, n))');
$router->do('INSERT INTO accounts VALUES ' . join(', ', map { "($_, 100)" } 1 .. 30));

# Accounts on the first, second and third shard.
my @on = map { my $i = $_; [ map { $_->[0] } @{ $cluster->rows($i, 'SELECT id FROM accounts ORDER BY id') } ] } 1 .. 3;
is(scalar(map { @$_ } @on), 30, 'every account is on one shard');
cmp_ok(scalar @{ $on[$_] }, '>', 2, "shard $_ has some") for 0 .. 2;
my ($a, $b, $c) = map { $_->[0] } @on;

sub balances { return join ' ', map { "$_->[0]=$_->[1]" } sort { $a->[0] <=> $b->[0] } map { @{ $cluster->rows($_, 'SELECT id, balance FROM accounts') } } 1 .. 3; }
sub total { my $t = 0; $t += $_ for map { $cluster->value($_, 'SELECT sum(balance) FROM accounts') } 1 .. 3; return $t; }
sub prepared { my $n = 0; $n += $cluster->value($_, "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()") for 1 .. 3; return $n; }
sub decisions { my $n = 0; $n += $cluster->value($_, 'SELECT count(*) FROM pgbraid.decisions WHERE committed') for 1 .. 3; return $n; }
sub balance { my ($id) = @_; for my $i (1 .. 3) { my $r = $cluster->rows($i, "SELECT balance FROM accounts WHERE id = $id"); return $r->[0][0] if @$r; } return; }
sub settled { my ($what) = @_; wait_for("$what: nothing is left prepared", sub { prepared() == 0 }); return; }

# --- one shard: nothing is prepared; several: no warning, one decision
my $w = $router->wire;
my $ddl = decisions(); # the tables, too, were made on all shards
$w->do('BEGIN', "UPDATE accounts SET balance = balance - 1 WHERE id = $a", "UPDATE accounts SET balance = balance + 1 WHERE id = $on[0][1]", 'COMMIT');
is(decisions() - $ddl, 0, 'a transaction on one shard decides nothing');
$w->do('BEGIN', "UPDATE accounts SET balance = balance - 10 WHERE id = $a", "UPDATE accounts SET balance = balance + 10 WHERE id = $b");
my $r = $w->query('COMMIT');
is_deeply([ $r->{tags}, $r->{notices}, $r->{error} ], [ ['COMMIT'], [], undef ], 'two shards commit without a warning');
is_deeply([ balance($a), balance($b), decisions() - $ddl, prepared() ], [ 89, 110, 1, 0 ], 'both have, and the decision is written');
$w->do('BEGIN', "UPDATE accounts SET balance = balance - 10 WHERE id = $a", "UPDATE accounts SET balance = balance + 10 WHERE id = $b", 'ROLLBACK');
is_deeply([ balance($a), balance($b), decisions() - $ddl ], [ 89, 110, 1 ], 'a rollback decides nothing');
is($w->query('UPDATE accounts SET balance = balance + 0')->{tags}[0], 'UPDATE 30', 'a statement over all shards by itself');
is(decisions() - $ddl, 2, 'is decided, too');
$w->do("INSERT INTO ledger VALUES ($a, 1, 5), ($b, 1, 5), ($c, 1, 5)");
is(decisions() - $ddl, 3, 'a split INSERT, too');
is($w->query("UPDATE accounts SET balance = balance WHERE id = $a; UPDATE accounts SET balance = balance WHERE id = $c")->{tags}[1], 'UPDATE 1', 'and a string of statements');
is(decisions() - $ddl, 4, 'as one');

# --- readers take no part in it, and keep their locks until it is decided (X5, X6)
$w->do('BEGIN', "SELECT * FROM accounts WHERE id = $a", "UPDATE accounts SET balance = balance WHERE id = $b", 'COMMIT');
is(decisions() - $ddl, 4, 'X5: one writer and one reader: no two phases');
$w->do('BEGIN', "SELECT * FROM accounts WHERE id = $a FOR UPDATE", "UPDATE accounts SET balance = balance WHERE id = $b", 'COMMIT');
is(decisions() - $ddl, 5, 'X5: a row lock is a write');

# --- what fails in the first phase fails everywhere
$router->do('CREATE TABLE parents (id bigint PRIMARY KEY)', 'CREATE TABLE children (id bigint NOT NULL, n int, PRIMARY KEY (id, n), FOREIGN KEY (id) REFERENCES parents DEFERRABLE INITIALLY DEFERRED)');
for my $order ([ $a, $b ], [ $b, $a ]) {
    $w->do('BEGIN', "UPDATE accounts SET balance = balance + 1000 WHERE id = $order->[0]", "INSERT INTO children VALUES ($order->[1], 1)");
    my $e = $w->query('COMMIT');
    is($e->{error}{C}, '23503', 'X11: a deferred constraint fails at COMMIT');
    is($e->{status}, 'I', 'and the transaction is over');
    is_deeply([ total(), prepared() ], [ 3000, 0 ], 'nothing is committed anywhere');
}
$w->do('BEGIN', "INSERT INTO children VALUES ($a, 1)", "UPDATE accounts SET balance = balance WHERE id = $c", 'SET LOCAL synchronous_commit = off');
is($w->error('COMMIT')->{C}, '23503', 'X11: on the deciding shard');
$w->do('BEGIN', 'SET LOCAL synchronous_commit = off', "UPDATE accounts SET balance = balance WHERE id = $a", "UPDATE accounts SET balance = balance WHERE id = $c", 'COMMIT');
is(prepared(), 0, 'X4: synchronous_commit = off is no obstacle');
$w->do('BEGIN', "UPDATE accounts SET balance = balance WHERE id = $a");
$w->query("UPDATE accounts SET balance = 'x' WHERE id = $b");
is_deeply($w->query('COMMIT')->{tags}, ['ROLLBACK'], 'X9: a failed transaction is rolled back');

# --- a table of decisions that is gone is no commit
$cluster->do($_, 'ALTER TABLE pgbraid.decisions RENAME TO gone') for 1 .. 3;
$w->do('BEGIN', "UPDATE accounts SET balance = balance + 1000 WHERE id = $a", "UPDATE accounts SET balance = balance + 1000 WHERE id = $b");
is($w->error('COMMIT')->{C}, '42P01', 'no table for the decision: an error');
$cluster->do($_, 'ALTER TABLE pgbraid.gone RENAME TO decisions') for 1 .. 3;
settled('after it');
is(total(), 3000, 'and nothing is committed');

# --- a forged decision may only abort (X8)
my $forged = $cluster->wire(2);
$forged->do('BEGIN', "UPDATE accounts SET balance = balance + 1000 WHERE id = $b");
my $home = ($router->console('SHOW SHARDS'))->[0];
my $forged_gtid = '00000000000001-0000000a-0000000b-00000000000000bb';
$forged->do("PREPARE TRANSACTION 'pgbraid:$forged_gtid:1:2'");
$cluster->do(1, "INSERT INTO pgbraid.decisions (gtid, committed, participants, mac) VALUES ('$forged_gtid', true, '{2}', 'forged')");
# --- somebody else's prepared transaction is left alone
my $other = $cluster->wire(3);
$other->do('BEGIN', 'CREATE TABLE elsewhere (i int)', "PREPARE TRANSACTION 'not ours'");

# --- the router dies at each point; after its restart each transaction is whole
my @points = (
    (map { [ $_, 0 ] } 'commit.before_prepare', 'commit.before_prepare:2', 'commit.prepare_sent', 'commit.after_prepare', 'commit.after_prepare:2', 'commit.before_decide'),
    [ 'commit.decide_sent', undef ],
    (map { [ $_, 1 ] } 'commit.after_decide', 'commit.before_commit_prepared', 'commit.commit_prepared_sent', 'commit.after_commit_prepared', 'commit.before_answer'),
);
my $amount = 0;
for my $point (@points) {
    my ($name, $committed) = @$point;
    $router->stop;
    {
        local $ENV{PGBRAID_FAULT} = $name =~ /^(.*):(\d+)$/ ? "$1=kill:$2" : "$name=kill";
        $router->start;
    }
    my $x = $router->wire;
    my @before = map { balance($_) } $a, $b, $c;
    $amount++;
    $x->do('BEGIN', "UPDATE accounts SET balance = balance - 2 * $amount WHERE id = $a", "UPDATE accounts SET balance = balance + $amount WHERE id = $b", "UPDATE accounts SET balance = balance + $amount WHERE id = $c");
    $x->send(Query('COMMIT'));
    wait_for("$name: the router's death", sub { !$router->alive });
    $router->kill_now;
    $router->start;
    wait_for("$name: recovery", sub { $cluster->value(1, "SELECT count(*) FROM pg_prepared_xacts WHERE gid LIKE 'pgbraid:%'") == 0 });
    my @now = map { balance($_) } $a, $b, $c;
    my $moved = $now[0] != $before[0];
    is_deeply(\@now, $moved ? [ $before[0] - 2 * $amount, $before[1] + $amount, $before[2] + $amount ] : \@before, "$name: all or nothing");
    is($moved ? 1 : 0, $committed, "$name: " . ($committed ? 'the decision stands' : 'nothing was decided')) if defined $committed;
    is(total(), 3000, "$name: no money is made or lost");
}
is($cluster->value(2, "SELECT count(*) FROM pg_prepared_xacts WHERE gid LIKE '%00000000000000bb%'"), 0, 'X8: the forged decision was not followed');
is(total(), 3000, 'X8: its transaction was rolled back');
is($cluster->value(3, "SELECT count(*) FROM pg_prepared_xacts WHERE gid = 'not ours'"), 1, 'a stranger\'s transaction is left alone');
$other->do("ROLLBACK PREPARED 'not ours'");

# --- what NOTIFY sends is written by the commit of its shard alone: that shard decides, so that it is sent if and only if the rest is kept
my $listener = $cluster->wire(1);
$listener->do('LISTEN moved');
for my $name (qw(commit.before_decide commit.after_decide)) {
    $router->stop;
    { local $ENV{PGBRAID_FAULT} = "$name=kill"; $router->start; }
    my $x = $router->wire;
    my $before = balance($b);
    $x->do('BEGIN', "UPDATE accounts SET balance = balance + 0 WHERE id = $c", "UPDATE accounts SET balance = balance - 1 WHERE id = $b", "NOTIFY moved, '$name'");
    $x->send(Query('COMMIT'));
    wait_for("NOTIFY, $name: the router's death", sub { !$router->alive });
    $router->kill_now;
    $router->start;
    settled("NOTIFY, $name");
    my @heard = grep { $_->{type} eq 'A' } @{ $listener->query('SELECT 1')->{frames} };
    is_deeply([ map { $_->{payload} } @heard ], balance($b) == $before ? [] : [$name], "X12: NOTIFY, $name: heard as far as the transaction is committed");
    is(balance($b), $before - ($name =~ /after/ ? 1 : 0), '... which it is, or not');
    $router->do("UPDATE accounts SET balance = balance + 1 WHERE id = $b") if balance($b) != $before;
}

# --- a participant's connection is lost just before COMMIT: atomic abort, class 40
$w = $router->wire;
$w->do('BEGIN', "UPDATE accounts SET balance = balance - 7 WHERE id = $a", "UPDATE accounts SET balance = balance + 7 WHERE id = $b");
$cluster->do(2, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'");
my $lost = $w->query('COMMIT');
ok(!$lost->{error} ? "@{ $lost->{tags} }" eq 'ROLLBACK' : $lost->{error}{C} =~ /^(?:40|08|57)/, 'a lost participant: rolled back') or diag explain $lost;
settled('after a lost participant');
is(total(), 3000, 'nothing half done');

# --- many at once, against each other, with clients that vanish: money is constant
my @clients = map { $router->wire } 1 .. 8;
my $rounds = 25;
srand 7;
for my $round (1 .. $rounds) {
    for my $x (@clients) {
        my ($from, $to) = map { 1 + int rand 30 } 1, 2;
        ($from, $to) = ($to, $from) if $from > $to; # in one order: no deadlocks
        next if $from == $to;
        $x->{busy} = 1;
        $x->send(Query('BEGIN'), Query("UPDATE accounts SET balance = balance - 3 WHERE id = $from"), Query("UPDATE accounts SET balance = balance + 3 WHERE id = $to"), Query('COMMIT'));
    }
    for my $x (grep { $_->{busy} } @clients) {
        $x->{busy} = 0;
        if (rand() < 0.1) { $x->close; $x = undef; next; }
        $x->until_ready for 1 .. 4;
    }
    @clients = map { $_ // $router->wire } @clients;
}
settled('after the transfers');
is(total(), 3000, 'X: the total is constant');

# --- the other modes
$router->write_config(commit => 'single_shard');
$router->restart;
$w = $router->wire;
$w->do('BEGIN', "UPDATE accounts SET balance = balance - 7 WHERE id = $a", "UPDATE accounts SET balance = balance + 7 WHERE id = $b");
is($w->error('COMMIT')->{C}, '40000', 'single_shard: refused');
is(total(), 3000, 'and rolled back');
$router->write_config(commit => 'best_effort');
$router->restart;
$w = $router->wire;
$w->do('BEGIN', "UPDATE accounts SET balance = balance - 7 WHERE id = $a", "UPDATE accounts SET balance = balance + 7 WHERE id = $b");
is(scalar @{ $w->query('COMMIT')->{notices} }, 1, 'best_effort: a warning');
done_testing();
