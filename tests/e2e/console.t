# The console: every command, its answers, and who may use it.
use strict;
use warnings;
use lib 'tests/lib';
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(run wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;
use Test::More;

my $cluster = PgbraidTest::Cluster->new(shards => 2);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { workers => 2, admin_users => 'postgres, ops' });
$cluster->do(1, 'CREATE TABLE t (id int PRIMARY KEY, v text)', 'INSERT INTO t SELECT i, i::text FROM generate_series(1, 20) i', 'CREATE TABLE log (x int)', 'CREATE TABLE ref (id int PRIMARY KEY)', 'CREATE TABLE home (id int)');
$router->do("SELECT pgbraid.shard_table('t', 'id')", "SELECT pgbraid.reference_table('ref')", "SELECT pgbraid.shard_table('log', 'x')");
my ($k1, $k2) = map { $cluster->value($_, 'SELECT min(id) FROM t') } 1, 2;
my $console = $router->wire(database => 'pgbraid');

sub show
{
    my ($what) = @_;
    my $r = $console->query("SHOW $what");
    die "SHOW $what: $r->{error}{M}" if $r->{error};
    return map { my %h; @h{ @{ $r->{columns} } } = @$_; \%h } @{ $r->{rows} };
}
# psql is what people use.
sub psql { my ($sql, @options) = @_; return run([ 'psql', '-X', '-h', '127.0.0.1', '-p', $router->port, '-U', 'postgres', '-d', 'pgbraid', @options, '-c', $sql ]); }

subtest 'who may' => sub {
    is($router->try_wire(database => 'pgbraid', user => 'amy')->{error}{C}, '28000', 'not anybody');
    like($router->try_wire(database => 'pgbraid', user => 'amy')->{error}{M}, qr/"amy" may not use the console/, 'with the reason');
    like($router->try_wire(database => 'pgbraid', user => 'amy')->{error}{H}, qr/admin_users/, 'and the way out');
    ok(!$router->try_wire(database => 'pgbraid', user => 'ops')->{error}, 'those of admin_users may');
};

