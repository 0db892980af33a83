#!/usr/bin/perl
# Rules P47 and P51 to P54 where the frames alone do not show them: what happens on the shards.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 2, separate => 1);
$cluster->do(1, 'CREATE TABLE t (id int PRIMARY KEY, v text, who text)', 'GRANT ALL ON t TO PUBLIC', "INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 40) i");
$cluster->do($_, 'CREATE ROLE alice') for 1, 2;
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { workers => 1, pool_size => 2 });
$router->do("SELECT pgbraid.shard_table('t', 'id')");
my %key = map { $_ => $cluster->value($_, 'SELECT min(id) FROM t') } 1, 2;
my %other = map { $_ => $cluster->value($_, 'SELECT max(id) FROM t') } 1, 2;

# Shard i's connections in the pools are closed: the next statement gets a fresh one, to which settings are replayed.
sub fresh_connections
{
    for my $i (1, 2) {
        $cluster->value($i, q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name <> '' AND backend_type = 'client backend' AND pid <> pg_backend_pid()});
        $cluster->value($i, q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND datname = current_database()});
        wait_for('them to end', sub { return '0' eq $cluster->value($i, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()}) });
    }
    # The router hears of it before it is asked for anything.
    wait_for('the router to know', sub { my $r = $router->wire->query("SELECT v FROM t WHERE id = $key{1}"); my $s = $router->wire->query("SELECT v FROM t WHERE id = $key{2}"); return !$r->{error} && !$s->{error} });
    return;
}

sub all_states { my ($i) = @_; return join ' ', map { $_->[0] } @{ $cluster->rows($i, q{SELECT DISTINCT state FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY 1}) }; }

subtest 'P47: settings are replayed with the statement, or it does not run' => sub {
    my $w = $router->wire;
    $w->do('SET ROLE alice');
    is($w->value('SELECT current_user'), 'alice', 'a role');
    $w->do("UPDATE t SET who = current_user WHERE id = $key{1}");
    is($cluster->value(1, "SELECT who FROM t WHERE id = $key{1}"), 'alice', 'on the shard, too');
    my $begun = $router->wire;
    $begun->do('SET ROLE alice', 'BEGIN');
    fresh_connections();
    $cluster->do($_, 'DROP OWNED BY alice', 'DROP ROLE alice') for 1, 2;
    fresh_connections();
    for my $sql ("UPDATE t SET v = 'wrong role' WHERE id = $key{2}", "UPDATE t SET v = 'wrong role' WHERE id > 0", "INSERT INTO t (id) VALUES (1001), (1002), (1003), (1004)",
        "SELECT 1; UPDATE t SET v = 'wrong role' WHERE id = $key{1}", 'COPY t (id, v) FROM STDIN') {
        my $r = $w->query($sql, copy => "2001\twrong\n2002\twrong\n");
        is($r->{error}{C}, '22023', "$sql: the replay fails, so does the statement");
        is($r->{status}, 'I', 'and nothing is left open');
    }
    for my $batch ([ Parse('', "UPDATE t SET v = 'wrong role' WHERE id = \$1", 23), Bind('', '', [ $key{2} ]), Execute(''), Sync() ],
        [ Parse('s', 'UPDATE t SET v = $1', 25), Bind('', 's', ['wrong role']), Execute(''), Sync() ],
        [ map({ (Parse('', "UPDATE t SET v = 'wrong role' WHERE id = $key{$_}"), Bind('', '', []), Execute('')) } 1, 2), Sync() ]) {
        $w->send(@$batch);
        my @frames = $w->until_ready;
        is(PgbraidTest::Wire::result(@frames)->{error}{C}, '22023', 'the same with the extended protocol: ' . summary(@frames));
        is(scalar(grep { $_->{type} eq 'Z' } @frames), 1, 'one ReadyForQuery');
    }
    is($begun->query("UPDATE t SET v = 'wrong role' WHERE id = $key{1}")->{error}{C}, '22023', 'in a transaction');
    is($begun->query('COMMIT')->{tags}[0], 'ROLLBACK', 'which has failed');
    is($cluster->value($_, q{SELECT count(*) FROM t WHERE v LIKE 'wrong%' OR id > 1000}), '0', "nothing ran as another role on shard $_") for 1, 2;
    $w->do('RESET ROLE');
    is($w->value("SELECT v FROM t WHERE id = $key{2}"), "v$key{2}", 'without the setting the session works');
};

