# Many clients: what an idle one costs in resident memory, and that clients who come and go in every way (tests/tools/login_tool.c)
# leave nothing behind, neither memory nor descriptors. PGBRAID_IDLE_CLIENTS=10000 and PGBRAID_LOGINS=1000000 for the long form.
use strict;
use warnings;
use lib 'tests/lib';
use PgbraidTest::Bench;
use PgbraidTest::BenchLogin;
use PgbraidTest::Certs;
use PgbraidTest::Gauge;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Tree;
use Test::More;

my $sanitized = PgbraidTest::Tree::build() =~ /san$/;
my $idle = $ENV{PGBRAID_IDLE_CLIENTS} // 1000;
my $logins = $ENV{PGBRAID_LOGINS} // 5000;
my $piece = $logins > 20_000 ? int($logins / 20) : $logins;

my $cluster = PgbraidTest::Bench::cluster(shards => 2, rows => 100);
my $settings = PgbraidTest::BenchLogin::settings($cluster, 'entrant');
delete $settings->{verifier};
my $cert = PgbraidTest::Certs->new->make('server', san => 'IP:127.0.0.1');
PgbraidTest::Gauge::raise_descriptor_limit();
my $router = PgbraidTest::Router->new(cluster => $cluster, config => {
    %$settings, workers => 2, pool_size => 4, log_level => 'error', max_client_conn => $idle + 1000, auth_failures_max => 0, client_tls_cert_file => $cert->{cert}, client_tls_key_file => $cert->{key} });
my $to = { port => $router->port, database => $router->database };
my $admin = $router->wire(database => 'pgbraid');

# But for those of server connections, which pools open and close as they need.
sub descriptors { my @fds = glob '/proc/' . $router->pid . '/fd/*'; return @fds - @{ $admin->rows('SHOW SERVERS') }; }
sub clients { return scalar @{ $admin->rows('SHOW CLIENTS') }; }
# Nobody is there but the console, and no connection is on its way; { Rss in KiB, descriptors }.
sub at_rest
{
    my ($last, $same) = (-1, 0);
    wait_for('the last client to go', sub { return clients() == 1; });
    wait_for('rest', sub {
        my $now = descriptors();
        $same = $now == $last ? $same + 1 : 0;
        $last = $now;
        return $same == 20;
    });
    return { rss => PgbraidTest::Gauge::memory_kib($router->pid)->{Rss}, descriptors => descriptors() };
}

# Come and go. What the allocator and the pools need for so many at a time they have after the first ones.
my $first = PgbraidTest::BenchLogin::tool('storm', $to, 'entrant', 16, $sanitized ? 500 : 2000);
is($first->{failed}, 0, 'clients in every way') or diag($first->{text});
my $before = at_rest();
my $done = 0;
while ($done < $logins) {
    my $run = PgbraidTest::BenchLogin::tool('storm', $to, 'entrant', 16, $piece);
    $done += $piece;
    my $after = at_rest();
    my $what = "$done clients in every way";
    is($run->{failed}, 0, "$what: as it should be") or diag($run->{text});
    is($after->{descriptors}, $before->{descriptors}, '... no descriptor is left');
    cmp_ok($after->{rss} - $before->{rss}, '<', 1024 + $done / 256, "... resident memory: $before->{rss} KiB, now $after->{rss}") unless $sanitized;
    diag(sprintf '%s: %.0f a second, %d KiB, %d descriptors', $what, $piece / $run->{seconds}, @$after{qw(rss descriptors)}) if $logins > 20_000;
}

# Stay, each after a statement.
my $tool = PgbraidTest::Tree::build() . '/tools/login_tool';
open my $stay, '|-', "exec $tool idle $to->{port} $to->{database} entrant secret 8 $idle" or die "login_tool: $!";
wait_for("$idle clients", sub { return clients() == $idle + 1; }, 600);
my $rss = PgbraidTest::Gauge::memory_kib($router->pid)->{Rss};
cmp_ok(($rss - $before->{rss}) / $idle, '<=', 8, sprintf '%d idle clients: %.2f KiB of resident memory each', $idle, ($rss - $before->{rss}) / $idle) unless $sanitized;
cmp_ok($rss, '<=', 100 * 1024, "... $rss KiB in all") unless $sanitized;
is($router->value('SELECT count(*) FROM pgbench_accounts'), 100, '... others work beside them');
close $stay;
is($?, 0, '... all of them logged in');
my $end = at_rest();
is($end->{descriptors}, $before->{descriptors}, '... and when they have gone, no descriptor is left');

done_testing();
