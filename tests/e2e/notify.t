#!/usr/bin/perl
# LISTEN: one connection of a worker hears for all its clients (rule P55). What each client sees is in tests/golden/wire/notify.wire.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my %config = (workers => 2, pool_size => 2, max_pinned_connections => 0, safe_functions => 'public.tell');
my $router = PgbraidTest::Router->new(cluster => $cluster, config => \%config);
$router->do('CREATE TABLE t (id bigint PRIMARY KEY, v int)', "SELECT pgbraid.shard_table('t', 'id')", 'INSERT INTO t VALUES ' . join(',', map { "($_, $_)" } 1 .. 40),
    'CREATE TABLE h (id int PRIMARY KEY)', q{CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('rows', NEW.id::text); RETURN NEW; END $$},
    'CREATE TRIGGER tell AFTER INSERT ON h FOR EACH ROW EXECUTE FUNCTION tell()');
my $console = $router->wire(database => 'pgbraid');
sub show { my ($what) = @_; my $r = $console->query("SHOW $what"); return [ map { my %h; @h{ @{ $r->{columns} } } = @$_; \%h } @{ $r->{rows} } ]; }
sub hubs { return scalar grep { $_->{shard} =~ /\(notify\)/ && $_->{active} } @{ show('POOLS') }; }
sub heard { my ($w) = @_; my $f = $w->read_frame; return $f->{type} eq 'A' ? "$f->{channel}=$f->{payload}" : $f->{type}; }
sub types { my ($r) = @_; return join ' ', map { $_->{type} } @{ $r->{frames} }; }
# The channels that servers' connections listen to are seen by asking who hears.
my @w = map { $router->wire } 1 .. 20; # on both workers: all on one would be luck
my ($p, $q, $r) = @w;

