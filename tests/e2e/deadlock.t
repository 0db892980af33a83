#!/usr/bin/perl
# Deadlocks over several shards (X17, X25, X26, P50): the youngest member gets 40P01, everybody else goes on, and who only waits is left
# alone.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;
use Time::HiRes qw(time sleep);

my $timeout_s = 0.3;
my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'id', deadlock_timeout => '300ms' });
$router->do(
    'CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL)',
    'CREATE TABLE parents (id bigint PRIMARY KEY)',
    'CREATE TABLE children (id bigint NOT NULL REFERENCES parents, n int NOT NULL, PRIMARY KEY (id, n))',
    'CREATE TABLE countries (code text PRIMARY KEY, name text)',
    "SELECT pgbraid.reference_table('countries')",
);
$router->do('INSERT INTO accounts VALUES ' . join ', ', map { "($_, 100)" } 1 .. 60);
$router->do("INSERT INTO countries VALUES ('lu', 'Luxembourg'), ('at', 'Austria')");
$router->do('INSERT INTO parents VALUES ' . join ', ', map { "($_)" } 1 .. 60);

my @on = map { my $i = $_; [ map { $_->[0] } @{ $cluster->rows($i, 'SELECT id FROM accounts ORDER BY id') } ] } 1 .. 3;
my ($k1, $k2, $k3) = map { $_->[0] } @on;
sub touch { my ($id) = @_; return "UPDATE accounts SET balance = balance WHERE id = $id"; }
sub answer { my ($w) = @_; return PgbraidTest::Wire::result($w->until_ready); }
# The statement waits for a lock on one of the servers (all shards are on one).
sub send_and_wait
{
    my ($w, $sql) = @_;
    my $waits = 'SELECT count(*) FROM pg_locks WHERE NOT granted';
    my $before = $cluster->value(1, $waits);
    $w->send(Query($sql));
    wait_for("$sql to wait", sub { $cluster->value(1, $waits) > $before });
    return;
}
sub begin { my ($w, @statements) = @_; $w->do('BEGIN', @statements); return $w; }
sub deadlocks
{
    my $r = $router->wire(database => 'pgbraid')->query('SHOW STATS');
    my ($column) = grep { $r->{columns}[$_] eq 'deadlocks' } 0 .. $#{ $r->{columns} };
    my $n = 0;
    $n += $_->[$column] for @{ $r->{rows} };
    return $n;
}

