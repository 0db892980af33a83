#!/usr/bin/perl
# Dockerfile and docker-compose.yml against the tree: no container engine is at hand, so whatever they name (paths, ports,
# packages, settings, options, users) is checked by itself, and the entrypoint is run on this machine.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Proc qw(run workdir);
use PgbraidTest::Tree;
use YAML::XS ();

my $root = PgbraidTest::Tree::root();
my $pgbraid = PgbraidTest::Tree::pgbraid();
my $build = PgbraidTest::Tree::build();
plan skip_all => "a sanitizer's binary needs other libraries" if $build =~ /san$/;

# ---- Dockerfile ----

my $text = PgbraidTest::Tree::slurp('Dockerfile') =~ s/^\s*#.*\n//mgr =~ s/\\\n/ /gr;
my (@stages, %last);
for my $line (grep { /\S/ } split /\n/, $text) {
    my ($word, $rest) = $line =~ /^([A-Z]+)\s+(.*)$/ or BAIL_OUT("Dockerfile: $line");
    if ($word eq 'FROM') { push @stages, { from => $rest, lines => [] }; next; }
    push @{ $stages[-1]{lines} }, [ $word, $rest ];
    $last{$word} = $rest;
}
is(scalar @stages, 2, 'a stage to build and one to run');
like($stages[0]{from}, qr/^debian:12-slim AS build$/, 'built on Debian 12');
is($stages[1]{from}, 'debian:12-slim', 'run on Debian 12');
ok((!grep { $_->[0] !~ /^(?:RUN|COPY|USER|VOLUME|EXPOSE|ENTRYPOINT|CMD)$/ } map { @{ $_->{lines} } } @stages), 'only instructions that we know');

sub packages { my ($stage) = @_; my ($list) = join(' ', map { $_->[1] } @{ $stage->{lines} }) =~ /apt-get install -y --no-install-recommends\s+(.*?)&&/; return sort split ' ', $list; }

my ($wanted) = PgbraidTest::Tree::slurp('dev') =~ /^PACKAGES_BUILD="(.*?)"/ms;
is_deeply([ packages($stages[0]) ], [ sort grep { $_ ne 'libcmocka-dev' } split ' ', $wanted ], 'the build installs what ./dev build does, less the tests');

# The run-time packages are those whose libraries the binary is linked with.
my %needs = (libc6 => 1);
for my $library (run([ 'readelf', '-d', $pgbraid ])->{out} =~ /NEEDED.*\[(.*)\]/g) {
    next if $library =~ /^(?:libc|libm|libasan|libubsan|libtsan|ld-linux.*)\.so/;
    my ($package) = run([ 'dpkg', '-S', "*/$library" ])->{out} =~ /^([^:\s]+)/ or fail("$library belongs to a package");
    $needs{$package} = 1;
}
# And the programs that it runs.
for my $file (PgbraidTest::Tree::files('migrate/*.c')) {
    $needs{'postgresql-client-15'} = 1 if PgbraidTest::Tree::slurp($file) =~ /"pg_dump"/;
}
my %installs = map { $_ => 1 } packages($stages[1]);
ok($installs{$_}, "the image has $_, which the binary needs") for grep { $_ ne 'libc6' } sort keys %needs;
ok($needs{$_}, "the binary needs $_, which the image has") for sort keys %installs;

