# What the chaos tests run on: shards on servers of their own, a proxy that can cut the network, one router or two, and the
# load; and the checks of a round.
#
#   my $bed = PgbraidTest::Chaos::Bed->new(seed => 1, routers => 1);
#   $bed->load_go($round); ...; $bed->load_pause; my @wrong = $bed->check($round);
package PgbraidTest::Chaos::Bed;
use strict;
use warnings;
use Carp qw(croak);
use IO::Select;
use PgbraidTest::Chaos::Bank;
use PgbraidTest::Chaos::History;
use PgbraidTest::Chaos::Lists;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(free_port wait_for workdir);
use PgbraidTest::Router;
use PgbraidTest::Tree;
use PgbraidTest::Wire ();
use Time::HiRes qw(time);

my $ACCOUNTS = 90;
my $START = 1000; # of each
our $ORPHAN_LIMIT_S = 10;
our $PAUSE_LIMIT_S = 60;

# Options: seed, shards (3), routers (1), clients (hash: bank, lists, serializable, readers), disk_mb (size of the last
# shard's file system), clock (servers and routers get clocks of their own, which clock_set moves; needs libfaketime).
sub new
{
    my ($class, %opt) = @_;
    my $self = bless { seed => $opt{seed} // 1, shards => $opt{shards} // 3, routers => [], longest_orphan_s => 0, decisions => 0 }, $class;
    $self->{clock} = $opt{clock};
    # libfaketime's shared memory is named by the process that made it, and stays when that is killed.
    PgbraidTest::Proc::at_end(sub { unlink map { ("/dev/shm/faketime_shm_$_", "/dev/shm/sem.faketime_sem_$_") } @{ $self->{clocked} }, map { $self->{cluster}->server_pids($_) } 1 .. $self->{shards}; return; }) if $opt{clock};
    $self->clock_set($_, 0) for 1 .. $self->{shards}, map { "router-$_" } 0 .. ($opt{routers} // 1) - 1;
    $self->{cluster} = PgbraidTest::Cluster->new(
        shards => $self->{shards}, separate => 1, $opt{clock} ? (under => sub { return $self->under_clock($_[0]); }) : (),
        # No shared memory that a kill leaves behind.
        settings => { autovacuum => 'on', max_connections => 100, dynamic_shared_memory_type => 'mmap' },
        $opt{disk_mb} ? (tmpfs => { $self->{shards} => $opt{disk_mb} }) : ());
    $self->_start_proxy;
    $self->_start_router;
    $self->_fill;
    $self->_start_router for 2 .. $opt{routers} // 1;
    $self->_start_load(%{ $opt{clients} // {} });
    return $self;
}

sub cluster { return $_[0]{cluster}; }
sub router  { my ($self, $n) = @_; return $self->{routers}[ $n // 0 ]; }
sub shards  { return $_[0]{shards}; }

# --- programs that take orders

sub _start_helper
{
    my ($self, $program, @args) = @_;
    pipe my $in_r, my $in_w or die "pipe: $!";
    pipe my $out_r, my $out_w or die "pipe: $!";
    my $path = PgbraidTest::Tree::build() . "/chaos/$program";
    my $log = workdir() . "/$program.log";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN, '<&', $in_r or POSIX::_exit(126);
        open STDOUT, '>&', $out_w or POSIX::_exit(126);
        open STDERR, '>>', $log or POSIX::_exit(126);
        $SIG{$_} = 'DEFAULT' for qw(INT TERM PIPE);
        setpgrp 0, 0;
        exec 'setpriv', '--pdeathsig', 'KILL', $path, @args or POSIX::_exit(127);
    }
    close $in_r;
    close $out_w;
    $in_w->autoflush(1);
    my $helper = { name => $program, pid => $pid, in => $in_w, out => $out_r, text => '' };
    # End of input ends it.
    PgbraidTest::Proc::at_end(sub {
        close $in_w;
        eval { wait_for("the end of $program", sub { waitpid($pid, POSIX::WNOHANG()) == $pid }, 20); 1 } or do { kill 'KILL', $pid; waitpid $pid, 0; return "$program did not end"; };
        return $? == 0 || $? == 9 ? () : "$program ended with status $?";
    });
    return $helper;
}

# The next line that a helper prints, without its newline; undef when there is none in time.
sub _line
{
    my ($helper, $limit_s) = @_;
    my $until = time + $limit_s;
    while ($helper->{text} !~ /\n/) {
        my $left = $until - time;
        return undef if $left <= 0 || !IO::Select->new($helper->{out})->can_read($left);
        sysread($helper->{out}, $helper->{text}, 4096, length $helper->{text}) or croak "$helper->{name} has ended";
    }
    $helper->{text} =~ s/^(.*)\n//;
    return $1;
}

sub _order
{
    my ($helper, $order, $want, $limit_s) = @_;
    print { $helper->{in} } "$order\n";
    while (defined(my $line = _line($helper, $limit_s // 10))) {
        if ($line =~ /^fired (\d+)/) { $helper->{fired}{$1} = 1; next; }
        return $line if $line =~ $want;
        croak "$helper->{name}: $order: $line";
    }
    croak "$helper->{name}: $order: no answer";
}

# --- clocks

my ($FAKETIME) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';
sub have_clock { return defined $FAKETIME; }

# Move the clock of a shard, or of 'router-0': seconds from the true time.
sub clock_set
{
    my ($self, $whose, $seconds) = @_;
    my $file = workdir() . "/clock-$whose";
    open my $out, '>', "$file.new" or die "$file: $!";
    printf $out "%+d\n", $seconds;
    close $out;
    rename "$file.new", $file or die "$file: $!";
    return;
}

# A command that runs another under that clock. Time that only goes on is left alone.
sub under_clock
{
    my ($self, $whose) = @_;
    return if !$self->{clock};
    return ('env', "LD_PRELOAD=$FAKETIME", 'FAKETIME_TIMESTAMP_FILE=' . workdir() . "/clock-$whose", 'FAKETIME_CACHE_DURATION=1', 'FAKETIME_DONT_FAKE_MONOTONIC=1');
}

# --- the parts

sub _start_proxy
{
    my ($self) = @_;
    my @pairs;
    for my $i (1 .. $self->{shards}) {
        my $port = free_port();
        push @pairs, "$port:" . $self->{cluster}->port($i);
        $self->{cluster}->through($i, $port);
    }
    $self->{proxy} = $self->_start_helper('chaos_cut', @pairs);
    _line($self->{proxy}, 10) eq 'ready' or croak 'chaos_cut does not start';
    return;
}

# An order to the proxy: network('cut', 2).
sub network { my ($self, @words) = @_; delete $self->{proxy}{fired}{ $words[1] }; return _order($self->{proxy}, "@words", qr/^ok$/); }

# Has what was asked for with `on` happened?
sub network_fired
{
    my ($self, $shard, $limit_s) = @_;
    my $proxy = $self->{proxy};
    my $until = time + $limit_s;
    while (!$proxy->{fired}{$shard}) {
        my $line = _line($proxy, $until - time) // return 0;
        $proxy->{fired}{$1} = 1 if $line =~ /^fired (\d+)/;
    }
    return 1;
}

# A further one shares the first one's directory.
sub _start_router
{
    my ($self) = @_;
    my $router = PgbraidTest::Router->new(
        cluster => $self->{cluster}, @{ $self->{routers} } ? (beside => $self->router) : (),
        config => { sharding_key => 'id', commit_timeout => '4s', server_connect_timeout => '3s', workers => 2, pool_size => 30, shutdown_timeout => '1s', directory_shared => 'on', %{ $self->{config} // {} } });
    push @{ $self->{routers} }, $router;
    if ($self->{clock}) {
        $router->stop;
        $self->router_spawn($#{ $self->{routers} });
        my $why = $self->router_up($#{ $self->{routers} }, 30);
        croak $why if $why;
    }
    return $router;
}

sub _fill
{
    my ($self) = @_;
    my $r = $self->router;
    $r->do('CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL, base bigint NOT NULL)',
        'CREATE TABLE ledger (id bigint NOT NULL, transfer bigint NOT NULL, amount bigint NOT NULL, PRIMARY KEY (id, transfer))',
        'CREATE TABLE lists (id bigint PRIMARY KEY, v bigint[] NOT NULL)',
        'CREATE TABLE slists (id bigint NOT NULL, k int NOT NULL, v bigint[] NOT NULL, PRIMARY KEY (id, k))',
        'INSERT INTO accounts VALUES ' . join ', ', map { "($_, $START, $START)" } 1 .. $ACCOUNTS);
    open my $out, '>', workdir() . '/accounts' or die "accounts: $!";
    for my $i (1 .. $self->{shards}) { print $out "$_->[0] ", $i - 1, "\n" for @{ $self->{cluster}->rows($i, 'SELECT id FROM accounts ORDER BY id') }; }
    close $out;
    return;
}

sub _start_load
{
    my ($self, %clients) = @_;
    $self->{load} = $self->_start_helper('chaos_load', (map { ('--port', $_->port) } @{ $self->{routers} }), '--accounts', workdir() . '/accounts', '--seed', $self->{seed},
        (map { ("--$_", $clients{$_}) } sort keys %clients), '--gtid');
    return;
}

sub history_file { my ($self, $round) = @_; return workdir() . "/history-$round"; }
sub load_go { my ($self, $round) = @_; return _order($self->{load}, "go $round " . $self->history_file($round), qr/^running$/); }

# Every client has ended its transaction: { all, committed, aborted, unknown }.
sub load_pause
{
    my ($self) = @_;
    my %count;
    @count{qw(all committed aborted unknown)} = _order($self->{load}, 'pause', qr/^paused /, $PAUSE_LIMIT_S) =~ /(\d+)/g;
    return \%count;
}

# --- routers

# Start, with a fault armed when one is given; does not wait for anything.
sub router_spawn
{
    my ($self, $n, $fault) = @_;
    my $r = $self->router($n);
    local $ENV{PGBRAID_FAULT} = $fault if $fault;
    $r->{proc} = PgbraidTest::Proc->spawn([ $self->under_clock("router-$n"), $r->{binary}, 'serve', '-c', $r->conf ], log => "$r->{dir}/log");
    push @{ $self->{clocked} }, $r->{proc}->pid;
    return;
}

sub router_up
{
    my ($self, $n, $limit_s) = @_;
    my $r = $self->router($n);
    my $last = 'nobody listens';
    eval {
        wait_for('a login', sub {
            die "the router has died\n" unless $r->alive;
            my $w = eval { $r->try_wire(timeout_s => 5) };
            $last = $w && $w->{error} ? $w->{error}{M} : $last;
            return $w && !$w->{error};
        }, $limit_s);
        1;
    } or do { my $error = $@; $error =~ s/ at \S+ line.*//s; return "$error: $last"; };
    return '';
}

# Wait until an armed fault has killed it; true when it has.
sub router_death
{
    my ($self, $n, $limit_s) = @_;
    my $r = $self->router($n);
    my $died = eval { wait_for('a fault point', sub { !$r->alive }, $limit_s); 1 };
    $r->kill_now;
    return $died;
}

# --- orphans

# { gid => shard } of ours that are prepared now; undef when a shard cannot be asked.
sub prepared
{
    my ($self) = @_;
    my %gid;
    for my $i (1 .. $self->{shards}) {
        my $rows = eval { $self->{cluster}->rows($i, "SELECT gid FROM pg_prepared_xacts WHERE gid LIKE 'pgbraid:%'") } or return undef;
        $gid{ $_->[0] } = $i for @$rows;
    }
    return \%gid;
}

# Everything is back since then: wait for the end of what was left prepared and of what is prepared now. What is wrong, as
# strings.
sub wait_orphans
{
    my ($self, $what, $left, $since) = @_;
    my %left = (%$left, %{ wait_for('the shards', sub { $self->prepared }, 30) });
    my ($all, $took) = (scalar keys %left, 0);
    while (%left) {
        my $now = $self->prepared;
        delete @left{ grep { !exists $now->{$_} } keys %left } if $now;
        $took = time - $since;
        return ("orphan: $what: " . join(', ', map { "$_ on shard $left{$_}" } sort keys %left) . sprintf ' after %.1f s', $took) if %left && $took > 3 * $ORPHAN_LIMIT_S;
        select undef, undef, undef, 0.02;
    }
    @$self{qw(orphans orphan_s)} = ($all, $took);
    $self->{longest_orphan_s} = $took if $took > $self->{longest_orphan_s};
    return $took > $ORPHAN_LIMIT_S ? (sprintf 'orphan: %s: gone only after %.1f s', $what, $took) : ();
}

# --- the checks: the load is paused, everything is up

sub _all { my ($self, $sql) = @_; return [ map { @{ $self->{cluster}->rows($_, $sql) } } 1 .. $self->{shards} ]; }
sub _sum { my ($self, $sql) = @_; my $n = 0; $n += $_->[0] for @{ $self->_all($sql) }; return $n; }

sub check
{
    my ($self, $round) = @_;
    my $h = $self->{history} = PgbraidTest::Chaos::History::read($self->history_file($round));
    my @wrong = PgbraidTest::Chaos::Bank::check($h->{transfers}, $self->_all('SELECT transfer, id, amount FROM ledger'));
    my $total = $self->_sum('SELECT sum(balance) FROM accounts');
    push @wrong, "total: $total, not " . $ACCOUNTS * $START if $total != $ACCOUNTS * $START;
    push @wrong, "ledger: account $_->[0] has $_->[1], its ledger says $_->[2]"
        for @{ $self->_all('SELECT a.id, balance, base + coalesce(sum(amount), 0) FROM accounts a LEFT JOIN ledger USING (id) GROUP BY a.id HAVING balance <> base + coalesce(sum(amount), 0)') };
    my $seen = eval { $self->router->value('SELECT sum(balance) FROM accounts') } // "nothing: $@";
    push @wrong, "total: the router says $seen" if $seen ne $ACCOUNTS * $START;
    push @wrong, $self->check_status($h->{transfers});
    my %final = map { $_->[0] => [ split /,/, $_->[1] ] } @{ $self->_all("SELECT id, array_to_string(v, ',') FROM lists") };
    my %sfinal = map { $_->[0] => [ split /,/, $_->[1] ] } @{ $self->_all("SELECT id || '.' || k, array_to_string(v, ',') FROM slists") };
    push @wrong, PgbraidTest::Chaos::Lists::check($h->{lists}, \%final);
    push @wrong, PgbraidTest::Chaos::Lists::check($h->{slists}, \%sfinal, serializable => 1);
    my $decisions = $self->_sum('SELECT count(*) FROM pgbraid.decisions WHERE committed');
    push @wrong, "decisions: $decisions rows, there have been $self->{decisions}" if $decisions < $self->{decisions};
    $self->{decisions} = $decisions;
    push @wrong, "stuck: client $_->{client} waited $_->{seconds} s for: $_->{what}" for @{ $h->{waits} };
    $self->{wrong_sums} = grep { $_->{sum} != $ACCOUNTS * $START } @{ $h->{sums} };
    $self->{sums} = @{ $h->{sums} };
    # The gate of consistent reads knows the commits of its own router only.
    push @wrong, "half-seen: $self->{wrong_sums} of $self->{sums} sums of the bank were wrong" if $self->{wrong_sums} && @{ $self->{routers} } == 1;
    return @wrong;
}

# What pgbraid.transaction_status() says of transfers is true: of all whose client did not hear it, of some that others know.
sub check_status
{
    my ($self, $transfers) = @_;
    my (@wrong, %asked);
    for my $t (grep { $_->{gtid} ne '-' } @$transfers) {
        next if $t->{outcome} ne 'u' && $asked{ $t->{outcome} }++ >= 10;
        my $want = $t->{present} ? 'committed' : 'aborted';
        my $status = 'none';
        eval {
            wait_for('the status', sub { ($status = $self->router->value("SELECT pgbraid.transaction_status('$t->{gtid}')") // 'unknown') ne 'in progress' }, $ORPHAN_LIMIT_S);
            1;
        } or $status .= ": $@";
        $self->{statuses}++;
        push @wrong, "status: transfer $t->{id} ($t->{mode}, $t->{outcome}) $t->{gtid} is $want, and said to be $status" if $status ne $want;
    }
    return @wrong;
}

# Begin the next round with little to read: the ledger goes into the accounts, the lists go.
sub fold
{
    my ($self, $round) = @_;
    for my $i (1 .. $self->{shards}) {
        $self->{cluster}->do($i, 'BEGIN', 'UPDATE accounts SET base = balance', 'TRUNCATE ledger, lists, slists', 'COMMIT');
    }
    unlink $self->history_file($round);
    return;
}

1;
