# Temporary PostgreSQL servers that hold the shards of a test.
#
#   my $c = PgbraidTest::Cluster->new(shards => 2);           # one server, databases shard_1 and shard_2
#   my $c = PgbraidTest::Cluster->new(shards => 2, separate => 1);   # two servers
#
# Options: settings (hash of postgresql.conf settings), database (name of the shard databases; needed only when it matters
# what current_database() says, implies separate), locale (C.UTF-8), tls ({ cert, key }: the servers take TLS, too), hba and
# ident (lines of pg_hba.conf, instead of trust, and pg_ident.conf), conninfo (added to every shard's), under (function: the number of a server => list, a command that
# runs it, as 'env', 'NAME=VALUE'), tmpfs (hash: shard => megabytes of a file system of its own for its data; separate servers only,
# and only as root). Shards are counted from 1.
package PgbraidTest::Cluster;
use strict;
use warnings;
use Carp qw(croak);
use PgbraidTest::Proc qw(as_postgres free_port run wait_for workdir);
use PgbraidTest::Tree;
use PgbraidTest::Wire ();

my $count = 0;

sub new
{
    my ($class, %opt) = @_;
    my $self = bless { shards => $opt{shards} // 2, settings => $opt{settings} // {}, locale => $opt{locale} // 'C.UTF-8', tls => $opt{tls}, hba => $opt{hba}, ident => $opt{ident}, more_conninfo => $opt{conninfo}, under => $opt{under} // sub { return }, servers => [], shard => {}, via => {} }, $class;
    my $separate = $opt{separate} || $opt{database};
    push @{ $self->{servers} }, $self->_new_server(undef, ($opt{tmpfs} // {})->{$_}) for 1 .. ($separate ? $self->{shards} : 1);
    for my $i (1 .. $self->{shards}) {
        my $server = $self->{servers}[ $separate ? $i - 1 : 0 ];
        my $name = $opt{database} // "shard_$i";
        $self->{shard}{$i} = { server => $server, database => $name };
        $self->_connect_server($server)->do("CREATE DATABASE $name") unless $name eq 'postgres';
    }
    return $self;
}

# A further, empty database on the server of shard 1 (or, with `separate`, on a server of its own, whose `settings` may differ): a
# new shard's number.
sub add_shard
{
    my ($self, %opt) = @_;
    my $i = ++$self->{shards};
    my $server = $opt{separate} ? $self->_new_server($opt{settings}) : $self->{shard}{1}{server};
    push @{ $self->{servers} }, $server if $opt{separate};
    $self->{shard}{$i} = { server => $server, database => "shard_$i" };
    $self->_connect_server($server)->do("CREATE DATABASE shard_$i");
    return $i;
}

# Some of the shards as a cluster of their own, counted from 1.
sub part
{
    my ($self, @which) = @_;
    return bless { %$self, shards => scalar @which, shard => { map { ($_ => $self->{shard}{ $which[ $_ - 1 ] }) } 1 .. @which }, via => {} }, ref $self;
}

sub shards   { return $_[0]{shards}; }
sub port     { my ($self, $i) = @_; return $self->{shard}{$i}{server}{port}; }
sub database { my ($self, $i) = @_; return $self->{shard}{$i}{database}; }
sub server_log { my ($self, $i) = @_; return $self->{shard}{$i}{server}{proc}->log_text; }

# libpq's connection string of a shard, for the router: leads through a port of a proxy when there is one.
sub conninfo
{
    my ($self, $i) = @_;
    return sprintf('host=127.0.0.1 port=%d dbname=%s user=postgres', $self->{via}{$i} // $self->port($i), $self->database($i)) . ($self->{more_conninfo} ? " $self->{more_conninfo}" : '');
}
sub through { my ($self, $i, $port) = @_; $self->{via}{$i} = $port; return; }

# A connection to a shard, past the router. Options as PgbraidTest::Wire's.
sub wire
{
    my ($self, $i, %opt) = @_;
    return PgbraidTest::Wire->connect(port => $self->port($i), database => $self->database($i), %opt);
}

# The rows of a query on a shard.
sub rows { my ($self, $i, $sql, @values) = @_; return $self->wire($i)->rows($sql, @values); }
sub value { my ($self, $i, $sql, @values) = @_; return $self->wire($i)->value($sql, @values); }
sub do { my ($self, $i, @statements) = @_; return $self->wire($i)->do(@statements); }

# psql on a shard: { rc, out, err }.
sub psql
{
    my ($self, $i, $sql, @options) = @_;
    return run([ 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', $self->conninfo($i), @options, '-c', $sql ]);
}

# A shard's whole server: crash it, stop it in order, start it again (same port, same data).
sub kill_server  { my ($self, $i) = @_; my $s = $self->{shard}{$i}{server}; return $s->{proc}->stop('QUIT'); }
sub stop_server  { my ($self, $i) = @_; my $s = $self->{shard}{$i}{server}; return $s->{proc}->stop('INT'); }
sub start_server { my ($self, $i) = @_; return $self->_start_server($self->{shard}{$i}{server}); }

# The processes of a shard's server: the postmaster first. A stopped postmaster makes no new ones.
sub server_pids
{
    my ($self, $i) = @_;
    my $postmaster = $self->{shard}{$i}{server}{proc}->pid;
    open my $in, '<', "/proc/$postmaster/task/$postmaster/children" or return ($postmaster);
    return ($postmaster, split ' ', <$in> // '');
}

# As if the machine had died, but for what it had written to files: all its processes at once.
sub crash_server
{
    my ($self, $i) = @_;
    my $proc = $self->{shard}{$i}{server}{proc};
    $proc->signal('STOP');
    my @pids = $self->server_pids($i);
    kill 'KILL', reverse @pids;
    $proc->wait_exit;
    wait_for("the processes of shard $i", sub { !grep { !PgbraidTest::Proc::gone($_) } @pids });
    return;
}

# Nobody of it runs, nothing is closed.
sub freeze_server { my ($self, $i) = @_; $self->{shard}{$i}{server}{proc}->signal('STOP'); return kill 'STOP', $self->server_pids($i); }
sub thaw_server   { my ($self, $i) = @_; return kill 'CONT', reverse $self->server_pids($i); }

sub _new_server
{
    my ($self, $settings, $tmpfs_mb) = @_;
    my $n = ++$count;
    my $dir = workdir() . "/server-$n";
    mkdir $dir or die "$dir: $!";
    if ($> == 0) { chown +(getpwnam 'postgres')[ 2, 3 ], $dir or die "$dir: $!"; }
    _mount("$dir/data", $tmpfs_mb) if $tmpfs_mb;
    my $pgbin = PgbraidTest::Tree::pgbin();
    my $made = run([ as_postgres("$pgbin/initdb", '-D', "$dir/data", '-U', 'postgres', '-A', 'trust', '-N', '--encoding=UTF8', "--locale=$self->{locale}", '--wal-segsize=1') ]);
    die "initdb: $made->{out}$made->{err}" if $made->{rc} != 0;
    my %settings = (
        # Cheap: no test crashes the machine. A killed server keeps what it committed.
        fsync => 'off', full_page_writes => 'off', shared_buffers => '16MB',
        max_connections => 200, max_prepared_transactions => 64, wal_level => 'logical', max_wal_size => '64MB', min_wal_size => '2MB',
        autovacuum => 'off', jit => 'off', listen_addresses => "'127.0.0.1'", unix_socket_directories => "''", log_min_messages => 'warning',
        lc_messages => "'C'", timezone => "'UTC'", log_timezone => "'UTC'",
        %{ $self->{settings} }, %{ $settings // {} },
    );
    if ($self->{tls}) {
        %settings = (%settings, ssl => 'on', map { ("ssl_$_->[0]_file" => "'" . _own_copy($dir, $self->{tls}{ $_->[1] }) . "'") } grep { $self->{tls}{ $_->[1] } } [ cert => 'cert' ], [ key => 'key' ], [ ca => 'ca' ], [ crl => 'crl' ]);
    }
    for my $file (qw(hba ident)) {
        next unless $self->{$file};
        open my $out, '>', "$dir/data/pg_$file.conf" or die "pg_$file.conf: $!";
        print $out map { "$_\n" } @{ $self->{$file} };
        close $out;
    }
    open my $conf, '>>', "$dir/data/postgresql.conf" or die "postgresql.conf: $!";
    print $conf "$_ = $settings{$_}\n" for sort keys %settings;
    close $conf;
    my $server = { dir => $dir, number => $n };
    $self->_start_server($server);
    return $server;
}

# PostgreSQL wants to own its key.
sub _own_copy
{
    my ($dir, $file) = @_;
    my ($name) = $file =~ m{([^/]+)$};
    open my $in, '<', $file or die "$file: $!";
    open my $out, '>', "$dir/$name" or die "$dir/$name: $!";
    print $out do { local $/; <$in> };
    close $out;
    chmod 0600, "$dir/$name" or die "$dir/$name: $!";
    if ($> == 0) { chown +(getpwnam 'postgres')[ 2, 3 ], "$dir/$name" or die "$dir/$name: $!"; }
    return "$dir/$name";
}

sub _mount
{
    my ($dir, $mb) = @_;
    mkdir $dir or die "$dir: $!";
    my $r = run([ 'mount', '-t', 'tmpfs', '-o', "size=${mb}m,mode=0700", 'tmpfs', $dir ]);
    die "mount: $r->{err}" if $r->{rc};
    PgbraidTest::Proc::at_end(sub { run([ 'umount', '-l', $dir ]); return; });
    chown +(getpwnam 'postgres')[ 2, 3 ], $dir or die "$dir: $!";
    return;
}

# Another process may take the port between our look and the server's bind: then take another one.
sub _start_server
{
    my ($self, $server) = @_;
    my $pgbin = PgbraidTest::Tree::pgbin();
    for (1 .. 5) {
        my $port = $server->{port} // free_port();
        my $proc = PgbraidTest::Proc->spawn([ as_postgres($self->{under}->($server->{number}), "$pgbin/postgres", '-D', "$server->{dir}/data", '-p', $port) ], log => "$server->{dir}/log", stop_signal => 'QUIT');
        my $up = wait_for("PostgreSQL on port $port", sub {
            return 'died' unless $proc->alive;
            my $w = PgbraidTest::Wire->try_connect(port => $port) or return 0;
            return $w->{error} ? 0 : 'up';
        });
        if ($up eq 'up') { @$server{qw(port proc)} = ($port, $proc); return; }
        die "PostgreSQL does not start:\n" . $proc->log_text if $server->{port} || $proc->log_text !~ /could not bind/;
    }
    die 'PostgreSQL found no free port';
}

sub _connect_server { my ($self, $server) = @_; return PgbraidTest::Wire->connect(port => $server->{port}); }

1;