my %image = ('/usr/local/bin/pgbraid' => $pgbraid);
my $copies = 0;
for my $copy (map { $_->[1] } grep { $_->[0] eq 'COPY' } map { @{ $_->{lines} } } @stages) {
    my (@words) = split ' ', $copy;
    $copies++;
    if ($words[0] eq '--from=build') { is("@words", '--from=build /build/pgbraid /usr/local/bin/pgbraid', 'the binary is copied'); next; }
    my ($from, $to) = @words;
    ok(-e "$root/$from", "COPY $from: is in the tree");
    $image{$to} = "$root/$from";
}
cmp_ok($copies, '>=', 4, 'what is copied');
like($text, qr{cmake -S /src -B /build -G Ninja && ninja -C /build pgbraid}, 'built as everywhere');
my ($entrypoint) = @{ YAML::XS::Load($last{ENTRYPOINT}) };
ok($image{$entrypoint}, 'the entrypoint is in the image');
ok(-x $image{$entrypoint}, 'and can be run');
like($text, qr/useradd [^&]*\b\Q$last{USER}\E$/m, 'the user is made');
my @command = @{ YAML::XS::Load($last{CMD}) };
is("@command[0, 1]", 'serve -c', 'serves');
my $conf = $image{ $command[2] };
ok($conf, 'with a configuration that is in the image');
my %setting = PgbraidTest::Tree::slurp($conf) =~ /^(\w+) = (.*)$/mg;
is($last{EXPOSE}, $setting{port}, 'EXPOSE is the port of the configuration');
is(index($setting{directory}, "$last{VOLUME}/"), 0, 'the directory file is on the volume');
my $check = run([ $pgbraid, 'config', '--check', $conf ]);
is($check->{rc}, 0, 'pgbraid accepts the configuration') or diag($check->{err});
my %ignored = map { $_ => 1 } split /\n/, PgbraidTest::Tree::slurp('.dockerignore');
ok($ignored{'.git'} && $ignored{'build*'}, 'the build context is small');

# ---- docker-compose.yml ----

my $compose = YAML::XS::Load(PgbraidTest::Tree::slurp('docker-compose.yml'));
# Compose resolves merge keys itself; this parser does not.
for my $service (values %{ $compose->{services} }) { %$service = (%{ delete $service->{'<<'} }, %$service) if $service->{'<<'}; }

sub only { my ($what, $hash, @keys) = @_; my %known = map { $_ => 1 } @keys; is_deeply([ grep { !$known{$_} } sort keys %$hash ], [], "$what: only options that we know"); return; }

only('the file', $compose, qw(services volumes x-shard));
my %services = %{ $compose->{services} };
my @shards = sort grep { /^shard-/ } keys %services;
is_deeply([ sort keys %services ], [ 'router', 'shard-1', 'shard-2', 'shard-3' ], 'three shards and the router');
my %guc = map { (split /\t/)[0] => 1 } split /\n/, run([ PgbraidTest::Tree::pgbin() . '/postgres', '--describe-config' ])->{out};
ok($guc{work_mem}, 'settings of PostgreSQL are known');
my %used_volume;
for my $name (sort keys %services) {
    my $s = $services{$name};
    only($name, $s, qw(image build command environment healthcheck volumes ports depends_on));
    only("$name: healthcheck", $s->{healthcheck}, qw(test interval timeout retries));
    is($s->{healthcheck}{test}[0], 'CMD', "$name: healthcheck without a shell");
    like($s->{healthcheck}{$_}, qr/^\d+s$/, "$name: healthcheck $_") for qw(interval timeout);
    for my $volume (@{ $s->{volumes} }) {
        my ($from, $to, $mode) = split /:/, $volume;
        ok(!defined $mode || $mode eq 'ro', "$name: $volume: mode");
        if ($from =~ m{^\./}) { ok(-e "$root/$from", "$name: $from is in the tree"); ok($image{$to}, "$name: $to is in the image"); }
        else { ok(exists $compose->{volumes}{$from}, "$name: volume $from is declared"); $used_volume{$from}++; }
    }
}
is_deeply([ sort keys %used_volume ], [ sort keys %{ $compose->{volumes} } ], 'each volume is used');
is_deeply([ values %used_volume ], [ (1) x keys %used_volume ], 'by one service');

