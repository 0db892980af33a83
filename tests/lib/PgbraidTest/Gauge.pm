# Gauges that are (nearly) free of noise: system calls, instructions, memory. Each measures a running process.
package PgbraidTest::Gauge;
use strict;
use warnings;
use Carp qw(croak);
use PgbraidTest::Proc qw(run wait_for workdir);
use PgbraidTest::Tree;

# A factor between two runs of a slope: what does not depend on the number of transactions cancels out.
my $SLOPE = 3;

# Wait until a router has noticed that its clients have gone: the closing of a connection belongs to the run that opened it.
sub settle
{
    my ($pid) = @_;
    my ($last, $same) = (-1, 0);
    wait_for('the router to settle', sub {
        my $open = () = glob "/proc/$pid/fd/*";
        $same = $open == $last ? $same + 1 : 0;
        $last = $open;
        return $same >= 5;
    });
    return;
}

# System calls of a process, all threads, while `work` runs: { name => count, total => count }. Counted by strace, which needs
# no privilege over an own process.
sub syscalls
{
    my ($pid, $work) = @_;
    my $out = workdir() . '/strace.out';
    unlink $out;
    my $strace = PgbraidTest::Proc->spawn([ 'strace', '-f', '-c', '-S', 'calls', '-o', $out, '-p', $pid ], log => workdir() . '/strace.log', stop_signal => 'INT');
    wait_for('strace', sub {
        croak 'strace cannot attach: ' . $strace->log_text unless $strace->alive;
        return traced($pid);
    });
    $work->();
    $strace->stop;
    my ($table, %calls) = PgbraidTest::Tree::slurp($out);
    while ($table =~ /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$/mg) { $calls{$2} = $1; }
    croak "strace counted nothing: $table" unless $calls{total};
    return \%calls;
}

# Are all threads of the process being traced?
sub traced
{
    my ($pid) = @_;
    for my $status (glob "/proc/$pid/task/*/status") {
        open my $in, '<', $status or next;
        return 0 if grep { /^TracerPid:\s+0$/ } <$in>;
    }
    return 1;
}

# The same counted by the kernel, without slowing the process down: needs root. Undef where it cannot be had.
sub syscalls_quietly
{
    my ($pid, $work) = @_;
    my $out = workdir() . '/perf.out';
    my $perf = PgbraidTest::Proc->spawn([ 'perf', 'stat', '-x', ',', '-e', 'raw_syscalls:sys_enter', '-o', $out, '-p', $pid ], log => workdir() . '/perf.log', stop_signal => 'INT');
    select undef, undef, undef, 0.5; # it says nothing when it has begun; what runs before counts for nothing in a slope
    return undef unless $perf->alive;
    $work->();
    $perf->stop;
    return PgbraidTest::Tree::slurp($out) =~ /^(\d+),/m ? $1 : undef;
}

