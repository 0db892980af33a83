#!/usr/bin/perl
# SET pgbraid.idempotency_key: a transaction that is repeated is carried out once, whatever died in between (rule X34).
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'id' });
$router->do('CREATE TABLE t (id bigint PRIMARY KEY, v int NOT NULL)', 'INSERT INTO t VALUES ' . join(', ', map { "($_, 0)" } 1 .. 30));
my ($a, $b, $c) = map { $cluster->value($_, 'SELECT min(id) FROM t') } 1 .. 3;
my $w = $router->wire;
my $n = 0;

sub sum { my $s = 0; $s += $cluster->value($_, 'SELECT sum(v) FROM t') for 1 .. 3; return $s; }
sub keys_on { my ($i) = @_; return $cluster->value($i, 'SELECT count(*) FROM pgbraid.idempotency_keys'); }
sub key { return sprintf '00000000-0000-4000-8000-%012d', ++$n; }
sub update { my (@ids) = @_; return map { "UPDATE t SET v = v + 1 WHERE id = $_" } @ids; }
# A transaction with a key: undef, or the error.
sub attempt
{
    my ($x, $key, @ids) = @_;
    $x->do('BEGIN');
    for my $sql ("SET pgbraid.idempotency_key = '$key'", update(@ids)) {
        my $r = $x->query($sql);
        if ($r->{error}) { $x->do('ROLLBACK'); return $r->{error}; }
    }
    return $x->query('COMMIT')->{error};
}

# --- once, whatever the transaction writes on
for my $ids ([$a], [ $a, $b ], [ $a, $b, $c ], []) {
    my ($k, $before) = (key(), sum());
    $w->do('BEGIN', "SET pgbraid.idempotency_key = '$k'");
    my $gtid = $w->value('SELECT pgbraid.current_gtid()');
    is($w->value('SHOW pgbraid.idempotency_key'), $k, 'SHOW') if @$ids == 1;
    $w->do(update(@$ids), 'COMMIT');
    is($w->value('SHOW pgbraid.idempotency_key'), '', 'the key ends with its transaction') if @$ids == 1;
    my $e = attempt($router->wire, $k, @$ids);
    is($e->{C}, '23505', @$ids . ' writing: a repeat is refused');
    like($e->{D}, qr/\Q$gtid\E/, '... with the transaction that was carried out');
    is(sum() - $before, scalar @$ids, '... which was so once');
    is($w->value("SELECT pgbraid.transaction_status('$gtid')"), 'committed', '... as its status says');
}
is(keys_on(1) + keys_on(2) + keys_on(3), 4, 'X34: each key is one row');
ok((grep { keys_on($_) } 1 .. 3) > 1, 'X34: on the shard of its hash');
my ($elsewhere) = grep { keys_on($_) } 2, 3;
my $taken = $cluster->value($elsewhere, 'SELECT max(key) FROM pgbraid.idempotency_keys');
is($cluster->wire(1)->error("INSERT INTO pgbraid.idempotency_keys VALUES ('$taken', 'x')")->{C}, '23514', 'X34: and no other shard takes it');

# --- what is rolled back may be repeated
my $k = key();
$w->do('BEGIN', "SET LOCAL pgbraid.idempotency_key = '$k'", update($a, $b), 'ROLLBACK');
is(attempt($w, $k, $a, $b), undef, 'SET LOCAL; after a rollback the key is free');
$k = key();
$w->do('BEGIN', "SELECT set_config('pgbraid.idempotency_key', '$k', true)", update($a));
$w->query("UPDATE t SET v = 'x' WHERE id = $a");
$w->do('COMMIT');
is(attempt($w, $k, $a), undef, 'set_config(); after a failure, too');
$k = key();
$w->do('BEGIN', 'SAVEPOINT s', "SET pgbraid.idempotency_key = '$k'", 'ROLLBACK TO s');
is($w->value('SHOW pgbraid.idempotency_key'), '', 'ROLLBACK TO takes it back');
$w->do(update($a), 'COMMIT');
is(attempt($w, $k, $a), undef, '... so that the key is free');

# --- two at once: exactly one
for my $first_ends (qw(COMMIT ROLLBACK)) {
    my ($x, $y) = map { $router->wire } 1, 2;
    $k = key();
    my $before = sum();
    $x->do('BEGIN', "SET pgbraid.idempotency_key = '$k'", update($a, $b));
    $y->do('BEGIN');
    $y->send(Query("SET pgbraid.idempotency_key = '$k'"));
    ok(!$y->readable(0.3), "the second of two waits ($first_ends)");
    $x->do($first_ends);
    my $r = PgbraidTest::Wire::result($y->until_ready);
    is($r->{error} ? $r->{error}{C} : 'goes on', $first_ends eq 'COMMIT' ? '23505' : 'goes on', "... and hears of the first one's $first_ends");
    $y->do(update($a, $b)) unless $r->{error};
    $y->query('COMMIT');
    is(sum() - $before, 2, '... carried out once');
}

