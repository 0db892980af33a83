#!/usr/bin/perl
# Sections [user NAME] of pgbraid.conf: limits, settings, timeouts and rights of one user, and mistakes in them.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Tree;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 2);
$cluster->do(1, map { "CREATE ROLE $_ LOGIN" } qw(app batch watcher chief plain));
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { workers => 2, query_timeout => '1h', max_client_conn => 100 });
$router->do('CREATE TABLE t (id int PRIMARY KEY, n int)', q{SELECT pgbraid.shard_table('t', 'id')}, 'INSERT INTO t VALUES ' . join(', ', map { "($_, $_)" } 1 .. 20), 'GRANT ALL ON t TO PUBLIC');

# Put these sections behind the general one and have them read; what RELOAD says.
sub reload
{
    my (@lines) = @_;
    $router->write_config;
    open my $out, '>>', $router->conf or die $router->conf . ": $!";
    print $out map { "$_\n" } @lines;
    close $out;
    return $router->wire(database => 'pgbraid')->query('RELOAD');
}
sub ok_reload { my ($name, @lines) = @_; my $r = reload(@lines); ok(!$r->{error}, $name) or diag(explain($r->{error})); return; }
sub settings { return { map { $_->[0] => $_->[1] } @{ $router->console('SHOW CONFIG') } }; }

ok_reload('a section for each', '[user app]', 'max_client_conn = 2', 'pool_size = 1', 'options = -c search_path=app\,\ public -c statement_timeout=5s --application-name=of-app -c pgbraid.allow_scatter=off',
    '[user "batch"]', 'query_timeout = 300ms', 'client_idle_timeout = 1s', 'query_wait_timeout = 300ms', 'pool_size = 1',
    '[user watcher]', 'stats = on', '[user chief] ; a comment', 'admin = on', '[user nobody-knows]', 'max_client_conn = 7', '[user ' . 'n' x 63 . ']', 'pool_size = 3');

subtest 'how many sessions' => sub {
    my @in = map { $router->wire(user => 'app') } 1 .. 2;
    my $third = $router->try_wire(user => 'app');
    is("$third->{error}{S} $third->{error}{C} $third->{error}{M}", 'FATAL 53300 too many connections for role "app"', 'one too many, on whatever worker');
    is($router->wire(user => 'plain')->value('SELECT 1'), 1, 'others come in');
    $in[0]->close;
    wait_for('a place', sub { my $w = $router->try_wire(user => 'app'); return !$w->{error}; });
    pass('a place is free again');
};

subtest 'settings' => sub {
    wait_for('the sessions of before to have gone', sub { !grep { $_->[2] eq 'app' } @{ $router->console('SHOW CLIENTS') } });
    my $w = $router->wire(user => 'app');
    is($w->value('SHOW search_path'), 'app, public', 'a value with a blank');
    is($w->value('SHOW statement_timeout'), '5s', 'another one');
    is($w->value('SHOW application_name'), 'of-app', 'application_name, which the client leaves open');
    is($w->error('SELECT count(*) FROM t')->{C}, '0A000', 'one of the router\'s own');
    $w->do(q{SET statement_timeout = '7s'});
    is($w->value('SHOW statement_timeout'), '7s', 'the session may set it');
    $w->do('RESET statement_timeout');
    is($w->value('SHOW statement_timeout'), '5s', 'RESET comes back to it');
    $w->do(q{SET search_path = public}, 'DISCARD ALL');
    is($w->value('SHOW search_path'), 'app, public', '... and DISCARD ALL');
    is($w->value('SELECT n FROM public.t WHERE id = 3'), 3, 'a statement on a shard');
    $w->do('BEGIN', 'SELECT n FROM public.t WHERE id = 3', 'RESET statement_timeout', q{SET LOCAL statement_timeout = '1s'}, 'COMMIT');
    is($w->value('SHOW statement_timeout'), '5s', 'RESET and SET LOCAL in a transaction: when it is over, the session\'s own');
    is($w->value(q{SELECT current_setting('statement_timeout') FROM public.t WHERE id = 3}), '5s', '... on the shard that it was on, too');
    $w->close;
    my $own = sub {
        my (%startup) = @_;
        my $w = wait_for('a place', sub { my $try = $router->try_wire(user => 'app', params => \%startup); return $try->{error} ? 0 : $try; });
        my @is = map { $w->value("SHOW $_") } qw(search_path statement_timeout application_name);
        $w->close;
        return "@is";
    };
    is($own->(search_path => 'mine', application_name => 'me'), 'mine 5s me', 'the client\'s start-up packet goes before it');
    is($own->(options => '-c statement_timeout=1s', search_path => 'x'), 'x 1s of-app', '... and its options');
    is($own->(options => '-c search_path=y', search_path => 'x'), 'x 5s of-app', '... which give way to what is named, as in PostgreSQL');
    is($router->wire(user => 'plain')->value('SHOW statement_timeout'), '0', 'other users have none of it');
};