# System calls per transaction. `run` takes a number of transactions and returns how many were done. What is opened and
# prepared once must have been before. Those that move bytes are a slope; how many descriptors one epoll_wait reports is
# the scheduler's affair, and its share is taken from the longer run alone.
sub syscalls_per_transaction
{
    my ($pid, $n, $run) = @_;
    my ($done_1, $done_2);
    settle($pid);
    my $short = syscalls($pid, sub { $done_1 = $run->($n); settle($pid); });
    my $long = syscalls($pid, sub { $done_2 = $run->($SLOPE * $n); settle($pid); });
    my $waits = $long->{epoll_wait} // 0;
    return ($long->{total} - $waits - $short->{total} + ($short->{epoll_wait} // 0)) / ($done_2 - $done_1) + $waits / $done_2;
}

# A program that stands for pgbraid and runs `pgbraid serve` under callgrind; pass it to PgbraidTest::Router as `binary`.
sub callgrind_binary
{
    my $path = workdir() . '/pgbraid-callgrind';
    my $binary = PgbraidTest::Tree::pgbraid();
    my $out = workdir() . '/callgrind.out';
    open my $fh, '>', $path or croak "$path: $!";
    print $fh "#!/bin/sh\n[ \"\$1\" != serve ] || exec valgrind -q --tool=callgrind --callgrind-out-file=$out $binary \"\$@\"\nexec $binary \"\$@\"\n";
    close $fh;
    chmod 0755, $path or croak "$path: $!";
    return $path;
}

my $dumps = 0;

# User-space instructions since the last call, of the process that callgrind_binary() started.
sub instructions
{
    my ($pid) = @_;
    my $r = run([ 'callgrind_control', '--dump', $pid ]);
    my $file = workdir() . '/callgrind.out.' . ++$dumps;
    croak "callgrind_control: $r->{out}$r->{err}" unless -e $file;
    return callgrind_total($file);
}

# Instructions in a file of callgrind's.
sub callgrind_total
{
    my ($file) = @_;
    my ($count) = PgbraidTest::Tree::slurp($file) =~ /^totals: (\d+)/m or croak "$file has no total";
    return $count;
}

sub instructions_per_transaction
{
    my ($pid, $n, $run) = @_;
    settle($pid);
    instructions($pid);
    my $done_1 = $run->($n);
    settle($pid);
    my $count_1 = instructions($pid);
    my $done_2 = $run->($SLOPE * $n);
    settle($pid);
    return (instructions($pid) - $count_1) / ($done_2 - $done_1);
}

# Memory of a process in KiB: { Rss, Anonymous, ... }.
sub memory_kib
{
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/smaps_rollup" or croak "process $pid: $!";
    return { map { /^(\w+): +(\d+) kB/ ? ($1 => $2) : () } <$in> };
}

# How far the resident memory of a process rose, at its peak, above what it was before `work`, in KiB.
sub peak_growth_kib
{
    my ($pid, $work) = @_;
    open my $out, '>', "/proc/$pid/clear_refs" or croak "process $pid: $!";
    print $out "5\n"; # the peak is now what is resident now
    close $out or croak "clear_refs: $!";
    my $before = memory_kib($pid)->{Rss};
    $work->();
    my ($peak) = PgbraidTest::Tree::slurp("/proc/$pid/status") =~ /^VmHWM:\s+(\d+) kB/m;
    return $peak - $before;
}

# CPU time that each thread of a process has used, in microseconds: { thread id => us }.
sub thread_cpu_us
{
    my ($pid) = @_;
    my %us;
    for my $task (glob "/proc/$pid/task/*") {
        open my $in, '<', "$task/schedstat" or next;
        my ($ns) = split / /, <$in>;
        $us{ $task =~ s{.*/}{}r } = $ns / 1000;
    }
    return \%us;
}

# Allow this process, and what it starts, as many descriptors as it may have; how many that is.
sub raise_descriptor_limit
{
    my ($hard) = PgbraidTest::Tree::slurp("/proc/self/limits") =~ /^Max open files\s+\S+\s+(\d+)/m;
    run([ 'prlimit', '--pid', $$, "--nofile=$hard:$hard" ]);
    return $hard;
}

# Send a statement and let its answer wait: read nothing until the server has stopped sending, then everything. Returns
# { bytes, end } where `end` are the last bytes.
sub read_slowly
{
    my ($wire, $pid, $sql) = @_;
    my ($bytes, $end, $last, $same) = (0, '', -1, 0);
    $wire->send(PgbraidTest::Wire::Query($sql));
    # The router has stopped when its memory and its sockets have: two looks alike, after something came.
    wait_for('back-pressure', sub {
        return 0 unless $wire->readable(0.01);
        my $cpu = 0;
        $cpu += $_ for values %{ thread_cpu_us($pid) };
        $same = $cpu - $last < 500 ? $same + 1 : 0;
        $last = $cpu;
        select undef, undef, undef, 0.02;
        return $same >= 5;
    });
    my $sock = $wire->{sock};
    while ($end !~ /Z\x00\x00\x00\x05.\z/s) {
        IO::Select->new($sock)->can_read(60) or croak "no more after $bytes bytes";
        my $got = sysread $sock, my $chunk, 65536;
        croak "the connection ended after $bytes bytes" unless $got || $!{EAGAIN};
        next unless $got;
        $bytes += $got;
        $end = substr $end . $chunk, -64;
    }
    return { bytes => $bytes, end => $end };
}

1;