subtest 'SHOW' => sub {
    my %help = map { $_->{command} => $_->{'what it does'} } show('HELP');
    for (qw(SHARDS TABLES POOLS CLIENTS SERVERS STATS CONFIG VERSION), 'KEY RANGES') { ok($help{"SHOW $_"}, "SHOW $_ is in the list"); }
    is_deeply([ show('DATABASES') ], [ { database => 'test', shards => 2, home => 's1', served => 'yes', why_not => '' } ], 'DATABASES');
    is_deeply([ map { [ @$_{qw(shard key_range home)} ] } show('SHARDS') ], [ [ 's1', '-80', 'yes' ], [ 's2', '80-', 'no' ] ], 'SHARDS');
    like((show('SHARDS'))[0]{conninfo}, qr/dbname=shard_1/, '... with where they are');
    is_deeply([ map { [ @$_{qw(key_range shard first_id end_id)} ] } show('KEY RANGES') ], [ [ '-80', 's1', '0000000000000000', '8000000000000000' ], [ '80-', 's2', '8000000000000000', '' ] ], 'KEY RANGES');
    is_deeply([ map { join ' ', map { $_ // 'NULL' } @$_{qw(database schema table distribution key vindex can_be_resharded)} } sort { $a->{table} cmp $b->{table} } show('TABLES') ],
        [ 'test public home unsharded   ', 'test public log sharded x hash no', 'test public ref reference   ', 'test public t sharded id hash yes' ], 'TABLES');
    my $c = $router->wire(params => { application_name => 'shop' });
    $c->do('BEGIN', "SELECT 1 FROM t WHERE id = $k2");
    my ($client) = grep { $_->{application} eq 'shop' } show('CLIENTS');
    is_deeply([ @$client{qw(user database state transaction leases)} ], [ 'postgres', 'test', 'idle', 'T', '1' ], 'CLIENTS');
    is($client->{id}, $c->{pid}, '... by the id that the client was given');
    my ($server) = grep { $_->{client} eq $client->{id} } show('SERVERS');
    is_deeply([ @$server{qw(shard user state transaction)} ], [ 's2', 'postgres', 'active', 'T' ], 'SERVERS');
    is($cluster->value(2, "SELECT count(*) FROM pg_stat_activity WHERE pid = $server->{pid} AND state = 'idle in transaction'"), 1, '... by the process id on the shard');
    my ($pool) = grep { $_->{shard} eq 's2' && $_->{worker} eq $client->{worker} } show('POOLS');
    is($pool->{active}, 1, 'POOLS');
    $c->do('COMMIT');
    my ($before, $after) = map { my %sum; for my $row (show('STATS')) { $sum{$_} += $row->{$_} for keys %$row } $c->do('SELECT 1') ; \%sum } 1, 2;
    cmp_ok($after->{queries}, '>', $before->{queries}, 'STATS count');
    my %config = map { $_->{setting} => $_ } show('CONFIG');
    is_deeply([ @{ $config{workers} }{qw(value default reloadable)} ], [ '2', '0', 'no' ], 'CONFIG');
    is($config{admin_users}{value}, 'postgres, ops', '... lists as they are written');
    like((show('VERSION'))[0]{version}, qr/^pgbraid \d/, 'VERSION');
    is($console->query('show shards;')->{tags}[0], 'SHOW 2', 'in any case, with a semicolon');
};

subtest 'SHOW ROUTE FOR' => sub {
    my @lines = map { $_->[0] } @{ $console->rows("SHOW ROUTE FOR SELECT * FROM t WHERE id = $k2") };
    like("@lines", qr/s2 \(80-\)/, 'the shard of a key');
    unlike("@lines", qr/s1/, '... and no other');
    @lines = map { $_->[0] } @{ $console->rows('SHOW ROUTE FOR SELECT * FROM t') };
    like("@lines", qr/s1.*s2/, 'all shards');
    my $e = $console->error('SHOW ROUTE FOR SELECT ctid FROM t');
    is($e->{C}, '0A000', 'a statement that would be refused is');
    is($console->error('SHOW ROUTE FOR SELEC 1')->{C}, '42601', 'a syntax error');
    is($console->error('SHOW ROUTE FOR')->{C}, '42601', 'nothing') ;
    like(join("\n", map { $_->[0] } @{ $console->rows("SHOW ROUTE FOR IN DATABASE test SELECT * FROM t WHERE id = $k1") }), qr/s1/, 'IN DATABASE');
    is($console->error('SHOW ROUTE FOR IN DATABASE nowhere SELECT 1')->{C}, '3D000', '... unknown');
    is($cluster->value(1, 'SELECT count(*) FROM t') + $cluster->value(2, 'SELECT count(*) FROM t'), 20, 'nothing is run');
    $console->rows('SHOW ROUTE FOR DELETE FROM t');
    is($cluster->value(1, 'SELECT count(*) FROM t') + $cluster->value(2, 'SELECT count(*) FROM t'), 20, '... indeed');
};

subtest 'what is not a command' => sub {
    for my $sql ('SHOW', 'SHOW NOTHING', 'SELECT 1', 'SHOW SHARDS please', 'DROP SHARD s1', "ADD SHARD 's3'", "'", 'PAUSE a b c') {
        my $e = $console->error($sql);
        is($e->{C}, '42601', "$sql: refused");
        like($e->{H}, qr/SHOW HELP/, '... with a hint');
    }
    is($console->query('')->{frames}[0]{type}, 'I', 'nothing is nothing');
    is($console->query(' ; ')->{frames}[0]{type}, 'I', '... nor is a semicolon');
    $console->send(Parse('', 'SHOW SHARDS'), Bind('', '', []), Execute(''), Sync());
    is(PgbraidTest::Wire::result($console->until_ready)->{error}{C}, '0A000', 'the extended protocol is refused');
    is($console->query('SHOW VERSION')->{tags}[0], 'SHOW 1', '... and the session goes on');
    is($console->error('PAUSE nowhere')->{C}, '3D000', 'PAUSE of an unknown database');
    is($console->error('RESUME nowhere')->{C}, '3D000', 'RESUME, too');
};

subtest 'as psql shows it' => sub {
    my $r = psql('SHOW SHARDS');
    is($r->{rc}, 0, 'psql');
    like($r->{out}, qr/^ database \| shard \| key_range \| home \|/m, 'columns');
    for (qw(HELP DATABASES SHARDS TABLES POOLS CLIENTS SERVERS STATS CONFIG VERSION), 'KEY RANGES') {
        my $r = psql("SHOW $_");
        is($r->{rc}, 0, "SHOW $_") or diag $r->{err};
        diag $r->{out} if $ENV{SHOW_CONSOLE};
    }
    like(psql('SHOW POOLS', '-A', '-t')->{out}, qr/^test\|postgres\|s1\|/m, 'no worker column is first: what one looks for is');
};

subtest 'RELOAD' => sub {
    $router->write_config(pool_size => 7);
    is($console->do('RELOAD'), 'RELOAD', 'tag');
    my %config = map { $_->{setting} => $_->{value} } show('CONFIG');
    is($config{pool_size}, '7', 'a changed setting is in force');
    $router->write_config(pool_size => 'many', nonsense => 1);
    my $e = $console->error('RELOAD');
    like($e->{M}, qr/pgbraid\.conf:\d+: /, 'a bad line is named');
    is({ map { $_->{setting} => $_->{value} } show('CONFIG') }->{pool_size}, '7', 'and the old configuration kept');
    delete $router->{config}{nonsense};
    $router->write_config(pool_size => 20);
    $console->do('RELOAD');
};

subtest 'PAUSE and RESUME' => sub {
    my ($in, $new, $prepared, $string, $scattered, $pipeline, $flushed) = map { $router->wire } 1 .. 7;
    $in->do('BEGIN', "UPDATE t SET v = 'x' WHERE id = $k1");
    my $other = $router->wire(database => 'pgbraid');
    $other->send(Query('PAUSE'));
    wait_for('statements to be held', sub {
        my $c = $router->wire;
        $c->send(Query('SELECT 1'));
        my $held = grep { $_->{state} eq 'held' } show('CLIENTS');
        $c->close;
        return $held;
    });
    ok(!$other->readable(0), 'PAUSE waits for a transaction');
    # Workers are told one after the other: what was too early is answered, and sent again.
    for my $try ([ $new, Query("SELECT v FROM t WHERE id = $k2") ], [ $prepared, Parse('', "SELECT v FROM t WHERE id = \$1"), Bind('', '', [$k2]), Execute(''), Sync() ],
        [ $string, Query("SELECT 1; SELECT v FROM t WHERE id = $k2") ],
        [ $scattered, Parse('', "SELECT v FROM t WHERE id IN ($k1, $k2) ORDER BY v"), Bind('', '', []), Execute(''), Sync() ],
        [ $pipeline, (map { (Parse('', $_), Bind('', '', []), Execute('')) } 'BEGIN', "SELECT v FROM t WHERE id = $k2", 'COMMIT'), Sync() ],
        [ $flushed, Parse('', "SELECT v FROM t WHERE id = $k2"), Bind('', '', []), Execute(''), Flush(), Sync() ]) {
        my ($c, @messages) = @$try;
        my $sent = 0;
        wait_for('a new statement to be held', sub {
            if ($sent && $c->readable(0)) { $c->until_ready; $sent = 0; }
            if (!$sent) { $c->send(@messages); $sent = 1; }
            return grep { $_->{id} == $c->{pid} && $_->{state} eq 'held' } show('CLIENTS');
        });
    }
    $in->do("UPDATE t SET v = 'y' WHERE id = $k2");
    pass('which goes on');
    $in->do('COMMIT');
    is(PgbraidTest::Wire::result($other->until_ready)->{tags}[0], 'PAUSE', 'and returns when it has ended');
    is($cluster->value($_, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND query NOT LIKE '-- What distributed tables are made of%'"), 0, "nothing of clients' runs on shard $_") for 1, 2; # the router may be comparing tables
    ok(!(grep { $_->readable(0) } $new, $prepared, $string, $scattered, $pipeline, $flushed), 'new statements wait');
    my ($db) = show('DATABASES');
    my $late = $router->open_wire;
    ok(!$router->try_wire->{error}, 'a client may log in');
    is($console->do('RESUME'), 'RESUME', 'RESUME');
    is(PgbraidTest::Wire::result($new->until_ready)->{rows}[0][0], 'y', 'they go on');
    is(PgbraidTest::Wire::result($_->[1]->until_ready)->{rows}[-1][0], 'y', "$_->[0], too")
        for [ 'in the extended protocol', $prepared ], [ 'a string of statements', $string ], [ 'a batch for several shards', $scattered ],
        [ 'a pipeline of statements', $pipeline ], [ 'a batch with a Flush', $flushed ];
    # A pause that is too long is an error, and one can be cancelled.
    $router->write_config(query_wait_timeout => '300ms');
    $console->do('RELOAD', 'PAUSE');
    my $e = $new->error('SELECT 1 FROM t');
    is($e->{C}, '57014', 'query_wait_timeout');
    like($e->{M}, qr/paused/, '... says why');
    $flushed->send(Parse('', 'SELECT 1 FROM t'), Bind('', '', []), Execute(''), Flush());
    is($flushed->read_frame->{fields}{C}, '57014', '... to a batch without its Sync');
    $flushed->send(Sync());
    is_deeply([ map { $_->{type} } $flushed->until_ready ], ['Z'], '... which is skipped up to it');
    $console->do('RESUME');
    $in->do('BEGIN', "SELECT 1 FROM t WHERE id = $k1");
    is($console->error('PAUSE')->{C}, '55000', 'PAUSE gives up, too');
    ok(!$new->query('SELECT 1 FROM t')->{error}, '... and lets statements go on');
    $in->do('COMMIT');
};

subtest 'SHUTDOWN' => sub {
    my $c = $router->wire;
    is($console->do('SHUTDOWN'), 'SHUTDOWN', 'tag');
    my $f = $c->read_frame;
    is($f->{fields}{C}, '57P01', 'idle clients are told');
    is($router->{proc}->wait_exit, 0, 'the router ends');
};

done_testing();
