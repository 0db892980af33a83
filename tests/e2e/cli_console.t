# The command line against a console: a server made here plays it, so that what is asked, word for word, and what is made
# of each kind of answer are seen.
use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Test::More;
use PgbraidTest::Proc qw(free_port run workdir);
use PgbraidTest::Tree;

my $pgbraid = PgbraidTest::Tree::pgbraid();
my $port = free_port();
my $conf = workdir() . '/pgbraid.conf';
open my $out, '>', $conf or die "$conf: $!";
print $out "[pgbraid]\nlisten_addr = *\nport = $port\n";
close $out;

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 5, ReuseAddr => 1) or die "listen: $!";

sub frame { my ($type, $body) = @_; return $type . pack('N', 4 + length $body) . $body; }
sub fields { return join('', map { "$_\0" } @_) . "\0"; }
sub ready { return frame('Z', 'I'); }
sub tag { return frame('C', "$_[0]\0") . ready(); }
sub columns { return frame('T', pack('n', scalar @_) . join '', map { "$_\0" . pack('NnNnNn', 0, 0, 25, 65535, 4294967295, 0) } @_); }
sub row { return frame('D', pack('n', scalar @_) . join '', map { defined $_ ? pack('N/a*', $_) : pack('N', 4294967295) } @_); }

sub read_exactly
{
    my ($sock, $len) = @_;
    my $data = '';
    while (length $data < $len) {
        sysread $sock, $data, $len - length $data, length $data or return;
    }
    return $data;
}

# Serve one session in a child: $greeting after the startup packet, $answer to the first query. The parent gets the startup
# parameters and the query through a file.
sub play
{
    my ($greeting, $answer, @command) = @_;
    my $heard = workdir() . '/heard';
    unlink $heard;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        alarm 60;
        my $sock = $listener->accept or POSIX::_exit(1);
        my $startup = read_exactly($sock, unpack('N', read_exactly($sock, 4)) - 4) // '';
        syswrite $sock, $greeting;
        open my $log, '>', $heard or POSIX::_exit(1);
        print $log join(' ', split(/\0/, substr $startup, 4)), "\n";
        while (defined(my $head = read_exactly($sock, 5))) {
            my ($type, $len) = unpack 'aN', $head;
            my $body = read_exactly($sock, $len - 4) // '';
            last if $type eq 'X';
            print $log $body =~ s/\0\z//r, "\n";
            syswrite $sock, $answer;
        }
        close $log;
        POSIX::_exit(0);
    }
    my $r = run([ $pgbraid, @command, '--config', $conf ]);
    waitpid $pid, 0;
    is($?, 0, "@command[0,1]: the console was called");
    open my $in, '<', $heard or die "$heard: $!";
    chomp(my @lines = <$in>);
    $r->{startup} = shift @lines;
    $r->{queries} = \@lines;
    return $r;
}

my $welcome = frame('R', pack 'N', 0) . frame('S', "server_version\0" . "15.0\0") . frame('K', pack 'NN', 1, 2) . ready();

