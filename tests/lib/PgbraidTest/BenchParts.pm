# The parts of ./dev bench (tests/bench/run): each measures one thing and returns its table as text.
package PgbraidTest::BenchParts;
use strict;
use warnings;
use Carp qw(croak);
use IO::Select;
use PgbraidTest::Bench;
use PgbraidTest::BenchCommit;
use PgbraidTest::BenchGate;
use PgbraidTest::BenchLogin;
use PgbraidTest::BenchScatter;
use PgbraidTest::Cluster;
use PgbraidTest::Gauge;
use PgbraidTest::Proc qw(run wait_for workdir);
use PgbraidTest::Router;
use PgbraidTest::Tree;
use PgbraidTest::Wire;
use POSIX qw(strftime);
use Time::HiRes qw(time);

sub new
{
    my ($class, %opt) = @_;
    return bless { %opt, rows => 100_000 * $opt{scale}, clients => [ split /,/, $opt{clients} ], targets => [ split /,/, $opt{targets} ] }, $class;
}

# --- what is measured against what ---

# The server of the unsharded table: direct, behind PgBouncer, and as pgbraid's only shard.
sub whole { my ($self) = @_; return $self->{whole} //= PgbraidTest::Bench::cluster(shards => 1, rows => $self->{rows}); }
sub halves { my ($self) = @_; return $self->{halves} //= PgbraidTest::Bench::cluster(shards => 2, rows => $self->{rows}); }

my %make = (
    direct => sub { my ($self) = @_; return { port => $self->whole->port(1), database => $self->whole->database(1) }; },
    pgbouncer => sub { my ($self) = @_; return PgbraidTest::Bench::pgbouncer($self->whole); },
    # 1.18 tracks no prepared statements: it can only pool sessions then, and holds a server connection for each client.
    'pgbouncer-session' => sub { my ($self) = @_; return PgbraidTest::Bench::pgbouncer($self->whole, pool_mode => 'session', pool_size => 70); },
    'pgbraid-1' => sub { my ($self) = @_; return of_router(PgbraidTest::Bench::router($self->whole)); },
    'pgbraid-2' => sub { my ($self) = @_; return of_router(PgbraidTest::Bench::router($self->halves)); },
    'pgbraid-2w2' => sub { my ($self) = @_; return of_router(PgbraidTest::Bench::router($self->halves, config => { workers => 2 })); },
);
my %title = (
    direct => 'the server itself',
    pgbouncer => 'PgBouncer',
    'pgbouncer-session' => 'PgBouncer (session pool)',
    'pgbraid-1' => 'pgbraid, 1 shard',
    'pgbraid-2' => 'pgbraid, 2 shards',
    'pgbraid-2w2' => 'pgbraid, 2 shards, 2 workers',
);

sub of_router { my ($router) = @_; return { router => $router, port => $router->port, database => $router->database, pid => $router->pid }; }

sub target
{
    my ($self, $name) = @_;
    return $self->{target}{$name} //= $make{$name}->($self);
}

sub bouncer_for { my ($mode) = @_; return $mode eq 'prepared' ? 'pgbouncer-session' : 'pgbouncer'; }

sub run_once
{
    my ($self, $name, %opt) = @_;
    my $t = $self->target($name);
    my $before = $t->{pid} && PgbraidTest::Bench::cpu_us($t->{pid});
    my $run = PgbraidTest::Bench::pgbench(port => $t->{port}, database => $t->{database}, rows => $self->{rows}, %opt);
    croak "$name: $run->{failed} transactions failed" if $run->{failed};
    $run->{cpu_us} = (PgbraidTest::Bench::cpu_us($t->{pid}) - $before) / $run->{transactions} if $t->{pid};
    return $run;
}

sub note_csv
{
    my ($self, @fields) = @_;
    return unless $self->{csv};
    open my $out, '>>', $self->{csv} or croak "$self->{csv}: $!";
    print $out join(',', map { defined $_ ? $_ : '' } @fields), "\n";
    close $out;
    return;
}

sub progress { my (@words) = @_; print STDERR "bench: @words\n" if -t STDERR || $ENV{BENCH_VERBOSE}; return; }

# --- text ---

sub number { my ($n, $digits) = @_; return defined $n ? sprintf "%.${digits}f", $n : '–'; }

# The median of paired ratios, with quartiles.
sub ratio
{
    my (@ratios) = @_;
    my @r = grep { defined } @ratios;
    return '–' unless @r;
    return sprintf '%.2f', $r[0] if @r == 1;
    return sprintf '**%.2f** [%.2f–%.2f]', PgbraidTest::Bench::median(@r), PgbraidTest::Bench::quantile(0.25, @r), PgbraidTest::Bench::quantile(0.75, @r);
}

sub table
{
    my ($head, @rows) = @_;
    my $text = '| ' . join(' | ', @$head) . " |\n|" . ('---|' x @$head) . "\n";
    $text .= '| ' . join(' | ', @$_) . " |\n" for @rows;
    return $text;
}

sub first_line { my (@command) = @_; my $r = run(\@command); return ($r->{out} =~ /^(.*)$/m)[0] // ''; }

sub machine
{
    my ($self) = @_;
    return $self->{machine} if $self->{machine};
    my ($model) = PgbraidTest::Tree::slurp('/proc/cpuinfo') =~ /^model name\s*:\s*(.*)$/m;
    my $cores = () = PgbraidTest::Tree::slurp('/proc/cpuinfo') =~ /^processor/mg;
    my ($load) = PgbraidTest::Tree::slurp('/proc/loadavg') =~ /^((?:\S+ ){2}\S+)/;
    my $commit = first_line('git', '-C', PgbraidTest::Tree::root(), 'rev-parse', '--short', 'HEAD');
    return $self->{machine} = sprintf "Taken %s at commit %s: %d × %s, Linux %s, load average before the start %s; %s; %s; %d rounds of %d s, %s rows.\n",
        strftime('%Y-%m-%d', gmtime), $commit, $cores, $model // 'unknown', first_line('uname', '-r'), $load,
        first_line(PgbraidTest::Tree::pgbin() . '/postgres', '--version'), first_line('/usr/sbin/pgbouncer', '--version'), $self->{rounds}, $self->{seconds}, $self->{rows};
}

# --- comparisons ---

# Rounds of all targets in turn for each cell [mode, clients]; one table, medians and ratios to PgBouncer of the same round.
sub compare
{
    my ($self, $part, $script, $cells, $targets) = @_;
    my %runs;
    # Warm: tables in memory, connections open, plans cached, statements prepared.
    for my $cell (@$cells) {
        $self->run_once($_, script => $script, mode => $cell->[0], clients => 64, transactions => 20) for $targets->($cell->[0]);
    }
    for my $round (1 .. $self->{rounds}) {
        for my $cell (@$cells) {
            my ($mode, $clients) = @$cell;
            progress($part, "round $round", "$mode $clients");
            my @order = $targets->($mode);
            push @order, splice @order, 0, $round % @order; # nobody is always first
            for my $name (@order) {
                my $run = $self->run_once($name, script => $script, mode => $mode, clients => $clients, seconds => $self->{seconds}, latency => 1);
                $runs{$mode}{$clients}{$name}[$round] = $run;
                $self->note_csv($part, $round, $mode, $clients, $name, @$run{qw(transactions tps p50_us p99_us cpu_us)});
            }
        }
    }
    my @rows;
    for my $cell (@$cells) {
        my ($mode, $clients) = @$cell;
        my $got = $runs{$mode}{$clients};
        my $bouncer = $got->{ bouncer_for($mode) };
        for my $name ($targets->($mode)) {
            my $median = sub { my ($field) = @_; return PgbraidTest::Bench::median(map { $_ && $_->{$field} } @{ $got->{$name} }); };
            my $against = sub {
                my ($field) = @_;
                return '' if $name eq bouncer_for($mode);
                return ratio(map { my ($a, $b) = ($got->{$name}[$_]{$field}, $bouncer->[$_]{$field}); $a && $b ? $a / $b : undef } 1 .. $self->{rounds});
            };
            push @rows, [ $mode, $clients, $title{$name}, number($median->('tps'), 0), number($median->('p50_us'), 0), number($median->('p99_us'), 0), number($median->('cpu_us'), 1), $against->('cpu_us'), $against->('tps') ];
        }
    }
    return table([ 'mode', 'clients', 'target', 'TPS', 'p50 µs', 'p99 µs', 'proxy CPU µs/txn', 'CPU / PgBouncer', 'TPS / PgBouncer' ], @rows);
}

sub select
{
    my ($self) = @_;
    my @cells = map { my $mode = $_; map { [ $mode, $_ ] } @{ $self->{clients} } } @PgbraidTest::Bench::MODES;
    return "### Point selects (pgbench -S)\n\n" . $self->compare('select', 'select', \@cells, sub { my ($mode) = @_; return map { $_ eq 'pgbouncer' ? bouncer_for($mode) : $_ } @{ $self->{targets} }; });
}

sub transaction
{
    my ($self) = @_;
    return "### BEGIN, UPDATE, SELECT, COMMIT on one shard (simple protocol)\n\n"
        . $self->compare('transaction', 'transaction', [ map { [ 'simple', $_ ] } @{ $self->{clients} } ], sub { return @{ $self->{targets} }; });
}

# --- pgbench as it comes, through the router ---

sub pgbench
{
    my ($self) = @_;
    my %seconds = map { $_ => $self->{quick} ? 3 : $_ eq 'simple' ? 60 : 20 } @PgbraidTest::Bench::MODES;
    my $cluster = PgbraidTest::Cluster->new(shards => 2, settings => { shared_buffers => '128MB' });
    my $router = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'aid' });
    my @to = (PgbraidTest::Tree::pgbin() . '/pgbench', '-h', '127.0.0.1', '-p', $router->port, '-U', 'postgres');
    my $start = time;
    my $init = run([ @to, '-i', '-q', '-s', $self->{scale}, $router->database ], timeout_s => 600);
    croak "pgbench -i: $init->{out}$init->{err}" if $init->{rc} != 0;
    my $text = sprintf "`pgbench -i -s %d` with `sharding_key = aid`: %.1f s. Then 64 clients:\n\n", $self->{scale}, time - $start;
    my $script = PgbraidTest::Bench::script('transaction');
    my @rows;
    for ([ 'select-only', '-S' ], [ 'simple-update', '-N' ], [ 'transaction on one shard', '-f', $script, '-D', "rows=$self->{rows}" ]) {
        my ($name, @args) = @$_;
        for my $mode (@PgbraidTest::Bench::MODES) {
            my $seconds = $seconds{$mode};
            my $r = run([ @to, '-n', '-M', $mode, '-c', 64, '-T', $seconds, @args, $router->database ], timeout_s => 300 + $seconds);
            my ($done) = $r->{out} =~ /actually processed: (\d+)/;
            my ($failed) = $r->{out} =~ /failed transactions: (\d+)/;
            my $errors = () = $r->{err} =~ /ERROR|FATAL|aborted/g;
            push @rows, [ $name, $mode, $seconds, $done // 0, $failed // '–', $errors, $r->{rc} ];
        }
    }
    $router->stop;
    return "### pgbench through the router, default settings, 2 shards\n\n$text" . table([ 'script', 'mode', 'seconds', 'transactions', 'failed', 'errors', 'exit status' ], @rows);
}

# --- system calls, as the kernel counts them while the processes run freely ---

sub syscalls
{
    my ($self) = @_;
    my @rows;
    for my $mode (@PgbraidTest::Bench::MODES) {
        for my $name (bouncer_for($mode), 'pgbraid-2') {
            my @row = ($mode, $title{$name});
            $self->run_once($name, mode => $mode, clients => 64, transactions => 20);
            for my $clients (@{ $self->{clients} }) {
                my $run;
                my $calls = PgbraidTest::Gauge::syscalls_quietly($self->target($name)->{pid}, sub { $run = $self->run_once($name, mode => $mode, clients => $clients, seconds => $self->{seconds}); });
                push @row, number($calls && $calls / $run->{transactions}, 2);
            }
            push @rows, \@row;
        }
    }
    return "### System calls per transaction of the proxy\n\n" . table([ 'mode', 'proxy', map { "$_ clients" } @{ $self->{clients} } ], @rows);
}

# --- bulk ---

# CPU of the proxy for one statement of psql's, in milliseconds.
sub statement_cpu_ms
{
    my ($self, $name, $sql) = @_;
    my $t = $self->target($name);
    my $before = PgbraidTest::Bench::cpu_us($t->{pid});
    my $r = run([ 'psql', '-X', '-q', '-h', '127.0.0.1', '-p', $t->{port}, '-U', 'postgres', '-d', $t->{database}, '-o', '/dev/null', '-c', $sql ], timeout_s => 300);
    croak "$sql: $r->{err}" if $r->{rc} != 0;
    PgbraidTest::Gauge::settle($t->{pid});
    return (PgbraidTest::Bench::cpu_us($t->{pid}) - $before) / 1000;
}

sub copy
{
    my ($self) = @_;
    my @targets = qw(pgbouncer pgbraid-1 pgbraid-2);
    my %ms;
    for my $round (1 .. $self->{rounds}) {
        progress('copy', "round $round");
        for my $name (@targets) {
            push @{ $ms{$name} }, $self->statement_cpu_ms($name, 'COPY pgbench_accounts TO STDOUT');
            $self->note_csv('copy', $round, '', '', $name, $ms{$name}[-1]);
        }
    }
    my @rows = map {
        my $name = $_;
        [ $title{$name}, number(PgbraidTest::Bench::median(@{ $ms{$name} }), 0), $name eq 'pgbouncer' ? '' : ratio(map { $ms{pgbouncer}[$_] ? $ms{$name}[$_] / $ms{pgbouncer}[$_] : undef } 0 .. $self->{rounds} - 1) ]
    } @targets;
    return "### COPY pgbench_accounts TO STDOUT ($self->{rows} rows)\n\n" . table([ 'proxy', 'CPU ms', 'CPU / PgBouncer' ], @rows);
}

# --- memory ---

sub idle_kib
{
    my ($self, $t, $n) = @_;
    my $open = sub {
        my $client = PgbraidTest::Wire->connect(port => $t->{port}, database => $t->{database});
        $client->value('SELECT abalance FROM pgbench_accounts WHERE aid = 1');
        return $client;
    };
    my @idle = map { $open->() } 1 .. 64;
    my $before = PgbraidTest::Gauge::memory_kib($t->{pid})->{Anonymous};
    push @idle, $open->() for 1 .. $n;
    my $each = (PgbraidTest::Gauge::memory_kib($t->{pid})->{Anonymous} - $before) / $n;
    my $run = PgbraidTest::Bench::pgbench(port => $t->{port}, database => $t->{database}, rows => $self->{rows}, clients => 64, seconds => $self->{seconds});
    return ($each, $run);
}

sub memory
{
    my ($self) = @_;
    my ($n, $mb) = (2000, $self->{quick} ? 100 : 1000);
    my @rows;
    PgbraidTest::Gauge::raise_descriptor_limit();
    for my $name (qw(pgbouncer pgbraid-2)) {
        # New ones: what a router has freed before would be used again.
        my $t = $make{$name}->($self);
        my $client = PgbraidTest::Wire->connect(port => $t->{port}, database => $t->{database}, timeout_s => 300);
        my ($each, $run) = $self->idle_kib($t, $n);
        my $read;
        my $growth = PgbraidTest::Gauge::peak_growth_kib($t->{pid}, sub {
            $read = PgbraidTest::Gauge::read_slowly($client, $t->{pid}, "SELECT repeat('x', 1000) FROM pg_catalog.generate_series(1, $mb * 1000)");
        });
        push @rows, [ $title{$name}, number($each, 2), sprintf('%d, %d failed', $run->{transactions}, $run->{failed}), number($read->{bytes} / 1e6, 0), number($growth / 1024, 1) ];
        $t->{router} ? $t->{router}->stop : $t->{proc}->stop;
    }
    return "### Memory\n\n" . table([ 'proxy', "KiB for each of $n idle clients", "transactions of 64 busy clients beside them in $self->{seconds} s", 'MB to a slow reader', 'RSS growth MiB' ], @rows);
}

# --- logins ---

# Turns of the event loop of a thread while `work` runs: { longest (ms), turns, disturbed }. A turn is from one epoll_wait's
# return to the next one's call. Those in which the thread was ready but another one had the processor say nothing about
# the loop and are only counted (disturbed); waiting inside a turn does count. Undef without perf.
sub loop_turns
{
    my ($tid, $work) = @_;
    my $data = workdir() . '/turns.perf';
    my $perf = PgbraidTest::Proc->spawn([ 'perf', 'record', '-q', '-e', 'syscalls:sys_enter_epoll_wait,syscalls:sys_exit_epoll_wait,sched:sched_switch', '-o', $data, '-t', $tid ], log => workdir() . '/turns.log', stop_signal => 'INT');
    CORE::select undef, undef, undef, 0.5;
    return undef unless $perf->alive;
    $work->();
    $perf->stop;
    my $r = run([ 'perf', 'script', '-i', $data, '-F', 'time,event,trace' ]);
    my ($since, $pushed_off, %got) = (undef, 0, longest => 0, turns => 0, disturbed => 0);
    while ($r->{out} =~ /^\s*([\d.]+):\s+(syscalls:sys_enter_epoll_wait|syscalls:sys_exit_epoll_wait|sched:sched_switch):(.*)$/mg) {
        my ($at, $event, $rest) = ($1, $2, $3);
        if ($event =~ /switch$/) { $pushed_off = 1 if $rest =~ /prev_pid=$tid .*prev_state=R/; next; }
        if ($event =~ /sys_exit/) { ($since, $pushed_off) = ($at, 0); next; }
        next unless defined $since;
        $got{turns}++;
        if ($pushed_off) { $got{disturbed}++; }
        elsif ($at - $since > $got{longest}) { $got{longest} = $at - $since; }
        $since = undef;
    }
    $got{longest} *= 1000;
    return \%got;
}

# A second client's point selects, one after the other, until `done`: its latencies in microseconds.
sub probe_until
{
    my ($probe, $done) = @_;
    my @us;
    until ($done->()) {
        my $start = time;
        $probe->value('SELECT abalance FROM pgbench_accounts WHERE aid = 1');
        push @us, (time - $start) * 1e6;
    }
    return @us;
}

sub login
{
    my ($self) = @_;
    my $logins = 20;
    my $cluster = $self->{scram} //= PgbraidTest::Bench::cluster(shards => 1, rows => 1000);
    my $router = PgbraidTest::Bench::router($cluster, config => PgbraidTest::Bench::scram($cluster, 'scrammed'));
    my $worker = PgbraidTest::Bench::worker_thread($router, 1000);
    my $probe = $router->wire;
    my (@rows, @alone, @beside);
    my $quiet = loop_turns($worker, sub { my $n = 0; @alone = probe_until($probe, sub { return $n++ >= 1000; }); });
    my @clients = map { $router->wire(user => 'scrammed') } 1 .. $logins;
    my $busy = loop_turns($worker, sub {
        $_->send(Query('BEGIN'), Query('SELECT 1')) for @clients;
        my %waiting = map { $_ => $_ } @clients;
        @beside = probe_until($probe, sub {
            for my $client (values %waiting) {
                next unless $client->readable(0);
                $client->fill(1);
                # Two ReadyForQuery: the connection has been opened and has answered.
                delete $waiting{$client} if (() = $client->{in} =~ /Z\x00\x00\x00\x05T/g) >= 2;
                $client->fill(1 + length $client->{in}) if $waiting{$client} && IO::Select->new($client->{sock})->can_read(0);
            }
            return !%waiting;
        });
    });
    for ([ 'before', $quiet, \@alone ], [ "while $logins connections log in with SCRAM", $busy, \@beside ]) {
        my ($name, $turns, $us) = @$_;
        push @rows, [ $name, scalar @$us, map({ number(PgbraidTest::Bench::quantile($_, @$us), 0) } 0.5, 0.99, 1), number($turns && $turns->{longest}, 2), $turns ? "$turns->{turns}, $turns->{disturbed}" : '–' ];
    }
    $router->stop;
    return "### Logins with SCRAM beside another client's point selects\n\n"
        . table([ 'when', 'selects', 'p50 µs', 'p99 µs', 'longest µs', 'longest turn of the event loop ms', 'turns, disturbed' ], @rows) . "\n" . $self->login_rates;
}

sub login_rates
{
    my ($self) = @_;
    my @rows;
    for my $threads (1, 8) {
        my $m = PgbraidTest::BenchLogin::measure(rounds => 3 * $self->{rounds}, count => $self->{quick} ? 500 : 1000, threads => $threads);
        for my $name ('PgBouncer', 'pgbraid') {
            my @own = map { number(PgbraidTest::Bench::median(@{ $m->{got}{$name}{$_} }), 0) } qw(rate cpu);
            push @rows, [ $threads, $name, @own, $name eq 'pgbraid' ? map({ ratio(@{ $m->{ratio}{$_} }) } qw(rate cpu)) : ('', '') ];
        }
    }
    return "### Clients that log in with SCRAM and leave\n\n" . table([ 'clients at once', 'proxy', 'logins/s', 'proxy CPU µs/login', 'logins / PgBouncer', 'CPU / PgBouncer' ], @rows);
}

# --- two-phase commit ---

sub commit
{
    my ($self) = @_;
    my @rows = PgbraidTest::BenchCommit::run(transactions => $self->{quick} ? 100 : 1000);
    return "### Commit over two shards, one client, fsync on (µs, medians)\n\n" . table([ 'transaction of two UPDATEs', 'COMMIT', '/ one shard', 'BEGIN to COMMIT', '/ one shard' ], @rows);
}

# --- consistent reads ---

sub gate
{
    my ($self) = @_;
    my @rows = PgbraidTest::BenchGate::run(rounds => $self->{quick} ? 100 : 1000);
    return "### Scattered reads that see commits whole, one client (µs, medians)\n\n" . table([ 'statement', 'consistent_reads = on', 'off', 'difference' ], @rows);
}

# --- statements over several shards ---

sub scatter
{
    my ($self) = @_;
    my @rows = PgbraidTest::BenchScatter::run_statements(rows => $self->{quick} ? 100_000 : 1_000_000, rounds => $self->{rounds});
    return "### Statements over 4 shards of one server beside the shards themselves, all at once (medians)\n\n"
        . table([ 'statement', 'pgbraid ms', 'slowest shard ms', 'ratio', 'one server with all rows ms', 'router CPU ms', 'CPU / libpq single-row client' ], @rows);
}

# --- the planner's hot path ---

sub lexer
{
    my ($self) = @_;
    my $r = run([ PgbraidTest::Tree::build() . '/bench/lexer_bench' ]);
    return "### Plan-cache hits beside pg_query_scan (ns of thread CPU)\n\n```\n$r->{out}```\n";
}

1;