# --- many listen, no connection is kept
$_->do('LISTEN news') for @w;
is(hubs(), 2, 'one connection of each worker');
my $pinned = 0;
$pinned += $_->{pinned} for @{ show('CLIENTS') };
is($pinned, 0, 'no client keeps one');
is($w[$_]->value("SELECT v FROM t WHERE id = $_"), $_, 'pools are free') for 1 .. 7;
$q->do(q{NOTIFY news, '1'}, q{SELECT pg_notify('news', '2')}, q{NOTIFY other, '3'}, q{NOTIFY news, '4'});
for my $w (grep { $_ != $q } @w) { is(heard($w), $_, "heard: $_") for 'news=1', 'news=2', 'news=4'; }
$_->do('UNLISTEN *') for @w[ 3 .. $#w ];

# --- whose it is
my @own = grep { $_->{type} eq 'A' } @{ $p->query(q{NOTIFY news, 'me'})->{frames} };
is_deeply([ map { "$_->{pid} $_->{payload}" } @own ], ["$p->{pid} me"], 'its own notification comes with the statement, from the process id that the client was told');
is(heard($q), 'news=me', 'others hear it');
is(heard($r), 'news=me', 'all of them');
$p->do('LISTEN rows');
$r->do('LISTEN rows');
@own = grep { $_->{type} eq 'A' } @{ $p->query('INSERT INTO h VALUES (1), (2)')->{frames} };
is_deeply([ map { "$_->{pid} $_->{payload}" } @own ], [ map { "$p->{pid} $_" } 1, 2 ], 'a trigger\'s, too');
my $f = $r->read_frame;
ok($f->{pid} != $r->{pid} && $f->{payload} == 1, 'what another sends is not taken for its own');
is(heard($r), 'rows=2', 'the second row');
# Both use the same two server connections in turn: what comes over one that the other has used before is not its own.
my %wrong = (p => 0, r => 0);
my ($sent, @count) = (0, 0, 0);
for my $round (1 .. 60) {
    my ($name, $from, $to) = $round % 2 ? ('p', $p, $r) : ('r', $r, $p);
    my $got = $from->query("NOTIFY rows, '$name$round'");
    my @mine = grep { $_->{type} eq 'A' } @{ $got->{frames} };
    for (@mine) { my $its = $_->{payload} =~ /^$name/; $wrong{$name}++ if $its != ($_->{pid} == $from->{pid}); }
    $wrong{$name}++ unless grep { $_->{payload} eq "$name$round" } @mine;
}
is_deeply(\%wrong, { p => 0, r => 0 }, 'sixty from two clients in turn: each its own and no other');
# Read what is left.
for my $w ($p, $r) { my $n = grep { $_->{type} eq 'A' } @{ $w->query(q{NOTIFY rows, 'end'})->{frames} }; ok($n >= 1, 'heard the last'); }
$p->do('UNLISTEN rows');
$r->do('UNLISTEN rows');

# --- an answer to LISTEN means that nothing is missed from then on
my $late = $router->wire;
my @heard;
for my $i (1 .. 20) {
    push @heard, map { "$_->{channel}=$_->{payload}" } grep { $_->{type} eq 'A' } @{ $late->query("LISTEN c$i")->{frames} };
    $q->do("NOTIFY c$i, 'x'");
}
push @heard, heard($late) while @heard < 20;
is_deeply(\@heard, [ map { "c$_=x" } 1 .. 20 ], 'what is sent after the answer to LISTEN is heard');
my @listening = map { $_->[0] } @{ $late->query('SELECT pg_listening_channels()')->{rows} };
is_deeply(\@listening, [ map { "c$_" } 1 .. 20 ], 'pg_listening_channels()');
is($late->error('SELECT count(*) FROM pg_listening_channels()')->{C}, '0A000', 'within a statement it is refused');
my $bound = $router->wire->query_params('SELECT pg_listening_channels()');
is_deeply($bound->{rows}, [], 'of another session there are none');
$late->close;

# --- what was sent before UNLISTEN is heard
my $missed = 0;
for my $i (1 .. 30) {
    $p->do("LISTEN u");
    $q->do("NOTIFY u, '$i'");
    $missed += !grep { $_->{type} eq 'A' } @{ $p->query('UNLISTEN u')->{frames} };
}
is($missed, 0, 'UNLISTEN does not overtake what was sent before it');

# --- over several shards: the home shard decides
$q->do('BEGIN', q{NOTIFY news, '5'}, 'UPDATE t SET v = 0', 'ROLLBACK', 'BEGIN', q{NOTIFY news, '6'}, 'UPDATE t SET v = 0', q{NOTIFY news, '7'}, 'COMMIT');
is(heard($p), $_, "X12: a transaction over several shards notifies when it commits: $_") for 'news=6', 'news=7';
my @frames = @{ $p->query('BEGIN; SELECT v FROM t WHERE id = 1')->{frames} };
$q->do(q{NOTIFY news, '8'});
is(heard($r), $_, $_) for 'news=6', 'news=7', 'news=8';
is($p->value('SELECT v FROM t WHERE id = 4'), 0, 'nothing is told inside a transaction');
is(types($p->query("NOTIFY news, '9'")), 'C Z', 'not its own, either');
is(types($p->query('COMMIT')), 'C A A Z', 'but at its end, before ReadyForQuery');
is(heard($r), 'news=9', 'heard by the other');

# --- PAUSE holds LISTEN, not what is heard
my $held = $router->wire;
$console->do('PAUSE test');
$held->send(PgbraidTest::Wire::Query('LISTEN paused'));
ok(!$held->readable(0.3), 'PAUSE holds LISTEN');
$cluster->do(1, q{NOTIFY news, 'meanwhile'});
is(heard($p), 'news=meanwhile', 'notifications come');
$console->do('RESUME test');
is(join(' ', map { $_->{type} } $held->until_ready), 'C Z', 'RESUME lets it go on');

# --- a client that does not take them
my $slow = $router->wire;
$slow->do('LISTEN flood');
my $flooder = $cluster->wire(1);
# 7 kB each: more than sockets and the 16 MB of the router hold
for (1 .. 40) { $flooder->do("SELECT pg_notify('flood', '$_.' || n || repeat('x', 7000)) FROM generate_series(1, 150) n"); }
ok(wait_for('the slow client to be ended', sub { !grep { $_->{id} == $slow->{pid} } @{ show('CLIENTS') } }), 'a client that does not read is ended');
my $n = 0;
$n++ while eval { $slow->read_frame };
cmp_ok($n, '<', 40 * 150, "having got a part of it ($n)");
is($p->value('SELECT 1'), 1, 'others go on');

# --- the connection is lost: nobody misses something without hearing of it
my $sleeper = $router->wire;
$sleeper->do('BEGIN', 'LISTEN news', 'SELECT v FROM t WHERE id = 1');
my $quiet = $router->wire;
$quiet->do('LISTEN x', 'UNLISTEN x');
$cluster->value(1, q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'pgbraid' AND (query LIKE '%LISTEN%' OR query = '')});
for ($p, $q, $r) {
    my $fatal = $_->read_frame;
    $fatal = $_->read_frame while $fatal->{type} eq 'A'; # not read so far
    is("$fatal->{type} $fatal->{fields}{S} $fatal->{fields}{C}", 'E FATAL 57P01', 'who listens is ended when its notifications may be lost');
}
is($quiet->value('SELECT 1'), 1, 'who does not listen goes on');
is($sleeper->do('COMMIT'), 'COMMIT', 'who is about to listen listens with a new one');
$quiet->do(q{NOTIFY news, 'again'});
is(heard($sleeper), 'news=again', 'and hears');

# --- the server is down
$cluster->kill_server(1);
is($sleeper->read_frame->{fields}{C}, '57P01', 'ended');
my $down = $router->wire;
is($down->error('LISTEN news')->{C}, '08006', 'LISTEN fails while the home shard is down');
$cluster->start_server(1);
ok(wait_for('the home shard', sub { !$down->query('LISTEN news')->{error} }), 'and works when it is back');
is_deeply($down->rows('SELECT pg_listening_channels()'), [ ['news'] ], 'once');
done_testing();