subtest 'server connections and timeouts' => sub {
    my @w = map { $router->wire(user => 'batch') } 1 .. 2;
    is($w[0]->error('SELECT pg_sleep(20)')->{C}, '57014', 'query_timeout');
    $w[0]->do('BEGIN', 'SELECT 1 FROM t WHERE id = 1');
    my $e = $w[1]->error('SELECT 1 FROM t WHERE id = 1');
    is($e->{C}, '53300', 'pool_size: the one connection is taken, for longer than query_wait_timeout');
    like($e->{D}, qr/pool_size 1\b/, '... as the error says');
    $w[0]->do('COMMIT');
    is(scalar(@{ $w[1]->rows('SELECT id FROM t') }), 20, 'and free again');
    my $f = $w[1]->read_frame;
    is($f->{type} . $f->{fields}{C}, 'E57P05', 'client_idle_timeout');
};

subtest 'rights' => sub {
    my $as = sub { my ($user) = @_; return $router->try_wire(user => $user, database => 'pgbraid'); };
    is($as->('plain')->{error}{C}, '28000', 'nobody by default');
    my $w = $as->('watcher');
    is(scalar(grep { $_->[0] eq '[user app] pool_size' && $_->[1] eq '1' } @{ $w->rows('SHOW CONFIG') }), 1, 'stats: SHOW, users\' sections among it');
    like($w->error('RELOAD')->{M}, qr/may only look/, '... and nothing else');
    ok(@{ $as->('chief')->rows('SHOW POOLS') } > 0, 'admin: SHOW');
    ok(!$as->('chief')->query('RELOAD')->{error}, '... and commands');
    my $victim = $router->wire(user => 'plain');
    my ($id) = map { $_->[0] } grep { $_->[2] eq 'plain' } @{ $router->console('SHOW CLIENTS') };
    is($router->wire(user => 'watcher')->error("SELECT pg_terminate_backend($id)")->{C}, '42501', 'who may look may not end others\' sessions');
    is($router->wire(user => 'chief')->value("SELECT pg_terminate_backend($id)"), 't', '... an admin may');
};