for my $name (@shards) {
    my $s = $services{$name};
    is($s->{image}, 'postgres:15-bookworm', "$name: PostgreSQL 15");
    ok((grep { /:\/var\/lib\/postgresql\/data$/ } @{ $s->{volumes} }), "$name: its data is on a volume");
    only("$name: environment", $s->{environment}, qw(POSTGRES_DB POSTGRES_HOST_AUTH_METHOD));
    ok(!$s->{ports}, "$name: not reachable from outside");
    my ($program, @options) = split ' ', $s->{command};
    is($program, 'postgres', "$name: runs the server");
    while (my ($c, $setting) = splice @options, 0, 2) {
        is($c, '-c', "$name: $setting");
        ok($guc{ (split /=/, $setting)[0] }, "$name: $setting is a setting");
    }
    like($s->{command}, qr/max_prepared_transactions=[1-9]/, "$name: prepared transactions are on");
    ok(-x PgbraidTest::Tree::pgbin() . '/' . $s->{healthcheck}{test}[1], "$name: healthcheck's program");
}

my $router = $services{router};
ok(-e "$root/$router->{build}{dockerfile}", 'router: Dockerfile');
is($router->{build}{context}, '.', 'router: built from the tree');
is_deeply($router->{command}, \@command, 'router: the command is that of the image');
is_deeply($router->{ports}, ["127.0.0.1:$setting{port}:$setting{port}"], 'router: on loopback only, for authentication is off');
is_deeply($router->{depends_on}, { map { $_ => { condition => 'service_healthy' } } @shards }, 'router: waits for the shards');
ok((grep { $_ eq "router:$last{VOLUME}" } @{ $router->{volumes} }), 'router: the directory survives');
my $script = PgbraidTest::Tree::slurp($image{$entrypoint});
like($script, qr/\b$_\b/, "router: the entrypoint reads $_") for sort keys %{ $router->{environment} };

# ---- the entrypoint, on this machine ----

is(run([ 'sh', '-n', $image{$entrypoint} ])->{rc}, 0, 'the entrypoint is a shell script');
my $dir = workdir();
my $mine = PgbraidTest::Tree::slurp($conf) =~ s{^directory = .*}{directory = $dir/directory.db}mr;
open my $out, '>', "$dir/pgbraid.conf" or die "pgbraid.conf: $!";
print $out $mine =~ s/^port = .*/port = @{[ PgbraidTest::Proc::free_port() ]}/mr;
close $out;
my %env = (%{ $router->{environment} }, PGBRAID_CONFIG => "$dir/pgbraid.conf", PATH => "$build:$ENV{PATH}");
# A first start that was interrupted has added one shard.
my ($name, $range, $conninfo) = split ' ', (split /\n/, $env{PGBRAID_SHARDS})[0], 3;
is(run([ $pgbraid, qw(shard add), $name, '--config', "$dir/pgbraid.conf", '--database', $env{PGBRAID_DATABASE}, '--range', $range, '--conninfo', $conninfo ])->{rc}, 0, 'a half-made layout');
for my $time ('first', 'second') {
    my $r = run([ $image{$entrypoint}, 'shard', 'list', '--config', "$dir/pgbraid.conf" ], env => \%env);
    is($r->{rc}, 0, "$time start") or diag("$r->{out}$r->{err}");
    unlike($r->{out}, qr/not served/, "$time start: the key ranges cover everything");
    is(() = $r->{out} =~ /^shard .* added/mg, $time eq 'first' ? 2 : 0, "$time start: adds what is missing");
    for my $line (split /\n/, $router->{environment}{PGBRAID_SHARDS}) {
        my ($name, $range, $conninfo) = split ' ', $line, 3;
        like($r->{out}, qr/\Q$name\E.*\Q$range\E/, "$time start: $name has its range");
        my %part = map { split /=/ } split ' ', $conninfo;
        ok($services{ $part{host} }, "$name: host $part{host} is a service");
        is($part{port}, 5432, "$name: PostgreSQL's port");
        is($part{dbname}, $services{ $part{host} }{environment}{POSTGRES_DB}, "$name: the database that the image makes");
    }
}

done_testing();
