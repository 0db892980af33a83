#!/usr/bin/perl
# TLS between clients and the router, by libpq and by hand: modes, versions, certificates of clients, channel binding,
# garbage, half handshakes, reload.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Certs;
use PgbraidTest::Cluster;
use PgbraidTest::Login;
use PgbraidTest::Proc qw(run wait_for);
use PgbraidTest::Router;
use PgbraidTest::Tree;
use PgbraidTest::Wire;

my $certs = PgbraidTest::Certs->new;
my $server = $certs->make('server', san => 'IP:127.0.0.1,DNS:localhost');
my $rsa = $certs->make('server-rsa', san => 'IP:127.0.0.1', digest => 'sha384', algorithm => [ '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:3072' ]);
my $ed = $certs->make('server-ed', san => 'IP:127.0.0.1', algorithm => [ '-algorithm', 'ED25519' ]);
my %client = map { $_ => $certs->make($_) } qw(certuser revoked fully);
$client{expired} = $certs->make('expired', cn => 'certuser', days => -1);
$client{mapped} = $certs->make('mapped', cn => 'Somebody Else');
$client{self} = $certs->make('self', cn => 'certuser', self => 1);
$client{foreign} = PgbraidTest::Certs->new->make('foreign', cn => 'certuser');
$certs->revoke('revoked');
my $crl = $certs->crl;

my @hba = (
    'hostssl all postgres 127.0.0.1/32 trust', 'hostnossl all postgres 127.0.0.1/32 trust',
    'hostssl all alice,nobody 127.0.0.1/32 scram-sha-256', 'hostssl all clear 127.0.0.1/32 password', 'hostnossl all clear 127.0.0.1/32 password',
    'hostssl all certuser,revoked 127.0.0.1/32 cert', 'hostssl all boss 127.0.0.1/32 cert map=people', 'hostssl all distinguished 127.0.0.1/32 cert map=people clientname=DN',
    'hostssl all twofold 127.0.0.1/32 scram-sha-256 clientcert=verify-ca', 'hostssl all fully 127.0.0.1/32 scram-sha-256 clientcert=verify-full');
my $dir = PgbraidTest::Proc::workdir();
sub write_file { my ($name, @lines) = @_; open my $out, '>', "$dir/$name" or die "$name: $!"; print $out map { "$_\n" } @lines; close $out; chmod 0600, "$dir/$name"; return "$dir/$name"; }
my @ident = ('people "Somebody Else" boss', 'people /^CN=(.*)$ distinguished', 'people "Somebody Else" fully');
my $cluster = PgbraidTest::Cluster->new(shards => 2);
my $reference = PgbraidTest::Cluster->new(shards => 1, database => 'test', tls => { %$server, ca => $certs->ca, crl => $crl }, hba => \@hba, ident => \@ident);
my @make = map { "CREATE ROLE $_ LOGIN PASSWORD 'secret-of-$_'" } qw(alice clear certuser revoked boss distinguished twofold fully);
$reference->do(1, @make);
$cluster->do(1, @make);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => {
    auth_hba_file => write_file('hba.conf', @hba), auth_ident_file => write_file('ident.conf', @ident), auth_file => write_file('users.txt', map { "\"$_\" \"secret-of-$_\"" } qw(alice clear twofold fully)),
    client_tls_cert_file => $server->{cert}, client_tls_key_file => $server->{key}, client_tls_ca_file => $certs->ca, client_tls_crl_file => $crl, auth_failures_max => 0, client_login_timeout => '20s' });
my $admin = $router->wire(database => 'pgbraid');

