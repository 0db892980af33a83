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
my $router = PgbraidTest::Router->new(cluster => $cluster);
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

# What a client asks for when it logs in is what RESET goes back to.
my $own = $router->wire(params => { options => '-c work_mem=5MB', search_path => 'other', application_name => 'me' });
is($own->value('SHOW work_mem'), '5MB', 'start-up option');
$own->do("SET work_mem = '6MB'", "SET search_path = public", "SET application_name = 'you'");
holds($own, 'work_mem', '6MB', 'changed');
$own->do('RESET work_mem');
holds($own, 'work_mem', '5MB', 'RESET goes back to the start-up option');
$own->do("SET work_mem = '6MB'", 'RESET ALL');
is_deeply([ map { $own->value("SHOW $_") } qw(work_mem search_path application_name) ], [ '5MB', 'other', 'me' ], 'RESET ALL too');
$own->do("SET work_mem = '6MB'", 'SET search_path = public', 'DISCARD ALL');
is_deeply([ map { $own->value("SHOW $_") } qw(work_mem search_path application_name) ], [ '5MB', 'other', 'me' ], 'DISCARD ALL too');
$own->do("INSERT INTO t VALUES (1, 'other')");
is($cluster->value(1, 'SELECT count(*) FROM other.t'), 1, 'names mean what they meant at login');

# Roles
$cluster->do($_, 'GRANT SELECT ON public.t TO reader') for 1, 2;
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
