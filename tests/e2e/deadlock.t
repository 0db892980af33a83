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
        $old->send(Query(touch($k2)));
        sleep 0.05;
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
done_testing();
