#!/usr/bin/perl
# Settings of a session: they hold on every shard, for as long as PostgreSQL says, and for nobody else.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 2);
$cluster->do(1, 'CREATE TABLE t (id bigint PRIMARY KEY, v text)', 'CREATE ROLE reader', 'GRANT USAGE ON SCHEMA public TO reader',
    'CREATE SCHEMA other', 'CREATE TABLE other.t (id bigint PRIMARY KEY, v text)', 'CREATE SCHEMA reader AUTHORIZATION reader', 'CREATE TABLE reader.t (id bigint)', 'ALTER TABLE reader.t OWNER TO reader');
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { workers => 1 }); # all sessions share its connections
$router->do("SELECT pgbraid.shard_table('t', 'id')");
# Keys of both shards.
$router->do('INSERT INTO t VALUES ' . join ',', map { "($_)" } 1 .. 50);
my ($here, $there) = map { $cluster->value($_, 'SELECT min(id) FROM t') } 1, 2;
$cluster->do($_, 'DELETE FROM t') for 1, 2;
ok($here && $there, "keys of both shards: $here, $there");

# What a setting is on each shard, as the session sees it: the sub-query keeps the statement on the key's shard.
sub everywhere
{
    my ($w, $name) = @_;
    return [ map { $w->value("SELECT current_setting('$name', true) || (SELECT count(*) FROM t WHERE id = $_)::text") =~ s/0$//r } $here, $there ];
}
sub holds { my ($w, $name, $value, $what) = @_; return is_deeply(everywhere($w, $name), [ $value, $value ], $what); }

my $w = $router->wire;
holds($w, 'work_mem', '4MB', 'as the server has it');
is($w->do("SET work_mem = '1MB'"), 'SET', 'tag');
holds($w, 'work_mem', '1MB', 'SET holds on every shard');
holds($router->wire, 'work_mem', '4MB', 'not for another session');
is($w->value('SHOW work_mem'), '1MB', 'SHOW');
is_deeply([ grep { $_->[0] eq 'work_mem' } @{ $w->rows('SHOW ALL') } ]->[0][1], '1MB', 'SHOW ALL');
$w->do('BEGIN', "SET LOCAL work_mem = '2MB'");
holds($w, 'work_mem', '2MB', 'SET LOCAL in a transaction, on every shard');
$w->do('COMMIT');
holds($w, 'work_mem', '1MB', '... ends with it');
$w->do('BEGIN', "SET work_mem = '2MB'", 'ROLLBACK');
holds($w, 'work_mem', '1MB', 'SET is rolled back');
$w->do('BEGIN', 'SAVEPOINT a', "SET work_mem = '2MB'", 'ROLLBACK TO a');
holds($w, 'work_mem', '1MB', '... to a savepoint, too');
$w->do('COMMIT');
$w->do('BEGIN', 'SET LOCAL work_mem TO DEFAULT');
holds($w, 'work_mem', '4MB', 'SET LOCAL TO DEFAULT');
$w->do('COMMIT');
holds($w, 'work_mem', '1MB', '... ends with the transaction, too');
is_deeply([ map { $_->[0] } @{ $w->query("SET LOCAL app.x = 'a'; SELECT current_setting('app.x') || (SELECT count(*) FROM t WHERE id = $here); SELECT current_setting('app.x') || (SELECT count(*) FROM t WHERE id = $there)")->{rows} } ],
    [ 'a0', 'a0' ], 'SET LOCAL in a string of statements is for the rest of it');
is($w->do('RESET work_mem'), 'RESET', 'tag');
holds($w, 'work_mem', '4MB', 'RESET');
is($w->error('SET work_mem = 1')->{C}, '22023', "PostgreSQL's own error");
is($w->error('SET nonsense = 1')->{C}, '42704', '... of an unknown setting');
is($w->error('RESET nonsense')->{C}, '42704', '... of RESET');
holds($w, 'work_mem', '4MB', 'nothing has changed');

# set_config()
is($w->value("SELECT set_config('work_mem', '3MB', false)"), '3MB', 'set_config() answers');
holds($w, 'work_mem', '3MB', '... and holds');
my $r = $w->query_params("SELECT set_config('app.tenant', \$1, false) AS tenant", "o'\\x");
is_deeply([ $r->{columns}, $r->{rows} ], [ ['tenant'], [ ["o'\\x"] ] ], 'of a parameter');
holds($w, 'app.tenant', "o'\\x", '... holds');
$w->do('BEGIN');
$w->query_params("SELECT set_config('app.tenant', \$1, true)", 'inner');
holds($w, 'app.tenant', 'inner', 'local');
$w->do('COMMIT');
holds($w, 'app.tenant', "o'\\x", '... ends with the transaction');
is($w->error("SELECT set_config('a.b', 'c', false), 1")->{C}, '0A000', 'inside a larger statement it is refused, not lost');
is_deeply($w->rows("SELECT set_config('a.b', 'c', true), current_setting('a.b')"), [ [ 'c', 'c' ] ], 'but where it ends with the statement');
$w->do('BEGIN');
is($w->error("SELECT set_config('a.b', 'c', true), 1")->{C}, '0A000', 'so not in a transaction');
$w->do('ROLLBACK');
is($w->error("SELECT set_config('a.b', 'c', true), 1; SELECT 1")->{C}, '0A000', 'nor in a string of several');
$w->do("PREPARE sets AS SELECT set_config('a.b', 'c', true), 1");
is_deeply($w->rows('EXECUTE sets'), [ [ 'c', '1' ] ], 'prepared in SQL');
$w->do('BEGIN');
is($w->error('EXECUTE sets')->{C}, '0A000', '... not in a transaction');
$w->do('ROLLBACK', 'DEALLOCATE sets');

# Several at once: as one statement, with what ends with the transaction and what does not.
my $several = 'SELECT set_config($$app.one$$, $1, true), set_config($$app.two$$, $2, true) AS two, set_config($$work_mem$$, $3, false)';
for my $joins (0, 1) {
    $w->do("SET work_mem = '4MB'", 'BEGIN');
    $w->value("SELECT count(*) FROM t WHERE id = $here") if $joins;
    $r = $w->query_params($several, 'a', "o'\\x", '6MB');
    is_deeply([ $r->{columns}, $r->{rows} ], [ [ 'set_config', 'two', 'set_config' ], [ [ 'a', "o'\\x", '6MB' ] ] ], 'several: the answer' . ($joins ? ' of a transaction that is on a shard' : ''));
    holds($w, 'app.one', 'a', '... and they hold, on shards that join later, too');
    holds($w, 'app.two', "o'\\x", '... all');
    holds($w, 'work_mem', '6MB', '... of them');
    $w->do('SAVEPOINT a');
    $w->query_params($several, 'b', 'c', '7MB');
    holds($w, 'app.one', 'b', 'again with other values');
    $w->do('ROLLBACK TO a');
    holds($w, 'app.one', 'a', '... which ROLLBACK TO undoes');
    holds($w, 'work_mem', '6MB', '... whether they are local or not');
    $w->do('COMMIT');
    holds($w, 'work_mem', '6MB', 'what is not local stays');
    is($w->value("SELECT nullif(current_setting('app.one', true), '') FROM (SELECT count(*) FROM t WHERE id = $_) x"), undef, '... what is local does not') for $here, $there;
    $w->do('BEGIN');
    $w->query_params($several, 'a', 'b', '8MB');
    $w->do('ROLLBACK');
    holds($w, 'work_mem', '6MB', 'ROLLBACK undoes them');
    is($w->query_params($several, 'a', 'b', 'nonsense')->{error}{C}, '22023', 'one that is wrong');
    is($w->value("SELECT nullif(current_setting('app.one', true), '')"), undef, '... is none');
}
is_deeply([ map { $_->[0] } @{ $w->query("SELECT set_config('app.x', 'a', true), set_config('app.y', 'b', true); SELECT current_setting('app.x') || current_setting('app.y') || (SELECT count(*) FROM t WHERE id = $there)")->{rows} } ],
    [ 'a', 'ab0' ], 'in a string of statements they are for the rest of it');
$w->send(Parse('wrong', "SELECT set_config('app.a', \$1, false), set_config('app.b', 'x', false)", 20), Sync());
is(PgbraidTest::Wire::result($w->until_ready)->{error}{C}, '42883', 'of a type that set_config() does not take');
for my $sql (q{SELECT set_config('a.b', 'c', true), set_config('a.c', 'd', true), 1}, q{SELECT set_config('a.b', 'c', true), set_config('A.B', 'd', true)}, q{SELECT set_config('a.b', 'c', true), set_config('pgbraid.commit', 'best_effort', true)},
    q{SELECT set_config('a.b', 'c', true), set_config('a.' || 'c', 'd', true)}, q{SELECT set_config('a.b', 'c', true), set_config('a.c', upper('d'), true)}, q{SELECT set_config('a.b', 'c', true), set_config('a.c', 'd', 1 = 1)}, q{SELECT set_config('a.b', 'c', true), set_config('seed', '0.5', true)},
    q{SELECT set_config('a.b', 'c', true), set_config('client_encoding', 'latin1', true)}, q{SELECT set_config('transaction_read_only', 'on', true), set_config('a.b', 'c', true)}, q{SELECT set_config('session_authorization', 'reader', true), set_config('a.b', 'c', true)},
    q{SELECT DISTINCT set_config('a.b', 'c', true), set_config('a.c', 'd', true)}, q{SELECT set_config('a.b', 'c', true), set_config('a.c', 'd', true) WHERE false}) {
    $w->do('BEGIN', "SELECT count(*) FROM t WHERE id = $here");
    is($w->error($sql)->{C}, '0A000', "refused in a transaction: $sql");
    $w->do('ROLLBACK');
}
$cluster->do($_, 'GRANT SELECT ON public.t TO reader') for 1, 2;
my $named = q{SELECT set_config('app.one', 'a', true), set_config($1, $2, true), set_config($3, $4, true)};
for my $values ([ 'pgbraid.commit', 'best_effort', 'app.x', 'y' ], [ 'app.x', 'y', 'TRANSACTION_read_only', 'on' ], [ 'seed', '0.5', 'app.x', 'y' ], [ 'client_encoding', 'latin1', 'app.x', 'y' ], [ 'session_authorization', 'reader', 'app.x', 'y' ], [ 'app.x', 'y', 'App.X', 'z' ], [ 'APP.one', 'y', 'app.x', 'z' ]) {
    $w->do('BEGIN');
    is($w->query_params($named, @$values)->{error}{C}, '0A000', "names as parameters, refused: @$values");
    is($w->error('SELECT 1')->{C}, '25P02', '... and the transaction has failed');
    $w->do('ROLLBACK');
}
$w->do('BEGIN');
ok(!$w->query_params($named, 'Role', 'reader', 'statement_timeout', '1min')->{error}, 'a role as one');
is_deeply($w->rows("SELECT current_user, current_setting('statement_timeout') FROM (SELECT count(*) FROM public.t WHERE id = $_) x"), [ [ 'reader', '1min' ] ], '... on every shard') for $here, $there;
$w->do('ROLLBACK', 'SET work_mem TO DEFAULT');

# DateStyle is two things, and a statement may say one: the other is the session's on every connection.
$w->do("SET DateStyle = 'SQL, DMY'");
for my $ask ([ 'SET DateStyle = ISO', 'ISO, DMY' ], [ "SELECT set_config('datestyle', 'German', false)", 'German, DMY' ], [ "SELECT set_config('DateStyle', 'SQL', false), set_config('app.z', 'a', false)", 'SQL, DMY' ], [ 'SET DateStyle = YMD', 'SQL, YMD' ]) {
    my $busy = $router->wire;
    $busy->do('BEGIN');
    $busy->value("SELECT count(*) FROM t WHERE id = $_") for $here, $there; # the connections that know it
    $w->do($ask->[0]);
    $busy->do('ROLLBACK');
    holds($w, 'DateStyle', $ask->[1], $ask->[0]);
}
$w->do('RESET DateStyle');

# What a client asks for when it logs in is what RESET goes back to.
my $own = $router->wire(params => { options => '-c work_mem=5MB', search_path => 'other', application_name => 'me' });
is($own->value('SHOW work_mem'), '5MB', 'start-up option');
$own->do("SET work_mem = '6MB'", "SET search_path = public", "SET application_name = 'you'");
holds($own, 'work_mem', '6MB', 'changed');
$own->do('RESET work_mem');
holds($own, 'work_mem', '5MB', 'RESET goes back to the start-up option');
for my $ask ([ q{SELECT set_config('work_mem', NULL, %s)} ], [ q{SELECT set_config('work_mem', $1, %s)}, undef ], [ q{SELECT set_config('work_mem', NULL, %s), set_config('app.x', 'o''x', %1$s)} ], [ q{SELECT set_config('app.x', $1, %s), set_config('work_mem', $2, %1$s)}, 'x', undef ]) {
    for my $local ('false', 'true') {
        my ($sql, @values) = (sprintf($ask->[0], $local), @$ask[ 1 .. $#$ask ]);
        $own->do("SET work_mem = '6MB'", 'BEGIN');
        is((grep { $_ eq '5MB' } @{ $own->rows($sql, @values)->[0] }), 1, "so does NULL: $sql");
        holds($own, 'work_mem', '5MB', '... on every shard');
        $own->do('COMMIT');
        holds($own, 'work_mem', $local eq 'true' ? '6MB' : '5MB', '... as long as it says');
    }
}
$own->do("SET work_mem = '6MB'", 'RESET ALL');
is_deeply([ map { $own->value("SHOW $_") } qw(work_mem search_path application_name) ], [ '5MB', 'other', 'me' ], 'RESET ALL too');
$own->do("SET work_mem = '6MB'", 'SET search_path = public', 'DISCARD ALL');
is_deeply([ map { $own->value("SHOW $_") } qw(work_mem search_path application_name) ], [ '5MB', 'other', 'me' ], 'DISCARD ALL too');
$own->do("INSERT INTO t VALUES (1, 'other')");
is($cluster->value(1, 'SELECT count(*) FROM other.t'), 1, 'names mean what they meant at login');

# Roles
$w->do('SET ROLE reader');
is_deeply([ map { $w->value("SELECT current_user FROM (SELECT count(*) FROM public.t WHERE id = $_) x") } $here, $there ], [ 'reader', 'reader' ], 'SET ROLE on every shard');
is($w->error("INSERT INTO public.t VALUES ($there)")->{C}, '42501', '... with its rights');
$w->do('INSERT INTO t VALUES (7)');
is($cluster->value(1, 'SELECT count(*) FROM reader.t'), 1, 'P12: "$user" is the role');
$w->do('RESET ALL');
is($w->value('SELECT current_user'), 'reader', 'RESET ALL keeps the role');
is_deeply([ map { $_->value('SELECT current_user') } map { $router->wire } 1 .. 4 ], [ ('postgres') x 4 ], 'nobody else gets it');
$w->do('RESET ROLE');
is($w->value('SELECT current_user'), 'postgres', 'RESET ROLE');
$w->do('BEGIN', 'SET LOCAL ROLE reader');
is($w->value("SELECT current_user FROM (SELECT count(*) FROM public.t WHERE id = $there) x"), 'reader', 'SET LOCAL ROLE');
$w->do('ROLLBACK');
is($w->value("SELECT current_user FROM (SELECT count(*) FROM t WHERE id = $there) x"), 'postgres', '... ends with the transaction');
$w->do('SET ROLE reader', 'RESET SESSION AUTHORIZATION');
is($w->value('SELECT current_user'), 'postgres', 'RESET SESSION AUTHORIZATION ends SET ROLE');
is($w->error('SET SESSION AUTHORIZATION reader')->{C}, '0A000', 'SET SESSION AUTHORIZATION is refused');

# A role that is gone: it cannot be replayed, and can be left.
for my $way ('RESET ROLE', q{SELECT set_config('app.x', $1, false), set_config('role', 'none', false)}, q{SELECT set_config('role', $1, false), set_config('app.x', 'y', false)}) {
    my ($gone, $busy) = map { $router->wire } 1, 2;
    $router->do('CREATE ROLE gone');
    $gone->do('SET ROLE gone');
    $busy->do('BEGIN');
    $busy->value("SELECT count(*) FROM t WHERE id = $_") for $here, $there; # the connections that have it
    $router->do('DROP ROLE gone');
    my $two = q{SELECT set_config('app.x', $1, %s), set_config('app.y', $2, true)};
    is($gone->query_params(sprintf($two, $_), 'a', 'b')->{error}{C}, '22023', "a role that is gone: error, $_") for 'true', 'false';
    $gone->do('BEGIN');
    is($gone->query_params(sprintf($two, 'true'), 'a', 'b')->{error}{C}, '22023', '... in a transaction');
    is($gone->error('SELECT 1')->{C}, '25P02', '... which has failed');
    $gone->do('ROLLBACK');
    my @values = $way =~ /\$1/ ? 'none' : ();
    is($gone->query_params($way, @values)->{error}, undef, "... $way");
    is($gone->value("SELECT current_user FROM (SELECT count(*) FROM t WHERE id = $_) x"), 'postgres', '... leaves it') for $here, $there;
    $busy->do('COMMIT');
}

# Large values
my $large = 'x' x 300_000;
for my $begin (0, 1) {
    $w->do($begin ? ('BEGIN', "SELECT count(*) FROM t WHERE id = $here") : ());
    is_deeply($w->rows(q{SELECT set_config('app.x', $1, false), set_config('app.y', $2, false)}, $large, 'y'), [ [ $large, 'y' ] ], 'a large value' . ($begin ? ' in a transaction' : ''));
    is_deeply($w->rows("SELECT length(current_setting('app.x')), current_setting('app.y') FROM (SELECT count(*) FROM t WHERE id = $_) x"), [ [ 300_000, 'y' ] ], '... on every shard') for $here, $there;
    $w->do('COMMIT') if $begin;
}
$w->do('DISCARD ALL');

# Encodings: keys are hashed from the client's bytes.
is($w->error("SET client_encoding = 'latin1'")->{C}, '0A000', 'another encoding is refused');
is($router->try_wire(params => { client_encoding => 'latin1' })->{error}{C}, '0A000', '... at login');
is($router->try_wire(params => { options => '-c client_encoding=latin1' })->{error}{C}, '0A000', '... in the options');
ok(!$router->try_wire(params => { client_encoding => 'UTF-8' })->{error}, 'UTF-8 is fine');
$w->do("SET NAMES 'utf8'");

# Sessions
is($w->do('DISCARD PLANS'), 'DISCARD PLANS', 'DISCARD PLANS');
$w->send(Parse('s', 'SELECT 1'), Sync());
is(summary($w->until_ready), '1 Z(I)', 'a prepared statement');
is($w->do('DEALLOCATE s'), 'DEALLOCATE', '... is deallocated');
is($w->error('DEALLOCATE s')->{C}, '26000', '... once');
is($w->do('UNLISTEN *'), 'UNLISTEN', 'UNLISTEN');
is($w->do('CLOSE ALL'), 'CLOSE CURSOR ALL', 'CLOSE ALL');
is($w->do('NOTIFY a'), 'NOTIFY', 'NOTIFY');
done_testing();