# Sessions that wait for each other, the youngest last: it gives way in time, the others end well, one after the other.
my @detection;
sub is_resolved
{
    my ($what, @waiting) = @_;
    my $start = time;
    my $victim = $waiting[-1];
    my $seen = wait_for("$what: somebody to give way", sub { my ($w) = grep { $_->readable } reverse @waiting; return $w // 0; });
    push @detection, time - $start;
    is($seen == $victim ? 'the youngest' : 'another one', 'the youngest', "$what: gives way");
    my $r = answer($seen);
    is($r->{error}{C} // 'none', '40P01', "$what: with 40P01") or diag explain $r;
    is($r->{error}{M}, 'deadlock detected', "$what: in PostgreSQL's words");
    like($r->{error}{D}, qr/^This transaction.* waits for .*transaction \d/s, "$what: it is told who waits for whom") or diag explain $r->{error};
    is($seen->query('SELECT 1')->{error}{C}, '25P02', "$what: its transaction has failed") if $r->{status} eq 'E';
    my %left = map { $_ => $_ } grep { $_ != $seen } @waiting;
    while (%left) {
        my $next = wait_for("$what: the others to go on", sub { my ($w) = grep { $_->readable } values %left; return $w // 0; });
        delete $left{$next};
        my $other = answer($next);
        ok(!$other->{error}, "$what: another one goes on") or diag explain $other->{error};
        is($next->query('COMMIT')->{tags}[0], 'COMMIT', "$what: and commits") if $other->{status} ne 'I';
    }
    is($seen->query('ROLLBACK')->{status}, 'I', "$what: the victim rolls back");
    return $r;
}

# The same where nobody is the youngest for sure.
sub is_resolved_by_one
{
    my ($what, @waiting) = @_;
    my @answers = map { answer($_) } @waiting;
    my @failed = grep { $answers[$_]{error} } 0 .. $#waiting;
    is(join(' ', map { $answers[$_]{error}{C} } @failed), '40P01', "$what: one gets 40P01") or diag explain \@answers;
    is(scalar @failed ? $failed[0] : -1, $#waiting, "$what: the youngest");
    is($_->query('COMMIT')->{status}, 'I', "$what: the transactions end") for @waiting;
    return @failed ? $answers[ $failed[0] ]{error}{D} : '';
}

sub reconfigure { my ($r, %change) = @_; $r->write_config(%change); $r->wire(database => 'pgbraid')->do('RELOAD'); return; }

subtest 'X25: the shards know which process is of which transaction' => sub {
    my $w = begin($router->wire, touch($k1));
    my $locks = "SELECT count(DISTINCT (classid, objid)) || ' ' || count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint >> 16 = 28775";
    is($cluster->value(1, $locks), '0 0', 'a transaction on one shard says nothing');
    $w->do(touch($k2));
    is($cluster->value(1, "$locks AND database = (SELECT oid FROM pg_database WHERE datname = 'shard_2')"), '1 1', 'the second shard is told with the statement');
    wait_for('the first one to be told, as nothing is sent to it', sub { $cluster->value(1, $locks) eq '1 2' });
    $w->do('SAVEPOINT a', touch($k3), touch($k1), 'ROLLBACK TO a', touch($k1));
    wait_for('all three to say the same', sub { $cluster->value(1, $locks) eq '1 3' });
    is($w->query('COMMIT')->{tags}[0], 'COMMIT', 'and it commits');
    is($cluster->value(1, $locks), '0 0', 'nothing is left');
    $w = begin($router->wire, touch($k1), 'SAVEPOINT a', touch($k2));
    wait_for('both to be told', sub { $cluster->value(1, $locks) eq '1 2' });
    $w->do('ROLLBACK TO a');
    wait_for('what a savepoint took away is told again', sub { $cluster->value(1, $locks) eq '1 2' });
    $w->do('ROLLBACK');
};

subtest 'two transactions on two shards' => sub {
    for my $round (1 .. 3) {
        my ($old, $young) = (begin($router->wire, touch($k1)), begin($router->wire, touch($k2)));
        send_and_wait($old, touch($k2));
        $young->send(Query(touch($k1)));
        my $r = is_resolved("round $round", $old, $young);
        like($r->{error}{D}, qr/^This transaction \(process \d+\) waits for ShareLock on transaction \d+ on shard "s1"; blocked by transaction 2 \(process \d+\)\.\nTransaction 2 \(process \d+\) waits for ShareLock on transaction \d+ on shard "s2"; blocked by this transaction \(process \d+\)\. \[PB0315\]$/, 'with processes, locks and shards') if $round == 1;
    }
};

subtest 'three on three, in the extended protocol' => sub {
    my @w = map { begin($router->wire, touch($_)) } $k1, $k2, $k3;
    my @next = ($k2, $k3, $k1);
    for my $i (0 .. 2) {
        $w[$i]->send(Parse('', 'UPDATE accounts SET balance = balance WHERE id = $1'), Bind('', '', [ $next[$i] ]), Execute(''), Sync());
        sleep 0.05;
    }
    is_resolved('three', @w);
};

is(deadlocks(), 4, 'SHOW STATS counts them');

subtest 'P50: a victim with a savepoint can go back to it' => sub {
    # Age counts from the second shard on: then a transaction gets its gtid.
    my ($old, $young) = (begin($router->wire, touch($k1), touch($on[2][1])), begin($router->wire, "UPDATE accounts SET balance = balance + 1 WHERE id = $k3", 'SAVEPOINT a', touch($k2)));
    send_and_wait($old, touch($k2));
    $young->send(Query(touch($k1)));
    is(answer($young)->{error}{C}, '40P01', 'the younger one gives way');
    ok(!answer($old)->{error}, 'what it has locked since the savepoint is free at once, on another shard, too');
    is($young->error('SELECT 1')->{C}, '25P02', 'the transaction has failed');
    is($old->query('COMMIT')->{tags}[0], 'COMMIT', 'the other one commits');
    $young->do('ROLLBACK TO a', touch($k1), touch($k2));
    is($young->query('COMMIT')->{tags}[0], 'COMMIT', 'and the victim, too, after it went back');
    is($cluster->value(3, "SELECT balance FROM accounts WHERE id = $k3"), 101, 'with what it did before');
    $router->do("UPDATE accounts SET balance = 100 WHERE id = $k3");
};

subtest 'all kinds of locks' => sub {
    my %kinds = (
        'advisory locks' => [ [ 'SELECT pg_advisory_xact_lock(7)', touch($k2) ], [ touch($k2), 'SELECT pg_advisory_xact_lock(7)' ] ],
        'LOCK TABLE' => [ [ 'LOCK TABLE parents IN EXCLUSIVE MODE', touch($k2) ], [ touch($k2), "DELETE FROM parents WHERE id = $k1" ] ],
        'foreign keys' => [ [ "SELECT 1 FROM parents WHERE id = $k1 FOR UPDATE", touch($k2) ], [ touch($k2), "INSERT INTO children VALUES ($k1, 1)" ] ],
        'reference tables' => [ [ "UPDATE countries SET name = 'x' WHERE code = 'lu'", touch($k3) ], [ touch($k3), "UPDATE countries SET name = 'y' WHERE code = 'lu'" ] ],
    );
    for my $kind (sort keys %kinds) {
        my ($first, $second) = @{ $kinds{$kind} };
        my ($old, $young) = (begin($router->wire, $first->[0]), begin($router->wire, $second->[0]));
        send_and_wait($old, $first->[1]);
        $young->send(Query($second->[1]));
        is_resolved_by_one($kind, $old, $young);
    }
};

subtest 'X17: waits for connections and for locks, pool of one' => sub {
    reconfigure($router, pool_size => 1, reserve_pool_size => 0);
    for my $shard (1, 2) {
        my $servers = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name <> 'pgbraid deadlock detector'";
        wait_for('surplus connections to go', sub { $router->do(touch($on[ $shard - 1 ][0])); $cluster->value($shard, $servers) <= 1 });
    }
    my ($a, $b, $c) = map { $router->wire } 1 .. 3;
    begin($a, touch($k1));
    begin($b, touch($k2));
    $a->send(Query(touch($k2)));
    $b->send(Query(touch($k1)));
    like(is_resolved_by_one('connections alone', $a, $b), qr/waits for a connection to shard/, 'and the detail says so');
    # A waits for a connection to shard 1, which B has, which waits for a row that a process beside the router has, which waits for A.
    my $lone = $cluster->wire(1);
    $lone->do('BEGIN', touch($k1));
    begin($a, touch($k2));
    begin($b);
    send_and_wait($b, touch($k1)); # it has the connection now
    $a->send(Query(touch($on[0][1])));
    sleep 3 * $timeout_s;
    ok(!$a->readable && !$b->readable, 'a wait behind somebody who goes on is no deadlock');
    $lone->do('COMMIT');
    answer($b);
    $b->do('COMMIT');
    ok(!answer($a)->{error}, 'it ends when he does');
    $a->do('COMMIT');
    reconfigure($router, pool_size => 20, reserve_pool_size => 5);
};

subtest 'X26: a committing member is no victim, and one that can help is' => sub {
    $router->do('CREATE TABLE late (id bigint PRIMARY KEY REFERENCES parents DEFERRABLE INITIALLY DEFERRED)');
    for my $order ([ $k1, $k2 ], [ $k2, $k1 ]) {
        my ($here, $there) = @$order;
        my $old = begin($router->wire, "SELECT 1 FROM parents WHERE id = $there FOR UPDATE");
        my $young = begin($router->wire, touch($here), "INSERT INTO late VALUES ($there)");
        send_and_wait($young, 'COMMIT'); # for the parent's row
        $old->send(Query(touch($here)));
        my $r = answer($old);
        is($r->{error}{C}, '40P01', 'the older one gives way, since the younger one commits') or diag explain answer($young);
        $old->do('ROLLBACK');
        is(answer($young)->{tags}[0], 'COMMIT', 'which it does');
        $router->do('DELETE FROM late');
    }
};

my $second = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'id', deadlock_timeout => '300ms' });

subtest 'two routers' => sub {
    for my $round (1 .. 4) {
        my @routers = $round % 2 ? ($router, $second) : ($second, $router);
        my ($old, $young) = (begin($routers[0]->wire, touch($k1)), begin($routers[1]->wire, touch($k2)));
        send_and_wait($old, touch($k2));
        $young->send(Query(touch($k1)));
        is_resolved("round $round", $old, $young);
    }
};

subtest 'a router that does not answer' => sub {
    reconfigure($second, deadlock_timeout => '1h');
    my ($old, $young) = (begin($router->wire, touch($k1)), begin($second->wire, touch($k2)));
    send_and_wait($old, touch($k2));
    $young->send(Query(touch($k1)));
    wait_for('both to wait', sub { $cluster->value(1, "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'") == 2 });
    wait_for('both to be known on both shards', sub { $cluster->value(1, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint >> 16 = 28775") == 4 });
    $second->{proc}->signal('STOP');
    is(answer($old)->{error}{C}, '40P01', 'the youngest is passed over when its router does nothing');
    $second->{proc}->signal('CONT');
    ok(!answer($young)->{error}, 'and goes on');
    $_->do('ROLLBACK') for $old, $young;
    # What it has prepared blocks, and nobody is canceled for that.
    $second->stop;
    {
        local $ENV{PGBRAID_FAULT} = 'commit.before_decide=stop';
        $second->start;
    }
    my $committing = begin($second->wire, touch($k1), touch($k2), touch($k3));
    $committing->send(Query('COMMIT'));
    wait_for('it to prepare', sub { $cluster->value(1, "SELECT count(*) FROM pg_prepared_xacts WHERE gid LIKE 'pgbraid:%'") == 2 });
    my @waiting = map { begin($router->wire, touch($on[$_][2])) } 0 .. 2;
    $waiting[$_]->send(Query(touch(($k1, $k2, $k3)[$_]))) for 0 .. 2;
    sleep 5 * $timeout_s;
    is((grep { $_->readable } @waiting), 0, 'nobody who waits for prepared transactions is canceled');
    $second->{proc}->signal('CONT');
    is(answer($committing)->{tags}[0], 'COMMIT', 'its router goes on');
    ok(!answer($_)->{error}, 'and so does who waited') for @waiting;
};

subtest 'held: a layout change that waits for a transaction which it holds' => sub {
    $router->do('CREATE TABLE plain (k int PRIMARY KEY, v text)');
    my ($w, $change) = (begin($router->wire, 'LOCK TABLE plain IN ACCESS SHARE MODE'), $router->wire);
    $change->send(Query("SELECT pgbraid.shard_table('plain', 'k')"));
    wait_for('the change to wait for it', sub { $cluster->value(1, "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.application_name = 'pgbraid placement'") });
    $w->send(Query('SELECT 1 FROM plain'));
    is(answer($w)->{error}{C} // 'none', '40P01', 'the transaction gives way');
    ok(!answer($change)->{error}, 'the change is made');
    $w->do('ROLLBACK');
};

is($cluster->value(1, "SELECT count(*) FROM pg_prepared_xacts WHERE gid LIKE 'pgbraid:%'"), 0, 'nothing is left');
note sprintf 'from the last wait to 40P01: %s s (deadlock_timeout %s s)', join(' ', map { sprintf '%.2f', $_ } sort { $a <=> $b } @detection), $timeout_s;
done_testing();
