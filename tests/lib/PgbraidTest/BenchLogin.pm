# Logins with SCRAM, one after the other, through pgbraid and through PgBouncer: how many a second, and what one costs.
#
# Both have the verifier that the server stores, and the client (tests/tools/login_tool.c) hashes its password once, so that
# what is measured is the proxy. A login is a connection, the exchange, ReadyForQuery and Terminate; no server connection is
# opened for it.
package PgbraidTest::BenchLogin;
use strict;
use warnings;
use Carp qw(croak);
use List::Util ();
use PgbraidTest::Bench;
use PgbraidTest::Gauge;
use PgbraidTest::Proc qw(run workdir);
use PgbraidTest::Tree;

# A role with a password, which servers ask nobody for; returns settings of a router that does.
sub settings
{
    my ($cluster, $role) = @_;
    $cluster->do(1, q{SET password_encryption = 'scram-sha-256'}, "CREATE ROLE $role LOGIN PASSWORD 'secret'");
    my $verifier = $cluster->value(1, 'SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1', $role);
    my $dir = workdir();
    for ([ "$role.users", "\"$role\" \"$verifier\"\n" ], [ "$role.hba", "host all postgres all trust\nhost all all all scram-sha-256\n" ]) {
        open my $out, '>', "$dir/$_->[0]" or croak "$_->[0]: $!";
        print $out $_->[1];
        close $out;
        chmod 0600, "$dir/$_->[0]";
    }
    return { auth_file => "$dir/$role.users", auth_hba_file => "$dir/$role.hba", verifier => $verifier };
}

# Run build/tools/login_tool: { seconds, failed, text }.
sub tool
{
    my ($mode, $to, $role, $threads, $count) = @_;
    my $r = run([ PgbraidTest::Tree::build() . '/tools/login_tool', $mode, $to->{port}, $to->{database}, $role, 'secret', $threads, $count ], timeout_s => 3600);
    $r->{out} =~ /^done \d+ failed (\d+) seconds ([\d.]+)/ or croak "login_tool: $r->{out}$r->{err}";
    return { failed => $1, seconds => $2, text => $r->{err} };
}

# All threads, from the scheduler's clock: a run is too short for that of /proc/PID/stat.
sub cpu_us { my ($pid) = @_; return List::Util::sum(values %{ PgbraidTest::Gauge::thread_cpu_us($pid) }); }

# Rounds of both in turn: { got => { proxy => { rate => [logins/s], cpu => [µs of CPU/login] } }, ratio => { rate, cpu } }, the
# ratios of each round, pgbraid to PgBouncer. Options: rounds, count, threads.
sub measure
{
    my (%opt) = @_;
    my $cluster = PgbraidTest::Bench::cluster(shards => 1, rows => 100);
    my $settings = settings($cluster, 'entrant');
    my $verifier = delete $settings->{verifier};
    my $router = PgbraidTest::Bench::router($cluster, config => $settings);
    my $bouncer = PgbraidTest::Bench::pgbouncer($cluster, auth_type => 'scram-sha-256', users => "\"entrant\" \"$verifier\"\n");
    my %to = (PgBouncer => $bouncer, pgbraid => { port => $router->port, database => $router->database, pid => $router->pid });
    my %got;
    tool('login', $to{$_}, 'entrant', $opt{threads}, 50) for sort keys %to;
    for my $round (1 .. $opt{rounds}) {
        for my $name ($round % 2 ? qw(PgBouncer pgbraid) : qw(pgbraid PgBouncer)) {
            my $cpu = cpu_us($to{$name}{pid});
            my $run = tool('login', $to{$name}, 'entrant', $opt{threads}, $opt{count});
            croak "$name: $run->{failed} logins failed: $run->{text}" if $run->{failed};
            push @{ $got{$name}{rate} }, $opt{count} / $run->{seconds};
            push @{ $got{$name}{cpu} }, (cpu_us($to{$name}{pid}) - $cpu) / $opt{count};
        }
    }
    my %ratio = map { my $what = $_; ($what => [ map { $got{pgbraid}{$what}[$_] / $got{PgBouncer}{$what}[$_] } 0 .. $opt{rounds} - 1 ]) } qw(rate cpu);
    $router->stop;
    $bouncer->{proc}->stop;
    return { got => \%got, ratio => \%ratio };
}

1;
