#!/usr/bin/perl
# Bad input, clients that misbehave, and shards that die: each gets a clear error or is dropped, nobody else notices, nothing
# is lost. A bystander with a session of its own is asked after every attack.
use strict;
use warnings;
use IO::Select;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;
use Time::HiRes qw(sleep);

my $sanitized = ($ENV{PGBRAID_BUILD} // '') =~ /-(?:asan|tsan)$/;
my $cluster = PgbraidTest::Cluster->new(shards => 2, separate => 1);
for my $table (qw(t u)) { $cluster->do(1, "CREATE TABLE $table (id int PRIMARY KEY, v text)", "INSERT INTO $table SELECT i, 'v' || i FROM generate_series(1, 100) i"); }
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { pool_size => 4, client_login_timeout => '2s', max_message_size => '4MB' });
$router->do(map { "SELECT pgbraid.shard_table('$_', 'id')" } qw(t u));

# A key on each shard.
my %key;
for my $i (1, 2) { $key{$i} = $cluster->value($i, 'SELECT min(id) FROM t'); }

my $bystander = $router->wire;
sub bystander_is_well
{
    my ($name) = @_;
    my @got = map { eval { $bystander->value("SELECT v FROM t WHERE id = $key{$_}") } // "error: $@" } 1, 2;
    return is_deeply(\@got, [ "v$key{1}", "v$key{2}" ], "$name: a bystander goes on");
}

# Frames until the server closes the connection: the last error's fields, or { C => 'none' }.
sub farewell
{
    my ($wire) = @_;
    my $error = { C => 'none' };
    while (my $f = $wire->read_frame) { $error = $f->{fields} if $f->{type} eq 'E'; }
    return $error;
}

# Nothing of ours runs or waits in a transaction on any shard, and no client holds a connection.
sub shards_are_quiet
{
    my ($name) = @_;
    for my $i (1, 2) {
        my $busy = sub { return $cluster->value($i, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'}) };
        ok(eval { wait_for("quiet shard $i", sub { return $busy->() eq '0' }) }, "$name: nothing is left running on shard $i");
    }
    return;
}

subtest 'garbage instead of a startup packet' => sub {
    my %garbage = (
        map({ ("length $_" => pack 'N', $_) } 0 .. 7),
        'length 8 and an unknown code' => pack('N N', 8, 0),
        'a huge length' => pack('N N', 0x7FFFFFFF, 0x00030000),
        'a negative length' => pack('N N', 0xFFFFFFFF, 0x00030000),
        'one byte too much' => pack('N N', 10_001, 0x00030000) . "\0" x 9993,
        'HTTP' => "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        'TLS without asking' => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . 'x' x 300,
        'zeroes' => "\0" x 100,
        'no final NUL' => pack('N N', 8 + 14, 0x00030000) . "user\0postgres\0",
        'a name without a value' => pack('N N', 8 + 6, 0x00030000) . "user\0\0",
        'bytes behind an SSLRequest' => pack('N N', 8, 80877103) . 'x',
        'a cancel request that is too short' => pack('N N N', 12, 80877102, 1),
        'a cancel request with a long key' => pack('N N N', 300, 80877102, 1) . 'k' x 288,
    );
    for my $name (sort keys %garbage) {
        my $wire = $router->open_wire;
        $wire->send($garbage{$name});
        my $answer = '';
        while (defined(my $byte = $wire->read_bytes(1))) { $answer .= $byte; }
        like($answer, qr/\A(?:E.*|)\z/s, "$name: an error or nothing, and the connection is closed");
    }
    my $none = $router->try_wire(user => '');
    is($none->{error}{C}, '28000', 'an empty user name');
    bystander_is_well('garbage');
};

subtest 'half a startup packet, then silence' => sub {
    my @wires = map { $router->open_wire } 1 .. 4;
    $wires[1]->send("\0");
    $wires[2]->send(pack('N N', 60, 0x00030000) . "user\0");
    is($wires[3]->ask_ssl, 'N', 'an SSLRequest, then nothing');
    $_->at_eof || farewell($_) for @wires;
    pass('the login timeout ends them');
    bystander_is_well('silence');
};

subtest 'message types that do not exist' => sub {
    my $bad = 0;
    for my $type (grep { !/[QPBDECHFSXdcf]/ } map { chr } 0 .. 255) {
        my $wire = $router->wire;
        $wire->send(Message($type, 'body'));
        my $e = farewell($wire);
        $bad++ unless $e->{C} eq '08P01' && $e->{M} eq 'invalid frontend message type ' . ord $type;
    }
    is($bad, 0, 'each is a protocol violation and ends the connection');
    bystander_is_well('types');
};

subtest 'wrong lengths' => sub {
    my %wrong;
    for my $type (split //, 'QPBDECHFSXdcf') {
        for my $length (0 .. 3, 0x40000000, 0xFFFFFFFF) {
            my $wire = $router->wire;
            $wire->send($type . pack('N', $length));
            my $e = farewell($wire);
            $wrong{"$type $length"} = "$e->{C} $e->{M}" unless $e->{C} eq '08P01' || $type eq 'X';
        }
    }
    is_deeply(\%wrong, {}, 'each is an error and ends the connection');
    my $wire = $router->wire;
    $wire->send('Q' . pack('N', 5_000_000) . 'x' x 100);
    ok(!$wire->readable(0.05), 'a message above max_message_size is skipped');
    $wire->send('x' x 4_999_896);
    my $e = farewell($wire);
    is($e->{C}, '54000', '... and the client hears of it when it has sent all of it');
    like("$e->{M} $e->{D}", qr/5000000.*max_message_size/, 'says which setting');
    bystander_is_well('lengths');
};

subtest 'bodies that do not add up' => sub {
    my %bad = (
        'Query without NUL' => Message('Q', 'SELECT 1'),
        'empty Query body' => Message('Q', ''),
        'Parse without query' => Message('P', "name\0"),
        'Parse with types missing' => Message('P', "\0SELECT 1\0" . pack('n N', 2, 23)),
        'Parse with bytes behind' => Message('P', "\0SELECT 1\0" . pack('n', 0) . 'x'),
        'Bind cut off' => Message('B', "\0\0" . pack('n n N', 0, 1, 100) . 'x'),
        'Bind with a length below NULL' => Message('B', "\0\0" . pack('n n N', 0, 1, 0xFFFFFFFE)),
        'Bind without result formats' => Message('B', "\0\0" . pack('n n', 0, 0)),
        'Describe of neither' => Message('D', "X\0"),
        'Describe without a name' => Message('D', 'S'),
        'Close of neither' => Message('C', "Y\0"),
        'Execute without a count' => Message('E', "\0"),
        'Sync with a body' => Message('S', 'x'),
    );
    for my $name (sort keys %bad) {
        my $wire = $router->wire;
        $wire->send($bad{$name}, Sync());
        my ($e, $ready);
        while (!$ready and my $f = $wire->read_frame) {
            $e = $f->{fields} if $f->{type} eq 'E';
            $ready = 1 if $f->{type} eq 'Z';
        }
        is($e ? $e->{C} : 'none', '08P01', $name);
    }
    bystander_is_well('bodies');
};

subtest 'SQL that is too much for a parser' => sub {
    my $wire = $router->wire;
    my %sql = (
        '100 KB of additions' => 'SELECT ' . join('+', (1) x 50_000),
        '5000 nested NOTs' => 'SELECT ' . 'NOT ' x 5000 . 'true',
        '50000 brackets' => 'SELECT ' . '(' x 50_000 . '1' . ')' x 50_000,
        '50000 brackets not closed' => 'SELECT ' . '(' x 50_000,
        '20000 nested CASEs' => 'SELECT ' . 'CASE WHEN true THEN ' x 20_000 . '1' . ' END' x 20_000,
        '20000 UNIONs' => join(' UNION ALL ', ('SELECT 1') x 20_000),
        '10000 sub-selects' => 'SELECT ' . '(SELECT ' x 10_000 . '1' . ')' x 10_000,
        'a long array' => 'SELECT ' . '[' x 30_000,
        '20000 casts' => 'SELECT 1' . '::int' x 20_000,
        '20000 minus signs' => 'SELECT ' . '- ' x 20_000 . '1',
    );
    for my $name (sort keys %sql) {
        for my $extended (0, 1) {
            my $r = $extended ? $wire->query_params($sql{$name}) : $wire->query($sql{$name});
            my $said = $r->{error} ? $r->{error}{C} : @{ $r->{rows} } ? 'rows' : 'nothing';
            like($said, qr/^(?:rows|54001|42601|0A000)$/, "$name is answered or refused: $said");
        }
        is($wire->value('SELECT 1'), '1', "$name: the session goes on");
    }
    my $megabyte = 'x' x 1_000_000;
    is($wire->query("INSERT INTO t VALUES (1001, '$megabyte')")->{tags}[0], 'INSERT 0 1', 'an INSERT of 1 MB');
    is($wire->value('SELECT length(v) FROM t WHERE id = 1001'), '1000000', 'is there');
    is($wire->query_params('INSERT INTO t VALUES ($1, $2)', 1002, $megabyte)->{tags}[0], 'INSERT 0 1', 'the same with parameters');
    my $rows = join ', ', map { "($_, 'r')" } 2000 .. 6999;
    is($wire->query("INSERT INTO t VALUES $rows")->{tags}[0], 'INSERT 0 5000', '5000 rows in one INSERT');
    $wire->do('DELETE FROM t WHERE id > 1000');
    like($wire->error("SELECT '\xff\xfe'")->{C}, qr/^22021$/, 'bytes that are no UTF-8');
    like($wire->error("SELECT $_")->{C}, qr/^(?:22021|08P01)$/, 'a NUL inside a query') for "1\0SELECT 2", "'a\0b'";
    bystander_is_well('parser');
};

# --- clients that go away or stand still ---

sub rss_kb { open my $in, '<', '/proc/' . $router->pid . '/status' or die; return (map { /^VmRSS:\s+(\d+)/ ? $1 : () } <$in>)[0]; }

subtest 'a client that does not read' => sub {
    my $rows = 200_000;
    my $before = rss_kb();
    my @slow = map { my $w = $router->wire; $w->send(Query("SELECT i, repeat('x', 500) FROM generate_series(1, $rows) i")); $w } 1, 2;
    my $scattered = $router->wire;
    $scattered->send(Query('SELECT a.id, b.v, repeat(\'y\', 30000) FROM t a, generate_series(1, 20) g(n), LATERAL (SELECT a.v) b'));
    for my $try (1 .. 50) { $bystander->value("SELECT v FROM t WHERE id = $key{ 1 + $try % 2 }"); }
    bystander_is_well('a slow reader');
    my $grown = rss_kb() - $before;
    cmp_ok($grown, '<', 32_000, "the router's memory is bounded ($grown KB more)") unless $sanitized;
    for my $w (@slow) {
        my $n = 0;
        while (my $f = $w->read_frame) { $n++ if $f->{type} eq 'D'; last if $f->{type} eq 'Z'; }
        is($n, $rows, 'when it reads on, all rows come');
    }
    my $r = PgbraidTest::Wire::result($scattered->until_ready);
    ok($r->{error} || @{ $r->{rows} } == 2000, 'so with rows of several shards: ' . ($r->{error} ? $r->{error}{M} : scalar @{ $r->{rows} }));
};

subtest 'a client that sends and does not read' => sub {
    my %messages = (
        'empty queries' => Query(''),
        'transactions that reach no server' => Query('BEGIN') . Query('COMMIT'),
        'Syncs' => Sync(),
        'syntax errors' => Query('SELCT'),
        'statements of one shard' => Query("SELECT v FROM t WHERE id = $key{1}"),
        'batches' => Parse('', 'SELECT 1') . Bind('', '', []) . Execute('') . Sync(),
        'a pipeline without Sync' => Parse('', '') . Bind('', '', []) . Execute(''),
    );
    my $limit = 64 << 20;
    for my $name (sort keys %messages) {
        my $w = $router->wire;
        my $before = rss_kb();
        my $chunk = $messages{$name} x int(1 + 65536 / length $messages{$name});
        my ($sent, $rest) = (0, '');
        # Until nobody takes anything for a while.
        while ($sent < $limit && IO::Select->new($w->{sock})->can_write(1)) {
            $rest = $chunk if $rest eq '';
            my $n = syswrite $w->{sock}, $rest or last;
            substr($rest, 0, $n) = '';
            $sent += $n;
        }
        cmp_ok($sent, '<', $limit, "$name: the router stops reading ($sent bytes)");
        my $grown = rss_kb() - $before;
        cmp_ok($grown, '<', 16_000, "$name: its memory is bounded ($grown KB more)") unless $sanitized;
        $w->close;
    }
    bystander_is_well('one who does not read');
};

subtest 'a client that disconnects' => sub {
    my %leave = (
        'in the middle of a query' => sub { my ($w) = @_; $w->send(Query("SELECT pg_sleep(600), v FROM t WHERE id = $key{2}")); },
        'in the middle of a query that runs' => sub {
            my ($w) = @_;
            $w->send(Query("SELECT pg_sleep(601) FROM t WHERE id = $key{1}"));
            wait_for('it to run', sub { return $cluster->value(1, q{SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(601)%' AND pid <> pg_backend_pid()}) });
        },
        'in the middle of a scattered query' => sub { my ($w) = @_; $w->send(Query('SELECT v FROM t, generate_series(1, 1000000)')); $w->until_type('D'); },
        'in the middle of a scattered write' => sub { my ($w) = @_; $w->send(Query('UPDATE t SET v = $$gone$$ WHERE id > 0')); },
        'in a transaction' => sub { my ($w) = @_; $w->do('BEGIN', map { "UPDATE t SET v = 'gone' WHERE id = $key{$_}" } 1, 2); },
        'in a transaction while a statement runs' => sub { my ($w) = @_; $w->do('BEGIN', "UPDATE t SET v = 'gone' WHERE id = $key{1}"); $w->send(Query("SELECT pg_sleep(600) FROM t WHERE id = $key{2}")); },
        'in a failed transaction' => sub { my ($w) = @_; $w->do('BEGIN', "UPDATE t SET v = 'gone' WHERE id = $key{2}"); $w->query('SELECT 1/0'); },
        'in a pipeline' => sub { my ($w) = @_; $w->send(Parse('', "UPDATE t SET v = 'gone' WHERE id = $key{1}"), Bind('', '', []), Execute('')); },
        'in a flushed pipeline' => sub { my ($w) = @_; $w->send(Parse('', "UPDATE t SET v = 'gone' WHERE id = $key{1}"), Bind('', '', []), Execute(''), Flush()); $w->until_type('C'); },
        'in a pipeline over shards' => sub {
            my ($w) = @_;
            $w->send(map({ (Parse('', "UPDATE t SET v = 'gone' WHERE id = $key{$_}"), Bind('', '', []), Execute('')) } 1, 2), Flush());
            $w->until_type('C') for 1, 2;
        },
        'in COPY FROM STDIN' => sub { my ($w) = @_; $w->send(Query('COPY t FROM STDIN')); $w->until_type('G'); $w->send(CopyData(join '', map { "$_\tgone\n" } 1001 .. 3000)); },
        'in COPY TO STDOUT' => sub { my ($w) = @_; $w->send(Query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000000)) TO STDOUT")); $w->until_type('d'); },
        'in the middle of rows' => sub { my ($w) = @_; $w->send(Query("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)")); $w->until_type('D'); },
        'in the middle of a message' => sub { my ($w) = @_; $w->do('BEGIN', "UPDATE t SET v = 'gone' WHERE id = $key{1}"); $w->send(substr Query('COMMIT'), 0, 8); },
        'waiting for a lock' => sub { my ($w) = @_; $w->send(Query("UPDATE t SET v = 'gone' WHERE id = 77")); },
    );
    my $locker = $router->wire;
    $locker->do('BEGIN', 'SELECT v FROM t WHERE id = 77 FOR UPDATE');
    for my $name (sort keys %leave) {
        for my $politely (0, 1) {
            my $w = $router->wire;
            $leave{$name}->($w);
            $w->send(Terminate()) if $politely && $name !~ /middle of a message/;
            $w->close;
        }
    }
    $locker->do('ROLLBACK');
    shards_are_quiet('disconnected');
    is($router->value("SELECT v FROM t WHERE id = $_"), "v$_", "nothing of it stays (id $_)") for $key{1}, $key{2};
    is_deeply($router->rows('SELECT id FROM t WHERE id > 1000'), [], 'no row of COPY stays');
    # Its connections are clean: a new client finds no transaction, no setting, no lock.
    for (1 .. 8) {
        my $w = $router->wire;
        is(join(' ', map { $w->do("UPDATE t SET v = v WHERE id = $key{$_}") } 1, 2), 'UPDATE 1 UPDATE 1', 'rows are not locked') if $_ == 1;
        $w->value("SELECT v FROM t WHERE id = $key{2}") eq "v$key{2}" or fail('a wrong row');
    }
    bystander_is_well('disconnects');
};

subtest 'many connections at once, each broken off' => sub {
    for my $round (1 .. 5) {
        my @wires = map { $router->open_wire } 1 .. 40;
        $wires[$_]->send(substr Startup({ user => 'postgres', database => 'test' }), 0, $_) for 1 .. $#wires;
        $_->close for @wires;
    }
    bystander_is_well('a flood');
};

# --- cancel ---

subtest 'cancel requests' => sub {
    my $w = $router->wire;
    my $other = $router->wire;
    $_->send(Query("SELECT pg_sleep(600) FROM t WHERE id = $key{1}")) for $w, $other;
    my $running = sub { return $cluster->value(1, q{SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()}) };
    wait_for('both to run', sub { return $running->() == 2 });
    {
        local $w->{secret} = $w->{secret} ^ 1;
        ok($w->cancel, 'a wrong key');
        local $w->{pid} = 0x7FFFFFF0;
        ok($w->cancel, 'an unknown process');
    }
    $bystander->cancel;
    bystander_is_well('a cancel of one that is idle');
    is($running->(), '2', 'none of that stops anything');
    $w->cancel;
    my $r = PgbraidTest::Wire::result($w->until_ready);
    is($r->{error}{C}, '57014', 'the right one is canceled');
    is($running->(), '1', 'and only that one');
    is($w->value('SELECT 1'), '1', 'its session goes on');
    $other->cancel;
    is(PgbraidTest::Wire::result($other->until_ready)->{error}{C}, '57014', 'then the other one');

    my @lockers = map { $cluster->wire($_) } 1, 2;
    $_->do('BEGIN', 'LOCK TABLE t') for @lockers;
    $w->send(Query('SELECT id FROM t'));
    wait_for('both shards to wait', sub { return 2 == grep { $_->value(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'}) } @lockers });
    $w->cancel;
    is(PgbraidTest::Wire::result($w->until_ready)->{error}{C}, '57014', 'a statement over several shards is canceled');
    $_->do('ROLLBACK') for @lockers;
    shards_are_quiet('canceled');
};

subtest 'P49: a cancel never hits the next statement' => sub {
    my $one = PgbraidTest::Router->new(cluster => $cluster, config => { pool_size => 1, reserve_pool_size => 0 });
    my ($w, $next) = ($one->wire, $one->wire);
    my %seen = (canceled => 0, done => 0);
    my @hit;
    my $ask = sub {
        my ($who, $sql, $what) = @_;
        my $r = $who->query($sql);
        push @hit, "$what: $sql: $r->{error}{C} $r->{error}{M}" if $r->{error};
    };
    for my $round (1 .. 500) {
        my $in_transaction = $round % 2;
        $ask->($w, 'BEGIN', "round $round") if $in_transaction;
        $w->send(Query("SELECT pg_sleep(0.002) FROM t WHERE id = $key{1}"));
        sleep rand 0.004;
        $w->cancel;
        my $r = PgbraidTest::Wire::result($w->until_ready);
        $seen{ $r->{error} ? 'canceled' : 'done' }++;
        push @hit, "round $round: $r->{error}{C}" if $r->{error} && $r->{error}{C} ne '57014';
        if ($in_transaction) {
            $ask->($w, "SELECT v FROM t WHERE id = $key{1}", "round $round, same client") unless $r->{error};
            $ask->($w, 'ROLLBACK', "round $round, same client");
        }
        elsif ($round % 4 == 0) { $ask->($next, "SELECT v FROM t WHERE id = $key{1}", "round $round, next client"); }
        $ask->($w, "SELECT v FROM t WHERE id = $key{1}", "round $round, same client");
    }
    is_deeply(\@hit, [], 'in 500 rounds');
    cmp_ok($seen{$_}, '>', 0, "statements $_: $seen{$_}") for sort keys %seen;
    $_->close for $w, $next;
};

# --- shards that die ---

# All that a shard lost must answer with an error that names it; the session stays.
sub is_lost
{
    my ($r, $name) = @_;
    like($r->{error}{C} // 'none', qr/^(?:08006|57P03)$/, "$name: SQLSTATE of a lost connection, or of a server that is starting");
    like("$r->{error}{M} " . ($r->{error}{D} // ''), qr/shard "s2"/, "$name: the error names the shard");
    return;
}

sub shard_2_is_back
{
    my ($name, $wire) = @_;
    ok(eval { wait_for('shard 2', sub { my $r = $wire->query("SELECT v FROM t WHERE id = $key{2}"); return !$r->{error} && $r->{rows}[0][0] eq "v$key{2}" }) }, "$name: the same session works when the shard is back");
    return;
}

for my $how ('backend killed', 'server killed') {
    subtest "a shard dies: $how" => sub {
        my $w = $router->wire;
        my $reader = $router->wire;
        my $writer = $router->wire;
        my $scattered = $router->wire;
        $writer->do('BEGIN', "UPDATE t SET v = 'half' WHERE id = $key{1}", "UPDATE t SET v = 'half' WHERE id = $key{2}");
        $w->send(Query("SELECT pg_sleep(600) FROM t WHERE id = $key{2}"));
        my $locker = $cluster->wire(2);
        $locker->do('BEGIN', 'LOCK TABLE u IN ACCESS EXCLUSIVE MODE');
        $scattered->send(Query('SELECT v FROM u'));
        wait_for('it to be there', sub { return $cluster->value(2, 'SELECT count(*) FROM pg_locks WHERE NOT granted') });
        my $pid = wait_for('it to run', sub { return $cluster->rows(2, q{SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(600) FROM t%' AND pid <> pg_backend_pid()})->[0] });
        if ($how eq 'backend killed') { kill 'KILL', $pid->[0]; }
        else { $cluster->kill_server(2); }
        my $r = PgbraidTest::Wire::result($w->until_ready);
        is_lost($r, 'the statement that ran there');
        is($r->{status}, 'I', 'no transaction is open');
        is_lost(PgbraidTest::Wire::result($scattered->until_ready), 'the statement over all shards');
        is($bystander->value("SELECT v FROM t WHERE id = $key{1}"), "v$key{1}", 'another shard answers meanwhile');
        if ($how eq 'server killed') {
            my $error = $reader->error("SELECT v FROM t WHERE id = $key{2}");
            is($error->{C}, '08006', 'a new statement for the dead shard fails with a clear error');
            is($reader->value("SELECT v FROM t WHERE id = $key{1}"), "v$key{1}", 'and the session goes on elsewhere');
            is($router->wire->value("SELECT v FROM t WHERE id = $key{1}"), "v$key{1}", 'new clients are let in');
        }
        my $next = wait_for('the loss to show', sub { my $r = $writer->query("SELECT v FROM t WHERE id = $key{1}"); return $r->{error} ? $r : 0 });
        is($next->{status}, 'E', "the transaction that wrote there has failed ($next->{error}{C})");
        my $end = $writer->query('COMMIT');
        is($end->{tags}[0] // $end->{error}{C}, 'ROLLBACK', 'and is not committed');
        is($end->{status}, 'I', 'then it is over');
        is($writer->value("SELECT v FROM t WHERE id = $key{1}"), "v$key{1}", 'nothing of it stays on the other shard');
        $cluster->start_server(2) if $how eq 'server killed';
        shard_2_is_back($how, $_) for $w, $writer, $scattered, $bystander;
        shards_are_quiet($how);
        bystander_is_well($how);
    };
}

subtest 'a connection that the server ends' => sub {
    my $w = $router->wire;
    $w->do('BEGIN', "UPDATE t SET v = 'x' WHERE id = $key{2}");
    my $kill = q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'};
    $cluster->value(2, $kill);
    my $r = wait_for('the loss to show', sub { my $r = $w->query("SELECT v FROM t WHERE id = $key{1}"); return $r->{error} ? $r : 0 });
    is($w->query('COMMIT')->{tags}[0], 'ROLLBACK', 'a transaction that lost its shard is rolled back');
    # Idle connections are ended: nobody notices.
    for (1 .. 5) {
        # By a new client, which may be another worker's: its connections are not the bystander's.
        shard_2_is_back('ended', $router->wire);
        $cluster->value(2, $kill);
        my $got = $bystander->query("SELECT v FROM t WHERE id = $key{2}");
        ok(!$got->{error} || $got->{error}{C} =~ /^(?:08006|57P01)$/, 'answered, or a clear error') or diag(explain($got->{error}));
        shard_2_is_back('ended', $bystander);
    }
    bystander_is_well('ended connections');
};

ok($router->alive, 'the router has lived through it all');
done_testing;
