#!/usr/bin/perl
# Protocol messages at random: pipelines of Parse, Bind, Describe, Execute, Close, Flush and Query in any order, with names that
# exist or not, limits, errors, transactions and savepoints, over statements of every kind of plan. Played like the scripts
# of wire.t, on a PostgreSQL server and on routers over one and three shards; the frames must be the same. A script with
# a statement that the router refuses is not compared from there on.
# PGBRAID_SEED=N begins there, PGBRAID_SCRIPTS=N plays so many.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Proc qw(workdir);
use PgbraidTest::Scripts;

my $seed = $ENV{PGBRAID_SEED} // 1;
my $scripts = $ENV{PGBRAID_SCRIPTS} // 150;
my $bed = PgbraidTest::Scripts->new(config => { safe_functions => 'public.say' });

# Statements, and the parameters that they take. Of several shards they have an order, and show no column of a table as it
# is where rows are put together (that it is a table's is not known there).
my @statements = (
    [ 'SELECT id, v FROM t WHERE id = $1', qw(key) ], [ 'SELECT v FROM t WHERE id = 3' ], [ 'SELECT id, n FROM t ORDER BY id' ], [ 'SELECT id FROM t WHERE n = $1 ORDER BY id', qw(small) ],
    [ 'SELECT n + 0 AS n, count(*), sum(id) FROM t GROUP BY n ORDER BY n' ], [ 'SELECT max(v), min(id) FROM t WHERE id > $1', qw(key) ], [ 'SELECT a.id + 0, upper(b.v) FROM t a JOIN t b ON b.id = a.n ORDER BY 1' ],
    [ 'SELECT DISTINCT n + 0 FROM t ORDER BY 1 LIMIT $1', qw(small) ], [ 'SELECT id FROM t ORDER BY id OFFSET $1 LIMIT 5', qw(small) ], [ 'SELECT code, name FROM r ORDER BY code' ],
    [ 'SELECT id, v, d FROM h ORDER BY id' ], [ 'SELECT 1 / (n - n) FROM t WHERE id = $1', qw(key) ], [ 'SELECT $1::text || $2', qw(text text) ], [ 'SELCT 1' ],
    [ 'INSERT INTO w (id, n) VALUES ($1, $2)', qw(key small) ], [ 'INSERT INTO w (id, n) VALUES ($1, 1), ($2, 2) RETURNING id', qw(key key2) ], [ 'UPDATE w SET n = n + 1' ], [ 'UPDATE w SET v = $2 WHERE id = $1 RETURNING id, v', qw(key text) ],
    [ 'DELETE FROM w WHERE id = $1', qw(key) ], [ 'DELETE FROM w RETURNING 1' ], [ 'SELECT id, v, n FROM w ORDER BY id' ], [ 'SELECT count(*) FROM w' ], [ q{UPDATE h SET v = $2 WHERE id = $1}, qw(key text) ], [ 'SELECT id FROM w WHERE id = $1 FOR UPDATE', qw(key) ],
    [ 'VALUES (1, $1), (2, NULL)', qw(text) ], [ 'SELECT generate_series(1, $1::int)', qw(small) ],
);
# What the router does by itself is executed once, as the unnamed portal.
my @verbs = map { [$_] } 'BEGIN', 'BEGIN', 'COMMIT', 'COMMIT', 'ROLLBACK', 'SAVEPOINT a', 'ROLLBACK TO a', 'RELEASE a', 'BEGIN ISOLATION LEVEL READ COMMITTED', q{SET application_name = 'x'}, 'SHOW application_name', q{SET LOCAL datestyle = 'German'},
    'RESET datestyle', 'DECLARE cur CURSOR FOR SELECT id FROM t ORDER BY id', 'FETCH 3 FROM cur', 'CLOSE cur', 'PREPARE pre AS SELECT id FROM t WHERE id = $1', 'EXECUTE pre (4)', 'DEALLOCATE pre', '';
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

sub make_script
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

my ($compared, $refused) = (0, 0);
for my $n ($seed .. $seed + $scripts - 1) {
    srand $n;
    my $path = workdir() . "/$n.wire";
    open my $out, '>', $path or die "$path: $!";
    print $out map { "$_\n" } make_script();
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
