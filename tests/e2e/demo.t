#!/usr/bin/perl
# pgbraid demo: start, second start, repair of what was killed, stop, and what it refuses to touch.
use strict;
use warnings;
use Test::More;
use IO::Socket::INET;
use PgbraidTest::Proc qw(free_port gone run wait_for workdir);
use PgbraidTest::Tree;
use PgbraidTest::Wire;

my $pgbraid = PgbraidTest::Tree::pgbraid();
my @dirs;
# Detached servers outlive the demo: stop them whatever happens.
PgbraidTest::Proc::at_end(sub { run([ $pgbraid, 'demo', '--stop', '--dir', $_ ]) for grep { -e "$_/demo.state" } @dirs; return; });

sub demo { my (@args) = @_; return run([ $pgbraid, 'demo', @args ]); }

sub demo_ok
{
    my ($what, @args) = @_;
    my $r = demo(@args);
    is($r->{rc}, 0, $what) or diag("$r->{out}$r->{err}");
    return $r->{out};
}

sub refused
{
    my ($what, $rc, $pattern, @args) = @_;
    my $r = demo(@args);
    is($r->{rc}, $rc, "$what: exit status");
    like($r->{err}, $pattern, "$what: message");
    unlike($r->{out}, qr/started/, "$what: nothing was started");
    return;
}

