#!/usr/bin/perl
# sqlsmith: random statements over the drivers' tables, for as many seconds as PGBRAID_SQLSMITH_S says (60). The router has to live through them,
# answer each, and never call its own fault; what it answers is not compared. Most are refused or wrong by themselves (functions about one server, tables of
# the home shard in changes, operators that are not there): the note says how many gave no error.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Driver;
use PgbraidTest::Proc qw(run);

PgbraidTest::Driver::skip_unless(name => 'sqlsmith', present => sub { return -x '/usr/bin/sqlsmith' || -x '/usr/games/sqlsmith' ? undef : 'it is not installed' });
my $seconds = $ENV{PGBRAID_SQLSMITH_S} // 60;
my $bed = PgbraidTest::Driver::bed();
my $router = $bed->{router};
my $env = PgbraidTest::Driver::environment($bed, 'router');
$router->do("INSERT INTO accounts (account_id, owner, balance) SELECT 1, 'ann', 5", map({ "INSERT INTO accounts (account_id, owner, balance) VALUES ($_, 'owner $_', $_)" } 2 .. 40),
    map({ "INSERT INTO items VALUES ($_, $_, 'item $_', $_)" } 2 .. 40), map { "INSERT INTO types (id, i4, t, num, ts) VALUES ($_, $_, 'text $_', $_, now())" } 1 .. 40);

my $seed = $ENV{PGBRAID_SEED} // time;
diag("seed $seed") if $ENV{PGBRAID_SQLSMITH_S};
my $end = time + $seconds;
my ($broken, $statements, $answered) = (0, 0, 0);
while (time < $end) {
    my $r = run([ 'sqlsmith', "--target=host=127.0.0.1 port=$env->{PGPORT} dbname=$env->{PGDATABASE} user=postgres options='-c statement_timeout=2000'", '--verbose', '--exclude-catalog', '--max-queries=500', '--seed=' . $seed++ ],
        timeout_s => 900, env => { %$env, PGOPTIONS => '-c statement_timeout=2000' });
    $broken++ if $r->{rc} || $r->{err} =~ /server closed|Lost connection|broken connection/i;
    diag(substr $r->{err}, -2000) if $broken == 1 && $r->{rc};
    # Its last report: 'queries: 500', and the part of them that gave an error.
    my ($queries) = "$r->{out}$r->{err}" =~ /.*^queries: (\d+)/ms;
    my ($errors) = "$r->{out}$r->{err}" =~ /.*^error rate: ([\d.e-]+)/ms;
    $statements += $queries // 0;
    $answered += int(($queries // 0) * (1 - ($errors // 1)) + 0.5);
    last if $broken > 3;
}
note "$statements statements, $answered without an error";
cmp_ok($answered, '>', 0, 'some are answered');
is($broken, 0, 'no connection broke');
ok($router->alive, 'the router lives');
my $log = $router->log_text;
unlike($log, qr/PB0310|XX000|BUG/, 'no fault of its own') or diag(join "\n", grep { /PB0310|XX000|BUG/ } split /\n/, $log);
is($router->value('SELECT count(*) FROM countries'), 0, 'it answers');
is(scalar grep({ $bed->{cluster}->value($_, 'SELECT count(*) FROM pg_prepared_xacts') } 1 .. 3), 0, 'no prepared transaction is left');
done_testing();
