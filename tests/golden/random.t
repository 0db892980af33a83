#!/usr/bin/perl
# Scripts made at random, compared as those of wire.t are. Of an odd seed: pipelines of Parse, Bind, Describe, Execute, Close, Flush
# and Query in any order, with names that exist or not, limits, errors, transactions and savepoints, over statements of
# every kind of plan. Of an even one: sessions of simple queries with cursors, savepoints, settings and prepared statements.
# A script with a statement that the router refuses is not compared from there on.
# PGBRAID_SEED=N begins there, PGBRAID_SCRIPTS=N plays so many.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Proc qw(workdir);
use PgbraidTest::Scripts;

my $seed = $ENV{PGBRAID_SEED} // 1;
my $scripts = $ENV{PGBRAID_SCRIPTS} // 150;
my $bed = PgbraidTest::Scripts->new(config => { safe_functions => 'public.say' });

# --- pipelines

# Statements, and the parameters that they take. Of several shards they have an order, and show no column of a table as it
# is where rows are put together (that it is a table's is not known there).
my @statements = (
    [ 'SELECT id, v FROM t WHERE id = $1', qw(key) ], [ 'SELECT v FROM t WHERE id = 3' ], [ 'SELECT id, n FROM t ORDER BY id' ], [ 'SELECT id FROM t WHERE n = $1 ORDER BY id', qw(small) ],
    [ 'SELECT n + 0 AS n, count(*), sum(id) FROM t GROUP BY n ORDER BY n' ], [ 'SELECT max(v), min(id) FROM t WHERE id > $1', qw(key) ], [ 'SELECT a.id + 0, upper(b.v) FROM t a JOIN t b ON b.id = a.n ORDER BY 1' ],
    [ 'SELECT DISTINCT n + 0 FROM t ORDER BY 1 LIMIT $1', qw(small) ], [ 'SELECT id FROM t ORDER BY id OFFSET $1 LIMIT 5', qw(small) ], [ 'SELECT code, name FROM r ORDER BY code' ],
    [ 'SELECT id, v, d FROM h ORDER BY id' ], [ 'SELECT 1 / (n - n) FROM t WHERE id = $1', qw(key) ], [ 'SELECT $1::text || $2', qw(text text) ], [ 'SELCT 1' ],
    [ 'INSERT INTO w (id, n) VALUES ($1, $2)', qw(key small) ], [ 'INSERT INTO w (id, n) VALUES ($1, 1), ($2, 2) RETURNING id', qw(key key2) ], [ 'UPDATE w SET n = n + 1' ], [ 'UPDATE w SET v = $2 WHERE id = $1 RETURNING id, v', qw(key text) ],
    [ 'DELETE FROM w WHERE id = $1', qw(key) ], [ 'DELETE FROM w RETURNING 1' ], [ 'SELECT id, v, n FROM w ORDER BY id' ], [ 'SELECT count(*) FROM w' ], [ q{UPDATE h SET v = $2 WHERE id = $1}, qw(key text) ], [ 'SELECT id FROM w WHERE id = $1 FOR UPDATE', qw(key) ],
    [ 'VALUES (1, $1), (2, NULL)', qw(text) ], [ 'COPY (SELECT id, v FROM t ORDER BY id) TO STDOUT' ], [ 'COPY r TO STDOUT CSV' ], [ 'SELECT generate_series(1, $1::int)', qw(small) ],
);
# What the router does by itself is executed once, as the unnamed portal.
my @verbs = map { [$_] } 'BEGIN', 'BEGIN', 'COMMIT', 'COMMIT', 'ROLLBACK', 'SAVEPOINT a', 'ROLLBACK TO a', 'RELEASE a', 'BEGIN ISOLATION LEVEL READ COMMITTED', q{SET application_name = 'x'}, 'SHOW application_name', q{SET LOCAL datestyle = 'German'},
    q{SELECT set_config('my.x', 'a', true) AS x, set_config('datestyle', 'German', false)}, 'RESET datestyle', 'DECLARE cur CURSOR FOR SELECT id FROM t ORDER BY id', 'FETCH 3 FROM cur', 'CLOSE cur', 'PREPARE pre AS SELECT id FROM t WHERE id = $1', 'EXECUTE pre (4)', 'DEALLOCATE pre', '';
my %values = (key => sub { return "'" . (1 + int rand 8) . "'" }, key2 => sub { return "'" . (13 + int rand 6) . "'" }, small => sub { return "'" . int(rand 6) . "'" }, text => sub { return rand() < 0.2 ? 'null' : "'" . ('a', 'xyz', '42')[ rand 3 ] . "'" });
my @names = (q(''), q(''), 's1', 's2', 's3');
my @portals = (q(''), q(''), 'p1', 'p2');

sub pick { return $_[ rand @_ ]; }

