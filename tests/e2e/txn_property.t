#!/usr/bin/perl
# Transactions at random: programs of BEGIN, SET TRANSACTION, SET LOCAL, savepoints, errors, statements on one and several shards,
# COMMIT AND CHAIN, query strings and pipelines, run behind a router and on one plain server. Rows, tags, warnings, SQLSTATEs and
# the state in ReadyForQuery must be the same, and so must what is left in the tables. What the router refuses (0A000 or 40001 of its
# own) is an error on the plain server, too. SEED and PROGRAMS choose other and more programs; a failing one is made shorter.
use strict;
use warnings;
use lib 'tests/lib';
use Test::More;
use PgbraidTest::Twin;
use PgbraidTest::Wire;

my $seed = $ENV{SEED} // 20261126;
my $programs = $ENV{PROGRAMS} // 250;

my $twin = PgbraidTest::Twin->new(
    tables => <<'SQL',
CREATE TABLE a (id int PRIMARY KEY, v int NOT NULL DEFAULT 0 CHECK (v < 1000));
CREATE TABLE d (id int, n int, PRIMARY KEY (id, n), CONSTRAINT d_a FOREIGN KEY (id) REFERENCES a DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE r (id int PRIMARY KEY, v int);
CREATE TABLE h (id int PRIMARY KEY, v int);
SQL
    sharded => { a => ['id'], d => ['id'] }, reference => ['r'], config => { workers => 1, pool_size => 3, reserve_pool_size => 4, %{ $ENV{CONFIG} ? { split /[ =]/, $ENV{CONFIG} } : {} } },
);
my ($cluster, $router) = ($twin->cluster, $twin->router);
my $reset = "DELETE FROM d; DELETE FROM a; DELETE FROM r;";
$router->do('INSERT INTO a (id) VALUES ' . join ', ', map { "($_)" } 1 .. 12);
my %home_of = map { my $i = $_; map { $_->[0] => $i } @{ $cluster->rows($i, 'SELECT id FROM a') } } 1 .. 3;
my %past = map { $_ => $cluster->wire($_) } 1 .. 4;

sub fresh_data
{
    for my $i (1 .. 4) {
        my @mine = grep { $i == 4 || $home_of{$_} == $i } 1 .. 12;
        $past{$i}->do("BEGIN; $reset" . join('', map { "INSERT INTO a VALUES ($_, 0);" } @mine) . ($i == 1 || $i == 4 ? "DELETE FROM h; INSERT INTO h VALUES (1, 0);" : "") . 'INSERT INTO r VALUES (1, 0); COMMIT');
    }
    return;
}

# --- programs

sub pick { return $_[ rand @_ ]; }

my @levels = ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE', 'READ UNCOMMITTED');
sub mode { return pick((map { "ISOLATION LEVEL $_" } 'READ COMMITTED', @levels), 'READ ONLY', 'READ WRITE', 'DEFERRABLE', 'NOT DEFERRABLE'); }
sub modes { return join ', ', map { mode() } 1 .. (rand() < 0.7 ? 1 : 2); }

my $modes_now = "current_setting('transaction_isolation'), current_setting('transaction_read_only'), current_setting('transaction_deferrable'), current_setting('work_mem'), coalesce(nullif(current_setting('x.y', true), ''), '-')";
sub point { return pick(qw(p p q "Q")); }

sub control
{
    my @kinds = (
        ('BEGIN') x 3, 'START TRANSACTION', 'BEGIN ' . modes(), 'START TRANSACTION ' . modes(),
        ('COMMIT') x 2, pick('END', 'ABORT'), 'ROLLBACK', 'COMMIT AND CHAIN', 'ROLLBACK AND CHAIN',
        (map { my $p = $_; (("SAVEPOINT $p", "ROLLBACK TO $p") x 3, "ROLLBACK TO SAVEPOINT $p", "RELEASE $p") } point()),
        'SET TRANSACTION ' . modes(), 'SET TRANSACTION ' . modes(), 'SET transaction_read_only = ' . pick('on', 'off'), "SET LOCAL transaction_isolation = '" . lc(pick(@levels, 'nonsense')) . "'",
        "SET LOCAL work_mem = '" . pick(100, 200, 300) . "kB'", "SET LOCAL x.y = '" . pick(1, 2) . "'", "SET work_mem = '" . pick(400, 500) . "kB'", 'RESET work_mem', "SET LOCAL work_mem = 'much'",
        'SET default_transaction_read_only = ' . pick('on', 'off', 'off'), "SET default_transaction_isolation = '" . lc(pick('READ COMMITTED', @levels)) . "'",
        'SET SESSION CHARACTERISTICS AS TRANSACTION ' . mode(), 'RESET ALL',
        'SET CONSTRAINTS ALL ' . pick('IMMEDIATE', 'DEFERRED'), 'SET CONSTRAINTS d_a ' . pick('IMMEDIATE', 'DEFERRED'),
        pick('SHOW transaction_isolation', 'SHOW transaction_read_only', 'SHOW transaction_deferrable', 'SHOW work_mem'),
    );
    return pick(@kinds);
}

sub statement
{
    my $k = 1 + int rand 12;
    my $l = 1 + int rand 12;
    my @kinds = (
        ("SELECT id, v FROM a WHERE id = $k", "UPDATE a SET v = v + 1 WHERE id = $k", "SELECT $modes_now FROM a WHERE id = $k") x 4,
        ('SELECT id, v FROM a', "SELECT $modes_now, id FROM a", 'UPDATE a SET v = v + 10 WHERE v < 500', "SELECT id, v FROM a WHERE id IN ($k, $l)", "UPDATE a SET v = v + 3 WHERE id IN ($k, $l)") x 2,
        "SELECT count(*), sum(v) FROM a", "DELETE FROM a WHERE id = $k", "DELETE FROM a WHERE v > 5",
        'INSERT INTO a VALUES (' . (100 + int rand 50) . ', 1)', 'INSERT INTO a VALUES ' . join(', ', map { '(' . (100 + int rand 50) . ', 2)' } 1 .. 4),
        "INSERT INTO d VALUES ($k, 1)", 'INSERT INTO d VALUES (' . (100 + int rand 50) . ', 1)', "SELECT id, n FROM d WHERE id = $k",
        "SELECT id FROM a WHERE id = $k FOR UPDATE",
        'UPDATE r SET v = v + 1', 'SELECT v FROM r', 'UPDATE h SET v = v + 1', 'SELECT v FROM h', 'SELECT 1',
        # the clock: one time, whatever it is
        "SELECT now() = transaction_timestamp() AS same, id FROM a WHERE id IN ($k, $l)", 'SELECT count(DISTINCT now()) FROM a', "UPDATE a SET v = v + CASE WHEN now() > '2000-01-01' THEN 1 ELSE 500 END WHERE id IN ($k, $l)",
        "UPDATE a SET v = v + (CURRENT_DATE - now()::date) + 1 WHERE id = $k", 'UPDATE r SET v = v + CASE WHEN LOCALTIMESTAMP = now()::timestamp THEN 1 END',
        # errors
        "INSERT INTO a VALUES ($k, 1)", "INSERT INTO a VALUES (" . (100 + int rand 50) . ", 1), ($k, 1)", "UPDATE a SET v = 1 / (v - v) WHERE id = $k", "UPDATE a SET v = 1000 WHERE id IN ($k, $l)",
        'SELECT no_such FROM a', 'SELECT 1 1', 'SELECT 1/0',
    );
    return pick(@kinds);
}

sub sql { return rand() < 0.5 ? control() : statement(); }

# The next item of a program, given the state that ReadyForQuery told.
sub item
{
    my ($state) = @_;
    return [ 'simple', pick('BEGIN', 'BEGIN', 'BEGIN ' . modes()) ] if $state eq 'I' && rand() < 0.5;
    return [ 'simple', pick('ROLLBACK', 'COMMIT AND CHAIN', 'ROLLBACK AND CHAIN', map { "ROLLBACK TO $_" } (qw(p q)) x 2, '"Q"') ] if $state eq 'E' && rand() < 0.6;
    my $r = rand;
    return
        $r < 0.55 ? [ 'simple', sql() ]
        : $r < 0.75 ? [ 'extended', sql() ]
        : $r < 0.90 ? [ 'string', map { sql() } 1 .. 2 + rand 3 ]
        :             [ 'pipeline', map { sql() } 1 .. 2 + rand 3 ];
}

# --- running

sub run_item
{
    my ($w, $kind, @sql) = @_;
    if ($kind eq 'simple' || $kind eq 'string') { $w->send(Query(join '; ', @sql)); }
    else { $w->send((map { (Parse('', $_), Bind('', '', []), Describe('P', ''), Execute('')) } @sql), Sync()); }
    return [ $w->until_ready ];
}

# What must be the same, result by result: rows in any order.
sub outcome
{
    my ($frames) = @_;
    my (@out, @rows);
    for my $f (@$frames) {
        if ($f->{type} eq 'D') { push @rows, PgbraidTest::Twin::row($f->{values}); next; }
        push @out, 'T(' . join(',', map { $_->{name} } @{ $f->{columns} }) . ')' if $f->{type} eq 'T';
        push @out, sort(@rows), "C($f->{tag})" if $f->{type} eq 'C';
        push @out, "$f->{type}($f->{fields}{C})" if $f->{type} =~ /^[EN]$/;
        push @out, "Z($f->{status})" if $f->{type} eq 'Z';
        push @out, 'I' if $f->{type} eq 'I';
        @rows = () if $f->{type} =~ /^[CE]$/;
    }
    @out = grep { !/^T/ } @out if grep { /^E/ } @out; # at which message an error comes is not always the same
    return join ' ', @out;
}

my %count = (programs => 0, items => 0, refused => 0, errors => 0, commits => 0);
my %why;

# undef, or what differs. Sessions are new: what a program sets is its own. Without a program one is made, of `length` items.
sub differs
{
    my ($items, $length) = @_;
    fresh_data();
    my ($many, $one) = ($router->wire, $cluster->wire(4));
    my $state = 'I';
    for (my $n = 0; $n < ($length // @$items); $n++) {
        push @$items, item($state) if $length;
        my ($kind, @sql) = @{ $items->[$n] };
        my $item = $items->[$n];
        my $got = run_item($many, $kind, @sql);
        my ($error) = grep { $_->{type} eq 'E' } @$got;
        $count{items}++;
        my $refused = $error && ($error->{fields}{D} // '') =~ /\bPB\d{4}\b/ && $error->{fields}{C} =~ /^(?:0A000|40001)$/;
        if ($refused) {
            $count{refused}++;
            $why{"$error->{fields}{M}"}++;
            # The plain server fails at the same statement.
            my $at = grep { $_->{type} =~ /^[CI]$/ } @$got;
            $sql[$at] = 'SELECT 1/0';
        }
        my $want = run_item($one, $kind, @sql);
        my ($g, $w) = map { outcome($_) } $got, $want;
        $count{errors}++ if $error;
        $count{commits} += grep { $_->{type} eq 'C' && $_->{tag} eq 'COMMIT' } @$got;
        if ($refused) { s/[EN]\(\w+\) ?//g for $g, $w; } # the refusal's own state and warnings do not matter
        return "@$item\n  got  $g" . ($error ? " -- $error->{fields}{M}" . ($error->{fields}{D} // '') : '') . "\n  want $w" if $g ne $w;
        $state = $want->[-1]{status};
    }
    my ($g, $w) = map { my $s = $_; my $r = $s->query('ROLLBACK'); $r->{tags}[0] // $r->{error}{C} } $many, $one;
    return "last ROLLBACK: got $g, want $w" if $g ne $w;
    $_->close for $many, $one;
    my $contents = $twin->contents_differ;
    return $contents && "tables: $contents";
}

# Leave out what can be left out.
sub shrink
{
    my ($items, $diff) = @_;
    for (my $i = $#$items; $i >= 0; $i--) {
        my @less = grep { $_ != $i } 0 .. $#$items;
        my $now = differs([ @$items[@less] ]);
        ($items, $diff) = ([ @$items[@less] ], $now) if $now;
    }
    for my $i (0 .. $#$items) {
        for (my $k = $#{ $items->[$i] }; $k >= 1 && @{ $items->[$i] } > 2; $k--) {
            my @item = @{ $items->[$i] };
            splice @item, $k, 1;
            my @try = @$items;
            $try[$i] = \@item;
            my $now = differs(\@try);
            ($items, $diff) = (\@try, $now) if $now;
        }
    }
    return ($items, $diff);
}

my $failed = 0;
for my $n (1 .. $programs) {
    srand($seed + $n);
    my $items = [];
    $count{programs}++;
    my $diff = differs($items, 4 + int rand 14) or next;
    my ($short, $why) = shrink($items, $diff);
    fail("program SEED=" . ($seed + $n - 1) . ' PROGRAMS=1');
    diag("$why\n  of\n" . join "\n", map { "  $_->[0]: " . join '; ', @$_[ 1 .. $#$_ ] } @$short);
    last if ++$failed == ($ENV{FAILURES} // 3);
}
is($failed, 0, "seed $seed: " . join ', ', map { "$count{$_} $_" } sort keys %count);
diag(join "\n", map { "$why{$_} x $_" } sort { $why{$b} <=> $why{$a} } keys %why) if $ENV{WHY};
cmp_ok($count{commits}, '>', $count{programs} / 4, 'transactions were committed') if $programs >= 100;
done_testing();
