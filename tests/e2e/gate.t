#!/usr/bin/perl
# The gate between scattered reads and distributed commits, each interleaving forced: by locks that shards' servers queue for,
# and by server processes that are stopped. Rules X13 to X18 and X20. tests/e2e/gate_bank.t has them at random.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'id', consistent_reads_timeout => '60s' });
$router->do('CREATE TABLE t (id bigint NOT NULL, n int NOT NULL, PRIMARY KEY (id, n))', 'CREATE TABLE u (id bigint NOT NULL, n int NOT NULL, PRIMARY KEY (id, n))');
$router->do('INSERT INTO t VALUES ' . join(', ', map { "($_, 0)" } 1 .. 30));
my @on = map { $cluster->value($_, 'SELECT min(id) FROM t') } 1 .. 3;
my ($ka, $kb, $kc) = @on;
$router->do("DELETE FROM t");

sub gate { my $r = $router->wire(database => 'pgbraid')->query('SHOW GATE'); my %h; @h{ @{ $r->{columns} } } = @{ $r->{rows}[0] }; return \%h; }
sub waiting { my ($shard, $n) = @_; return $cluster->value($shard, "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity s USING (pid) WHERE NOT l.granted AND s.datname = current_database()") >= $n; }

# A transaction over shards 1 and 2 commits while a statement has run on shard 2 and waits on shard 1, in front of its snapshot:
# someone queues for the table there, behind the transaction and in front of the statement.
sub between
{
    my ($session, $messages) = @_;
    my ($writer, $blocker) = ($router->wire, $cluster->wire(1));
    $writer->do('BEGIN', "INSERT INTO t VALUES ($ka, 1), ($kb, 1)");
    $blocker->send(Query('BEGIN'), Query('LOCK TABLE t IN ACCESS EXCLUSIVE MODE'));
    wait_for('the lock to be queued for', sub { waiting(1, 1) });
    $session->send($messages);
    wait_for('the statement to wait on shard 1', sub { waiting(1, 2) });
    select undef, undef, undef, 0.05; # shard 2 has long been done
    $writer->do('COMMIT');
    $blocker->until_ready for 1 .. 2;
    $blocker->do('COMMIT');
    return;
}

sub ids { my ($r) = @_; return join ' ', sort { $a <=> $b } map { $_->[0] } @{ $r->{rows} }; }
my $both = join ' ', sort { $a <=> $b } $ka, $kb;
my $extended = sub { my ($sql) = @_; return join '', Parse('', $sql), Bind('', '', []), Describe('P', ''), Execute(''), Sync(); };

