#!/usr/bin/perl
# Logins over a Unix socket: peer with and without a map, trust, reject, as a PostgreSQL server with the same files answers them, frame
# by frame; by psql as several system users; and the socket itself, over restarts.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Login;
use PgbraidTest::Proc qw(as_postgres run workdir);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $me = getpwuid $>;
my @hba = ('host all postgres 127.0.0.1/32 trust', 'local all alice,bob,carol peer map=os', 'local all trusted trust', 'local all rejected reject', 'local all all peer');
my @ident = ("os $me alice", 'os nobody carol', 'os postgres bob');
my ($theirs, $ours) = map { my $dir = workdir() . "/$_"; mkdir $dir or die "$dir: $!"; chmod 0777, $dir; $dir } qw(theirs ours);
chmod 0755, workdir();
my $reference = PgbraidTest::Cluster->new(shards => 1, database => 'test', hba => \@hba, ident => \@ident, settings => { unix_socket_directories => "'$theirs'" });
my $cluster = PgbraidTest::Cluster->new(shards => 2);
my @users = (qw(alice bob carol trusted rejected), grep { $_ ne 'postgres' } $me);
my @roles = map { qq(CREATE ROLE "$_" LOGIN) } @users;
$reference->do(1, @roles);
$cluster->do(1, @roles);

sub write_file { my ($name, @lines) = @_; my $path = workdir() . "/$name"; open my $out, '>', $path or die "$path: $!"; print $out map { "$_\n" } @lines; close $out; chmod 0600, $path; return $path; }
my $router = PgbraidTest::Router->new(cluster => $cluster, config => {
    unix_socket_dir => $ours, auth_failures_max => 0, auth_hba_file => write_file('hba.conf', @hba), auth_ident_file => write_file('ident.conf', @ident), auth_file => write_file('users.txt', map { qq("$_" "") } 'postgres', @users) });
my @doors = ([ $theirs, $reference->port(1) ], [ $ours, $router->port ]);

# The frames of a login, ours and theirs.
for my $case ([ alice => 1 ], [ bob => 0 ], [ carol => 0 ], [ $me => 1 ], [ trusted => 1 ], [ rejected => 0 ], [ nosuch => 0 ]) {
    my ($user, $in) = @$case;
    my @got = map { my $l = PgbraidTest::Login->new(socket_dir => $_->[0], port => $_->[1], user => $user, database => 'test'); $l->start; $l->finish if $l->{last} && $l->{last}{type} ne 'E'; [ $l->frames ] } @doors;
    is_deeply($got[1], $got[0], "$user: as one server") or diag(explain(\@got));
    is(scalar(grep { /^Z/ } @{ $got[1] }), $in, $in ? '... is let in' : '... is not');
}

# As other system users.
sub psql
{
    my ($door, $user, @as) = @_;
    my $r = run([ @as, 'psql', '-X', '-At', '-h', $door->[0], '-p', $door->[1], '-U', $user, '-d', 'test', '-c', 'SELECT current_user' ], env => { PGPASSFILE => '/dev/null' });
    return $r->{rc} == 0 ? $r->{out} : $r->{err} =~ s/.*FATAL:\s+//sr =~ s/^DETAIL:  \[PB\d+\]\n//mr; # errors of the router's have their number
}
SKIP: {
    skip 'only root can be another system user', 8 if $> != 0;
    my @nobody = qw(setpriv --reuid=nobody --regid=nogroup --clear-groups);
    for my $case ([ 'postgres as bob', "bob\n", 'bob', as_postgres() ], [ 'postgres as alice', qq(Peer authentication failed for user "alice"\n), 'alice', as_postgres() ], [ 'nobody as carol', "carol\n", 'carol', @nobody ], [ 'nobody as itself, which is no role', undef, 'nobody', @nobody ]) {
        my ($what, $expected, $user, @as) = @$case;
        my @got = map { psql($_, $user, @as) } @doors;
        is($got[1], $got[0], "$what: as one server");
        $expected ? is($got[1], $expected, "... $expected" =~ s/\n//r) : like($got[1], qr/nobody/, '... is refused');
    }
}

# The socket: named as libpq looks for it, gone after a stop, and no hindrance when a crash has left it.
my $path = "$ours/.s.PGSQL." . $router->port;
ok(-S $path, 'it is where libpq looks');
is((stat $path)[2] & 0777, 0777, 'everybody may connect: the rules decide');
is($router->stop, 0, 'the router stops');
ok(!-e $path, '... and takes it away');
$router->start;
$router->kill_now;
ok(-S $path, 'a crash leaves it');
$router->start;
is(psql($doors[1], 'alice'), "alice\n", '... and the next router takes its place');
my $second = run([ PgbraidTest::Tree::pgbraid(), 'serve', '-c', $router->conf ], timeout_s => 20);
isnt($second->{rc}, 0, 'a second router on it does not start');
is(psql($doors[1], 'alice'), "alice\n", '... and does no harm');
done_testing();
