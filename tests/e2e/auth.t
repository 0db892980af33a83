#!/usr/bin/perl
# How clients prove who they are: each method, right and wrong, compared frame by frame with a PostgreSQL server that has
# the same pg_hba.conf and the same passwords.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Login;
use PgbraidTest::Proc qw(run wait_for);
use PgbraidTest::Router;
use PgbraidTest::Tree;
use PgbraidTest::Wire;

my @hba = (
    '# the test itself',
    'host all postgres 127.0.0.1/32 trust',
    'host all trusted,ghost 127.0.0.1/32 trust',
    'host all rejected 127.0.0.1/32 reject',
    'host all md5user,md5scram,md5nobody 127.0.0.1/32 md5',
    'host all clear,clearmd5,clearnobody 127.0.0.1/32 password',
    'host test,"no such db" alice,carol,nopass,"Quoted ""Name""",nobody,md5only,unicode 127.0.0.1 255.255.255.255 scram-sha-256',
    'local all all reject',
);
my $reference = PgbraidTest::Cluster->new(shards => 1, database => 'test', hba => \@hba);
my $cluster = PgbraidTest::Cluster->new(shards => 2);
my %password = (
    alice => 'secret-of-alice', carol => 'secret-of-carol', md5scram => 'secret-of-md5scram', clear => 'secret-of-clear', trusted => 'secret-of-trusted', rejected => 'secret-of-rejected',
    'Quoted "Name"' => 'secret "quoted"', unicode => "secret\x{ef}\x{bc}\x{a1}\x{c2}\x{a0}x", # full-width A, no-break space: SASLprep
);
my %md5 = (md5user => 'secret-of-md5user', clearmd5 => 'secret-of-clearmd5', md5only => 'secret-of-md5only');
my $users = sub { my ($name) = @_; return '"' . ($name =~ s/"/""/gr) . '"'; };
my @make = (
    q{SET password_encryption = 'scram-sha-256'}, (map { 'CREATE ROLE ' . $users->($_) . " LOGIN PASSWORD '$password{$_}'" } sort keys %password),
    q{SET password_encryption = 'md5'}, (map { "CREATE ROLE $_ LOGIN PASSWORD '$md5{$_}'" } sort keys %md5), 'CREATE ROLE nopass LOGIN');
$reference->do(1, @make);
$cluster->do(1, map { s/ PASSWORD '.*//r } @make);

# The router's users: what the server has stored.
my $dir = PgbraidTest::Proc::workdir();
sub write_file { my ($name, @lines) = @_; open my $out, '>', "$dir/$name" or die "$name: $!"; print $out map { "$_\n" } @lines; close $out; chmod 0600, "$dir/$name"; return "$dir/$name"; }
my @stored = map { $users->($_->[0]) . ' "' . ($_->[1] // '') . '"' } @{ $reference->rows(1, q{SELECT rolname, rolpassword FROM pg_authid WHERE rolcanlogin AND rolname <> 'postgres'}) };
my $hba_file = write_file('hba.conf', @hba);
my $user_file = write_file('users.txt', '; the user list', @stored);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { auth_hba_file => $hba_file, auth_file => $user_file, auth_failures_max => 0, auth_clear_text => 'on', client_login_timeout => '20s', stats_users => 'trusted' });
my @ports = ($reference->port(1), $router->port);

# The same on both: a sub that gets a PgbraidTest::Login and leaves its frames.
sub same
{
    my ($name, $user, $do, %opt) = @_;
    my @got = map {
        my $l = PgbraidTest::Login->new(port => $_, user => $user, database => $opt{database} // 'test');
        eval { $do->($l); 1 } or diag("$name: $@");
        [ $l->frames ];
    } @ports;
    is_deeply($got[1], $got[0], $name) or diag(explain(\@got));
    return $got[1];
}

my $login = sub { my ($password) = @_; return sub { my ($l) = @_; $l->start; $l->answer($password); }; };

subtest 'each method, right and wrong' => sub {
    my $in = sub { my ($name, $user, $password, %opt) = @_; my $f = same("$name: in", $user, $login->($password), %opt); is($f->[-1], 'Z', "$name lets in"); };
    my $out = sub { my ($name, $user, $password, %opt) = @_; my $f = same("$name: out", $user, $login->($password), %opt); isnt($f->[-1], 'Z', "$name refuses"); };
    $in->('scram', 'alice', $password{alice});
    $in->('scram, a name with quotes', 'Quoted "Name"', $password{'Quoted "Name"'});
    $in->('scram, prepared password', 'unicode', 'secretA x');
    $in->('md5', 'md5user', $md5{md5user});
    $in->('md5 rule, scram verifier', 'md5scram', $password{md5scram});
    $in->('password', 'clear', $password{clear});
    $in->('password, md5 hash', 'clearmd5', $md5{clearmd5});
    $in->('trust', 'trusted', '');
    for my $wrong ('', 'wrong', $password{carol}, 'x' x 900) {
        my $what = length $wrong ? substr $wrong, 0, 16 : 'empty';
        $out->("scram with a wrong password ($what)", 'alice', $wrong);
        $out->("scram, unknown user ($what)", 'nobody', $wrong);
        $out->("scram, no password stored ($what)", 'nopass', $wrong);
        $out->("scram, md5 stored ($what)", 'md5only', $wrong);
        $out->("md5 ($what)", 'md5user', $wrong);
        $out->("md5, unknown user ($what)", 'md5nobody', $wrong);
        $out->("password ($what)", 'clear', $wrong);
        $out->("password, unknown user ($what)", 'clearnobody', $wrong);
    }
    $out->('scram, md5 stored, the right one', 'md5only', $md5{md5only});
    $out->('reject', 'rejected', $password{rejected});
    $out->('no rule for the user', 'outsider', '');
    $out->('no rule for the database', 'alice', '', database => 'other');
    $out->('unknown database, right password', 'alice', $password{alice}, database => 'no such db');
    $out->('unknown database, wrong password', 'alice', 'wrong', database => 'no such db');
    $out->('trusted role that does not exist', 'ghost', '');
    $out->('trust, unknown database', 'trusted', '', database => 'nowhere');
};

subtest 'the server proves itself too' => sub {
    my $l = PgbraidTest::Login->new(port => $router->port, user => 'alice', database => 'test');
    $l->start;
    $l->answer($password{alice});
    ok($l->{proved}, 'the signature is the right one');
};

subtest 'an unknown user cannot be told from a known one' => sub {
    my $salt = sub { my ($user) = @_; my $l = PgbraidTest::Login->new(port => $router->port, user => $user, database => 'test'); $l->start; $l->send($l->scram_initial); my ($s) = $l->next->{data} =~ /,s=([^,]*)/; return $s; };
    is($salt->('nobody'), $salt->('nobody'), 'the same salt each time');
    isnt($salt->('nobody'), $salt->('nopass'), 'another one for another user');
    my $before = $salt->('nobody');
    $router->restart;
    is($salt->('nobody'), $before, 'the same after a restart');
};

subtest 'SCRAM messages that are wrong' => sub {
    my %first = (
        'empty' => '', 'no flag' => ',,n=,r=x', 'unknown flag' => 'x,,n=,r=abc', 'binding not offered' => 'p=tls-server-end-point,,n=,r=abc', 'no comma' => 'n;,n=,r=abc',
        'authorization identity' => 'n,a=alice,n=,r=abc', 'something else' => 'n,b=alice,n=,r=abc', 'extension' => 'n,,m=ext,n=,r=abc', 'no name' => 'n,,r=abc', 'no nonce' => 'n,,n=',
        'no equals' => 'n,,n,r=abc', 'a nonce that cannot be printed' => "n,,n=,r=a\x01c", 'a NUL' => "n,,n=,r=a\0c", 'garbage behind' => 'n,,n=,r=abc,!', 'more attributes' => 'n,,n=,r=abc,x=1', 'one byte' => 'n', 'y' => 'y,,n=,r=abc',
        'bytes' => "\xff\xfe\xfd", 'long name' => 'n,,n=' . 'a' x 800 . ',r=abc',
    );
    for my $name (sort keys %first) {
        same("client-first: $name", 'alice', sub { my ($l) = @_; $l->start; $l->send($l->scram_initial(first => $first{$name})); $l->next; $l->next if $l->error; });
    }
    my %final = (
        'wrong binding' => { binding => 'eSws' }, 'no base64 in the binding' => { binding => '!!!!' }, 'another nonce' => { nonce => 'abc' }, 'no proof' => { proof => '' }, 'a short proof' => { proof => 'AAAA' },
        'a long proof' => { proof => 'A' x 64 }, 'a proof of blanks' => { proof => ' ' x 44 }, 'zeroes' => { proof => ('A' x 43) . '=' }, 'something behind' => { after => ',x=y' }, 'something before' => { before => ',x=y' },
    );
    for my $name (sort keys %final) {
        same("client-final: $name", 'alice', sub { my ($l) = @_; $l->start; $l->send($l->scram_initial); $l->next; $l->send($l->scram_final($password{alice}, %{ $final{$name} })); $l->next; $l->finish; });
    }
    same('no initial response', 'alice', sub {
        my ($l) = @_;
        $l->start;
        $l->send(Message('p', "SCRAM-SHA-256\0" . pack('N', 0xFFFFFFFF)));
        $l->next;
        @$l{qw(gs2 bare)} = ('n,,', 'n=,r=abc');
        $l->send(Message('p', 'n,,n=,r=abc'));
        $l->next;
        $l->answer($password{alice});
    });
    my %initial = (
        'unknown mechanism' => "GSSAPI\0" . pack('N', 0), 'PLUS without TLS' => "SCRAM-SHA-256-PLUS\0" . pack('N/a*', 'n,,n=,r=abc'), 'no NUL' => 'SCRAM-SHA-256', 'no length' => "SCRAM-SHA-256\0", 'short' => "SCRAM-SHA-256\0" . pack('N', 100) . 'n,,',
        'long' => "SCRAM-SHA-256\0" . pack('N', 3) . 'n,,n=,r=abc', 'empty' => '', 'too long' => "SCRAM-SHA-256\0" . pack('N/a*', 'n,,n=,r=' . 'a' x 2000),
    );
    for my $name (sort keys %initial) { same("SASLInitialResponse: $name", 'alice', sub { my ($l) = @_; $l->start; $l->send(Message('p', $initial{$name})); $l->next; $l->next if $l->error; }); }
};

subtest 'replayed messages' => sub {
    my $l = PgbraidTest::Login->new(port => $router->port, user => 'alice', database => 'test');
    $l->start;
    $l->send($l->scram_initial);
    $l->next;
    my $final = $l->scram_final($password{alice});
    $l->send($final);
    $l->next;
    ok($l->finish->in, 'the first time they let in');
    same('the same again do not', 'alice', sub { my ($again) = @_; $again->start; $again->send($again->scram_initial); $again->next; $again->send($final); $again->next; $again->next; });
    same('nor does another session\'s server-first', 'alice', sub { my ($again) = @_; $again->start; $again->send($again->scram_initial); my $other = $l->{frames}; $again->next; $again->send(Message('p', 'c=biws,r=abc,p=AAAA')); $again->next; $again->next; });
};

subtest 'other messages instead of an answer' => sub {
    for my $user (qw(alice md5user clear)) {
        for my $bytes (Query('SELECT 1'), Terminate(), Sync(), Message('p', ''), Message('p', 'no NUL'), Message('p', "two\0strings\0"), 'p' . pack('N', 3), 'p' . pack('N', 0x7FFFFFFF), 'p' . pack('N', 70_000), "\0\0\0\0\0\0\0\0") {
            (my $shown = substr $bytes, 0, 8) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
            same("$user: $shown", $user, sub { my ($l) = @_; $l->start; $l->send($bytes); $l->next; $l->next if $l->error; });
        }
    }
};

# All at once: the login timeout is waited for once.
subtest 'half an exchange, then silence or a byte at a time' => sub {
    my $admin = $router->wire(database => 'pgbraid');
    my $limit = sub { $router->write_config(client_login_timeout => $_[0]); is($admin->query('RELOAD')->{error}, undef, "client_login_timeout = $_[0]"); };
    $limit->('1s');
    my %half = (
        'no answer' => sub { }, 'a type' => sub { $_[0]->send('p') }, 'a length' => sub { $_[0]->send('p' . pack('N', 60)) }, 'half a message' => sub { $_[0]->send(substr $_[0]->scram_initial, 0, 40) },
        'no last message' => sub { my ($l) = @_; $l->send($l->scram_initial); $l->next; }, 'half the last' => sub { my ($l) = @_; $l->send($l->scram_initial); $l->next; $l->send(substr $l->scram_final('wrong'), 0, 50); },
    );
    my @open = map { my $name = $_; map { my $l = PgbraidTest::Login->new(port => $router->port, user => $_, database => 'test'); $l->start; $half{$name}->($l); [ "$_: $name", $l ] } qw(alice nobody) } sort keys %half;
    for (qw(alice md5user clear)) { # each for longer than the timeout
        my $l = PgbraidTest::Login->new(port => $router->port, user => $_, database => 'test');
        my ($message, $next) = ('p' . pack('N', 1000) . 'x' x 900, 0);
        $l->start;
        wait_for('the end', sub { return $l->wire->readable || !eval { $l->send(substr $message, $next++, 1); 1 }; });
        push @open, [ "$_: a byte at a time", $l ];
    }
    for (@open) {
        my ($name, $l) = @$_;
        $l->next;
        is($l->error && "$l->{last}{fields}{S} $l->{last}{fields}{M}", 'FATAL login took too long (client_login_timeout)', $name);
        ok($l->wire->at_eof, '... and closed');
    }
    $limit->('20s');
};

subtest 'oversized and odd startup packets' => sub {
    for my $n (9_000, 10_000, 10_004) {
        my @got = map {
            my $w = PgbraidTest::Wire->open(port => $_);
            my $body = pack('N', 0x00030000) . "user\0alice\0database\0test\0application_name\0";
            $body .= 'x' x ($n - length($body) - 6) . "\0\0";
            eval { $w->send(pack('N', 4 + length $body) . $body); };
            my $f = eval { $w->read_frame };
            $f ? PgbraidTest::Login::told($f) : 'closed';
        } @ports;
        is($got[1], $got[0], "$n bytes: $got[1]");
    }
    same('two SSLRequests', 'alice', sub { my ($l) = @_; push @{ $l->{frames} }, $l->wire->ask_ssl; $l->send(pack 'N N', 8, 80877103); $l->next; $l->next; });
    my $l = PgbraidTest::Login->new(port => $router->port, user => 'alice', database => 'test');
    is($l->wire->ask_ssl . $l->wire->ask_gss, 'NN', 'neither TLS nor GSSAPI');
    $l->start;
    $l->answer($password{alice});
    ok($l->in, 'and in the clear then');
};

subtest 'psql' => sub {
    my $psql = sub { my ($user, $password, $sql, $db) = @_; local $ENV{PGPASSWORD} = $password; return run([ 'psql', '-X', '-A', '-t', '-w', '-h', '127.0.0.1', '-p', $router->port, '-U', $user, '-d', $db // 'test', '-c', $sql // 'SELECT current_user' ]); };
    for my $user (sort(grep { $_ ne 'rejected' } keys %password), qw(md5user clearmd5)) {
        my $r = $psql->($user, $password{$user} // $md5{$user});
        is("$r->{rc} $r->{out}", "0 $user\n", "$user logs in") or diag($r->{err});
    }
    like($psql->('alice', 'wrong')->{err}, qr/password authentication failed for user "alice"/, 'a wrong password');
    my $r = $psql->('alice', $password{alice}, 'SELECT 1', 'pgbraid');
    like($r->{err}, qr/no pg_hba.conf entry/, 'the console is a database as others');
};

subtest 'the console: administrators change, others may look, the rest stay out' => sub {
    my $w = $router->wire(user => 'trusted', database => 'pgbraid');
    cmp_ok(scalar @{ $w->rows('SHOW SHARDS') }, '==', 2, 'a user of stats_users looks');
    is($w->query('RELOAD')->{error}{C}, '42501', 'but changes nothing');
    my $l = PgbraidTest::Login->new(port => $router->port, user => 'ghost', database => 'pgbraid');
    $l->start;
    $l->finish;
    like(($l->frames)[1], qr/^E FATAL 28000 user "ghost" may not use the console/, 'somebody else');
};

subtest 'reload' => sub {
    my $admin = $router->wire(database => 'pgbraid');
    my $try = sub { my ($user, $password) = @_; my $l = PgbraidTest::Login->new(port => $router->port, user => $user, database => 'test'); $l->start; $l->answer($password); return $l; };
    write_file('hba.conf', @hba, 'host all all 127.0.0.1/32 sramp-sha-256', 'host all all 300.0.0.1/32 md5');
    my $e = $admin->query('RELOAD')->{error};
    like($e->{M}, qr{hba\.conf:9: authentication method "sramp-sha-256" is not supported}, 'a broken file: file and line');
    like($e->{H} // '', qr/scram-sha-256/, 'and what was meant');
    like($e->{D} // '', qr/2 problems/, 'and how many there are');
    ok($try->('alice', $password{alice})->in, 'the old rules stay');
    write_file('hba.conf', 'host all postgres 127.0.0.1/32 trust', 'host all alice 127.0.0.1/32 reject', 'host all all 127.0.0.1/32 scram-sha-256');
    write_file('users.txt', @stored, '"dora" "secret-of-dora"');
    $cluster->do(1, 'CREATE ROLE dora LOGIN');
    is($admin->query('RELOAD')->{error}, undef, 'a good file');
    like(($try->('alice', $password{alice})->frames)[-2], qr/rejects connection/, 'the new rules count');
    ok($try->('dora', 'secret-of-dora')->in, 'a password in the clear in the user list works with SCRAM');
    write_file('users.txt', '"dora" "other"', '"dora" "twice"');
    like($admin->query('RELOAD')->{error}{M}, qr{users\.txt:2: user "dora" is in the list twice}, 'a broken user list');
    ok($try->('dora', 'secret-of-dora')->in, 'the old one stays');
    write_file('users.txt', "\"dora\" \"other\"");
    is($admin->query('RELOAD')->{error}, undef, 'a changed password');
    ok(!$try->('dora', 'secret-of-dora')->in, 'the old one does not count any more');
    ok($try->('dora', 'other')->in, 'the new one does');
};

subtest 'auth_query: users that the list has not' => sub {
    $cluster->do(1, q{SET password_encryption = 'scram-sha-256'}, q{CREATE ROLE erin LOGIN PASSWORD 'secret-of-erin'}, q{CREATE ROLE late LOGIN PASSWORD 'secret-of-late' VALID UNTIL '2020-01-01'}, q{CREATE ROLE nologin PASSWORD 'secret-of-nologin'},
        q{SET password_encryption = 'md5'}, q{CREATE ROLE frank LOGIN PASSWORD 'secret-of-frank'});
    write_file('hba.conf', 'host all postgres 127.0.0.1/32 trust', 'host all frank 127.0.0.1/32 md5', 'host all all 127.0.0.1/32 scram-sha-256');
    my $admin = $router->wire(database => 'pgbraid');
    my $reload = sub { $router->write_config(@_); is($admin->query('RELOAD')->{error}, undef, 'reloaded'); };
    my $try = sub { my ($user, $password, $database) = @_; my $l = PgbraidTest::Login->new(port => $router->port, user => $user, database => $database // 'test'); $l->start; $l->answer($password); return $l; };
    $reload->();
    ok(!$try->('erin', 'secret-of-erin')->in, 'without auth_user nobody is asked');
    $reload->(auth_user => 'postgres');
    ok($try->('erin', 'secret-of-erin')->in, 'a SCRAM verifier');
    ok($try->('frank', 'secret-of-frank')->in, 'an md5 hash');
    ok($try->('dora', 'other')->in, 'the list goes first');
    for ([ erin => 'wrong' ], [ nobody => 'x' ], [ late => 'secret-of-late' ], [ nologin => 'secret-of-nologin' ], [ q{x' OR true --} => 'x' ], [ erin => 'secret-of-erin', 'no such db' ]) {
        my ($user, $password, $database) = @$_;
        like(join(' ', $try->($user, $password, $database)->frames), qr/E FATAL 28P01 password authentication failed for user "\Q$user\E"/, "$user with \"$password\" stays out");
    }
    my $asked = sub { return $cluster->value(1, q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_authid%' AND pid <> pg_backend_pid()}); };
    is($asked->(), 0, 'no connection is left');
    ok($try->('erin', 'secret-of-erin')->in, 'kept');
    $cluster->do(1, q{ALTER ROLE erin PASSWORD 'new-of-erin'});
    ok(!$try->('erin', 'new-of-erin')->in, 'a new password: the answer is kept, the first login fails');
    ok($try->('erin', 'new-of-erin')->in, '... and is asked for again after that');
    ok(!$try->('erin', 'secret-of-erin')->in, 'the old one does not count any more');
    $reload->(auth_query => q{SELECT $1 || 'x', 2}, auth_cache_time => 0);
    like(join(' ', $try->('erin', 'new-of-erin')->frames), qr/E FATAL \w+ the users of database "test" cannot be looked up now/, 'a query that does not answer');
    like($router->log_text, qr/auth_query has answered for another user/, '... the log says why');
    $cluster->do(1, 'CREATE ROLE gina LOGIN', 'CREATE ROLE lookup LOGIN', PgbraidTest::Tree::slurp('docs/authentication.md') =~ /^(CREATE FUNCTION .*?;)\n(REVOKE .*?;)\n(GRANT .*?;)$/ms);
    my ($query) = PgbraidTest::Tree::slurp('docs/authentication.md') =~ /`auth_query = (.*?)`/;
    $reload->(auth_user => 'lookup', auth_query => $query);
    ok($try->('erin', 'new-of-erin')->in, 'the function of docs/authentication.md, asked by who is no superuser');
    ok(!$try->('late', 'secret-of-late')->in, '... a password that has expired');
    $reload->(auth_query => q{SELECT $1::text, 'plain'});
    ok($try->('gina', 'plain')->in, 'a password in the clear');
    ok(!$try->('gina', 'other')->in, '... a wrong one');
};

subtest 'the PROXY protocol' => sub {
    write_file('hba.conf', 'host all postgres 127.0.0.1/32 trust', 'host all gina 10.9.0.0/16 trust', 'host all gina 2001:db8::/32 trust');
    my $admin = $router->wire(database => 'pgbraid');
    my $connect = sub { my ($header) = @_; my $w = PgbraidTest::Wire->open(port => $router->port); $w->send($header . PgbraidTest::Wire::Startup({ user => 'gina', database => 'test' })); my $f = eval { $w->read_frame }; return $f ? PgbraidTest::Login::told($f) : 'closed'; };
    is($admin->query('RELOAD')->{error}, undef, 'without proxy_protocol_from');
    like($connect->("PROXY TCP4 10.9.1.2 10.0.0.1 4711 5432\r\n") // 'closed', qr/closed|^E/, 'no header is understood');
    $router->write_config(proxy_protocol_from => '127.0.0.1/32');
    is($admin->query('RELOAD')->{error}, undef, 'with it');
    like($connect->("PROXY TCP4 10.9.1.2 10.0.0.1 4711 5432\r\n"), qr/^R/, "version 1: the client's address counts");
    like($connect->("PROXY TCP6 2001:db8::7 ::1 4711 5432\r\n"), qr/^R/, 'IPv6');
    like($connect->("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\x09\1\2\x0a\0\0\1\x12\x34\x15\x38"), qr/^R/, 'version 2');
    is($connect->(''), 'closed', 'no header from there: closed');
    like($connect->("PROXY TCP4 10.8.1.2 10.0.0.1 4711 5432\r\n"), qr/^E FATAL 28000 no pg_hba.conf entry for host "10\.8\.1\.2"/, 'another one is refused, by its name');
    $router->write_config(proxy_protocol_from => '');
    my $w = PgbraidTest::Wire->open(port => $router->port);
    $w->send("PROXY TCP4 127.0.0.1 10.0.0.1 4711 5432\r\n" . PgbraidTest::Wire::Startup({ user => 'postgres', database => 'pgbraid' }));
    1 until $w->read_frame->{type} eq 'Z';
    is($w->query('RELOAD')->{error}, undef, 'off again, by an administrator behind the balancer');
};

subtest 'throttling' => sub {
    write_file('hba.conf', 'host all postgres 127.0.0.1/32 trust', 'host all all 127.0.0.1/32 scram-sha-256');
    $router->write_config(auth_failures_max => 5);
    my $admin = $router->wire(database => 'pgbraid');
    is($admin->query('RELOAD')->{error}, undef, 'five failures');
    my $try = sub { my $l = PgbraidTest::Login->new(port => $router->port, user => 'dora', database => 'test'); $l->start; $l->answer($_[0]); return $l; };
    my $refused = 0;
    for (1 .. 30) { my $l = $try->('wrong'); $refused++ if grep { /too many failed logins/ } $l->frames; }
    cmp_ok($refused, '>=', 25, 'further ones are refused unasked');
    like(join(' ', $try->('other')->frames), qr/E FATAL 28000 too many failed logins from this address/, 'even with the right password');
    ok($router->try_wire(user => 'postgres')->{pid}, 'who needs no password gets in');
};

subtest 'secrets are not in the log' => sub {
    my $log = $router->log_text;
    like($log, qr/msg="login refused" user="alice" database="test" address=127\.0\.0\.1 method=scram-sha-256/, 'failures are');
    unlike($log, qr/\Q$_\E/, "not $_") for values %password, values %md5, 'SCRAM-SHA-256\$', 'wrong"';
    unlike($log, qr/\Q$_->[1]\E/, 'no stored password') for grep { $_->[1] } @{ $reference->rows(1, 'SELECT rolname, rolpassword FROM pg_authid') };
};

subtest 'the process' => sub {
    open my $in, '<', '/proc/' . $router->pid . '/limits' or die $!;
    my ($core) = grep { /core file/ } <$in>;
    like($core, qr/Max core file size\s+0\s+0/, 'leaves no core dump');
};

done_testing();