subtest 'P47: an error in the statement takes the replayed setting back, and the router knows' => sub {
    my $w = $router->wire(params => { application_name => 'first' });
    my $x = $router->wire(params => { application_name => 'second' });
    for my $round (1 .. 6) {
        fresh_connections() if $round % 3 == 1;
        is($_->[0]->error("SELECT 1 / (id - id), current_setting('application_name') FROM t WHERE id = $key{1}")->{C}, '22012', 'an error') for [ $w, 'first' ], [ $x, 'second' ];
        is($_->[0]->value("SELECT current_setting('application_name') FROM t WHERE id = $key{1}"), $_->[1], 'its own setting afterwards') for [ $w, 'first' ], [ $x, 'second' ];
    }
};

subtest 'P51: portals over several shards' => sub {
    my $w = $router->wire;
    $w->do('BEGIN');
    $w->send(Parse('', 'SELECT id FROM t'), Bind('p', '', []), Execute('p', 5), Sync());
    is(summary($w->until_ready), '1 2 D D D D D s Z(T)', 'a piece');
    $w->send(Execute('p'), Sync());
    is(summary(grep { $_->{type} ne 'D' } $w->until_ready), 'C(SELECT 35) Z(T)', 'the rest');
    $w->do('ROLLBACK');
    $w->do('BEGIN');
    $w->send(Parse('a', 'SELECT id FROM t'), Bind('p', 'a', []), Bind('q', 'a', []), Execute('q'), Execute('p'), Sync());
    is(summary(grep { $_->{type} ne 'D' } $w->until_ready), '1 2 2 C(SELECT 40) C(SELECT 40) Z(T)', 'two, executed the other way round');
    $w->do('COMMIT');
    # Cursors of two shards in one transaction, fetched turn about, with large rows that fill every buffer.
    $w->do('BEGIN');
    $w->send(Parse('s', "SELECT g, repeat('x', 20000) FROM t, generate_series(1, 500) g WHERE id = \$1 ORDER BY g"), map({ Bind("c$_", 's', [ $key{$_} ]) } 1, 2), Sync());
    $w->until_ready;
    my %got;
    for my $step (1 .. 10) {
        for my $i (1, 2) {
            $w->send(Execute("c$i", 50), Sync());
            push @{ $got{$i} }, map { $_->{values}[0] } grep { $_->{type} eq 'D' } $w->until_ready;
        }
    }
    is_deeply($got{$_}, [ 1 .. 500 ], "all rows of shard $_ in order") for 1, 2;
    $w->do('ROLLBACK');
};

subtest 'P52: what is sent together is one transaction over the shards' => sub {
    my $w = $router->wire;
    my $set = sub { my ($v, @keys) = @_; return map { (Parse('', "UPDATE t SET v = '$v' WHERE id = $_"), Bind('', '', []), Execute('')) } @keys; };
    $w->send($set->('one', $key{1}, $key{2}), Flush());
    $w->until_type('C') for 1, 2;
    my $x = $router->wire;
    is_deeply([ map { $x->value("SELECT v FROM t WHERE id = $key{$_}") } 1, 2 ], [ map { "v$key{$_}" } 1, 2 ], 'not to be seen before Sync');
    is(all_states($_), 'idle idle in transaction', "a transaction is open on shard $_") for 1, 2;
    $w->send(Sync());
    is(summary(grep { $_->{type} ne 'N' } $w->until_ready), 'Z(I)', 'committed');
    is_deeply([ map { $x->value("SELECT v FROM t WHERE id = $key{$_}") } 1, 2 ], [ 'one', 'one' ], 'then on both');
    $w->send($set->('two', $key{1}, $key{2}), Parse('', 'SELECT 1/0'), Bind('', '', []), Execute(''), Sync());
    like(summary($w->until_ready), qr/E\(22012\) Z\(I\)$/, 'an error at the end');
    is_deeply([ map { $x->value("SELECT v FROM t WHERE id = $key{$_}") } 1, 2 ], [ 'one', 'one' ], 'undoes all shards');
    my $r = $w->query(join '; ', map({ "UPDATE t SET v = 'three' WHERE id = $key{$_}" } 1, 2), 'SELECT 1/0');
    is($r->{error}{C}, '22012', 'an error at the end of a string');
    is_deeply([ map { $x->value("SELECT v FROM t WHERE id = $key{$_}") } 1, 2 ], [ 'one', 'one' ], 'undoes all shards');
    $r = $w->query(join '; ', map({ "UPDATE t SET v = 'four' WHERE id = $key{$_}" } 1, 2), 'COMMIT', map({ "UPDATE t SET v = 'five' WHERE id = $key{$_}" } 1, 2), 'SELECT 1/0');
    is($r->{error}{C}, '22012', 'a COMMIT in the middle of a string');
    is_deeply([ map { $x->value("SELECT v FROM t WHERE id = $key{$_}") } 1, 2 ], [ 'four', 'four' ], 'keeps what came before it');
    is(all_states($_), 'idle', "nothing is left open on shard $_") for 1, 2;
};

