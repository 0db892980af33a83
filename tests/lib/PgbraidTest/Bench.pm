# What measurements stand on: pgbench's tables behind a router, PgBouncer as the pair, pgbench runs, and what a process used.
#
#   my $whole = PgbraidTest::Bench::cluster(shards => 1, rows => 1000);
#   my $router = PgbraidTest::Bench::router($whole, config => { workers => 1 });
#   my $run = PgbraidTest::Bench::pgbench(port => $router->port, database => $router->database, mode => 'prepared', clients => 16, transactions => 100);
#
# Rows of pgbench_accounts are made on the shards directly, each on the shard whose key range has it, so that a large table
# costs no time; the distribution is written as the router itself writes it.
package PgbraidTest::Bench;
use strict;
use warnings;
use Carp qw(croak);
use PgbraidTest::Cluster;
use PgbraidTest::Gauge ();
use PgbraidTest::Proc qw(as_postgres free_port run wait_for workdir);
use PgbraidTest::Router;
use PgbraidTest::Tree;
use PgbraidTest::Wire ();

our @MODES = qw(simple extended prepared);

# Ours, not pgbench's built-in ones: the number of rows is a variable, and nothing else is asked at the start.
my %script = (
    select => "\\set aid random(1, :rows)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n",
    transaction => "\\set aid random(1, :rows)\n\\set delta random(-5000, 5000)\nBEGIN;\n"
        . "UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;\n"
        . "SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\nCOMMIT;\n",
);

