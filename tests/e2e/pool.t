# Pools of server connections: sharing, limits, queues, timeouts, and what a connection is like when it comes back.
use strict;
use warnings;
use lib 'tests/lib';
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;
use Test::More;

my $cluster = PgbraidTest::Cluster->new(shards => 2);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { workers => 2, pool_size => 3 });

# Tables are made on the home shard, then distributed. Keys of shard 1 and of shard 2 follow from where rows lie.
$cluster->do(1, 'CREATE TABLE t (id int PRIMARY KEY, v text)', 'INSERT INTO t SELECT i, i::text FROM generate_series(1, 20) i', 'CREATE TABLE home (x int)');
$router->do("SELECT pgbraid.shard_table('t', 'id')");
my %key = map { $_ => $cluster->rows($_, 'SELECT id FROM t ORDER BY id') } 1, 2;
$_ = [ map { $_->[0] } @$_ ] for values %key;
my ($k1, $k2) = ($key{1}[0], $key{2}[0]);

# Connections of the router's pools to a shard, as the shard sees them (the deadlock detector has its own).
sub servers { my ($i) = @_; return $cluster->value($i, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name <> 'pgbraid deadlock detector'"); }
sub pid_in_transaction { my ($i) = @_; return $cluster->value($i, "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"); }
# Lines of the console as hashes.
sub show
{
    my ($what) = @_;
    my $r = $router->wire(database => 'pgbraid')->query("SHOW $what");
    return map { my %h; @h{ @{ $r->{columns} } } = @$_; \%h } @{ $r->{rows} };
}
sub waiting { my $n = 0; $n += $_->{waiting} for show('POOLS'); return $n; }
sub reconfigure { my (%change) = @_; $router->write_config(%change); $router->wire(database => 'pgbraid')->do('RELOAD'); return; }

subtest 'more clients than server connections' => sub {
    my @clients = map { $router->wire } 1 .. 30;
    for my $round (1 .. 5) {
        $_->send(Query("SELECT v FROM t WHERE id = $k1")) for @clients;
        is(scalar(grep { PgbraidTest::Wire::result($_->until_ready)->{rows}[0][0] eq $k1 } @clients), 30, "round $round: all are answered");
    }
    cmp_ok(servers(1), '<=', 3, 'over pool_size connections at most');
    is((grep { $_->{leases} != 0 } show('CLIENTS')), 0, 'and nobody keeps one');
};

subtest 'the limit holds over all workers, in transactions' => sub {
    my @clients = map { $router->wire } 1 .. 12;
    $_->do('BEGIN') for @clients;
    $_->send(Query("SELECT 1 FROM t WHERE id = $k1")) for @clients;
    wait_for('nine to wait', sub { waiting() == 9 });
    is(servers(1), 3, 'three run');
    is($cluster->value(1, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"), 3, 'in transactions');
    # Each that ends lets another one on: all of them come to their turn.
    my %open = map { $_ => $clients[$_] } 0 .. $#clients;
    while (%open) {
        my ($next) = wait_for('somebody to get a connection', sub { my @r = grep { $open{$_}->readable } keys %open; return $r[0] // 0 if @r && $r[0] ne '0'; return @r ? '0 but true' : 0; });
        my $c = delete $open{ $next + 0 };
        $c->until_ready;
        $c->do('COMMIT');
        # A connection that one worker has closed for another's may be seen until its server process has ended.
        wait_for('three connections at most', sub { servers(1) <= 3 });
    }
    ok(wait_for('three connections at most', sub { servers(1) <= 3 }), 'never more than three for long');
    is(scalar keys %open, 0, 'all had their turn');
};

subtest 'first come, first served' => sub {
    reconfigure(pool_size => 1, reserve_pool_size => 0);
    $router->write_config(workers => 1);
    $router->restart;
    wait_for('surplus connections to go', sub { my $h = $router->wire; $h->do("SELECT 1 FROM t WHERE id = $k1"); servers(1) <= 1 });
    my $first = $router->wire;
    $first->do('BEGIN', "SELECT 1 FROM t WHERE id = $k1");
    my @queue;
    for my $n (1 .. 8) {
        my $c = $router->wire;
        $c->send(Query("INSERT INTO t VALUES ($k1, 'x') ON CONFLICT (id) DO UPDATE SET v = t.v || '-$n'"));
        push @queue, $c;
        wait_for("$n to wait", sub { waiting() == $n });
    }
    $first->do("UPDATE t SET v = '' WHERE id = $k1", 'COMMIT');
    $_->until_ready for @queue;
    is($router->value("SELECT v FROM t WHERE id = $k1"), '-1-2-3-4-5-6-7-8', 'in the order of arrival');
    $cluster->do(1, "UPDATE t SET v = id::text");
    $router->write_config(workers => 2);
    $router->restart;
};

subtest 'a worker gets connections that another one has' => sub {
    # Which worker a client is on is the kernel's choice: with this many, some are on each.
    my @clients = map { $router->wire } 1 .. 24;
    my %worker = map { $_->{id} => $_->{worker} } show('CLIENTS');
    my %count;
    $count{ $worker{ $_->{pid} } }++ for @clients;
    is(join(' ', sort keys %count), '0 1', 'clients on both workers');
    for my $c (@clients, reverse @clients) {
        ok(!$c->query("SELECT v FROM t WHERE id = $k1")->{error}, "worker $worker{$c->{pid}} is served, the only connection being idle");
    }
    is(servers(1), 1, 'by one connection');
    # One that is never idle comes round, too.
    my %busy = map { $_ => $clients[$_] } 0 .. $#clients;
    my %answers;
    $_->send(Query("SELECT v FROM t WHERE id = $k1")) for @clients;
    wait_for('everybody to be served', sub {
        for my $n (grep { $busy{$_}->readable } keys %busy) {
            $busy{$n}->until_ready;
            $answers{$n}++;
            $busy{$n}->send(Query("SELECT v FROM t WHERE id = $k1"));
        }
        return (grep { ($answers{$_} // 0) >= 20 } keys %busy) == @clients;
    });
    $_->until_ready for @clients;
    is(servers(1), 1, 'twenty statements each, by one connection');
};

subtest 'query_wait_timeout' => sub {
    reconfigure(pool_size => 1, reserve_pool_size => 0, query_wait_timeout => '300ms');
    my ($holder, $waiter) = map { $router->wire } 1, 2;
    $holder->do('BEGIN', "SELECT 1 FROM t WHERE id = $k1");
    my $e = $waiter->error("SELECT 1 FROM t WHERE id = $k1");
    is($e->{C}, '53300', 'an error of its own');
    like($e->{M}, qr/no connection to shard "s1" became free in time/, 'that names the shard');
    like($e->{D}, qr/query_wait_timeout.*pool_size 1.*PB0302/s, 'and the settings');
    is($waiter->value("SELECT v FROM t WHERE id = $k2"), $k2, 'another shard is not concerned');
    $holder->do('COMMIT');
    is($waiter->value("SELECT v FROM t WHERE id = $k1"), $k1, 'the session goes on');
    $holder->do('BEGIN', "SELECT 1 FROM t WHERE id = $k1");
    $waiter->do('BEGIN', "SELECT 1 FROM t WHERE id = $k2");
    is($waiter->query("SELECT 1 FROM t WHERE id = $k1")->{status}, 'E', 'in a transaction it fails the transaction');
    is($waiter->error('SELECT 1')->{C}, '25P02', 'which then takes nothing');
    $waiter->do('ROLLBACK');
    $holder->do('ROLLBACK');
    my $ext = $router->wire;
    $holder->do('BEGIN', "SELECT 1 FROM t WHERE id = $k1");
    is($ext->error('SELECT v FROM t WHERE id = $1', $k1)->{C}, '53300', 'in the extended protocol, too');
    is($ext->value('SELECT v FROM t WHERE id = $1', $k2), $k2, '... with the session in step');
    $holder->do('ROLLBACK');
};

subtest 'a client that leaves the queue' => sub {
    reconfigure(pool_size => 1, reserve_pool_size => 0, query_wait_timeout => '2min');
    my ($holder, $gone, $cancelled, $next) = map { $router->wire } 1 .. 4;
    $holder->do('BEGIN', "SELECT 1 FROM t WHERE id = $k1");
    $_->send(Query("SELECT v FROM t WHERE id = $k1")) for $gone, $cancelled, $next;
    wait_for('three to wait', sub { waiting() == 3 });
    $gone->close;
    $cancelled->cancel;
    my $r = PgbraidTest::Wire::result($cancelled->until_ready);
    is($r->{error}{C}, '57014', 'canceled while it waits');
    wait_for('one to wait', sub { waiting() == 1 });
    $holder->do('COMMIT');
    is(PgbraidTest::Wire::result($next->until_ready)->{rows}[0][0], $k1, 'the next one is served');
};

subtest 'BEGIN contacts nobody' => sub {
    reconfigure(pool_size => 3, reserve_pool_size => 5);
    my @clients = map { $router->wire } 1 .. 20;
    $_->do('BEGIN ISOLATION LEVEL READ COMMITTED', "SAVEPOINT a") for @clients;
    is($cluster->value($_, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"), 0, "shard $_ knows of nothing") for 1, 2;
    $clients[0]->do("UPDATE t SET v = 'y' WHERE id = $k2");
    is($cluster->value(1, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"), 0, 'shard 1 is not enlisted by a statement for shard 2');
    is($cluster->value(2, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"), 1, 'shard 2 is');
    $clients[0]->do('ROLLBACK TO a');
    is($clients[0]->value("SELECT v FROM t WHERE id = $k2"), $k2, 'the savepoint was set there, too');
    $_->do('COMMIT') for @clients;
};

subtest 'P50: transactions that hold one shard and want the other' => sub {
    for my $size (1, 2) {
        reconfigure(pool_size => $size, reserve_pool_size => 1, query_wait_timeout => '2min');
        my @pairs = map { [ $router->wire, $router->wire ] } 1 .. $size + 1;
        my @all = map { @$_ } @pairs;
        # As many as can hold a shard do, half of them each; then everybody wants the other one.
        my @holders = ((map { [ $pairs[$_][0], $k1, $k2 ] } 0 .. $size - 1), (map { [ $pairs[$_][1], $k2, $k1 ] } 0 .. $size - 1));
        $_->[0]->do('BEGIN', "SELECT 1 FROM t WHERE id = $_->[1]") for @holders;
        $_->[0]->send(Query("SELECT v FROM t WHERE id = $_->[2]")) for @holders;
        my %state = map { $_ => $holders[$_] } 0 .. $#holders;
        my %outcome;
        while (%state) {
            my $n = wait_for("pool_size $size: progress", sub { my ($r) = grep { $state{$_}[0]->readable } keys %state; return defined $r ? $r + 1 : 0; }) - 1;
            my $h = delete $state{$n};
            my $r = PgbraidTest::Wire::result($h->[0]->until_ready);
            $outcome{ $r->{error} ? $r->{error}{C} : 'done' }++;
            $h->[0]->do($r->{error} ? 'ROLLBACK' : 'COMMIT');
        }
        is($outcome{done}, 2 * $size, "pool_size $size: the reserve lets all of them end") or diag explain \%outcome;
    }
    # Without a reserve some must give way, and it is not a matter of minutes.
    reconfigure(pool_size => 1, reserve_pool_size => 0);
    wait_for('the reserve to go', sub { $router->wire->do("SELECT 1 FROM t WHERE id = $_") for $k1, $k2; servers(1) <= 1 && servers(2) <= 1 });
    for my $round (1 .. 3) {
        my ($a, $b) = ($router->wire, $router->wire);
        $a->do('BEGIN', "SELECT 1 FROM t WHERE id = $k1");
        $b->do('BEGIN', "SELECT 1 FROM t WHERE id = $k2");
        $a->send(Query("SELECT v FROM t WHERE id = $k2"));
        $b->send(Query("SELECT v FROM t WHERE id = $k1"));
        # It gives its connections back at once.
        my ($other, $r) = map { PgbraidTest::Wire::result($_->until_ready) } $a, $b;
        is($r->{error}{C}, '40P01', 'a deadlock is found and its younger member gets the error');
        like($r->{error}{D} // '', qr/waits for a connection to shard/, 'which says what it is about');
        ok(!$other->{error}, 'the other one goes on');
        is($b->query('ROLLBACK')->{status}, 'I', 'the younger one rolls back');
        $a->do('COMMIT');
    }
    is(waiting(), 0, 'nobody is left behind');
};

subtest 'a scattered statement takes its leases without deadlock' => sub {
    reconfigure(pool_size => 1, reserve_pool_size => 0);
    my @clients = map { $router->wire } 1 .. 16;
    for my $round (1 .. 3) {
        $_->send(Query('SELECT id, v FROM t')) for @clients;
        is(scalar(grep { @{ PgbraidTest::Wire::result($_->until_ready)->{rows} } == 20 } @clients), 16, "round $round");
    }
};

subtest 'server_lifetime and server_idle_timeout' => sub {
    reconfigure(pool_size => 2, reserve_pool_size => 0, server_lifetime => 0);
    my $c = $router->wire;
    $c->do("SELECT 1 FROM t WHERE id = $k1");
    wait_for('a connection to be closed after one use', sub { servers(1) == 0 });
    ok(!$c->query("SELECT 1 FROM t WHERE id = $k1")->{error}, 'server_lifetime = 0: one use');
    reconfigure(server_lifetime => '1h', server_idle_timeout => '100ms');
    $c->do("SELECT 1 FROM t WHERE id = $k1");
    wait_for('idle connections to be closed', sub { servers(1) == 0 && servers(2) == 0 });
    pass('server_idle_timeout closes idle ones');
    reconfigure(server_lifetime => '200ms', server_idle_timeout => '10min');
    $c->do('BEGIN');
    $c->do("SELECT 1 FROM t WHERE id = $k1");
    my $pid = pid_in_transaction(1);
    wait_for('the connection to be old', sub { $cluster->value(1, "SELECT now() - backend_start > '300ms' FROM pg_stat_activity WHERE pid = $pid") eq 't' });
    $c->do("SELECT 1 FROM t WHERE id = $k1");
    is(pid_in_transaction(1), $pid, 'server_lifetime leaves a transaction alone');
    $c->do('COMMIT');
    wait_for('an old connection to be closed', sub { $cluster->value(1, "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid") == 0 });
    pass('and closes it then');
    reconfigure(server_lifetime => '1h');
};

subtest 'server_check_query' => sub {
    reconfigure(pool_size => 1, server_check_delay => 0, server_check_query => "select 'still there'");
    my $c = $router->wire;
    $c->do("SELECT 1 FROM t WHERE id = $k1");
    $cluster->do(1, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgbraid'");
    is($c->value("SELECT v FROM t WHERE id = $k1"), $k1, 'a connection that died while idle costs nobody anything');
    $c->do('BEGIN');
    $c->do("SELECT 1 FROM t WHERE id = $k1");
    my $last = $cluster->rows(1, "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'");
    is(scalar @$last, 1, 'the statement runs on the checked connection');
    $c->do('COMMIT');
    reconfigure(server_check_query => 'select no_such_column');
    is($c->value("SELECT v FROM t WHERE id = $k1"), $k1, 'a failing check gives a fresh connection');
    reconfigure(server_check_query => 'select 1', server_check_delay => '30s');
};

subtest 'what comes back is clean' => sub {
    reconfigure(pool_size => 1, reserve_pool_size => 0);
    my $c = $router->wire;
    $c->do('BEGIN', "UPDATE t SET v = 'lost' WHERE id = $k1");
    $c->close;
    my $d = $router->wire;
    is($d->value("SELECT v FROM t WHERE id = $k1"), $k1, 'a client that goes away rolls back');
    $c = $router->wire;
    $c->do('BEGIN', "SAVEPOINT a", "UPDATE t SET v = 'lost' WHERE id = $k1");
    $c->error("SELECT 1/0 FROM t WHERE id = $k1");
    $c->close;
    is($d->value("SELECT v FROM t WHERE id = $k1"), $k1, '... in a failed transaction, too');
    $c = $router->wire;
    $c->send(Query("UPDATE t SET v = 'lost' WHERE id = $k1 AND pg_sleep(600) IS NOT NULL"));
    wait_for('the statement to run', sub { $cluster->value(1, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'UPDATE t%pg_sleep%'") });
    $c->close;
    wait_for('what runs for nobody to be stopped', sub { $cluster->value(1, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'UPDATE t%pg_sleep%'") == 0 });
    is($d->value("SELECT v FROM t WHERE id = $k1"), $k1, '... in the middle of a statement, too');
    $d->do("PREPARE p AS SELECT 1") if 0;
    is($d->query('DISCARD ALL')->{tags}[0], 'DISCARD ALL', 'DISCARD ALL');
    is($d->error('SELECT 1; DISCARD ALL')->{C}, '25001', '... not inside a string of statements');
    $d->do('BEGIN');
    is($d->error('DISCARD ALL')->{C}, '25001', '... nor in a transaction');
    $d->do('ROLLBACK');
    $d->send(Parse('named', "SELECT v FROM t WHERE id = \$1"), Sync());
    $d->until_ready;
    $d->do('DISCARD ALL');
    $d->send(Bind('', 'named', [$k1]), Execute(''), Sync());
    is(PgbraidTest::Wire::result($d->until_ready)->{error}{C}, '26000', '... forgets prepared statements');
};

subtest 'timeouts of clients' => sub {
    reconfigure(idle_transaction_timeout => '200ms');
    my $c = $router->wire;
    $c->do('BEGIN', "UPDATE t SET v = 'lost' WHERE id = $k1");
    my $f = $c->read_frame;
    is($f->{fields}{C}, '25P03', 'idle_transaction_timeout');
    is($f->{fields}{S}, 'FATAL', '... ends the session');
    ok($c->at_eof, '... and the connection');
    is($router->value("SELECT v FROM t WHERE id = $k1"), $k1, '... and the transaction');
    reconfigure(idle_transaction_timeout => 0, client_idle_timeout => '300ms');
    $c = $router->wire;
    my $busy = $router->wire;
    $busy->do('BEGIN');
    is($c->read_frame->{fields}{C}, '57P05', 'client_idle_timeout');
    ok($c->at_eof, '... ends the connection');
    ok(!$busy->query('SELECT 1')->{error}, '... but not a transaction');
    $busy->do('COMMIT');
    reconfigure(client_idle_timeout => 0, query_timeout => '300ms');
    $c = $router->wire;
    my $e = $c->error("SELECT pg_sleep(600) FROM t WHERE id = $k1");
    is($e->{C}, '57014', 'query_timeout');
    like($e->{M}, qr/query_timeout/, '... is named');
    is($c->value("SELECT v FROM t WHERE id = $k1"), $k1, '... and the session goes on');
    my $lock = $cluster->wire(2);
    $lock->do('BEGIN', 'LOCK TABLE t');
    $e = $c->error('SELECT id FROM t');
    is($e->{C}, '57014', '... on several shards');
    like($e->{M}, qr/query_timeout/, '... is named');
    $lock->do('ROLLBACK');
    is(scalar @{ $c->rows('SELECT id FROM t') }, 20, '... and the session goes on');
    reconfigure(query_timeout => 0, client_login_timeout => '300ms');
    my $silent = $router->open_wire;
    is($silent->read_frame->{fields}{M}, 'login took too long (client_login_timeout)', 'client_login_timeout');
    ok($silent->at_eof, '... ends the connection');
};

done_testing();