subtest 'P54: Describe in a transaction locks nothing and enlists no shard' => sub {
    my $w = $router->wire;
    my $locks = q{SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND pid <> pg_backend_pid()};
    $w->do('BEGIN');
    for my $sql ("SELECT v FROM t WHERE id = $key{1}", "SELECT v FROM t WHERE id = $key{2}", 'SELECT v FROM t', "UPDATE t SET v = \$1 WHERE id = $key{2} RETURNING *") {
        $w->send(Parse('', $sql), Describe('S', ''), Sync());
        is(summary($w->until_ready), '1 t T Z(T)', $sql);
        $w->send(Parse('', $sql), Flush());
        is(($w->until_type('1'))[-1]{type}, '1', 'parsed');
        $w->send(Describe('S', ''), Flush());
        $w->until_type('T');
        $w->send(Sync());
        is(summary($w->until_ready), 'Z(T)', 'in pieces');
        is($cluster->value($_, $locks), '0', "no lock stays on shard $_") for 1, 2;
        is(all_states($_), 'idle', "no transaction on shard $_") for 1, 2;
    }
    $w->value("SELECT v FROM t WHERE id = $key{1}");
    is(all_states(1), 'idle idle in transaction', 'a statement that runs does enlist its shard');
    $w->send(Parse('n', "SELECT v FROM t WHERE id = $key{2}"), Describe('S', 'n'), Sync());
    is(summary($w->until_ready), '1 t T Z(T)', 'Describe for the other shard');
    is(all_states(2), 'idle', 'leaves that alone');
    # DDL does not wait for it.
    $cluster->do(2, q{SET lock_timeout = '10s'}, 'ALTER TABLE t ALTER COLUMN v SET STATISTICS 50');
    $w->do('COMMIT');
    is(all_states($_), 'idle', "the end (shard $_)") for 1, 2;
};

subtest 'function calls are refused, and the session goes on' => sub {
    my $w = $router->wire;
    $w->send(FunctionCall(1), Query('SELECT 1'));
    is(summary($w->until_ready), 'E(0A000) Z(I)', 'outside a transaction');
    is(summary($w->until_ready), 'T D C(SELECT 1) Z(I)', 'what follows is answered');
    $w->do('BEGIN', "UPDATE t SET v = 'call' WHERE id = $key{1}");
    $w->send(FunctionCall(1));
    is(summary($w->until_ready), 'E(0A000) Z(E)', 'in a transaction: it has failed');
    is($w->query('COMMIT')->{tags}[0], 'ROLLBACK', 'and is rolled back');
    isnt($w->value("SELECT v FROM t WHERE id = $key{1}"), 'call', 'on the shard, too');
    $w->send(Parse('', 'SELECT 1/0'), Bind('', '', []), Execute(''), Parse('', 'SELECT 2'), FunctionCall(1), Sync());
    is(summary($w->until_ready), '1 E(22012) Z(I)', 'after an error it is skipped');
    $w->send(Parse('', 'SELECT 3'), FunctionCall(1), Sync());
    is(summary($w->until_ready), '1 E(0A000) Z(I)', 'in a pipeline');
    is(summary($w->until_ready), 'Z(I)', 'which goes on');
};

subtest 'an error that only the router sees fails the transaction everywhere' => sub {
    for my $end ('COMMIT', 'COMMIT AND CHAIN', 'END') {
        my $w = $router->wire;
        $w->do('BEGIN', "UPDATE t SET v = 'kept' WHERE id = $key{1}");
        ok($w->query('SELECT count(*) OVER (PARTITION BY v) FROM t, t AS x')->{error} || $w->query('SELECT nosuch FROM')->{error}, 'refused or a syntax error');
        is($w->query("UPDATE t SET v = 'kept' WHERE id = $key{2}")->{error}{C}, '25P02', 'the transaction has failed');
        is($w->query($end)->{tags}[0], 'ROLLBACK', $end);
        isnt($router->value("SELECT v FROM t WHERE id = $key{1}"), 'kept', 'nothing is kept');
    }
};

done_testing;