# Servers with pgbench_accounts. Options: shards, separate, rows, settings.
sub cluster
{
    my (%opt) = @_;
    my $cluster = PgbraidTest::Cluster->new(shards => $opt{shards}, separate => $opt{separate}, settings => { shared_buffers => '128MB', max_connections => 300, %{ $opt{settings} // {} } });
    my $bootstrap = PgbraidTest::Tree::slurp('planner/sql/bootstrap.sql');
    for my $i (1 .. $opt{shards}) {
        my ($from, $to) = hash_bounds($i, $opt{shards});
        my $hash = 'pg_catalog.hashint8extended(aid, 0)';
        my $here = join ' AND ', (defined $from ? "$hash >= $from" : ()), (defined $to ? "$hash < $to" : ());
        $cluster->do(
            $i, $bootstrap,
            'CREATE TABLE pgbench_accounts (aid integer NOT NULL PRIMARY KEY, bid integer, abalance integer, filler character(84))'
                . ($here ? '' : ' WITH (fillfactor = 100)'),
            "INSERT INTO pgbench_accounts SELECT aid, 1, 0, '' FROM pg_catalog.generate_series(1, $opt{rows}) aid" . ($here ? " WHERE $here" : ''),
            'ALTER TABLE pgbench_accounts ADD CONSTRAINT pgbraid_placement CHECK (' . ($here || 'true') . ')',
            "INSERT INTO pgbraid.tables VALUES ('public', 'pgbench_accounts', 'sharded', '{aid}', 'hash')",
            'VACUUM ANALYZE pgbench_accounts'
        );
    }
    return $cluster;
}

# Shard i of n, which have equal key ranges, holds hashes in [from, to); undef is no bound.
sub hash_bounds
{
    my ($i, $n) = @_;
    my $bound = sub { my ($k) = @_; return $k == 0 || $k == $n ? undef : int(65536 * $k / $n) * 2**48 - 2**63; };
    return map { defined $_ ? sprintf('%d', $_) : undef } $bound->($i - 1), $bound->($i);
}

# A router with settings for measuring: one worker, 20 server connections a shard.
sub router
{
    my ($cluster, %opt) = @_;
    return PgbraidTest::Router->new(%opt, cluster => $cluster, config => { workers => 1, pool_size => 20, log_level => 'warning', %{ $opt{config} // {} } });
}

# A role that logs in on the servers with SCRAM; returns the router's settings for it.
sub scram
{
    my ($cluster, $role) = @_;
    my %done;
    my $passfile = workdir() . '/passfile';
    for my $i (1 .. $cluster->shards) {
        next if $done{ $cluster->port($i) }++;
        my $hba = $cluster->value($i, 'SHOW hba_file');
        my $rules = PgbraidTest::Tree::slurp($hba);
        open my $out, '>', $hba or croak "$hba: $!";
        print $out "host all $role all scram-sha-256\n$rules";
        close $out;
        $cluster->do($i, "CREATE ROLE $role LOGIN PASSWORD 'secret'", 'SELECT pg_catalog.pg_reload_conf()');
        open $out, '>>', $passfile or croak "$passfile: $!";
        printf $out "127.0.0.1:%d:*:%s:secret\n", $cluster->port($i), $role;
        close $out;
    }
    chmod 0600, $passfile;
    return { passfile => $passfile };
}

# The thread of a router's only worker: the one that works when clients do.
sub worker_thread
{
    my ($router, $rows) = @_;
    my $before = PgbraidTest::Gauge::thread_cpu_us($router->pid);
    pgbench(port => $router->port, database => $router->database, rows => $rows, clients => 4, transactions => 500);
    my $after = PgbraidTest::Gauge::thread_cpu_us($router->pid);
    my ($worker) = sort { $after->{$b} - ($before->{$b} // 0) <=> $after->{$a} - ($before->{$a} // 0) } keys %$after;
    return $worker;
}

# PgBouncer in front of shard 1: one process, transaction pooling unless told otherwise, as the user postgres when we are root.
my $count = 0;

sub pgbouncer
{
    my ($cluster, %opt) = @_;
    my $dir = workdir() . '/pgbouncer-' . ++$count;
    my $port = free_port();
    mkdir $dir or croak "$dir: $!";
    open my $out, '>', "$dir/users.txt" or croak "users.txt: $!";
    print $out "\"postgres\" \"\"\n", $opt{users} // '';
    close $out;
    open $out, '>', "$dir/pgbouncer.ini" or croak "pgbouncer.ini: $!";
    printf $out "[databases]\n%s = host=127.0.0.1 port=%d dbname=%s\n[pgbouncer]\n", $cluster->database(1), $cluster->port(1), $cluster->database(1);
    my %settings = (
        listen_addr => '127.0.0.1', listen_port => $port, unix_socket_dir => '', auth_type => $opt{auth_type} // 'trust', auth_file => "$dir/users.txt",
        pool_mode => $opt{pool_mode} // 'transaction', default_pool_size => $opt{pool_size} // 20, max_client_conn => 10_000,
        log_connections => 0, log_disconnections => 0, ignore_startup_parameters => 'extra_float_digits',
    );
    print $out "$_ = $settings{$_}\n" for sort keys %settings;
    close $out;
    my $proc = PgbraidTest::Proc->spawn([ as_postgres('/usr/sbin/pgbouncer', "$dir/pgbouncer.ini") ], log => "$dir/log", stop_signal => 'INT');
    wait_for('PgBouncer', sub {
        croak 'PgBouncer does not start: ' . $proc->log_text unless $proc->alive;
        return PgbraidTest::Wire->open(port => $port) if $opt{auth_type};
        my $w = PgbraidTest::Wire->try_connect(port => $port, database => $cluster->database(1));
        return $w && !$w->{error};
    });
    return { proc => $proc, port => $port, pid => $proc->pid, database => $cluster->database(1) };
}

# The path of a script by its name.
sub script
{
    my ($name) = @_;
    my $path = workdir() . "/$name.sql";
    open my $out, '>', $path or croak "$path: $!";
    print $out $script{$name} // croak "no script $name";
    close $out or croak "$path: $!";
    return $path;
}

# One run of pgbench: { transactions, failed, tps, p50_us, p99_us, seconds }. Options: port, database, rows, mode (simple), script
# (select, transaction), clients, and transactions (of each client) or seconds; latency: keep a log of one in ten.
sub pgbench
{
    my (%opt) = @_;
    my $dir = workdir();
    my @command = (
        PgbraidTest::Tree::pgbin() . '/pgbench', '-n', '-h', '127.0.0.1', '-p', $opt{port}, '-U', 'postgres', '-M', $opt{mode} // 'simple', '-f', script($opt{script} // 'select'), '-D', 'rows=' . ($opt{rows} // 1000),
        '-c', $opt{clients} // 1, $opt{seconds} ? ('-T', $opt{seconds}) : ('-t', $opt{transactions} // 100),
        $opt{latency} ? ('-l', "--log-prefix=$dir/latency", '--sampling-rate=0.1') : (), $opt{database}
    );
    my $r = run(\@command, env => { PGOPTIONS => '' }, timeout_s => 300 + ($opt{seconds} // 0));
    croak "@command: exit $r->{rc}\n$r->{out}$r->{err}" if $r->{rc} != 0;
    my ($done) = $r->{out} =~ /actually processed: (\d+)/ or croak "pgbench said:\n$r->{out}$r->{err}";
    my ($failed) = $r->{out} =~ /failed transactions: (\d+)/;
    my ($tps) = $r->{out} =~ /^tps = ([\d.]+) \(without/m;
    my %run = (transactions => $done, failed => $failed // 0, tps => $tps);
    @run{qw(p50_us p99_us)} = percentiles("$dir/latency", 0.5, 0.99) if $opt{latency};
    return \%run;
}

sub percentiles
{
    my ($prefix, @fractions) = @_;
    my @us;
    for my $file (glob "$prefix.*") {
        open my $in, '<', $file or croak "$file: $!";
        while (<$in>) { push @us, (split / /)[2]; }
        close $in;
        unlink $file;
    }
    @us = sort { $a <=> $b } @us;
    return map { @us ? $us[ int($_ * $#us) ] : undef } @fractions;
}

# User and system CPU time of a process, all threads, in microseconds.
sub cpu_us
{
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/stat" or croak "process $pid: $!";
    my @field = split / /, <$in> =~ s/^.*\) //sr;
    return ($field[11] + $field[12]) * 1e6 / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# Of a list of numbers.
sub quantile
{
    my ($q, @numbers) = @_;
    my @sorted = sort { $a <=> $b } grep { defined } @numbers;
    return undef unless @sorted;
    my $at = $q * $#sorted;
    my ($low, $high) = @sorted[ int $at, int($at) < $#sorted ? int($at) + 1 : $#sorted ];
    return $low + ($high - $low) * ($at - int $at);
}

sub median { return quantile(0.5, @_); }

1;
