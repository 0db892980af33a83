# Settings replayed onto pooled connections (rules P46 and P47): clients that share one server connection hear of their own
# changes only, and the replay does not make the connection dirty.
use strict;
use warnings;
use lib 'tests/lib';
use PgbraidTest::Cluster;
use PgbraidTest::Router;
use PgbraidTest::Wire;
use Test::More;

my $cluster = PgbraidTest::Cluster->new(shards => 1, settings => { log_statement => 'all' });
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { workers => 1, pool_size => 1 });
my %client = map { $_ => $router->wire(params => { application_name => $_ }) } qw(one two);

sub reports { return map { "$_->{name}=$_->{value}" } grep { $_->{type} eq 'S' } @_; }
sub discards { return scalar(() = $cluster->server_log(1) =~ /DISCARD ALL/g); }

for my $round (1 .. 2) {
    for my $name (sort keys %client) {
        my $r = $client{$name}->query("SELECT pg_catalog.current_setting('application_name')");
        is($r->{rows}[0][0], $name, "round $round: $name runs under its own name");
        is_deeply([ reports(@{ $r->{frames} }) ], [], '... and is told nothing of the replay');
        $client{$name}->send(Parse('', 'SELECT 1'), Bind('', '', []), Execute(''), Sync());
        is_deeply([ reports($client{$name}->until_ready) ], [], '... nor in the extended protocol');
    }
}
is(discards(), 0, 'no connection was reset for it');

my $r = $client{one}->query("SET application_name = 'first'");
is_deeply([ reports(@{ $r->{frames} }) ], ['application_name=first'], 'a change of its own is reported');
$r = $client{two}->query("SELECT pg_catalog.current_setting('application_name')");
is($r->{rows}[0][0], 'two', 'the other keeps its setting');
is_deeply([ reports(@{ $r->{frames} }) ], [], '... and hears of nothing');

# Rolled back together with the replay: the connection is again what it was before.
$client{one}->do('BEGIN', 'SELECT 1');
$r = $client{one}->query('ROLLBACK');
is_deeply([ reports(@{ $r->{frames} }) ], [], 'a replay that is rolled back is not reported');
$client{two}->do('SELECT 1');
is($client{one}->value("SELECT pg_catalog.current_setting('application_name')"), 'first', '... and is done again');

$client{one}->do('BEGIN', 'SELECT 1', "SET application_name = 'undone'");
$r = $client{one}->query('ROLLBACK');
is_deeply([ grep { /=first$/ } reports(@{ $r->{frames} }) ], ['application_name=first'], 'its own change that is rolled back is reported');
is($client{one}->value("SELECT pg_catalog.current_setting('application_name')"), 'first', '... and undone');

done_testing();