my @reads = (
    [ 'X14: a simple SELECT', Query('SELECT id FROM t'), \&ids, $both ],
    [ 'X13: an extended SELECT', $extended->('SELECT id FROM t'), \&ids, $both ],
    [ 'X13: an aggregate, gathered', Query('SELECT count(*) FROM t'), sub { $_[0]{rows}[0][0] }, 2 ],
    [ 'X13: the same, extended', $extended->('SELECT count(*) FROM t'), sub { $_[0]{rows}[0][0] }, 2 ],
    [ 'X15: two parts of each shard', Query('SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM t a JOIN t b ON a.id + 1 = b.id + 1)'), sub { "@{ $_[0]{rows}[0] }" }, '2 2' ],
    [ 'X13: DELETE', Query('DELETE FROM t'), sub { "@{ $_[0]{tags} }" }, 'DELETE 2' ],
    [ 'X13: DELETE RETURNING, extended', $extended->('DELETE FROM t RETURNING id'), \&ids, $both ],
    [ 'X13: UPDATE RETURNING', Query('UPDATE t SET n = n + 1 RETURNING id'), \&ids, $both ],
);
for my $on (1, 0) {
    my ($halves, $tried) = (0, 0);
    for my $case (@reads) {
        my ($name, $messages, $of, $want) = @$case;
        for my $block (0, 1) {
            my $s = $router->wire;
            $s->do('SET pgbraid.consistent_reads = off') unless $on;
            $s->do('BEGIN') if $block;
            between($s, $messages);
            my $r = PgbraidTest::Wire::result($s->until_ready);
            my $got = $r->{error} ? "$r->{error}{C} $r->{error}{M}" : $of->($r);
            $tried++;
            $halves++ if $got ne $want;
            is($got, $want, "$name" . ($block ? ', in a transaction block' : '') . ': all of it') if $on;
            $s->do('SELECT 1'); # nothing is left in the way
            is($s->do('COMMIT'), 'COMMIT', 'and the transaction goes on') if $block;
            $router->do('DELETE FROM t');
        }
    }
    cmp_ok($halves, '>', $tried / 2, "consistent_reads = off: halves are seen ($halves of $tried)") unless $on;
}
my $s = $router->wire;
between($s, Query('COPY t TO STDOUT'));
like(PgbraidTest::Wire::result($s->until_ready)->{copied}, qr/^(?:|\d+\t1\n\d+\t1\n)$/, 'X13: COPY TO: both or none');
$router->do('DELETE FROM t');
for my $sql ('SELECT id FROM t', 'SELECT a.id FROM t a JOIN t b ON a.n = b.n') {
    between($s, Query("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) $sql"));
    my @parts = split /^\s*Part \d+:/m, join "\n", map { @$_ } @{ PgbraidTest::Wire::result($s->until_ready)->{rows} };
    for my $part (@parts[ 1 .. $#parts ]) {
        my $n = 0;
        $n += $_ for $part =~ /Shard \S+  \(actual rows=(\d+)/g;
        like($n, qr/^[02]$/, "X13: EXPLAIN ANALYZE: both or none: $sql");
    }
    $router->do('DELETE FROM t');
}
$s->do('BEGIN');
between($s, Query('COPY t TO STDOUT'));
my $r = PgbraidTest::Wire::result($s->until_ready);
is($r->{error}{C}, '40001', 'X13: COPY TO in a READ COMMITTED transaction: refused in the end');
is($s->do('ROLLBACK'), 'ROLLBACK', 'and the transaction has failed');
$router->do('DELETE FROM t');

# --- a change that is repeated: its notices, counts and errors are those of the last try, and a savepoint of the client's stays
$s->do('BEGIN', "INSERT INTO u VALUES ($kc, 7)", 'SAVEPOINT mine');
between($s, Query('DELETE FROM t RETURNING id'));
is(ids(PgbraidTest::Wire::result($s->until_ready)), $both, 'X13: repeated behind a savepoint of the client');
$s->do('ROLLBACK TO mine');
is($s->value('SELECT count(*) FROM t'), 2, 'to which it can go back');
$s->do('COMMIT');
is($router->value('SELECT count(*) FROM u'), 1, 'what came before stays');
$router->do('DELETE FROM t', 'DELETE FROM u');

# --- a change that is done again on a snapshot, and once more because a row has changed since
$router->do("INSERT INTO t VALUES ($kc, 5)");
my @row = map { $cluster->wire(3) } 1 .. 2;
$row[0]->do('BEGIN', "UPDATE t SET n = 6 WHERE id = $kc");
between($s, Query('UPDATE t SET n = n + 10 RETURNING id'));
wait_for('the change to wait for the row', sub { waiting(3, 1) });
$row[1]->send(Query('BEGIN'), Query('LOCK TABLE t IN ACCESS EXCLUSIVE MODE'));
wait_for('somebody to queue for the table', sub { waiting(3, 2) });
$row[0]->do('COMMIT');
$row[1]->until_ready for 1 .. 2; # the first try has been undone
wait_for('the second try, which has its snapshots, to wait for the table', sub { waiting(3, 1) });
$row[1]->do("UPDATE t SET n = n + 100 WHERE id = $kc", 'COMMIT');
is(ids(PgbraidTest::Wire::result($s->until_ready)), join(' ', sort { $a <=> $b } $ka, $kb, $kc), 'X13: a long change: once, on one snapshot');
is($router->value("SELECT n FROM t WHERE id = $kc"), 116, 'and on the last version of each row');
is($router->value('SELECT sum(n) FROM t'), 116 + 22, 'and of all');
$router->do('DELETE FROM t');

# --- rows of a change are kept until it stands, but not without a limit
$router->do('INSERT INTO t VALUES ' . join(', ', map { "($_, 1)" } 1 .. 30));
$r = $router->query("UPDATE t SET n = n + 1 RETURNING repeat('x', 3000000)");
is(($r->{error} // {})->{C}, '53200', 'too many of them: an error');
is($router->value('SELECT sum(n) FROM t'), 30, 'and nothing has changed');
$router->do('DELETE FROM t');

# --- X16: whoever holds locks on both shards commits, though a reader waits for these locks within its window
my $locker = $router->wire;
for my $what ('LOCK TABLE t IN ACCESS EXCLUSIVE MODE', 'TRUNCATE t') {
    $router->do("INSERT INTO t VALUES ($ka, 1), ($kb, 1)");
    $locker->do('BEGIN', $what, "INSERT INTO t VALUES ($ka, 2), ($kb, 2), ($kc, 2)");
    $s->send(Query('SELECT count(*) FROM t'));
    wait_for('the reader to wait for the lock', sub { waiting(1, 1) && waiting(2, 1) });
    is($locker->do('COMMIT'), 'COMMIT', "X16: $what: committed");
    is(PgbraidTest::Wire::result($s->until_ready)->{rows}[0][0], $what =~ /LOCK/ ? 5 : 3, 'X16: and read');
    $router->do('DELETE FROM t');
}

# --- X20a: two commits of single shards, one acknowledged before the other is sent; the reader's shard 1 sleeps in between
sub stop_backend
{
    my ($shard, $name) = @_;
    my $pid = $cluster->value($shard, "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = '$name'") or die "no backend of $name";
    kill STOP => $pid or die "stop $pid: $!";
    return $pid;
}
for my $on (1, 0) {
    $router->do('DELETE FROM t', "INSERT INTO t VALUES ($ka, 1)");
    my $reader = $router->wire;
    $reader->do('SET pgbraid.consistent_reads = off') unless $on;
    $reader->do("SET application_name = 'sleepy$on'", 'BEGIN', map { "SELECT FROM u WHERE id = $_" } @on, @on); # twice: each shard knows by now that there are others
    my $before = gate();
    my $pid = stop_backend(1, "sleepy$on");
    $reader->send(Query('SELECT id FROM t'));
    wait_for('shard 2 to be asked', sub { $cluster->value(2, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sleepy$on' AND query LIKE 'SELECT id FROM t%'") });
    wait_for('the window to be open', sub { gate()->{open_windows} }) if $on;
    my $client = $router->wire;
    $client->do("INSERT INTO t VALUES ($kb, 1)"); # acknowledged, then
    $client->do('BEGIN', "DELETE FROM t WHERE id = $ka", 'COMMIT');
    kill CONT => $pid;
    $r = PgbraidTest::Wire::result($reader->until_ready);
    my $after = gate();
    if ($on) {
        is(ids($r), $kb, 'X20: the row is where it went');
        cmp_ok($after->{held} - $before->{held}, '>=', 2, 'X20: both commits were held');
        cmp_ok($after->{held_too_long} - $before->{held_too_long}, '>=', 2, '... for no longer than the bound');
        cmp_ok($after->{retries} - $before->{retries}, '>=', 1, '... so the snapshots were taken again');
    } else {
        is(ids($r), '', 'consistent_reads = off: it is nowhere');
    }
    $reader->do('COMMIT');
}
$router->do('DELETE FROM t');

# --- X18: partly visible for long. The decision waits for a lock, then a prepared participant's server process is stopped.
sub stuck_commit
{
    my ($name, @keys) = @_;
    my $w = $router->wire;
    my @lock = map { my $l = $cluster->wire($_); $l->do('BEGIN', 'LOCK TABLE pgbraid.decisions IN EXCLUSIVE MODE'); $l } 1 .. 3;
    $w->do("SET application_name = '$name'", 'BEGIN', map { "INSERT INTO t VALUES ($_, 9)" } @keys);
    $w->send(Query('COMMIT'));
    my ($at) = wait_for('a participant to be prepared', sub { (grep { $cluster->value($_, "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()") } 1 .. 3)[0] });
    wait_for('the decision to wait', sub { grep { waiting($_, 1) } 1 .. 3 });
    my $pid = stop_backend($at, $name);
    $_->do('COMMIT') for @lock;
    return ($w, $pid, $at);
}
my ($w, $pid) = stuck_commit('stuck', $ka, $kb);
wait_for('the commit to be partly visible', sub { gate()->{partly_visible} });
wait_for('the decision to be there', sub { $cluster->value(1, 'SELECT count(*) FROM t') + $cluster->value(2, 'SELECT count(*) FROM t') == 1 });
my @readers = map { $router->wire } 1 .. 4;
$readers[0]->send(Query('SELECT id FROM t'));
$readers[1]->send(Query('SELECT count(*) FROM t'));
$readers[2]->send(Query('UPDATE t SET n = 10'));
$readers[3]->send(Query('COPY t TO STDOUT'));
wait_for('the readers to wait', sub { gate()->{waits} >= 4 });
ok(!$_->readable(0.1), 'X18: a read over both shards waits') for @readers;
is($router->value("SELECT count(*) FROM t WHERE id IN ($ka, $kc)") + $router->value("SELECT count(*) FROM t WHERE id IN ($kb, $kc)"), 1, 'X16, X20b: reads over one of them do not, and see the one half only');
my $cancelled = $router->wire;
$cancelled->send(Query('SELECT id FROM t'));
wait_for('it to wait', sub { gate()->{waits} >= 5 });
$cancelled->cancel;
is(PgbraidTest::Wire::result($cancelled->until_ready)->{error}{C}, '57014', 'a waiting read can be cancelled');
is($cancelled->value('SELECT 1'), 1, 'and its session goes on');
my $gone = $router->wire;
$gone->send(Query('SELECT id FROM t'));
wait_for('it to wait', sub { gate()->{waits} >= 6 });
$gone->close;
kill CONT => $pid;
is(PgbraidTest::Wire::result($w->until_ready)->{tags}[0], 'COMMIT', 'the commit ends');
is(ids(PgbraidTest::Wire::result($readers[0]->until_ready)), $both, 'X18: and is seen whole');
is(PgbraidTest::Wire::result($readers[1]->until_ready)->{rows}[0][0], 2, 'by all');
is(PgbraidTest::Wire::result($readers[2]->until_ready)->{tags}[0], 'UPDATE 2', 'of them');
is(scalar(() = PgbraidTest::Wire::result($readers[3]->until_ready)->{copied} =~ /\n/g), 2, '...');
$router->do('DELETE FROM t');

# --- X18: the participant is lost after the decision: the client hears COMMIT, reads wait for recovery
$router->write_config(commit_timeout => '1s');
$router->restart;
($w, $pid) = stuck_commit('lost', $ka, $kb);
is(PgbraidTest::Wire::result($w->until_ready)->{tags}[0], 'COMMIT', 'X18: a participant that does not answer: committed all the same');
is(ids($router->query('SELECT id FROM t')), $both, 'X18: a read sees all of it');
kill CONT => $pid;
wait_for('nothing to be in doubt', sub { gate()->{in_doubt} == 0 });
$router->do('DELETE FROM t');

# --- X18: the router dies after the decision; the next one's reads wait until recovery has looked
$router->stop;
{
    local $ENV{PGBRAID_FAULT} = 'commit.after_decide=kill';
    $router->start;
}
$w = $router->wire;
$w->do('BEGIN', "INSERT INTO t VALUES ($ka, 9), ($kb, 9)");
$w->send(Query('COMMIT'));
wait_for('its death', sub { !$router->alive });
$router->kill_now;
is($cluster->value(1, 'SELECT count(*) FROM t') + $cluster->value(2, 'SELECT count(*) FROM t'), 1, 'half of it is visible');
$router->start;
is(ids($router->query('SELECT id FROM t')), $both, 'X18: the first read of the next router sees all of it');
wait_for('nothing to be in doubt', sub { gate()->{in_doubt} == 0 });
$router->do('DELETE FROM t');

# --- X18: what cannot be settled: 40001 after the time that is set, until somebody has settled it
$router->write_config(consistent_reads_timeout => '300ms');
$router->restart;
my $odd = $cluster->wire(2);
$odd->do('BEGIN', "INSERT INTO t VALUES ($kb, 5)", "PREPARE TRANSACTION 'pgbraid:066129c184948c-f94213e6-6b07ee20-964207b2de5ba6b9:99:2'");
my $own = $router->console('SHOW PREPARED');
is(scalar @$own, 1, 'a prepared transaction whose decider nobody knows') or diag explain $own;
$router->restart;
my $e = wait_for('a read to be refused', sub { my $x = $router->query('SELECT id FROM t'); $x->{error} });
is("$e->{C}", '40001', 'X18: bounded: 40001');
like($e->{D}, qr/PB0324/, 'with its number');
is($router->value("SELECT count(*) FROM t WHERE id = $ka"), 0, 'reads of one shard are answered');
is($router->wire->do('SET pgbraid.consistent_reads = off', 'SELECT id FROM t'), 'SELECT 0', 'so are those that want no guarantee');
$odd->do("ROLLBACK PREPARED 'pgbraid:066129c184948c-f94213e6-6b07ee20-964207b2de5ba6b9:99:2'");
wait_for('reads to be answered', sub { !$router->query('SELECT id FROM t')->{error} });
pass('X18: settled by hand: answered');

# --- X17: no window is open while a reader waits for a connection
$router->write_config(pool_size => 1, reserve_pool_size => 0, consistent_reads_timeout => '10s');
$router->restart;
wait_for('nothing to be in doubt', sub { gate()->{in_doubt} == 0 });
my $holder = $router->wire;
$holder->do('BEGIN', "SELECT FROM t WHERE id = $kb");
$s = $router->wire;
$s->send(Query('SELECT id FROM t'));
wait_for('it to wait for shard 2', sub { grep { grep { ($_ // '') eq 'waiting' } @$_ } @{ $router->console('SHOW CLIENTS') } });
my $before = gate();
$router->do("INSERT INTO t VALUES ($kc, 1)");
my $after = gate();
is($after->{open_windows}, 0, 'X17: no window');
is($after->{held}, $before->{held}, 'X17: nobody is held');
$holder->do('COMMIT');
is(ids(PgbraidTest::Wire::result($s->until_ready)), $kc, 'X17: then it reads');

# --- the setting
$s = $router->wire;
is($s->value('SHOW pgbraid.consistent_reads'), 'on', 'on by default');
$s->do('BEGIN', 'SET LOCAL pgbraid.consistent_reads = off');
is($s->value('SHOW pgbraid.consistent_reads'), 'off', 'off in a transaction');
$s->do('COMMIT');
is($s->value('SHOW pgbraid.consistent_reads'), 'on', 'and on after it');
is($s->error('SET pgbraid.consistent_reads = maybe')->{C}, '22023', 'a Boolean');
done_testing();
