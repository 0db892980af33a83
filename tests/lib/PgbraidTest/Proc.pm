# Child processes, temporary directories, ports, and waiting for a condition.
#
# A child dies with the test, even when that is killed (parent death signal), and is only ever stopped by its own process
# id. A test's directory is removed when the test passes and kept, with its path printed, when it fails.
package PgbraidTest::Proc;
use strict;
use warnings;
use Carp qw(croak);
use Exporter qw(import);
use Fcntl qw(:flock O_CREAT O_RDWR);
use File::Path qw(remove_tree);
use File::Temp ();
use IO::Select;
use IO::Socket::INET;
use POSIX qw(WNOHANG);
use Test::More ();
use Time::HiRes qw(time);

our @EXPORT_OK = qw(as_postgres free_port gone run wait_for workdir);

my $owner = $$;
my @running;
my $workdir;
my @port_locks;

# Everything takes longer under a sanitizer.
our $timeout_s = ($ENV{PGBRAID_BUILD} // '') =~ /-(?:asan|tsan)$/ || $ENV{PGBRAID_VALGRIND} ? 180 : 60;

# The test's own directory: any user may pass through it, so that PostgreSQL can run in it as the user postgres.
sub workdir
{
    if (!$workdir) {
        $workdir = File::Temp::tempdir('pgbraid-test-XXXXXX', TMPDIR => 1, CLEANUP => 0);
        chmod 0755, $workdir or die "$workdir: $!";
    }
    return $workdir;
}

# A port of the loopback interface that nobody listens on and that no other test takes while this one runs. The range lies
# below the one that the kernel takes client ports from.
sub free_port
{
    my $dir = "/tmp/pgbraid-test-ports.$<";
    mkdir $dir;
    for (1 .. 1000) {
        my $port = 20_000 + int rand 12_000;
        sysopen my $lock, "$dir/$port", O_CREAT | O_RDWR or die "$dir/$port: $!";
        next unless flock $lock, LOCK_EX | LOCK_NB;
        IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1) or next;
        push @port_locks, $lock;
        return $port;
    }
    die 'no free port';
}

# The command, run as the user postgres when we are root (PostgreSQL refuses to run as root).
sub as_postgres
{
    my @command = @_;
    return $> == 0 ? ('setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', @command) : @command;
}

# Poll until the condition is true and return its value; croaks, naming `what`, after the time limit.
sub wait_for
{
    my ($what, $condition, $limit_s) = @_;
    my $until = time + ($limit_s // $timeout_s);
    while (1) {
        my $value = $condition->();
        return $value if $value;
        croak "timed out waiting for $what" if time > $until;
        select undef, undef, undef, 0.01;
    }
}

# Has the process ended? One that nobody reaps (a container without an init process) has.
sub gone
{
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/stat" or return 1;
    my $stat = <$in> // return 1;
    return $stat =~ /\) [ZX] /;
}

