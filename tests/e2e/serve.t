# Starting, stopping and reloading the router: signals, files, ports, crashes, and very many clients.
use strict;
use warnings;
use lib 'tests/lib';
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(free_port gone run wait_for workdir);
use PgbraidTest::Router;
use PgbraidTest::Tree;
use PgbraidTest::Wire;
use Test::More;

my $cluster = PgbraidTest::Cluster->new(shards => 2);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { workers => 2 });
$cluster->do(1, 'CREATE TABLE t (id int PRIMARY KEY, v text)', 'INSERT INTO t SELECT i, i::text FROM generate_series(1, 20) i');
$router->do("SELECT pgbraid.shard_table('t', 'id')");
my ($k1, $k2) = map { $cluster->value($_, 'SELECT min(id) FROM t') } 1, 2;
my $pgbraid = PgbraidTest::Tree::pgbraid();

sub slurp { open my $in, '<', $_[0] or return undef; local $/; return scalar <$in>; }
sub spew { my ($path, $text) = @_; open my $out, '>', $path or die "$path: $!"; print $out $text; close $out; return $path; }
# A second router on a configuration: { rc, out, err }.
sub serve { my ($conf) = @_; return run([ $pgbraid, 'serve', '-c', $conf ]); }
my $n = 0;
sub conf
{
    my (%set) = @_;
    my $dir = workdir() . '/other-' . ++$n;
    mkdir $dir or die;
    return spew("$dir/pgbraid.conf", "[pgbraid]\n" . join '', map { "$_ = $set{$_}\n" } sort keys %set);
}