# --- as strings and pipelines, where the transaction is implicit
$k = key();
my $before = sum();
for (1, 2) { $w->query("SET pgbraid.idempotency_key = '$k'; " . join '; ', update($a, $b)); }
is(sum() - $before, 2, 'an autocommit statement with a key: in one string');
$k = key();
$before = sum();
for my $try (1, 2) {
    $w->send((map { (Parse('', $_), Bind('', '', []), Execute('')) } "SET pgbraid.idempotency_key = '$k'", update($a, $b)), Sync());
    my ($e) = grep { $_->{type} eq 'E' } $w->until_ready;
    is($e ? $e->{fields}{C} : 'none', $try == 1 ? 'none' : '23505', "a pipeline, try $try");
}
is(sum() - $before, 2, '... carried out once');
$w->query_params('BEGIN');
$k = key();
is($w->rows("SELECT set_config('pgbraid.idempotency_key', \$1, true)", $k)->[0][0], $k, 'a key as a parameter');
$w->do(update($a), 'COMMIT');
is(attempt($w, $k, $a)->{C}, '23505', '... counts');

# --- bad input
is($w->error("SET pgbraid.idempotency_key = 'x'")->{C}, '25P01', 'outside a transaction');
is($w->do('RESET pgbraid.idempotency_key'), 'RESET', '... RESET does nothing');
for my $bad ("''", "'" . 'x' x 256 . "'") {
    $w->do('BEGIN');
    is($w->error("SET pgbraid.idempotency_key = $bad")->{C}, '22023', 'a key of ' . (length($bad) - 2) . ' bytes');
    $w->do('ROLLBACK');
}
$k = key();
$w->do('BEGIN', "SET pgbraid.idempotency_key = '$k'", "SET pgbraid.idempotency_key = '$k'");
is($w->error("SET pgbraid.idempotency_key = 'another'")->{C}, '55000', 'a second key');
$w->do('ROLLBACK');
is(attempt($w, q(it''s \\ "quoted" ü), $a), undef, 'any text is a key');
is(attempt($w, q(it''s \\ "quoted" ü), $a)->{C}, '23505', '... and the same one');
ok(!eval { $router->wire(params => { options => '-c pgbraid.idempotency_key=x' }); 1 }, 'not in the start-up packet');
$w->do('BEGIN READ ONLY');
is($w->error("SET pgbraid.idempotency_key = 'x'")->{C}, '25006', 'not in a READ ONLY transaction');
$w->do('ROLLBACK');
my $user = $router->wire;
$cluster->do(1, 'CREATE ROLE someone LOGIN');
$cluster->do($_, 'GRANT ALL ON t TO someone') for 1 .. 3;
is(attempt($router->wire(user => 'someone'), key(), $a, $b), undef, 'any role may use one');
is($cluster->wire(2, user => 'someone')->error('SELECT * FROM pgbraid.idempotency_keys')->{C}, '42501', '... not read those of others');

# --- the router dies at each point; the client repeats until it is told
for my $point (qw(commit.before_prepare commit.prepare_sent commit.before_decide commit.decide_sent commit.after_decide commit.before_commit_prepared commit.before_answer)) {
    $router->stop;
    { local $ENV{PGBRAID_FAULT} = "$point=kill"; $router->start; }
    $k = key();
    $before = sum();
    my $x = $router->wire;
    $x->do('BEGIN', "SET pgbraid.idempotency_key = '$k'", update($a, $b, $c));
    $x->send(Query('COMMIT'));
    wait_for("$point: the router's death", sub { !$router->alive });
    $router->kill_now;
    $router->start;
    my $e;
    wait_for("$point: the client repeats", sub { $e = eval { attempt($router->wire, $k, $a, $b, $c) }; return !$@ && (!$e || $e->{C} eq '23505'); });
    is(sum() - $before, 3, "$point: carried out once (" . ($e ? 'before' : 'by the repeat') . ')');
}

# --- retention
$router->write_config(idempotency_retention => '1s');
$router->restart;
wait_for('keys are forgotten after idempotency_retention', sub { $router->wire(database => 'pgbraid')->query('RECOVER'); return keys_on(1) + keys_on(2) + keys_on(3) == 0 });
done_testing();