sub first_line { my ($path) = @_; open my $in, '<', $path or return 0; chomp(my $line = <$in> // 0); return $line; }
sub shard_pid  { my ($dir, $i) = @_; return first_line("$dir/shard-$i/postmaster.pid"); }
sub router_pid { my ($dir) = @_; return first_line("$dir/router.pid"); }

sub shard_port
{
    my ($dir, $i) = @_;
    my ($port) = PgbraidTest::Tree::slurp("$dir/demo.state") =~ /^port-$i = (\d+)$/m;
    return $port;
}

sub shard_count
{
    my ($dir, $table) = @_;
    return map { PgbraidTest::Wire->connect(port => shard_port($dir, $_), database => 'shop')->value("SELECT count(*) FROM $table") } 1 .. 2;
}

# Wrong usage.
refused('unknown option', 2, qr/unknown option "--bogus"/, '--bogus');
refused('no shards', 2, qr/--shards wants a number from 1 to 16, not "0"/, '--shards', '0');
refused('not a number', 2, qr/--port wants a number/, '--port', '6432x');
refused('value missing', 2, qr/--dir needs a value/, '--dir');
refused('stray argument', 2, qr/too many arguments: "start"/, 'start');
refused('stop and start at once', 2, qr/--stop goes with --dir only/, '--stop', '--port', '1');
refused('stop where there is no folder', 1, qr/cannot open the folder/, '--stop', '--dir', workdir() . '/none');
like(demo('--help')->{out}, qr/Usage: pgbraid demo/, 'help');

mkdir workdir() . '/mine';
open my $file, '>', workdir() . '/mine/precious' or die; close $file;
refused('a folder with something in it', 1, qr/is not empty, and not the folder of a demo/, '--dir', workdir() . '/mine');
refused('stop where there is no demo', 1, qr/there is no demo/, '--stop', '--dir', workdir() . '/mine');
ok(-e workdir() . '/mine/precious', 'it is left alone');

# A port that somebody listens on, also with SO_REUSEPORT, which would let two routers share it silently.
my $port = free_port();
my $other = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1, ReusePort => 1) or die "listen: $!";
push @dirs, my $taken = workdir() . '/taken';
refused('port taken', 1, qr/port $port, which the router needs, is taken/, '--dir', $taken, '--port', $port);
ok(!-e "$taken/shard-1", 'nothing was made');
close $other;

# The whole life of a demo. The parent folder is made too.
push @dirs, my $dir = workdir() . '/a/demo';
my $out = demo_ok('first start', '--dir', $dir, '--port', $port, '--shards', 2, '--detach');
like($out, qr/psql -h 127\.0\.0\.1 -p $port -U postgres shop/, 'the psql line');
like($out, qr/customer_id = 42;\n\s+->/, 'queries with their routes');
ok(-e "$dir/$_", "DIR has $_") for qw(router.pid pgbraid.conf directory.db shard-1/postmaster.pid shard-2/postmaster.pid log/router.log log/shard-1.log);
ok(!-e "$dir/shard-3", 'as many shards as asked for');
my $w = PgbraidTest::Wire->connect(port => $port, database => 'shop');
like($w->value('SELECT name FROM customers WHERE customer_id = 42'), qr/^\w+ \w+$/, 'a customer through the router');
my %rows = map { my @n = shard_count($dir, $_); $_ => \@n } qw(customers orders order_lines countries products);
is($rows{customers}[0] + $rows{customers}[1], 5000, 'all customers are there once');
for my $table (qw(customers orders order_lines)) {
    my ($a, $b) = @{ $rows{$table} };
    ok($a > 0.4 * ($a + $b) && $b > 0.4 * ($a + $b), "$table: spread evenly ($a, $b)");
}
cmp_ok($rows{order_lines}[0] + $rows{order_lines}[1], '>', 30_000, 'a few 10,000 rows');
is($rows{$_}[0], $rows{$_}[1], "$_: on every shard") for qw(countries products);
for my $i (1, 2) {
    my $shard = PgbraidTest::Wire->connect(port => shard_port($dir, $i), database => 'shop');
    is($shard->value('SELECT count(*) FROM orders o WHERE NOT EXISTS (SELECT FROM customers c WHERE c.customer_id = o.customer_id)'), 0, "shard $i: orders lie with their customer");
    is($shard->value('SELECT count(*) FROM order_lines l LEFT JOIN orders o USING (customer_id, order_id) LEFT JOIN products p USING (product_id) WHERE o IS NULL OR p IS NULL'), 0, "shard $i: lines with their order");
}

my @pids = (router_pid($dir), shard_pid($dir, 1), shard_pid($dir, 2));
$w->do("INSERT INTO customers VALUES (1000001, 'Kept', 'kept\@example.com', 'AT', '2020-01-01')");
$out = demo_ok('second start', '--dir', $dir, '--detach');
is_deeply([ router_pid($dir), shard_pid($dir, 1), shard_pid($dir, 2) ], \@pids, 'starts nothing that runs');
refused('another number of shards', 1, qr/has 2 shards/, '--dir', $dir, '--shards', 3);
refused('another port while it runs', 1, qr/runs on port $port: stop it first/, '--dir', $dir, '--port', free_port());

# Killed servers come back; the pid files that they left are stale.
kill 'KILL', shard_pid($dir, 2) or die;
wait_for('the death of shard 2', sub { gone($pids[2]) });
demo_ok('start after a shard was killed', '--dir', $dir, '--detach');
is(shard_pid($dir, 1), $pids[1], 'the other shard was left running');
kill 'KILL', router_pid($dir) or die;
wait_for('the death of the router', sub { gone($pids[0]) });
demo_ok('start after the router was killed', '--dir', $dir, '--detach');
is(PgbraidTest::Wire->connect(port => $port, database => 'shop')->value('SELECT name FROM customers WHERE customer_id = 1000001'), 'Kept', 'the data is kept');

# All killed, and their process ids given to somebody else: a stranger is never touched.
@pids = (router_pid($dir), shard_pid($dir, 1), shard_pid($dir, 2));
kill 'KILL', $_ for @pids;
for my $pid (@pids) { wait_for("the death of $pid", sub { gone($pid) }); }
my $stranger = PgbraidTest::Proc->spawn([ PgbraidTest::Proc::as_postgres('sleep', '600') ]);
for my $path ("$dir/router.pid", "$dir/shard-1/postmaster.pid") {
    open my $in, '<', $path or die "$path: $!";
    my ($first, @rest) = <$in>;
    open my $again, '>', $path or die "$path: $!";
    print $again $stranger->pid . "\n", @rest;
    close $again;
}
like(demo_ok('stop with stale pid files', '--stop', '--dir', $dir), qr/[Nn]othing runs/, 'nothing runs');
ok($stranger->alive, 'the stranger was left alone');
demo_ok('start with stale pid files', '--dir', $dir, '--detach');
ok($stranger->alive, 'again');
isnt(router_pid($dir), $stranger->pid, 'the pid file is right again');

# Stop; another port; a taken shard port.
@pids = (router_pid($dir), shard_pid($dir, 1), shard_pid($dir, 2));
demo_ok('stop', '--stop', '--dir', $dir);
wait_for("the end of $_", sub { gone($_) }) for @pids;
demo_ok('a second stop', '--stop', '--dir', $dir);
$other = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => shard_port($dir, 2), Listen => 1, ReuseAddr => 1) or die "listen: $!";
my $r = demo('--dir', $dir, '--detach');
is($r->{rc}, 1, 'a shard\'s port is taken');
like($r->{err}, qr/which shard-2 needs, is taken/, 'and named');
is(shard_pid($dir, 1), 0, 'what had been started is stopped');
close $other;