subtest 'SIGTERM lets transactions end' => sub {
    my ($idle, $in, $running) = map { $router->wire } 1 .. 3;
    $in->do('BEGIN', "UPDATE t SET v = 'kept' WHERE id = $k1");
    my $lock = $cluster->wire(2);
    $lock->do('BEGIN', "SELECT 1 FROM t WHERE id = $k2 FOR UPDATE");
    $running->send(Query("UPDATE t SET v = 'kept' WHERE id = $k2"));
    wait_for('the statement to wait', sub { $cluster->value(2, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") });
    $router->{proc}->signal('TERM');
    is($idle->read_frame->{fields}{C}, '57P01', 'an idle client is told');
    ok($idle->at_eof, '... and disconnected');
    # Each worker hears of it in its own time.
    ok(wait_for('nobody to be let in', sub { my $w = PgbraidTest::Wire->try_connect(port => $router->port, database => 'test'); return !$w || $w->{error}; }), 'nobody is let in any more');
    $in->do("UPDATE t SET v = 'kept too' WHERE id = $k1");
    is($in->do('COMMIT'), 'COMMIT', 'a transaction ends');
    $lock->do('ROLLBACK');
    is(PgbraidTest::Wire::result($running->until_ready)->{tags}[0], 'UPDATE 1', 'a statement, too');
    is($router->{proc}->wait_exit, 0, 'then the router ends');
    ok(!-e "$router->{dir}/router.pid", 'its pid file is gone');
    is($cluster->value(1, "SELECT v FROM t WHERE id = $k1"), 'kept too', 'nothing is lost');
    is($cluster->value($_, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgbraid%'"), 0, 'no connection is left') for 1;
};

subtest 'a second SIGTERM, SIGQUIT and shutdown_timeout do not wait' => sub {
    for my $how ('TERM TERM', 'QUIT', 'INT QUIT', 'timeout') {
        $router->write_config(shutdown_timeout => $how eq 'timeout' ? '200ms' : 0);
        $router->start;
        my $c = $router->wire;
        $c->do('BEGIN', "UPDATE t SET v = 'lost' WHERE id = $k1");
        for my $signal ($how eq 'timeout' ? 'TERM' : split / /, $how) {
            $router->{proc}->signal($signal);
            wait_for('the signal to be seen', sub { $router->log_text =~ /shutting down/ && !PgbraidTest::Wire->try_connect(port => $router->port, database => 'test') });
        }
        is($c->read_frame->{fields}{C}, '57P01', "$how: the client is told");
        is($router->{proc}->wait_exit, 0, '... and the router ends');
        wait_for('the rollback', sub { $cluster->value(1, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgbraid%'") == 0 });
        is($cluster->value(1, "SELECT v FROM t WHERE id = $k1"), 'kept too', '... its transaction rolled back');
        unlink "$router->{dir}/log";
    }
    $router->write_config(shutdown_timeout => '30s');
    $router->start;
};

subtest 'SIGHUP' => sub {
    my $c = $router->wire;
    $router->write_config(pool_size => 9);
    $router->{proc}->signal('HUP');
    wait_for('the configuration to be reloaded', sub { $router->log_text =~ /configuration reloaded/ });
    my $size = sub { my ($row) = grep { $_->[0] eq 'pool_size' } @{ $router->console('SHOW CONFIG') }; return $row->[1]; };
    is($size->(), 9, 'new settings');
    $router->write_config(pool_size => 0);
    $router->{proc}->signal('HUP');
    wait_for('the mistake to be logged', sub { $router->log_text =~ /configuration not reloaded/ });
    like($router->log_text, qr/pgbraid\.conf:\d+: pool_size: 0 is out of range/, 'a mistake is logged with its line');
    like($router->log_text, qr/from 1 to 100000/, '... and the way out');
    is($size->(), 9, 'and nothing changes');
    $router->write_config(pool_size => 20, workers => 3);
    $router->{proc}->signal('HUP');
    wait_for('the warning', sub { $router->log_text =~ /after a restart only.*setting=workers/ });
    ok(!$c->query('SELECT 1')->{error}, 'sessions go on');
    $router->write_config(workers => 2);
};

subtest 'what keeps a router from starting' => sub {
    my $taken = serve(conf(port => $router->port, directory => 'directory.db'));
    is($taken->{rc}, 1, 'port taken');
    like($taken->{err}, qr/port ${\$router->port}/, '... is named');
    my $second = serve(conf(port => free_port(), directory => "$router->{dir}/directory.db"));
    is($second->{rc}, 1, 'two routers on one directory');
    like($second->{err}, qr/directory\.db/, '... the file is named');
    like($second->{err}, qr/in use|locked|another/i, '... with the reason');
    my $corrupt = conf(port => free_port(), directory => 'directory.db');
    spew(($corrupt =~ s/pgbraid\.conf/directory.db/r), 'no database at all' x 1000);
    my $r = serve($corrupt);
    is($r->{rc}, 1, 'a corrupt directory');
    like($r->{err}, qr/directory\.db.*(?:not a database|damaged|malformed)/s, '... is said to be one');
    is(slurp($corrupt =~ s/pgbraid\.conf/directory.db/r), 'no database at all' x 1000, '... and left alone');
    my $newer = conf(port => free_port(), directory => 'directory.db');
    my $db = $newer =~ s/pgbraid\.conf/directory.db/r;
    is(run([ $pgbraid, 'shard', 'add', '--config', $newer, 'a', '--database', 'd', '--range', '-', '--conninfo', 'host=127.0.0.1 port=1' ])->{rc}, 0, 'a directory');
    # SQLite keeps user_version at offset 60 of the file.
    open my $file, '+<', $db or die; binmode $file; seek $file, 60, 0; read $file, my $version, 4; seek $file, 60, 0; print $file pack 'N', 999; close $file;
    isnt(unpack('N', $version), 0, '... has a version');
    $r = serve($newer);
    is($r->{rc}, 1, 'a newer directory');
    like($r->{err}, qr/newer/, '... is said to be one');
    $r = serve(conf(port => free_port(), pidfile => '/nowhere/at/all.pid'));
    is($r->{rc}, 1, 'a pid file that cannot be written');
    like($r->{err}, qr{/nowhere/at/all\.pid.*No such file}, '... is named');
    $r = serve(conf(port => 'x'));
    is($r->{rc}, 1, 'a wrong configuration');
    like($r->{err}, qr/pgbraid\.conf:2: port:/, '... by line');
    is(serve('/nowhere.conf')->{rc}, 1, 'no configuration');
    $r = serve(conf(port => $router->port + 0, listen_addr => 'no.such.host.invalid'));
    is($r->{rc}, 1, 'an address that is none');
    like($r->{err}, qr/no\.such\.host/, '... is named');
    ok(!$router->wire->query('SELECT 1')->{error}, 'the running router is not disturbed');
};

subtest 'shards that are not there' => sub {
    my $conf = conf(port => my $port = free_port(), directory => 'directory.db');
    my $gone = free_port();
    is(run([ $pgbraid, 'shard', 'add', '--config', $conf, "s$_->[0]", '--database', 'd', '--range', $_->[1], '--conninfo', $_->[2] ])->{rc}, 0, "shard $_->[0]")
        for [ 1, '-80', "host=127.0.0.1 port=$gone dbname=x" ], [ 2, '80-', $cluster->conninfo(2) ];
    my $proc = PgbraidTest::Proc->spawn([ $pgbraid, 'serve', '-c', $conf ], log => workdir() . '/gone.log');
    my $w = wait_for('the router', sub { return PgbraidTest::Wire->try_connect(port => $port, database => 'd') });
    is($w->{error}{C}, '08006', 'a client is told');
    like($w->{error}{M}, qr/port $gone/, '... which server');
    is(PgbraidTest::Wire->try_connect(port => $port, database => 'nowhere')->{error}{C}, '3D000', 'another database');
    ok(!PgbraidTest::Wire->try_connect(port => $port, database => 'pgbraid')->{error}, 'the console is there');
    is($proc->stop, 0, 'it ends in order');
    # A layout with a gap is not served, and says so.
    $conf = conf(port => $port = free_port(), directory => 'directory.db');
    is(run([ $pgbraid, 'shard', 'add', '--config', $conf, 's1', '--database', 'd', '--range', '-80', '--conninfo', $cluster->conninfo(1) ])->{rc}, 0, 'half of a layout');
    $proc = PgbraidTest::Proc->spawn([ $pgbraid, 'serve', '-c', $conf ], log => workdir() . '/gap.log');
    $w = wait_for('the router', sub { return PgbraidTest::Wire->try_connect(port => $port, database => 'd') });
    is($w->{error}{C}, '3D000', 'is not served');
    my $row = PgbraidTest::Wire->connect(port => $port, database => 'pgbraid')->rows('SHOW DATABASES')->[0];
    is($row->[3], 'no', 'SHOW DATABASES says so');
    like($row->[4], qr/80/, '... and which range is missing');
    is($proc->stop, 0, 'it ends in order');
};

subtest 'files' => sub {
    is(slurp("$router->{dir}/router.pid"), $router->pid . "\n", 'the pid file');
    # A limit that is too low is raised, or said.
    my $conf = conf(port => my $port = free_port(), directory => 'directory.db');
    my $log = workdir() . '/limit.log';
    my $proc = PgbraidTest::Proc->spawn([ 'prlimit', '--nofile=200:200', $pgbraid, 'serve', '-c', $conf ], log => $log);
    wait_for('the router', sub { PgbraidTest::Wire->try_connect(port => $port, database => 'pgbraid') });
    like(slurp($log), qr/limit of open files is low.*limit=200.*ulimit -n/, 'a low limit of open files is said');
    is($proc->stop, 0, 'it ends in order');
};

subtest 'kill -9' => sub {
    my $c = $router->wire;
    $c->do('BEGIN', "UPDATE t SET v = 'lost' WHERE id = $k1");
    $router->kill_now;
    ok(-e "$router->{dir}/router.pid", 'the pid file is left');
    $router->start;
    is(slurp("$router->{dir}/router.pid"), $router->pid . "\n", 'and replaced');
    is($router->value("SELECT v FROM t WHERE id = $k1"), 'kept too', 'the transaction is gone');
    is(scalar @{ $router->rows('SELECT id FROM t') }, 20, 'tables are sharded as before');
};

subtest '2,000 idle and 64 busy clients' => sub {
    # Default settings but for the port and files; descriptors of this process are needed, too.
    system 'prlimit', "--pid=$$", '--nofile=8192:8192';
    my $busy_router = PgbraidTest::Router->new(cluster => $cluster, config => { workers => 0 });
    my @idle = map { $busy_router->wire } 1 .. 2000;
    is(scalar(grep { $_->{pid} } @idle), 2000, '2,000 clients are in');
    my %per_worker;
    $per_worker{ $_->[1] }++ for @{ $busy_router->console('SHOW CLIENTS') };
    my $workers = () = keys %per_worker;
    diag "clients per worker: " . join ', ', map { "$_: $per_worker{$_}" } sort keys %per_worker;
    my @busy = map { $busy_router->wire } 1 .. 64;
    my %left = map { $_ => 30 } 0 .. $#busy;
    my ($wrong, $right) = (0, 0);
    my $next = sub { my ($i) = @_; my $id = 1 + ($i + $left{$i}) % 20; $busy[$i]->send(Query($left{$i} % 3 ? "SELECT id FROM t WHERE id = $id" : "UPDATE t SET v = v WHERE id = $id")); };
    $next->($_) for keys %left;
    wait_for('all to be answered', sub {
        for my $i (grep { $busy[$_]->readable } keys %left) {
            my $r = PgbraidTest::Wire::result($busy[$i]->until_ready);
            $r->{error} ? $wrong++ : $right++;
            if (--$left{$i} == 0) { delete $left{$i}; next; }
            $next->($i);
        }
        return !%left;
    });
    is($wrong, 0, 'no error');
    is($right, 64 * 30, 'all statements are answered');
    is(scalar(grep { !$_->query('SELECT 1')->{error} } @idle[ map { $_ * 40 } 0 .. 49 ]), 50, 'idle ones are alive');
    open my $status, '<', '/proc/' . $busy_router->pid . '/status' or die;
    my ($rss) = map { /^VmRSS:\s+(\d+)/ } <$status>;
    diag "resident: $rss kB";
    is($busy_router->stop, 0, 'and it ends in order');
};

subtest 'clients spread over workers' => sub {
    my @clients = map { $router->wire } 1 .. 60;
    my %count;
    $count{ $_->[1] }++ for @{ $router->console('SHOW CLIENTS') };
    is(join(' ', sort keys %count), '0 1', 'every worker has some');
};

done_testing();