# Run to the end: { rc, out, err }. Options: stdin (text), env (hash), timeout_s.
sub run
{
    my ($command, %opt) = @_;
    my $self = __PACKAGE__->spawn($command, %opt, capture => 1);
    my %got = (out => '', err => '');
    my %name = (fileno $self->{out} => 'out', fileno $self->{err} => 'err');
    my $readers = IO::Select->new($self->{out}, $self->{err});
    my $until = time + ($opt{timeout_s} // $timeout_s);
    while ($readers->count) {
        my @ready = $readers->can_read($until - time > 0 ? $until - time : 0);
        if (!@ready) {
            $self->kill_now;
            croak "timed out: @$command\n$got{out}$got{err}";
        }
        for my $fh (@ready) {
            my $n = sysread $fh, my $chunk, 65536;
            if ($n) { $got{ $name{ fileno $fh } } .= $chunk; }
            else { $readers->remove($fh); }
        }
    }
    $got{rc} = $self->wait_exit;
    return \%got;
}

# Start in the background. Options: log (file that takes both outputs), env, stop_signal (what stop() sends, TERM),
# stdin (text), capture (out and err become handles).
sub spawn
{
    my ($class, $command, %opt) = @_;
    my $self = bless { command => $command, stop_signal => $opt{stop_signal} // 'TERM', log => $opt{log} }, $class;
    my ($out_r, $out_w, $err_r, $err_w);
    if ($opt{capture}) {
        pipe $out_r, $out_w or die "pipe: $!";
        pipe $err_r, $err_w or die "pipe: $!";
    }
    my $stdin = '/dev/null';
    if (defined $opt{stdin}) {
        my $file = File::Temp->new;
        print $file $opt{stdin};
        close $file;
        $self->{stdin_file} = $file;
        $stdin = "$file";
    }
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM PIPE);
        open STDIN, '<', $stdin or POSIX::_exit(126);
        if ($opt{capture}) {
            open STDOUT, '>&', $out_w or POSIX::_exit(126);
            open STDERR, '>&', $err_w or POSIX::_exit(126);
        }
        else {
            open STDOUT, '>>', $opt{log} // '/dev/null' or POSIX::_exit(126);
            open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
        }
        %ENV = (%ENV, %{ $opt{env} }) if $opt{env};
        # A group of its own: an interrupt from the terminal reaches the test, which stops its children in order.
        setpgrp 0, 0;
        my @argv = @$command;
        if ($argv[0] eq 'setpriv') { splice @argv, 1, 0, '--pdeathsig', 'KILL'; }
        else { unshift @argv, 'setpriv', '--pdeathsig', 'KILL'; }
        { no warnings 'exec'; exec { $argv[0] } @argv; }
        print STDERR "cannot run $argv[0]: $!\n";
        POSIX::_exit(127);
    }
    @$self{qw(pid out err)} = ($pid, $out_r, $err_r);
    push @running, $self;
    return $self;
}

sub pid { return $_[0]{pid}; }

# What the log file holds so far.
sub log_text
{
    my ($self) = @_;
    open my $in, '<', $self->{log} or return '';
    local $/;
    return scalar(<$in>) // '';
}

# Still running? Reaps it when not.
sub alive
{
    my ($self) = @_;
    return 0 if defined $self->{status};
    my $got = waitpid $self->{pid}, WNOHANG;
    return 1 if $got == 0;
    $self->{status} = $got == $self->{pid} ? $? : -1;
    @running = grep { $_ != $self } @running;
    return 0;
}

sub signal
{
    my ($self, $signal) = @_;
    return $self->alive ? kill($signal, $self->{pid}) : 0;
}

# Wait for its end; exit status as a shell gives it (128 + signal).
sub wait_exit
{
    my ($self, $limit_s) = @_;
    wait_for("the end of @{$self->{command}}", sub { !$self->alive }, $limit_s);
    my $status = $self->{status};
    return $status & 127 ? 128 + ($status & 127) : $status >> 8;
}

# Ask it to end, wait, and return the exit status; killed (status 137) when it does not.
sub stop
{
    my ($self, $signal) = @_;
    $self->signal($signal // $self->{stop_signal});
    my $status = eval { $self->wait_exit };
    return defined $status ? $status : $self->kill_now;
}

# As a crash would end it.
sub kill_now
{
    my ($self) = @_;
    $self->signal('KILL');
    return $self->wait_exit;
}

# Called at the end, before children are stopped, in reverse order: each may return complaints that fail the test.
my @at_end;
sub at_end { my ($code) = @_; push @at_end, $code; return; }

$SIG{INT} = $SIG{TERM} = sub { exit 130 };

END {
    if ($$ == $owner) {
        my $status = $?;
        for my $complaint (map { $_->() } reverse @at_end) {
            Test::More::diag($complaint);
            $status ||= 1;
        }
        my @left = reverse @running; # stop() takes them out of @running
        $_->stop for @left;
        if ($workdir) {
            if ($status == 0 && Test::More->builder->is_passing) { remove_tree($workdir); }
            else { Test::More::diag("kept: $workdir"); }
        }
        $? = $status;
    }
}

1;