# In the foreground, on another port, until Ctrl-C.
$port = free_port();
my $foreground = PgbraidTest::Proc->spawn([ $pgbraid, 'demo', '--dir', $dir, '--port', $port ], log => workdir() . '/foreground');
wait_for('the foreground demo', sub { $foreground->alive or die $foreground->log_text; $foreground->log_text =~ /Ctrl-C stops everything/ });
is(PgbraidTest::Wire->connect(port => $port, database => 'shop')->value('SELECT name FROM customers WHERE customer_id = 1000001'), 'Kept', 'on the other port, data kept');
@pids = (router_pid($dir), shard_pid($dir, 1), shard_pid($dir, 2));
kill 'KILL', $pids[1];
wait_for('the news', sub { $foreground->log_text =~ /shard-1 has ended/ });
demo_ok('start beside it', '--dir', $dir, '--detach');
wait_for('more news', sub { $foreground->log_text =~ /shard-1 is back/ });
@pids = (router_pid($dir), shard_pid($dir, 1), shard_pid($dir, 2));
is($foreground->stop('INT'), 0, 'Ctrl-C');
wait_for("the end of $_", sub { gone($_) }) for @pids;

# A demo in the foreground ends when it is stopped from elsewhere.
$foreground = PgbraidTest::Proc->spawn([ $pgbraid, 'demo', '--dir', $dir ], log => workdir() . '/foreground2');
wait_for('the foreground demo', sub { $foreground->alive or die $foreground->log_text; $foreground->log_text =~ /Ctrl-C stops everything/ });
demo_ok('stop from elsewhere', '--stop', '--dir', $dir);
is($foreground->wait_exit, 0, 'ends it');

# Interrupted in the middle of the set-up: the next start begins again. The folder cannot be entered by other users.
my $closed = workdir() . '/closed';
mkdir $closed, 0700 or die;
push @dirs, my $empty = "$closed/demo";
my $half = PgbraidTest::Proc->spawn([ $pgbraid, 'demo', '--dir', $empty, '--port', $port, '--shards', 1, '--empty' ], log => workdir() . '/half');
wait_for('the first shard', sub { -e "$empty/shard-1/PG_VERSION" || !$half->alive });
$half->signal('INT');
isnt($half->wait_exit, 0, 'interrupted');
is(shard_pid($empty, 1), 0, 'nothing is left running');
$out = demo_ok('start after it', '--dir', $empty, '--port', $port, '--shards', 1, '--empty', '--detach');
like($out, qr/starting over/, 'begins again');
is(PgbraidTest::Wire->connect(port => $port, database => 'shop')->value(q{SELECT count(*) FROM pg_class WHERE relname = 'customers'}), 0, 'empty');
my $data = readlink "$empty/shard-1";
demo_ok('stop', '--stop', '--dir', $empty);
if ($> == 0) {
    like($data, qr{^/var/tmp/pgbraid-demo-}, 'the data is where the user postgres can go');
    File::Path::remove_tree($data =~ s{/shard-1$}{}r);
}

done_testing();
