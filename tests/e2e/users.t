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

subtest 'reloaded' => sub {
    my $old = $router->wire(user => 'app');
    ok_reload('other sections', '[user app]', 'max_client_conn = 1', 'options = -c statement_timeout=9s', '[user plain]', 'options = -c statement_timeout=often');
    is($old->value('SHOW statement_timeout'), '5s', 'sessions keep what they began with');
    is($router->try_wire(user => 'app')->{error}{C}, '53300', 'a smaller limit');
    $old->close;
    my $w = wait_for('a place', sub { my $try = $router->try_wire(user => 'app'); return $try->{error} ? 0 : $try; });
    is($w->value('SHOW statement_timeout'), '9s', 'new sessions have the new settings');
    like($router->try_wire(user => 'plain')->{error}{M}, qr/invalid value for parameter "statement_timeout": "often"/, 'a value that no server takes: no login without it');
    ok_reload('no sections');
    is($router->wire(user => 'plain')->value('SHOW statement_timeout'), '0', 'as everybody again');
    ok(!exists settings()->{'[user app] pool_size'}, 'nothing is left of them');
};

done_testing();