my $r = play($welcome, tag('ADD SHARD'), 'shard', 'add', q{o'hara}, '--database', 'shop', '--range', '-80', '--conninfo', q{host=a options='-c x\\ y'});
is($r->{rc}, 0, 'shard add') or diag $r->{err};
is($r->{out}, "ADD SHARD\n", 'its tag is printed');
is_deeply($r->{queries}, [q{ADD SHARD 'o''hara' DATABASE 'shop' RANGE '-80' CONNINFO 'host=a options=''-c x\\ y'''}], 'what is sent');
like($r->{startup}, qr/\buser postgres\b/, 'as postgres');
like($r->{startup}, qr/\bdatabase pgbraid\b/, 'to the console');
ok(!-e workdir() . '/directory.db', 'the directory file is left to the router');

$r = play($welcome, tag('ADD SHARD'), 'shard', 'add', '-d', 'shop', '-r', '4000-80', '--conninfo', 'host=a', '--user', 'amy');
is_deeply($r->{queries}, [q{ADD SHARD '40-80' DATABASE 'shop' RANGE '4000-80' CONNINFO 'host=a'}], 'the name defaults to the range');
like($r->{startup}, qr/\buser amy\b/, 'as another user');

$r = play($welcome, columns('database', 'shard', 'note') . row('shop', '-80', undef) . row('shop', 'größer', 'x') . tag('SHOW'), 'shard', 'list');
is_deeply($r->{queries}, ['SHOW SHARDS'], 'shard list');
is($r->{out}, <<'TABLE', 'rows are printed');
 database | shard  | note
----------+--------+------
 shop     | -80    | 
 shop     | größer | x
(2 rows)
TABLE

my $tables = columns('database', 'table') . row('shop', 'orders') . row('other', 'orders') . row('shop', 'countries') . tag('SHOW');
$r = play($welcome, $tables, 'table', 'list', '--database', 'shop');
is_deeply($r->{queries}, ['SHOW TABLES'], 'table list');
like($r->{out}, qr/\(2 rows\)\n\z/, 'of one database');
unlike($r->{out}, qr/other/, 'of that one');

my $notice = frame('N', fields('SNOTICE', 'VNOTICE', 'C00000', 'Mtable "orders" cannot be resharded yet'));
$r = play($welcome, $notice . tag('SHARD TABLE'), 'table', 'shard', 'app.Orders', '--by', 'a,b', '--database', 'shop');
is_deeply($r->{queries}, [q{SHARD TABLE 'app.Orders' BY 'a', 'b' IN DATABASE 'shop'}], 'table shard');
is($r->{out}, "SHARD TABLE\n", 'tag');
is($r->{err}, qq{pgbraid: notice: table "orders" cannot be resharded yet\n}, 'notice');
is($r->{rc}, 0, 'a notice is no failure');

my $error = frame('E', fields('SERROR', 'VERROR', 'C42P01', 'Mtable "t" does not exist', 'DPB0208: nothing of that name', 'HLook again.')) . ready();
for my $verb (qw(reference unshard)) {
    $r = play($welcome, $error, 'table', $verb, 't');
    is_deeply($r->{queries}, [ uc($verb) . q{ TABLE 't'} ], "table $verb");
    is($r->{rc}, 1, 'an error is a failure');
    is($r->{out}, '', 'nothing was done');
    is($r->{err}, <<'ERROR', 'error, detail and hint');
pgbraid: error: table "t" does not exist
pgbraid: detail: PB0208: nothing of that name
pgbraid: hint: Look again.
ERROR
}

# Transactions.
for my $show ([ list => 'SHOW TRANSACTIONS' ], [ prepared => 'SHOW PREPARED' ], [ recovery => 'SHOW RECOVERY' ]) {
    $r = play($welcome, columns('gtid') . row('x') . tag('SHOW'), 'transaction', $show->[0]);
    is_deeply($r->{queries}, [ $show->[1] ], "transaction $show->[0]");
}
$r = play($welcome, columns('shard', 'result') . row('s1', 'committed') . tag('SHOW'), 'transaction', 'resolve', '0-0-0-0', 'COMMIT');
is_deeply($r->{queries}, [q{RESOLVE TRANSACTION '0-0-0-0' COMMIT}], 'transaction resolve');
is(run([ $pgbraid, 'transaction', 'resolve', 'x', 'maybe', '--config', $conf ])->{rc}, 2, '... neither commit nor abort');
is(run([ $pgbraid, 'transaction', 'resolve', 'x', '--config', $conf ])->{rc}, 2, '... nothing said');

# A router that is there but refuses is not passed by.
my $refusal = frame('E', fields('SFATAL', 'VFATAL', 'C28000', 'Mno console for you'));
$r = play($refusal, '', 'shard', 'list');
is($r->{rc}, 1, 'login refused');
like($r->{err}, qr/\Apgbraid: error: no console for you\n/, 'with the reason');
ok(!-e workdir() . '/directory.db', 'and the directory file is left alone');


done_testing;