my $version = 0;
sub psql_at
{
    my ($port, $options, $sql) = @_;
    local $ENV{PGPASSWORD} = $options->{password} // 'none';
    my %o = (host => '127.0.0.1', port => $port, dbname => 'test', user => 'postgres', sslmode => 'require', sslcert => '/none', sslkey => '/none', sslrootcert => $certs->ca, %$options);
    delete $o{password};
    return run([ 'psql', '-X', '-A', '-t', '-w', '-v', 'ON_ERROR_STOP=1', '-d', join(' ', map { "$_='$o{$_}'" } sort keys %o), '-c', $sql // 'SELECT current_user' ]);
}
sub psql { my ($options, $sql) = @_; return psql_at($router->port, $options, $sql); }
# libpq's words without ports and timing.
sub words { my ($r) = @_; my $text = $r->{rc} ? $r->{err} : $r->{out}; $text =~ s/port \d+/port N/g; $text =~ s/^DETAIL:  \[?PB.*\n|^HINT:.*\n//mg; return "$r->{rc} $text"; }
sub same { my ($name, $options) = @_; my @got = map { words(psql_at($_, $options)) } $reference->port(1), $router->port; is($got[1], $got[0], $name) or diag(explain(\@got)); return $got[1]; }
sub cert { my ($name) = @_; return (sslcert => $client{$name}{cert}, sslkey => $client{$name}{key}); }

subtest 'modes of libpq' => sub {
    for my $mode (qw(disable allow prefer require verify-ca verify-full)) { is(words(psql({ sslmode => $mode })), "0 postgres\n", $mode); }
    is(psql({ sslmode => 'verify-full', host => 'localhost', hostaddr => '127.0.0.1' })->{rc}, 0, 'verify-full by name');
    like(psql({ sslmode => 'verify-full', host => 'other', hostaddr => '127.0.0.1' })->{err}, qr/does not match host name/, 'a wrong name');
    like(psql({ user => 'alice', sslmode => 'disable', password => 'secret-of-alice' })->{err}, qr/no pg_hba.conf entry for host "127.0.0.1", user "alice", database "test", no encryption/, 'hostssl does not match a plain connection');
    same('no rule with TLS', { user => 'outsider' });
};

subtest 'passwords and channel binding' => sub {
    same("alice, $_", { user => 'alice', password => 'secret-of-alice', channel_binding => $_ }) for qw(disable prefer require);
    same("a wrong password, $_", { user => 'alice', password => 'wrong', channel_binding => $_ }) for qw(disable prefer require);
    same("an unknown user, $_", { user => 'nobody', password => 'wrong', channel_binding => $_ }) for qw(disable prefer require);
    is(words(psql({ user => 'clear', password => 'secret-of-clear' })), "0 clear\n", 'a password in the clear through TLS');
    like(psql({ user => 'clear', password => 'secret-of-clear', sslmode => 'disable' })->{err}, qr/the method password needs TLS/, 'not without');
};

subtest 'certificates of clients' => sub {
    is(same('the right one', { user => 'certuser', cert('certuser') }), "0 certuser\n", 'lets in');
    same('none', { user => 'certuser' });
    same('somebody else\'s', { user => 'certuser', cert('mapped') });
    same('expired', { user => 'certuser', cert('expired') });
    same('revoked', { user => 'revoked', cert('revoked') });
    same('of itself', { user => 'certuser', cert('self') });
    same('of another authority', { user => 'certuser', cert('foreign') });
    is(same('mapped', { user => 'boss', cert('mapped') }), "0 boss\n", 'by the map');
    same('not mapped', { user => 'boss', cert('certuser') });
    same('by the distinguished name', { user => 'distinguished', cert('certuser') });
    same('password and certificate', { user => 'twofold', password => 'secret-of-twofold', cert('certuser') });
    same('password without certificate', { user => 'twofold', password => 'secret-of-twofold' });
    same('certificate with a wrong password', { user => 'twofold', password => 'wrong', cert('certuser') });
    same('password and its own certificate', { user => 'fully', password => 'secret-of-fully', cert('fully') });
    same('password and another certificate', { user => 'fully', password => 'secret-of-fully', cert('certuser') });
};

subtest 'versions and ciphers' => sub {
    for my $v ('TLSv1.2', 'TLSv1.3') { is(psql({ ssl_min_protocol_version => $v, ssl_max_protocol_version => $v })->{rc}, 0, $v); }
    isnt(psql({ ssl_min_protocol_version => 'TLSv1', ssl_max_protocol_version => 'TLSv1.1' })->{rc}, 0, 'TLS 1.1 is refused');
    $router->write_config(client_tls_min_version => 'TLSv1.3');
    is($admin->query('RELOAD')->{error}, undef, 'reload');
    isnt(psql({ ssl_max_protocol_version => 'TLSv1.2' })->{rc}, 0, 'TLS 1.2 is refused then');
    is(psql({})->{rc}, 0, 'TLS 1.3 is not');
    $router->write_config(client_tls_min_version => 'TLSv1.2');
    is($admin->query('RELOAD')->{error}, undef, 'reload');
};

subtest 'large values and results' => sub {
    my $r = psql({}, q{SELECT i, repeat('x', 10000) FROM generate_series(1, 2000) i});
    is(length $r->{out}, 2000 * 10_002 + 9 + 180 + 2700 + 4004, 'rows through TLS') or diag $r->{err};
    is(psql({}, "SELECT length('" . 'y' x 100_000 . "')")->{out}, "100000\n", 'a statement of 100 kB');
};

# openssl as a client, which says what it wants and good-bye: the router ends the connection.
subtest 'direct TLS' => sub {
    my $talk = '\0\0\0\045\0\003\0\0user\0postgres\0database\0test\0\0X\0\0\0\004';
    my $try = sub { my (@o) = @_; return run([ 'sh', '-c', qq{printf '$talk' | timeout 20 openssl s_client -quiet -connect 127.0.0.1:} . $router->port . " @o 2>/dev/null | tr -d '\\0'" ])->{out}; };
    like($try->('-alpn', 'postgresql'), qr/server_version/, 'with ALPN');
    like($try->(), qr/without ALPN/, 'not without');
    is($try->('-alpn', 'h2'), '', 'not with another protocol');
    like($try->('-starttls', 'postgres'), qr/server_version/, 'asked for, without ALPN');
};

subtest 'bytes behind an SSLRequest' => sub {
    my $w = $router->open_wire;
    $w->send(pack('N N', 8, 80877103) . PgbraidTest::Wire::Startup({ user => 'postgres', database => 'test' }));
    my $f = $w->read_frame;
    is($f->{fields}{M}, 'received unencrypted data after SSL or GSS request', 'are refused (CVE-2021-23214)');
};

# All at once, so that the login timeout is waited for once.
subtest 'garbage and half handshakes' => sub {
    my $bystander = $router->wire;
    $router->write_config(client_login_timeout => '1s');
    is($admin->query('RELOAD')->{error}, undef, 'a short client_login_timeout');
    my @garbage = ("\x16\x03\x01\x02\x00" . 'x' x 512, "\x16", 'x' x 1000, "\x16\x03\x01\xff\xff" . "\0" x 70_000, "\x15\x03\x01\x00\x02\x02\x28", PgbraidTest::Wire::Startup({ user => 'postgres' }));
    my $asked = sub { my $w = $router->open_wire; is($w->ask_ssl, 'S', 'TLS is taken'); return $w; };
    my @sent = map { my $w = $asked->(); eval { $w->send($_) }; [ sprintf('%d bytes of garbage', length), $w ] } @garbage;
    my @half = map { [ 'a half handshake', $asked->() ] } 1 .. 50;
    my @slow = map { [ 'a byte at a time', $asked->() ] } 1 .. 5;
    my $hello = "\x16\x03\x01\x00\xf8\x01\x00\x00\xf4\x03\x03" . 'r' x 240;
    my $next = 0;
    # The slow ones go on until the router has ended them: what can be read then is an alert or the end.
    wait_for('the slow ones to be ended', sub {
        my @left = grep { !$_->[1]->readable } @slow;
        eval { $_->[1]->send(substr $hello, $next, 1) } for @left;
        $next++;
        return !@left;
    });
    cmp_ok($next, '<', length $hello, 'before all of the hello had come');
    for (@sent, @half, @slow) {
        my ($name, $w) = @$_;
        ok(eval { 1 while defined $w->read_bytes(1); 1 }, "$name: closed") or diag($@);
    }
    is($bystander->value('SELECT 1'), 1, 'a bystander goes on');
    $router->write_config(client_login_timeout => '20s');
    is($admin->query('RELOAD')->{error}, undef, 'the usual client_login_timeout');
};

subtest 'reload' => sub {
    my $name = "dbname=test host=127.0.0.1 port=" . $router->port . ' user=postgres sslmode=require application_name=old';
    open my $old, '|-', 'psql', '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $name, '-o', "$dir/old.out" or die "psql: $!";
    wait_for('an old connection', sub { return grep { grep { ($_ // '') eq 'old' } @$_ } @{ $admin->rows('SHOW CLIENTS') }; });
    for my $new ([ 'RSA 3072, SHA-384', $rsa ], [ 'Ed25519', $ed ], [ 'P-256', $server ]) {
        my ($what, $cert) = @$new;
        $router->write_config(client_tls_cert_file => $cert->{cert}, client_tls_key_file => $cert->{key});
        is($admin->query('RELOAD')->{error}, undef, "$what: reloaded");
        is(psql({ sslmode => 'verify-ca', user => 'alice', password => 'secret-of-alice' })->{out}, "alice\n", "$what: new connections have it");
        is(psql({ user => 'alice', password => 'secret-of-alice', channel_binding => 'require' })->{rc}, 0, "$what: channel binding");
    }
    print $old "SELECT 'still here';\n";
    close $old;
    is($?, 0, 'an old connection is not disturbed');
    is(PgbraidTest::Tree::slurp("$dir/old.out"), "still here\n", '... and works');
    $router->write_config(client_tls_key_file => $rsa->{key});
    like($admin->query('RELOAD')->{error}{M}, qr/private key file/, 'a key that does not fit is refused');
    chmod 0644, $server->{key};
    $router->write_config(client_tls_key_file => $server->{key});
    like($admin->query('RELOAD')->{error}{M}, qr/has group or world access/, 'so is one that others may read');
    chmod 0600, $server->{key};
    $router->write_config(client_tls_cert_file => '/none');
    like($admin->query('RELOAD')->{error}{M}, qr/certificate file "\/none" cannot be used/, 'and a file that is not there');
    is(psql({ user => 'alice', password => 'secret-of-alice' })->{rc}, 0, 'the old certificate stays');
    $router->write_config(client_tls_cert_file => $server->{cert});
};

subtest 'client_tls_sslmode' => sub {
    my $set = sub { $router->write_config(client_tls_sslmode => $_[0]); my $e = $admin->query('RELOAD')->{error}; is($e, undef, $_[0]); };
    $set->('require');
    like(psql({ sslmode => 'disable' })->{err}, qr/SSL required/, 'a plain client is refused');
    is(psql({})->{rc}, 0, 'one with TLS is not');
    $set->('verify-ca');
    like(psql({})->{err}, qr/connection requires a valid client certificate/, 'without a certificate');
    is(psql({ cert('certuser') })->{rc}, 0, 'with one');
    write_file('hba.conf', 'host all all 127.0.0.1/32 trust');
    $set->('disable');
    like(psql({})->{err}, qr/server does not support SSL/, 'no TLS');
    is(psql({ sslmode => 'prefer' })->{rc}, 0, 'but plain');
    $set->('allow');
};

subtest 'cancel through TLS' => sub {
    my $psql = PgbraidTest::Proc->spawn([ 'psql', '-X', '-d', 'host=127.0.0.1 port=' . $router->port . ' user=postgres dbname=test sslmode=require', '-c', 'SELECT pg_sleep(30)' ], log => "$dir/psql.log");
    wait_for('the statement to run', sub { return $cluster->value(1, q{SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)' AND state = 'active'}); });
    $psql->signal('INT');
    $psql->wait_exit;
    like($psql->log_text, qr/canceling statement due to user request/, 'Ctrl-C in psql');
};

done_testing();
