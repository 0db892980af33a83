#!/usr/bin/perl
# The test bed itself: servers start, answer and stop; the wire client sees what PostgreSQL sends and notices what is wrong.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(free_port gone run wait_for workdir);
use PgbraidTest::Router;
use PgbraidTest::Wire;

is(run([ 'sh', '-c', 'cat; echo e >&2; exit 3' ], stdin => "in\n")->{rc}, 3, 'exit status');
is_deeply(run([ 'sh', '-c', 'cat; echo e >&2' ], stdin => "in\n"), { rc => 0, out => "in\n", err => "e\n" }, 'both outputs');
ok(!eval { wait_for('never', sub { 0 }, 0.05); 1 }, 'waiting ends');
ok(!eval { run([ 'sleep', '60' ], timeout_s => 0.1); 1 }, 'so does a command that hangs');
isnt(free_port(), free_port(), 'a port is given out once');
is_deeply([ PgbraidTest::Router::equal_ranges(1) ], ['-'], 'one range');
is_deeply([ PgbraidTest::Router::equal_ranges(2) ], [ '-80', '80-' ], 'two ranges');
is_deeply([ PgbraidTest::Router::equal_ranges(3) ], [ '-5555', '5555-aaaa', 'aaaa-' ], 'three ranges');

my $c = PgbraidTest::Cluster->new(shards => 2);
isnt($c->database(1), $c->database(2), 'two databases');
is($c->port(1), $c->port(2), 'on one server');
is($c->value(2, 'SELECT current_database()'), 'shard_2', 'a query on a shard');
is($c->psql(1, 'SELECT 1 + 1')->{out}, "2\n", 'psql on a shard');
is($c->value(1, 'SHOW max_prepared_transactions'), 64, 'prepared transactions are on');
is($c->value($c->add_shard, 'SELECT current_database()'), 'shard_3', 'a third one later');

my $w = $c->wire(1, params => { application_name => 'bed' });
is($w->{parameter}{application_name}, 'bed', 'ParameterStatus is kept');
ok($w->{pid} && $w->{secret}, 'cancel key');
$w->send(Query('SELECT 1; SELECT 2'));
is(summary($w->until_ready), 'T D C(SELECT 1) T D C(SELECT 1) Z(I)', 'simple query');
$w->send(Parse('s', 'SELECT $1::int + $2', 23), Bind('', 's', [ '1', undef ]), Describe('S', 's'), Execute(''), Close('S', 's'), Sync());
my @frames = $w->until_ready;
is(summary(@frames), '1 2 t T D C(SELECT 1) 3 Z(I)', 'extended query');
is_deeply($frames[2]{types}, [ 23, 23 ], 'parameter types');
is_deeply($frames[4]{values}, [undef], 'NULL');
is_deeply($w->rows('SELECT $1::text, $2::int', 'a', 7), [ [ 'a', '7' ] ], 'parameters');
is($w->error('SELECT 1/0')->{C}, '22012', 'an error has its fields');
is($w->error('SELECT 1/$1::int', 0)->{C}, '22012', 'also in the extended protocol');
ok(!eval { $w->rows('SELECT 1/0'); 1 }, 'rows() of a failing statement dies');
ok(!eval { $w->error('SELECT 1'); 1 }, 'error() of a good one too');
is_deeply($w->query('DO $$ BEGIN RAISE NOTICE \'hi\'; END $$')->{notices}[0]{M}, 'hi', 'notices');
$w->do('CREATE TABLE t (a int, b text)');
is_deeply($w->query('COPY t FROM STDIN', copy => "1\tx\n2\t\\N\n")->{tags}, ['COPY 2'], 'COPY in');
is($w->query('COPY t TO STDOUT')->{copied}, "1\tx\n2\t\\N\n", 'COPY out');
$w->send(Query('SELECT pg_sleep(60)'));
wait_for('the sleep', sub { $c->value(1, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'}) });
ok($w->cancel, 'the cancel connection is closed');
is(summary($w->until_ready), 'T E(57014) Z(I)', 'cancelled');
$w->send(Terminate());
ok($w->at_eof, 'the server closes after Terminate');

my $raw = PgbraidTest::Wire->open(port => $c->port(1));
is($raw->ask_ssl, 'N', 'SSLRequest');
$raw->send("\0\0\0\x09\0\x04\0\0\0");
is($raw->read_frame->{type}, 'E', 'garbage is answered with an error');
ok($raw->at_eof, 'and the end');
like(PgbraidTest::Wire->try_connect(port => $c->port(1), database => 'nothing')->{error}{M}, qr/does not exist/, 'a refused login');
is(PgbraidTest::Wire->try_connect(port => free_port()), undef, 'nobody listens');
ok(!eval { PgbraidTest::Wire->connect(port => $c->port(1), timeout_s => 0.1)->read_frame; 1 }, 'reading nothing ends');

$c->kill_server(1);
is(PgbraidTest::Wire->try_connect(port => $c->port(1)), undef, 'a killed server is gone');
$c->start_server(1);
is_deeply($c->rows(1, 'SELECT count(*) FROM t'), [ [2] ], 'and back with its data');

# A test that is killed leaves no server behind.
my $pidfile = workdir() . '/pid';
my $child = PgbraidTest::Proc->spawn([ $^X, (map { "-I$_" } @INC), '-e', <<'CHILD', $pidfile ]);
use PgbraidTest::Proc;
my $p = PgbraidTest::Proc->spawn(['sleep', '600']);
open my $out, '>', "$ARGV[0].new" or die; print $out $p->pid; close $out; rename "$ARGV[0].new", $ARGV[0];
$p->wait_exit;
CHILD
wait_for('the child', sub { -s $pidfile });
open my $in, '<', $pidfile or die "$pidfile: $!";
chomp(my $grandchild = <$in>);
ok(!gone($grandchild), 'it runs');
# Its death signal is set on the way to its program.
wait_for('its program', sub { open my $comm, '<', "/proc/$grandchild/comm" or return 0; return <$comm> eq "sleep\n"; });
$child->kill_now;
wait_for('its end', sub { gone($grandchild) });
pass('and ends with its parent');

done_testing();
