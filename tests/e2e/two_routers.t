#!/usr/bin/perl
# Two routers on one directory at once: transactions over shards through both, each finishes what the other leaves, and neither
# touches what the other is at (rules X1, X10, X18); what would need the other's word is refused (P38).
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(free_port wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my %config = (sharding_key => 'id', directory_shared => 'on', commit_timeout => '2s');
my $router = PgbraidTest::Router->new(cluster => $cluster, config => \%config);
$router->do('CREATE TABLE t (id bigint PRIMARY KEY, v bigint NOT NULL)', 'INSERT INTO t VALUES ' . join(', ', map { "($_, 100)" } 1 .. 30));
my @on = map { [ map { $_->[0] } @{ $cluster->rows($_, 'SELECT id FROM t ORDER BY id') } ] } 1 .. 3;
my ($a, $b) = map { $_->[0] } @on;

# The second router: the same directory, a port of its own.
my $port = free_port();
my $conf = "$router->{dir}/second.conf";
open my $out, '>', $conf or die $!;
print $out "[pgbraid]\n", map { "$_ = $router->{config}{$_}\n" } grep { $_ !~ /^(?:port|pidfile)$/ } sort keys %{ $router->{config} };
print $out "port = $port\n";
close $out;
my ($second, $logs);
sub start_second
{
    my ($fault) = @_;
    local $ENV{PGBRAID_FAULT} = $fault if $fault;
    $second = PgbraidTest::Proc->spawn([ $router->{binary}, 'serve', '-c', $conf ], log => "$router->{dir}/second.log." . ++$logs);
    wait_for('the second router', sub { my $w = PgbraidTest::Wire->try_connect(port => $port, database => 'test'); return $w && !$w->{error} });
    return;
}
sub wire2 { return PgbraidTest::Wire->connect(port => $port, database => $_[0] // 'test'); }
sub total { my $t = 0; $t += $cluster->value($_, 'SELECT sum(v) FROM t') for 1 .. 3; return $t; }
sub prepared { return $cluster->value(1, "SELECT count(*) FROM pg_prepared_xacts"); }
sub recover { $router->wire(database => 'pgbraid')->query('RECOVER'); return; }
sub transfer { my ($x, $n) = @_; return $x->query("BEGIN; UPDATE t SET v = v - $n WHERE id = $a; UPDATE t SET v = v + $n WHERE id = $b; COMMIT"); }

start_second();
is(transfer($router->wire, 1)->{error}, undef, 'a transaction through the first');
is(transfer(wire2(), 1)->{error}, undef, '... and through the second');
is(wire2()->value("SELECT v FROM t WHERE id = $a"), 98, 'both see both');

# --- what the other router would have to hear of
is($router->error('CREATE TABLE u (id bigint PRIMARY KEY)')->{C}, '55000', 'P38: no schema changes while two routers serve');
is(wire2()->error('ALTER TABLE t ADD COLUMN w int')->{C}, '55000', '... through the other, either');
is($router->error("SELECT pgbraid.reference_table('t')")->{C}, '55000', '... nor other distributions');
my $alone = PgbraidTest::Proc::run([ $router->{binary}, 'shard', 'list', '--config', do { my $f = "$router->{dir}/alone.conf"; open my $o, '>', $f or die $!; print $o "[pgbraid]\nport = " . free_port() . "\ndirectory = directory.db\n"; close $o; $f } ]);
is($alone->{rc}, 1, 'who wants the directory for himself is refused') or diag explain $alone;

# --- one asks for a transaction of the other's
my $w2 = wire2();
$w2->do('BEGIN', "UPDATE t SET v = v - 1 WHERE id = $a", "UPDATE t SET v = v + 1 WHERE id = $b");
my $gtid = $w2->value('SELECT pgbraid.current_gtid()');
$w2->do('COMMIT');
is($router->value("SELECT pgbraid.transaction_status('$gtid')"), 'committed', 'the outcome is told by any router');
$w2->do('BEGIN');
$gtid = $w2->value('SELECT pgbraid.current_gtid()');
$w2->do("UPDATE t SET v = v WHERE id = $a");
is($router->value("SELECT pgbraid.transaction_status('$gtid')"), 'in progress', '... also while it runs, on one shard only');
is($w2->query('COMMIT')->{error}, undef, '... and the question does it no harm');
is($router->value("SELECT pgbraid.transaction_status('$gtid')"), 'committed', '... whose end is told, too');
my $key = '11111111-0000-4000-8000-000000000000';
$w2->do('BEGIN', "SET pgbraid.idempotency_key = '$key'", "UPDATE t SET v = v WHERE id = $a", 'COMMIT');
my $w1 = $router->wire;
$w1->do('BEGIN');
is($w1->error("SET pgbraid.idempotency_key = '$key'")->{C}, '23505', 'X34: a key is used up for every router');
$w1->do('ROLLBACK');

# --- one dies in the middle of a commit: the other finishes it, the same way on all shards
for my $point (qw(commit.before_prepare commit.prepare_sent commit.after_prepare commit.before_decide commit.decide_sent commit.after_decide commit.before_commit_prepared commit.commit_prepared_sent)) {
    $second->stop;
    start_second("$point=kill");
    my $x = wire2();
    $x->do('BEGIN', "UPDATE t SET v = v - 5 WHERE id = $a", "UPDATE t SET v = v + 5 WHERE id = $b");
    $x->send(Query('COMMIT'));
    wait_for("$point: its death", sub { !$second->alive });
    wait_for("$point: the other finishes it", sub { recover(); return prepared() == 0 });
    is(total(), 3000, "$point: no money is made or lost");
    $second->kill_now;
    start_second();
}

# --- one is stopped in the middle, and wakes up when the other has given it up: it cannot commit any more (X1)
$second->stop;
start_second('commit.before_decide=stop');
my $x = wire2();
my $before = $cluster->value(1, "SELECT v FROM t WHERE id = $a") // $router->value("SELECT v FROM t WHERE id = $a");
$x->do('BEGIN', "UPDATE t SET v = v - 7 WHERE id = $a", "UPDATE t SET v = v + 7 WHERE id = $b");
$x->send(Query('COMMIT'));
wait_for('it stands', sub { (qx(ps -o stat= -p @{[ $second->pid ]}) // '') =~ /^T/ });
my $looks = sub { $router->wire(database => 'pgbraid')->rows('SHOW RECOVERY')->[0][0] };
my $seen = $looks->();
wait_for('the other looks twice', sub { recover(); return $looks->() > $seen + 1 });
is(prepared(), 1, 'X10: while it may go on, it is left alone');
wait_for('X10: then it is given up', sub { recover(); return prepared() == 0 });
kill 'CONT', $second->pid;
my ($e) = grep { $_->{type} eq 'E' } $x->until_ready;
like($e->{fields}{C}, qr/^(?:40|08|57)/, 'X1: it cannot commit any more') or diag explain $e;
wait_for('nothing is left', sub { recover(); return prepared() == 0 });
is_deeply([ total(), $router->value("SELECT v FROM t WHERE id = $a") ], [ 3000, $before ], 'X1: ... and nothing is half done');

# --- both at once, against each other; one is killed again and again
$second->stop;
start_second();
srand 11;
my @clients = map { my $i = $_; { n => $i, of => $i % 2 ? sub { $router->wire } : sub { eval { wire2() } } } } 1 .. 6;
for my $round (1 .. 30) {
    for my $k (@clients) {
        $k->{w} //= $k->{of}->() or next;
        my ($from, $to) = map { 1 + int rand 30 } 1, 2;
        ($from, $to) = ($to, $from) if $from > $to;
        next if $from == $to;
        $k->{busy} = eval { $k->{w}->send(Query('BEGIN'), Query("UPDATE t SET v = v - 3 WHERE id = $from"), Query("UPDATE t SET v = v + 3 WHERE id = $to"), Query('COMMIT')); 1 };
    }
    if ($round % 10 == 5) { $second->kill_now; start_second(); }
    for my $k (grep { $_->{busy} } @clients) {
        $k->{busy} = 0;
        eval { $k->{w}->until_ready for 1 .. 4; 1 } or $k->{w} = undef;
    }
}
wait_for('nothing is left prepared', sub { recover(); return prepared() == 0 });
is(total(), 3000, 'transfers through both: the total is constant');
is($router->wire(database => 'pgbraid')->rows('SHOW RECOVERY')->[0][5], 0, 'nothing was alarmed');

# --- the other has gone: changes are possible again, and one that comes later knows of them
$second->stop;
is($router->do('CREATE TABLE u (id bigint PRIMARY KEY)'), 'CREATE TABLE', 'alone again');
start_second();
is(wire2()->do('INSERT INTO u VALUES (1), (2), (3)'), 'INSERT 0 3', 'known to who starts later');
is($second->stop, 0, 'in order');
done_testing();