subtest 'mistakes: file and line, and what was in force stays' => sub {
    my @bad = (
        [ 'unknown setting', ['[user app]', 'pool_sice = 1'], qr/:(\d+): unknown setting "pool_sice" of a user/ ],
        [ 'a general setting', [ '[user app]', 'listen_addr = x' ], qr/:(\d+): unknown setting "listen_addr" of a user/ ],
        [ 'set twice', [ '[user app]', 'pool_size = 1', 'pool_size = 2' ], qr/:(\d+): pool_size is set twice/ ],
        [ 'a value', [ '[user app]', 'pool_size = 0' ], qr/:(\d+): pool_size: 0 is out of range/ ],
        [ 'two sections', [ '[user app]', '[user b]', '[user app]' ], qr/:(\d+): user "app" has two sections/ ],
        [ 'no name', ['[user ]'], qr/:(\d+): section \[user \] names no user/ ],
        [ 'a long name', [ '[user ' . 'n' x 64 . ']' ], qr/:(\d+): the user's name in section .* is longer than 63 bytes/ ],
        [ 'an unknown section', [ '[users]', 'pool_size = 1' ], qr/:(\d+): setting "pool_size" is in the unknown section \[users\]/ ],
        [ 'options that are none', [ '[user app]', 'options = search_path=x' ], qr/:(\d+): options: "search_path=x" is not a list of settings/ ],
        [ 'options: encoding', [ '[user app]', 'options = -c client_encoding=latin1' ], qr/:(\d+): options: client_encoding "latin1" is not supported/ ],
        [ 'options: the router\'s own', [ '[user app]', 'options = -c pgbraid.commit=often' ], qr/:(\d+): options: invalid value for parameter "pgbraid.commit"/ ],
        [ 'options: session_authorization', [ '[user app]', 'options = -c session_authorization=postgres' ], qr/:(\d+): options: "session_authorization" cannot be set/ ],
    );
    my $general = () = PgbraidTest::Tree::slurp($router->conf) =~ /^[^\[\n]+=.*$/mg;
    for (@bad) {
        my ($name, $lines, $like) = @$_;
        my $r = reload(@$lines);
        my $text = PgbraidTest::Tree::slurp($router->conf);
        my ($line) = ($r->{error}{M} // '') =~ $like;
        is($line, ($text =~ tr/\n//), "$name: its line is named") or diag(explain($r));
    }
    is(settings()->{'[user app] pool_size'}, 1, 'the old sections are in force');
    is($router->wire(user => 'app')->value('SHOW statement_timeout'), '5s', '... for logins, too');
};

subtest 'SESSION AUTHORIZATION DEFAULT is RESET ROLE' => sub {
    my $w = $router->wire;
    my $is = sub { my ($role, $what) = @_; is(join(',', map { $_->[0] } @{ $w->rows('SELECT DISTINCT current_user FROM t') }), $role, $what); return; };
    $w->do('BEGIN', 'SET LOCAL SESSION AUTHORIZATION DEFAULT', 'SET ROLE plain');
    $is->('plain', 'SET ROLE after it counts on shards that join later');
    $w->do('COMMIT');
    $is->('plain', '... and when the transaction is over');
    $w->do('SET SESSION AUTHORIZATION DEFAULT');
    $is->('postgres', 'it ends SET ROLE');
    $w = $router->wire(params => { options => '-c role=plain' });
    for my $sql ('SET SESSION AUTHORIZATION DEFAULT', 'RESET SESSION AUTHORIZATION', 'SET ROLE postgres; SET SESSION AUTHORIZATION DEFAULT') {
        $w->do($sql);
        $is->('plain', "the role that the session began with: $sql");
    }
    $w->do('BEGIN', 'SET ROLE postgres', 'SET LOCAL SESSION AUTHORIZATION DEFAULT');
    $is->('plain', '... for a transaction');
    $w->do('COMMIT');
    $is->('postgres', '... only');
};

# Whatever two sessions that share a service role do, in whatever order: each has its own role on all shards.
sub walk
{
    my $seed = $ENV{PGBRAID_SEED} // time;
    my @do = (
        'RESET ROLE', 'SET ROLE NONE', 'SET LOCAL ROLE NONE', 'SET role TO DEFAULT', 'SET LOCAL role TO DEFAULT', 'RESET ALL', 'DISCARD ALL', 'SET SESSION AUTHORIZATION DEFAULT', 'SET LOCAL SESSION AUTHORIZATION DEFAULT',
        'RESET SESSION AUTHORIZATION', 'SET ROLE bert', 'SET ROLE anna', 'SET LOCAL ROLE anna', 'SET LOCAL ROLE bert', q{SELECT set_config('role', 'none', false)}, q{SELECT set_config('role', 'none', true)}, q{SELECT set_config('app.x', 'y', true), set_config('role', 'none', false)}, q{SELECT set_config('role', 'bert', true), set_config('app.x', 'y', true)}, 'BEGIN', 'BEGIN', 'COMMIT', 'ROLLBACK',
        'SAVEPOINT a', 'SAVEPOINT b', 'ROLLBACK TO a', 'ROLLBACK TO b', 'RELEASE a', 'SELECT 1/0', 'UPDATE t SET n = n WHERE id < 0', 'SET work_mem = 100', 'RESET work_mem', 'ROLLBACK AND CHAIN', 'COMMIT AND CHAIN', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'CLOSE c',
    );
    srand $seed;
    ok_reload('connections for two at once', (map { ("[user $_]", 'server_user = service') } qw(anna bert)), '[user service]', 'pool_size = 3', '[user app]', 'options = -c statement_timeout=5s');
    my @sessions = map { [ $_, $router->wire(user => $_) ] } qw(anna bert);
    my @said;
    for my $step (1 .. $ENV{PGBRAID_STEPS} // 400) {
        my ($user, $w) = @{ $sessions[ rand @sessions ] };
        my $sql = $do[ rand @do ];
        my $r = $w->query($sql);
        push @said, "$user: $sql" . ($r->{error} ? ": $r->{error}{C}" : '');
        next if rand() < 0.3;
        my $look = $w->query(rand() < 0.5 ? 'SELECT current_user FROM t WHERE id = ' . (1 + int rand 20) : 'SELECT DISTINCT current_user FROM t');
        my $is = $look->{error} ? $look->{error}{C} : join ',', map { $_->[0] } @{ $look->{rows} };
        next if $is eq $user || $is eq '25P02';
        return fail("seed $seed, step $step: $user is $is") || diag(join "\n", splice @said, -30);
    }
    pass('a random walk: each has its own role');
    $_->[1]->close for @sessions;
    return;
}

subtest 'a service role' => sub {
    $cluster->do(1, 'CREATE ROLE anna', 'CREATE ROLE bert', 'CREATE ROLE service LOGIN', 'CREATE ROLE secretive', 'GRANT anna, bert TO service', 'GRANT secretive TO service');
    $cluster->do($_, 'CREATE TABLE rows_of (owner text DEFAULT current_user)', 'ALTER TABLE rows_of ENABLE ROW LEVEL SECURITY', 'CREATE POLICY own ON rows_of USING (owner = current_user)', 'GRANT ALL ON rows_of TO anna, bert',
        'CREATE TABLE of_service (n int)', 'GRANT ALL ON of_service TO service, secretive', 'GRANT CREATE ON SCHEMA public TO anna') for 1, 2;
    ok_reload('three users', (map { ("[user $_]", 'server_user = service', 'options = -c work_mem=' . length . 'MB') } qw(anna bert ghost)), '[user service]', 'pool_size = 1', '[user app]', 'options = -c statement_timeout=5s');
    my %w = map { $_ => $router->wire(user => $_) } qw(anna bert);
    for my $turn (1, 2) {
        for my $user (qw(anna bert)) {
            is($w{$user}->value('SELECT current_user FROM t WHERE id = 1'), $user, "turn $turn: current_user");
            is($w{$user}->value('SELECT session_user'), 'service', '... session_user is the service role');
            is($w{$user}->value('SHOW work_mem'), length($user) . 'MB', '... its own settings');
            is(join(',', map { $_->[0] } @{ $w{$user}->rows('SELECT DISTINCT current_user FROM t WHERE n > 2') }), $user, '... on all shards');
            is(scalar(@{ $w{$user}->rows('SELECT a.n, count(*), current_user FROM t a JOIN t b ON a.n = b.n GROUP BY 1 ORDER BY 1') }), 20, '... and where rows are gathered');
            is($w{$user}->error('SELECT * FROM of_service')->{C}, '42501', '... and it may what it may, not what the service role may');
        }
    }
    my @pools = grep { $_->[1] =~ /anna|bert|service/ } @{ $router->console('SHOW POOLS') };
    ok((grep { $_->[1] eq 'service' } @pools), 'they share the service role\'s pools');
    is($cluster->value(1, q{SELECT count(DISTINCT usename) FROM pg_stat_activity WHERE usename IN ('anna', 'bert', 'ghost')}), 0, '... and nothing logs in as they');

    my $a = $w{anna};
    my $me = sub { my ($what) = @_; is($a->value('SELECT current_user FROM t WHERE id = ' . (1 + int rand 20)), 'anna', $what); return; };
    for my $sql ('RESET ROLE', 'SET ROLE NONE', 'SET role TO DEFAULT', q{SET ROLE 'none'}, 'SET role = none', 'SET SESSION AUTHORIZATION DEFAULT', 'SET LOCAL SESSION AUTHORIZATION DEFAULT', 'RESET SESSION AUTHORIZATION', 'RESET ALL', 'DISCARD ALL', 'SET ROLE anna', 'SET LOCAL ROLE anna', q{SELECT set_config('role', 'none', false)}, q{SELECT set_config('role', 'anna', true)}, q{SELECT set_config('app.x', 'o''y', false), set_config('role', 'none', true)}, q{SELECT set_config('role', 'anna', false), set_config('app.x', 'z', true)}) {
        ok(!$a->query($sql)->{error}, $sql);
        $me->("... its own role after $sql");
        next if $sql =~ /DISCARD/;
        $a->do('BEGIN', 'SELECT 1 FROM t WHERE id = 1', $sql);
        $me->("... inside a transaction");
        $a->do('ROLLBACK');
        $me->("... and after it is rolled back");
    }
    is($a->query_params(q{SELECT set_config('role', $1, false)}, 'none')->{rows}[0][0], 'anna', 'as a parameter');
    $me->('... its own role');
    for my $sql ('SET ROLE secretive', 'SET ROLE bert', 'SET LOCAL ROLE bert', q{SET ROLE 'service'}, 'SET role = service', q{SELECT set_config('role', 'service', false)}, q{SELECT set_config('role', 'bert', true)}, q{SELECT set_config('app.x', 'y', true), set_config('role', 'bert', true)}, q{SELECT set_config('role', NULL, true), set_config('app.x', 'y', true)}) {
        is($a->error($sql)->{C}, '42501', "$sql: refused");
        $me->('... its own role');
        $a->do('BEGIN');
        is($a->error($sql)->{C}, '42501', '... in a transaction, too');
        is($a->error('SELECT 1')->{C}, '25P02', '... which has failed');
        $a->do('ROLLBACK');
    }
    is($a->query_params(q{SELECT set_config('role', $1, false)}, 'bert')->{error}{C}, '42501', 'as a parameter: refused');
    is($a->query_params(q{SELECT set_config('role', $1, false)}, undef)->{error}{C}, '42501', '... NULL as well');
    my $two = q{SELECT set_config('app.x', $1, false), set_config('role', $2, true) AS r};
    is($a->query_params($two, 'x', $_ // undef)->{error}{C}, '42501', 'one of two parameters, ' . ($_ // 'NULL') . ': refused') for 'bert', 'service', '', undef;
    is_deeply($a->rows($two, "o'x", $_), [ [ "o'x", 'anna' ] ], "... $_: its own") for 'none', 'anna';
    my $named = q{SELECT set_config('app.x', 'x', true), set_config($1, $2, true) AS r};
    is($a->query_params($named, @$_)->{error}{C}, '42501', "the name as a parameter, @{[ $_->[1] // 'NULL' ]}: refused") for [ 'role', 'bert' ], [ 'ROLE', 'service' ], [ 'role', undef ];
    is_deeply($a->rows($named, 'Role', $_), [ [ 'x', 'anna' ] ], "... $_: its own") for 'none', 'anna';
    is($a->query_params(q{SELECT set_config('app.x', 'x', true), set_config($1, 'bert', true)}, 'role')->{error}{C}, '42501', '... of a constant');
    $me->('... its own role');
    is_deeply($a->rows(q{SELECT set_config('app.x', $1, false), set_config('role', $1, false)}, 'none'), [ [ 'none', 'anna' ] ], '... one parameter twice');
    is($a->value(q{SELECT current_setting('app.x')}), 'none', '... holds');
    $a->send(Parse('number', q{SELECT set_config('app.x', 'x', true), set_config('role', $1::text, true)}, 23), Bind('', 'number', ['bert'], formats => [1]), Execute(''), Sync());
    is(PgbraidTest::Wire::result($a->until_ready)->{error}{C}, '42501', '... bytes of a number: refused');
    $me->('... its own role');
    is($a->error('SELECT 1 FROM t WHERE id = 1; SET ROLE bert; SELECT current_user FROM t WHERE id = 1')->{C}, '42501', 'in a string of statements: refused');
    is_deeply($a->query('SELECT 1 FROM t WHERE id = 1; RESET ROLE; SELECT current_user FROM t WHERE id = 1')->{rows}[-1], ['anna'], '... RESET ROLE there: its own role');
    $a->send(Parse('r', 'SET ROLE bert'), Bind('', 'r'), Execute(''), Parse('', 'SELECT current_user'), Bind('', ''), Execute(''), Sync());
    is(PgbraidTest::Wire::result($a->until_ready)->{error}{C}, '42501', '... in a pipeline: refused');
    is($a->error('SET SESSION AUTHORIZATION bert')->{C}, '0A000', 'SET SESSION AUTHORIZATION: refused');
    $me->('... its own role');
    for ([ 'role', 'bert' ], [ 'options', '-c role=service' ], [ 'options', '-c role=none' ], [ 'session_authorization', 'anna' ]) {
        my $try = $router->try_wire(user => 'anna', params => { @$_ });
        is($try->{error}{C}, '0A000', "at the start: @$_");
    }
    is($router->try_wire(user => 'ghost')->{error}{M}, 'role "ghost" does not exist', 'a user who is no role');

    # Row security, writes over both shards, prepared statements: by the session's role.
    $_->do('INSERT INTO rows_of DEFAULT VALUES') for $w{anna}, $w{bert};
    is_deeply($w{$_}->rows('SELECT owner FROM rows_of'), [ [$_] ], "row security: $_ sees its own") for qw(anna bert);
    for my $user (qw(anna bert anna)) {
        is_deeply($w{$user}->query_params('SELECT owner FROM rows_of WHERE owner LIKE $1', '%')->{rows}, [ [$user] ], "... a prepared statement, $user");
        $w{$user}->do('BEGIN', 'UPDATE t SET n = n', 'COMMIT');
    }
    is($a->value('SELECT n FROM t WHERE id = 7'), 7, 'a commit over both shards');
    $a->do('CREATE TABLE made (id int PRIMARY KEY)');
    is($cluster->value(1, q{SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'made'}), 'anna', 'what she makes is hers');
    is($a->query('COPY t (id, n) FROM STDIN', copy => "21\t21\n22\t22\n23\t23\n24\t24\n")->{tags}[0], 'COPY 4', 'COPY into both shards');
    is((() = $a->query('COPY (SELECT current_user FROM t) TO STDOUT')->{copied} =~ /anna/g), 24, '... and out of them');
    $a->do('BEGIN', q{SET LOCAL pgbraid.idempotency_key = 'once'}, 'DELETE FROM t WHERE id > 20', 'COMMIT');
    is($w{bert}->value('SELECT count(*) FROM t'), 20, 'an idempotency key');
    $cluster->do(1, 'ALTER ROLE service NOINHERIT');
    is($a->value('SELECT count(DISTINCT a.n % 7) FROM t a JOIN t b ON a.n = b.n + 1'), 7, 'a service role without INHERIT: gathered');
    is(scalar(@{ $a->rows('SELECT n FROM t ORDER BY n LIMIT 3') }), 3, '... merged');
    is_deeply([ map { $a->query($_)->{tags}[0] } 'SET SESSION AUTHORIZATION DEFAULT', 'RESET SESSION AUTHORIZATION', 'SET ROLE NONE', 'RESET ROLE' ], [qw(SET RESET SET RESET)], 'the tags are PostgreSQL\'s');
    walk();
    # What a client does behind the router's back (P48: no border) does not reach the next one.
    $a->query('DO $$ BEGIN EXECUTE $x$RESET ROLE$x$; END $$');
    is($w{bert}->value('SELECT current_user FROM t WHERE id = 1'), 'bert', 'RESET ROLE in a DO block: the next client has its own role');
    $me->('... and so has this one');
    $_->close for values %w;
};

subtest 'reloaded' => sub {
    my $old = $router->wire(user => 'app');
    ok_reload('other sections', '[user app]', 'max_client_conn = 1', 'options = -c statement_timeout=9s', '[user plain]', 'options = -c statement_timeout=often');
    is($old->value('SHOW statement_timeout'), '5s', 'sessions keep what they began with');
    is($router->try_wire(user => 'app')->{error}{C}, '53300', 'a smaller limit');
    $old->close;
    my $w = wait_for('a place', sub { my $try = $router->try_wire(user => 'app'); return $try->{error} ? 0 : $try; });
    is($w->value('SHOW statement_timeout'), '9s', 'new sessions have the new settings');
    like($router->try_wire(user => 'plain')->{error}{M}, qr/invalid value for parameter "statement_timeout": "often"/, 'a value that no server takes: no login without it');
    my @consoles = map { $router->wire(database => 'pgbraid') } 1 .. 4;
    for (1 .. 5) {
        kill 'HUP', $router->pid;
        $_->send(Query('RELOAD')) for @consoles;
        is((grep { PgbraidTest::Wire::result($_->until_ready)->{error} } @consoles), 0, 'several reloads at once');
    }
    ok_reload('no sections');
    is($router->wire(user => 'plain')->value('SHOW statement_timeout'), '0', 'as everybody again');
    ok(!exists settings()->{'[user app] pool_size'}, 'nothing is left of them');
};

done_testing();