# The values of a Bind: mostly as many as the statement wants.
sub values_for
{
    my ($statement) = @_;
    my @kinds = $statement ? @$statement[ 1 .. $#$statement ] : ();
    pop @kinds if rand() < 0.03;
    return '(' . join(', ', map { $values{$_}->() } @kinds) . ')';
}

# COPY FROM STDIN without waiting for its CopyInResponse: if there is none, the data is ignored.
sub copy_in
{
    my $copy = 'COPY ' . pick('w', 'w', 'w', 'h') . ' (id, v) FROM STDIN';
    my @start = rand() < 0.3 ? ("query SELECT id FROM t WHERE id = 1; $copy; SELECT count(*) FROM w") : ("parse '' $copy", q{bind '' '' ()}, q{execute ''});
    my @data = map { 'copydata ' . join '', map { (50 + int rand 100) . '\t' . pick('a', 'b', '\\\\N') . '\n' } 1 .. rand 6 } 1 .. rand 4;
    push @data, 'copydata ' . pick('x\n', '7\t', '7\ta\n8\tb\n') if rand() < 0.2;
    return (@start, @data, rand() < 0.9 ? 'copydone' : 'copyfail no');
}

sub make_pipeline
{
    my %parsed;
    my @lines = ('# at random', 'option unordered', 'query TRUNCATE w', 'query INSERT INTO w (id, n) VALUES (1, 1), (2, 2), (3, 3), (12, 4)', '');
    for (1 .. 2 + rand 6) {
        for (1 .. 1 + rand 5) {
            my $x = rand;
            my $statement = pick(@statements);
            if ($x < 0.2) {
                push @lines, 'sync' if $lines[-1] !~ /^(?:|query.*|sync)$/; # after an error it would be skipped
                push @lines, 'query ' . join '; ', map { $_->[0] } grep { @$_ == 1 } map { pick(@statements, @verbs, @verbs) } 1 .. 1 + rand 3;
            } elsif ($x < 0.24) {
                my @copy = copy_in();
                push @lines, 'sync' if $copy[0] =~ /^query/ && $lines[-1] !~ /^(?:|query.*|sync)$/;
                push @lines, @copy;
            } elsif ($x < 0.35) {
                my ($name, $verb) = (pick(@names), pick(@verbs));
                push @lines, "parse $name $verb->[0]", "bind '' $name ()", q{execute ''};
                $parsed{$name} = undef;
            } elsif ($x < 0.7) { # a whole
                my ($name, $portal) = (pick(@names), pick(@portals));
                push @lines, "parse $name $statement->[0]", rand() < 0.3 ? "describe S $name" : (), "bind $portal $name " . values_for($statement) . (rand() < 0.3 ? ' -> ' . int rand 2 : ''), rand() < 0.5 ? "describe P $portal" : (),
                    map { "execute $portal" . (rand() < 0.4 ? ' ' . (1 + int rand 4) : '') } 1 .. 1 + (rand() < 0.2);
                $parsed{$name} = $statement;
            } elsif ($x < 0.8) {
                my $name = pick(grep { $parsed{$_} && $_ ne q('') } @names) // next; # after an error the unnamed one may be another
                push @lines, "bind @{[ pick(@portals) ]} $name " . values_for($parsed{$name});
            } elsif ($x < 0.86) { push @lines, 'execute ' . pick(grep { $_ ne q('') } @portals) . (rand() < 0.4 ? ' ' . (1 + int rand 4) : ''); }
            elsif ($x < 0.9) { push @lines, 'describe S ' . pick(@names); }
            elsif ($x < 0.94) { my $name = pick(@names); push @lines, rand() < 0.5 ? "close S $name" : 'close P ' . pick(@portals); }
            elsif ($x < 0.97) { push @lines, 'flush'; }
            else { push @lines, 'sync'; }
        }
        push @lines, 'sync', '';
    }
    return (@lines, 'query ROLLBACK', 'query SELECT id, v, n FROM w ORDER BY id', 'query SELECT id, v FROM h ORDER BY id');
}

# --- sessions of simple queries: cursors, savepoints, settings, prepared statements

my @rows = ('SELECT id, v FROM t ORDER BY id', 'SELECT id FROM t WHERE id = 4', 'SELECT id, n FROM w ORDER BY id', 'SELECT n + 0 AS n, count(*) FROM t GROUP BY n ORDER BY 1', 'SELECT a.id + 0 AS i, upper(b.v) AS u FROM t a JOIN t b ON b.id = a.n ORDER BY 1', 'SELECT id FROM h ORDER BY id',
    'SELECT generate_series(1, 9) AS g', 'SELECT code FROM r ORDER BY code', 'VALUES (1), (2), (3)');
my @cursors = ('c1', 'c1', 'c2');

sub some { return 1 + int rand 8; }

my @steps = (
    (map { my $sql = $_; sub { $sql } } 'BEGIN', 'BEGIN', 'BEGIN READ ONLY', 'COMMIT', 'ROLLBACK', 'COMMIT AND CHAIN', 'CLOSE ALL', 'DISCARD ALL', 'DISCARD PLANS', 'DEALLOCATE ALL', 'RESET application_name', 'RESET ALL', 'SHOW application_name', 'SHOW statement_timeout', 'SHOW transaction_isolation', 'SHOW transaction_read_only',
        q{SET datestyle = 'German'}, q{SELECT '2020-02-01'::date}, q{SELECT timestamptz '2020-01-01 00:00Z'}, q{SET LOCAL application_name = 'l'}, q{SET LOCAL my.x = '5'}, 'SET TRANSACTION READ ONLY', 'SET CONSTRAINTS ALL DEFERRED', 'UPDATE w SET n = n + 1', 'SELECT id, n FROM w ORDER BY id', 'SELECT sum(n) FROM w',
        'SELECT 1/0', 'SELECT count(*) FROM t a JOIN w b ON a.n = b.n', 'SELECT id FROM w ORDER BY id FOR UPDATE', 'LOCK TABLE h'),
    sub { 'SAVEPOINT ' . pick('a', 'b') }, sub { 'ROLLBACK TO ' . pick('a', 'b') }, sub { 'RELEASE ' . pick('a', 'b') },
    (sub { 'DECLARE ' . pick(@cursors) . pick('', '', ' SCROLL', ' NO SCROLL') . ' CURSOR ' . pick('', '', 'WITH HOLD ') . 'FOR ' . pick(@rows) }) x 5,
    (sub { pick('FETCH ', 'FETCH ', 'FETCH ', 'MOVE ') . pick('', '', 'NEXT ', '2 ', '3 ', 'ALL ', 'FORWARD 2 ', 'FORWARD ALL ', 'PRIOR ', 'BACKWARD 1 ', 'ABSOLUTE 2 ', 'RELATIVE 1 ', 'FIRST ', 'LAST ', '0 ', 'BACKWARD ALL ') . 'FROM ' . pick(@cursors) }) x 8,
    sub { 'CLOSE ' . pick(@cursors) },
    sub { 'PREPARE ' . pick('p', 'q') . pick(' AS SELECT id, v FROM t WHERE id = $1', '(int) AS SELECT id FROM t WHERE n = $1 ORDER BY id', ' AS UPDATE w SET n = n + $1', ' AS SELECT count(*) FROM w WHERE n > $1', ' AS INSERT INTO w (id, n) VALUES ($1, 9)') },
    (sub { 'EXECUTE ' . pick('p', 'q') . '(' . some() . ')' }) x 3, sub { 'DEALLOCATE ' . pick('p', 'q') },
    sub { "SET application_name = '" . pick('x', 'y') . "'" }, sub { 'SET statement_timeout = ' . pick(0, '50000', "'1min'") }, sub { "SELECT set_config('my.x', '" . some() . "', " . pick('true', 'false') . ')' }, sub { "SELECT set_config('my.x', '" . some() . "', " . pick('true', 'false') . "), set_config('statement_timeout', '" . some() . "min', " . pick('true', 'false') . ')' }, sub { "SET timezone = '" . pick('UTC', 'Asia/Tokyo') . "'" },
    sub { 'INSERT INTO w (id, n) VALUES (' . some() . ', 1)' }, sub { 'INSERT INTO w (id, n) VALUES (' . (20 + some()) . ', 1), (' . (30 + some()) . ', 2)' }, sub { 'UPDATE w SET n = n + 1 WHERE id = ' . some() }, sub { 'DELETE FROM w WHERE id = ' . some() },
    sub { 'SELECT v FROM t WHERE id = ' . some() }, sub { 'UPDATE h SET d = 1 WHERE id = ' . some() }, sub { 'SELECT id FROM w WHERE id = ' . some() . ' FOR SHARE' },
);

sub make_session
{
    my @lines = ('# at random', 'option tableless', 'query TRUNCATE w', 'query INSERT INTO w (id, n) VALUES (1, 1), (2, 2), (3, 3), (12, 4)', '');
    for (1 .. 5 + rand 30) {
        push @lines, 'query ' . join('; ', map { pick(@steps)->() } 1 .. (rand() < 0.1 ? 2 + rand 2 : 1)), '';
    }
    return (@lines, 'query ROLLBACK', 'query SELECT id, v, n FROM w ORDER BY id');
}

my ($compared, $refused) = (0, 0);
for my $n ($seed .. $seed + $scripts - 1) {
    srand $n;
    my $path = workdir() . "/$n.wire";
    open my $out, '>', $path or die "$path: $!";
    print $out map { "$_\n" } $n % 2 ? make_pipeline() : make_session();
    close $out;
    for my $difference ($bed->differences($path)) {
        $compared++;
        if ($difference eq 'refused') { $refused++; next; }
        fail("PGBRAID_SEED=$n") or diag($difference) if $difference ne 'same';
    }
}
cmp_ok($compared, '==', 2 * $scripts, "$scripts scripts from seed $seed, each on one and three shards");
cmp_ok($refused, '<', 0.3 * $compared, "$refused of $compared were refused at some point");
done_testing();
