#!/usr/bin/perl
# A shard whose tables somebody has changed directly: noticed, named, and statements about them are refused, whatever their plan, until the
# tables are equal again.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

# What can be another one: columns of the table, what is done on one shard, what is seen of it, and how it is undone.
my %cases = (
    type => [ 'v int', 'ALTER TABLE c ALTER v TYPE bigint', 'column v is "number 2, bigint" there, and "number 2, integer" on the home shard', 'ALTER TABLE c ALTER v TYPE int' ],
    typmod => [ 'v text', 'ALTER TABLE c ALTER v TYPE varchar(3)', 'column v is "number 2, character varying(3)" there', 'ALTER TABLE c ALTER v TYPE text' ],
    not_null => [ 'v int', 'ALTER TABLE c ALTER v SET NOT NULL', 'column v is "number 2, integer NOT NULL" there', 'ALTER TABLE c ALTER v DROP NOT NULL' ],
    default => [ "v text DEFAULT 'p'", "ALTER TABLE c ALTER v SET DEFAULT 'q'", q{column v is "number 2, text DEFAULT 'q'::text" there}, "ALTER TABLE c ALTER v SET DEFAULT 'p'" ],
    generated => [ 'v int, g int GENERATED ALWAYS AS (v + 1) STORED', 'ALTER TABLE c ALTER g DROP EXPRESSION', 'column g is "number 3, integer" there', 'ALTER TABLE c DROP g; ALTER TABLE c ADD g int GENERATED ALWAYS AS (v + 1) STORED' ],
    collation => [ 'v text COLLATE german', 'ALTER TABLE c ALTER v TYPE text COLLATE "C"', 'column v is "number 2, text COLLATE "C"" there', 'ALTER TABLE c ALTER v TYPE text COLLATE german' ],
    name => [ 'v int', 'ALTER TABLE c RENAME v TO w', 'column v is missing there', 'ALTER TABLE c RENAME w TO v' ],
    missing => [ 'v int, w int', 'ALTER TABLE c DROP v', 'column v is missing there', 'ALTER TABLE c DROP w; ALTER TABLE c ADD v int; ALTER TABLE c ADD w int' ],
    place => [ 'v int, w int', 'ALTER TABLE c DROP v; ALTER TABLE c ADD v int', 'column v is "number 3, integer" there, and "number 2, integer" on the home shard', 'ALTER TABLE c DROP w; ALTER TABLE c ADD w int' ],
    enum => [ 'v mood', "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'", q{column v is "number 2, public.mood; public.mood is enum ('sad', 'fine')" there}, "ALTER TYPE mood RENAME VALUE 'fine' TO 'ok'" ],
    domain => [ 'v small', 'ALTER DOMAIN small ADD CHECK (VALUE > 0)', 'CHECK ((VALUE < 10)) CHECK ((VALUE > 0))" there', 'ALTER DOMAIN small DROP CONSTRAINT small_check1' ],
    composite => [ 'v pair[]', 'ALTER TYPE pair ADD ATTRIBUTE c int', 'public.pair is (a integer, s public.deep, c integer)" there', 'ALTER TYPE pair DROP ATTRIBUTE c' ],
    inside => [ 'v pear[]', 'ALTER DOMAIN below SET DEFAULT 5', 'public.below is integer DEFAULT 5; public.pear is (a public.below)" there', 'ALTER DOMAIN below DROP DEFAULT' ],
    unique => [ 'v int', 'ALTER TABLE c ADD UNIQUE (k, v)', 'constraint UNIQUE (k, v) is not on the home shard', 'ALTER TABLE c DROP CONSTRAINT c_k_v_key' ],
    check => [ 'v int, CHECK (v > 0)', 'ALTER TABLE c DROP CONSTRAINT c_v_check', 'constraint CHECK ((v > 0)) is missing there', 'ALTER TABLE c ADD CHECK (v > 0)' ],
    index => [ 'v int', 'CREATE UNIQUE INDEX c_i ON c (k, v)', 'CREATE UNIQUE INDEX ON public.c USING btree (k, v) is not on the home shard', 'DROP INDEX c_i' ],
    trigger => [ 'v int', 'CREATE TRIGGER q BEFORE UPDATE ON c FOR EACH ROW EXECUTE FUNCTION nothing()', 'CREATE TRIGGER q BEFORE UPDATE ON public.c FOR EACH ROW EXECUTE FUNCTION public.nothing() is not on the home shard', 'DROP TRIGGER q ON c' ],
    security => [ 'v int', 'ALTER TABLE c ENABLE ROW LEVEL SECURITY', 'row security is "enabled" there, and "disabled" on the home shard', 'ALTER TABLE c DISABLE ROW LEVEL SECURITY' ],
    policy => [ 'v int', 'CREATE POLICY p ON c USING (v > 0)', 'policy p is not on the home shard', 'DROP POLICY p ON c' ],
    table => [ 'v int', 'ALTER TABLE c RENAME TO other', 'it is not there, or not in pgbraid.tables', 'ALTER TABLE other RENAME TO c' ],
    # What may be different.
    harmless => [ 'v int', 'CREATE INDEX ON c (v); ALTER TABLE c ALTER v SET STATISTICS 10; ALTER TABLE c RENAME CONSTRAINT c_pkey TO p; ALTER TABLE c SET (fillfactor = 50)', '', 'ALTER TABLE c RENAME CONSTRAINT p TO c_pkey' ],
);
my $cluster = PgbraidTest::Cluster->new(shards => 2);
$cluster->do($_, "CREATE TYPE mood AS ENUM ('sad', 'ok')", 'CREATE DOMAIN small AS int CHECK (VALUE < 10)', 'CREATE DOMAIN deep AS int', 'CREATE TYPE pair AS (a int, s deep)', 'CREATE DOMAIN below AS int', 'CREATE TYPE pear AS (a below)',
    "CREATE COLLATION german (provider = icu, locale = 'de')", q{CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'}) for 1, 2;
my $router = PgbraidTest::Router->new(cluster => $cluster, ranges => [ PgbraidTest::Router::equal_ranges(2) ], config => { schema_check_interval => '0', sharding_key => 'k' });
my $w = $router->wire;
my $console = $router->wire(database => 'pgbraid');
$w->do('BEGIN', 'CREATE TABLE t (k bigint PRIMARY KEY, a int, b text)', 'CREATE TABLE s (k bigint PRIMARY KEY, v int)', (map { "CREATE TABLE c_$_ (k bigint PRIMARY KEY, $cases{$_}[0])" } sort keys %cases), 'COMMIT',
    'INSERT INTO s VALUES (1, 1), (2, 2), (3, 3)', q{INSERT INTO t (k, b) VALUES (1, 'x'), (2, 'y'), (3, 'z')});

sub differences { return join '; ', map { join ' ', @$_[ 1 .. 4 ] } @{ $console->rows('SHOW DIFFERENCES') }; }
sub becomes
{
    my ($pattern, $what) = @_;
    $console->do('RELOAD');
    my $seen;
    wait_for($what, sub { ($seen = differences()) =~ $pattern });
    return like($seen, $pattern, $what);
}
$console->do('RELOAD');
is(differences(), '', 'tables made through the router are equal');

# Every kind of plan.
my @plans = ('SELECT b FROM t WHERE k = 1', 'SELECT * FROM t', 'SELECT b FROM t ORDER BY k LIMIT 1', 'SELECT count(*) FROM t', 'SELECT t.b FROM t JOIN s ON s.v = t.a', 'EXPLAIN SELECT * FROM t',
    'INSERT INTO t (k) VALUES (5)', 'INSERT INTO t (k) VALUES (16), (17), (18)', 'UPDATE t SET b = \'u\' WHERE k = 1', 'UPDATE t SET b = \'u\'', 'DELETE FROM t WHERE k = 1', 'COPY t (k) FROM STDIN', 'COPY t TO STDOUT',
    'COPY (SELECT k FROM t) TO STDOUT', 'SELECT 1 FROM t WHERE k = 1 FOR UPDATE');
$cluster->do(2, 'ALTER TABLE t ADD x int');
becomes(qr/^public t s2 column x is not on the home shard$/, 'a column more');
for my $sql (@plans) {
    my $e = $w->error($sql);
    is("$e->{C} $e->{M}", 'XX000 table "t" is not the same on shard "s2" as on the home shard', $sql);
    like($e->{D}, qr/column x is not on the home shard/, '... says in what');
}
my $r = $w->query_params('SELECT b FROM t WHERE k = $1', 1);
is($r->{error}{C}, 'XX000', 'with parameters');
is($w->value('SELECT v FROM s WHERE k = 2'), 2, 'other tables go on');
$cluster->do(2, 'ALTER TABLE t DROP x');
becomes(qr/^$/, 'equal again');
is($w->query($_)->{error}, undef, "... and answered: $_") for grep { !/COPY/ } @plans;

sub there { my ($case, $sql) = @_; return map { s/(?:TABLE|ON|TO|public\.) ?\Kc\b/c_$case/gr =~ s/\bc_(?=(?:k_v_key|v_check|i|pkey)\b)/c_${case}_/gr } split /; /, $sql; }
$cluster->do(2, there($_, $cases{$_}[1])) for sort keys %cases;
becomes(qr/c_unique/, 'many changes');
my %seen = map { $_->[2] => $_->[4] } @{ $console->rows('SHOW DIFFERENCES') };
for my $case (sort keys %cases) {
    my $seen = ($seen{"c_$case"} // '') =~ s/\bc_$case\b/c/gr;
    $cases{$case}[2] ? like($seen, qr/\Q$cases{$case}[2]/, $cases{$case}[1]) : is($seen, '', $cases{$case}[1]);
    my $r = $w->query("SELECT count(*) FROM c_$case");
    is($r->{error} ? $r->{error}{C} : '', $cases{$case}[2] ? 'XX000' : '', '... ' . ($cases{$case}[2] ? 'refused' : 'answered'));
}
$cluster->do(2, there($_, $cases{$_}[3])) for sort keys %cases;
becomes(qr{^$}, "all of them undone");

# Looked for by itself, too.
$cluster->do(1, 'ALTER TABLE s ADD x int');
$router->stop;
$router->write_config(schema_check_interval => '100ms', sharding_key => 'k');
$router->start;
$w = $router->wire;
like($w->error('SELECT v FROM s WHERE k = 1')->{M}, qr/^table "s" is not the same on shard "s2"/, 'a router that starts sees it');
$cluster->do(2, 'ALTER TABLE s ADD x int');
wait_for('the tables to be found equal', sub { !$w->query('SELECT v, x FROM s WHERE k = 1')->{error} });
$cluster->do(2, 'ALTER TABLE s ALTER x TYPE bigint');
wait_for('the table to be found another one', sub { ($w->query('SELECT v, x FROM s WHERE k = 1')->{error} // { C => '' })->{C} eq 'XX000' });
pass('a running router sees it, and that it has been mended');
done_testing();
