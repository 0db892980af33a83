#!/usr/bin/perl
# Never silently wrong, end to end: statements made at random, run through the router and on one plain server. Rows,
# columns, types, tags, SQLSTATEs and, after each change, all tables have to agree, or the router has to refuse. When
# several rows of one INSERT are wrong, any of their errors will do: shards do not wait for each other to fail.
#
# PGBRAID_SEED and PGBRAID_SEEDS (how many from there on) and PGBRAID_STATEMENTS (for each) repeat a failure or make the
# run longer: ./dev differential --seeds 100.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Statements;
use PgbraidTest::Twin;

my $first = $ENV{PGBRAID_SEED} // 1;
my $seeds = $ENV{PGBRAID_SEEDS} // 1;
my $wanted = $ENV{PGBRAID_STATEMENTS} // 300;

my $everywhere = <<'END';
CREATE ROLE app LOGIN;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := ''v'' || NEW.v; RETURN NEW; END';
END
my $tables = <<'END';
CREATE TABLE acc (id bigint PRIMARY KEY, name text, v int, w numeric(8,2), m mood, g int GENERATED ALWAYS AS (v * 2) STORED, d text DEFAULT 'dd' NOT NULL);
CREATE TABLE ord (acc_id bigint NOT NULL, id int NOT NULL, item text, v int CHECK (v < 100), PRIMARY KEY (acc_id, id));
CREATE TABLE lin (acc_id int NOT NULL, ord_id int NOT NULL, n int NOT NULL, v smallint, PRIMARY KEY (acc_id, ord_id, n));
CREATE TABLE k_text (k text PRIMARY KEY, v int);
CREATE TABLE k_varchar (k varchar(6) PRIMARY KEY, v int);
CREATE TABLE k_char (k char(3) PRIMARY KEY, v int);
CREATE TABLE k_uuid (k uuid PRIMARY KEY, v int);
CREATE TABLE k_num (k numeric(6,2) PRIMARY KEY, v int);
CREATE TABLE k_date (k date PRIMARY KEY, v int);
CREATE TABLE k_ts (k timestamp(3) PRIMARY KEY, v int);
CREATE TABLE k_small (k smallint PRIMARY KEY, v int);
CREATE TABLE ev (tenant int NOT NULL, region text NOT NULL, v int, PRIMARY KEY (tenant, region));
CREATE TABLE nt (tenant bigint NOT NULL, region varchar(4) NOT NULL, v int, PRIMARY KEY (tenant, region));
CREATE TABLE trg (id bigint PRIMARY KEY, v int, note text);
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON trg FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TABLE rls (id bigint PRIMARY KEY, owner text, v int);
ALTER TABLE rls ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON rls USING (owner = current_user OR v > 3) WITH CHECK (v < 30);
CREATE TABLE ref (k text PRIMARY KEY, name text, v int);
CREATE TABLE ref2 (id int PRIMARY KEY, v int);
CREATE TABLE uns (k text PRIMARY KEY, v int);
CREATE TABLE uns2 (id bigint PRIMARY KEY, v int);
CREATE VIEW v_ref AS SELECT k, name AS item FROM ref WHERE v > 1;
CREATE VIEW v_uns AS SELECT k, count(*) AS id FROM uns GROUP BY k;
CREATE VIEW v_acc AS SELECT id, name FROM acc;
GRANT ALL ON ALL TABLES IN SCHEMA public TO app;
INSERT INTO acc (id, name, v, w, m) SELECT i, 'n' || i % 5, NULLIF(i % 7, 3), i * 0.5, (ARRAY['sad', 'ok', 'happy', NULL]::mood[])[1 + i % 4] FROM generate_series(0, 8) i;
INSERT INTO ord SELECT i % 7, i, 'n' || i % 4, NULLIF(i % 6, 2) FROM generate_series(0, 20) i;
INSERT INTO lin SELECT i % 6, i % 21, i % 5, NULLIF(i % 6, 2) FROM generate_series(0, 24) i;
INSERT INTO k_text SELECT 'n' || i, i FROM generate_series(0, 4) i UNION SELECT 'de', 3;
INSERT INTO k_varchar SELECT 'n' || i, i FROM generate_series(1, 4) i UNION SELECT 'fr', 3;
INSERT INTO k_char SELECT chr(97 + i), i FROM generate_series(0, 4) i;
INSERT INTO k_uuid SELECT ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, i FROM generate_series(0, 5) i;
INSERT INTO k_num SELECT i * 0.75, i FROM generate_series(0, 6) i;
INSERT INTO k_date SELECT date '2024-01-01' + i, i FROM generate_series(0, 5) i;
INSERT INTO k_ts SELECT timestamp '2024-01-01 10:00:00' + i * interval '1 day', i FROM generate_series(0, 5) i;
INSERT INTO k_small SELECT i, i FROM generate_series(0, 6) i;
INSERT INTO ev SELECT i % 4, (ARRAY['eu', 'us', 'de'])[1 + i / 4 % 3], i FROM generate_series(0, 11) i;
INSERT INTO nt SELECT i % 3, (ARRAY['eu', 'us', 'fr'])[1 + i / 3 % 3], i FROM generate_series(0, 8) i;
INSERT INTO trg SELECT i, i FROM generate_series(0, 6) i;
INSERT INTO rls SELECT i, (ARRAY['app', 'postgres'])[1 + i % 2], i FROM generate_series(0, 8) i;
INSERT INTO ref VALUES ('de', 'n1', 3), ('fr', 'n2', 4), ('us', 'n3', NULL), ('n1', 'n1', 1);
INSERT INTO ref2 SELECT i, i % 4 FROM generate_series(0, 6) i;
INSERT INTO uns VALUES ('n1', 1), ('n2', 2), ('de', 3);
INSERT INTO uns2 SELECT i, i FROM generate_series(0, 4) i;
END
my %sharded = (acc => ['id'], ord => ['acc_id'], lin => ['acc_id'], ev => [qw(tenant region)], nt => [qw(tenant region)], trg => ['id'], rls => ['id'],
    map { ("k_$_" => ['k']) } qw(text varchar char uuid num date ts small));
# bigint keys that are their own hash: put in place by hand, since no statement makes them.
my $own = 'CREATE TABLE idv (k bigint PRIMARY KEY, v int); GRANT ALL ON idv TO app;';

my %t = (
    acc => { columns => [ [qw(id int)], [qw(name text)], [qw(v int)], [qw(w num)], [qw(m mood)], [qw(g int)], [qw(d text)] ], weight => 3 },
    ord => { columns => [ [qw(acc_id int)], [qw(id int)], [qw(item text)], [qw(v int)] ], unique => [qw(acc_id id)], weight => 3 },
    lin => { columns => [ [qw(acc_id int)], [qw(ord_id int)], [qw(n int)], [qw(v int)] ], unique => [qw(acc_id ord_id n)], weight => 2 },
    (map { ("k_$_->[0]" => { columns => [ [ 'k', $_->[1] ], [qw(v int)] ] }) } [qw(text text)], [qw(varchar text)], [qw(char char)], [qw(uuid uuid)], [qw(num num)], [qw(date date)], [qw(ts ts)], [qw(small int)]),
    ev => { columns => [ [qw(tenant int)], [qw(region text)], [qw(v int)] ], weight => 2 },
    nt => { columns => [ [qw(tenant int)], [qw(region text)], [qw(v int)] ] },
    trg => { columns => [ [qw(id int)], [qw(v int)], [qw(note text)] ] },
    rls => { columns => [ [qw(id int)], [qw(owner text)], [qw(v int)] ], weight => 2 },
    idv => { columns => [ [qw(k int)], [qw(v int)] ], key => ['k'] },
    ref => { columns => [ [qw(k text)], [qw(name text)], [qw(v int)] ], key => ['k'], weight => 2 },
    ref2 => { columns => [ [qw(id int)], [qw(v int)] ], key => ['id'] },
    uns => { columns => [ [qw(k text)], [qw(v int)] ], key => ['k'] },
    uns2 => { columns => [ [qw(id int)], [qw(v int)] ], key => ['id'] },
    v_ref => { columns => [ [qw(k text)], [qw(item text)] ], key => ['k'], view => 1 },
    v_uns => { columns => [ [qw(k text)], [qw(id int)] ], key => ['k'], view => 1 },
    v_acc => { columns => [ [qw(id int)], [qw(name text)] ], key => ['id'], view => 1 },
);
for my $name (keys %t) {
    $t{$name}{key} //= $sharded{$name};
    $t{$name}{unique} //= $t{$name}{key};
    $t{$name}{write} = !$t{$name}{view};
}

# Colocated tables with reference tables, and so on.
my @by_id = qw(acc ord lin trg rls ref ref2 v_ref);
my @worlds = ((\@by_id) x 6, [qw(ev nt ref ref2)], [qw(ev nt)], [qw(k_text k_varchar ref)], [qw(k_char k_uuid k_num ref)], [qw(k_date k_ts k_small ref2)], [qw(k_small acc ord ref2)], [qw(idv acc)],
    [qw(uns uns2 v_uns ref ref2 v_ref)], [qw(ref ref2)]);

my %count;

sub set_up
{
    my ($shards) = @_;
    my $twin = PgbraidTest::Twin->new(shards => $shards, everywhere => $everywhere, tables => $tables, sharded => {%sharded}, reference => [qw(ref ref2)], any_user_type => 1,
        config => { safe_functions => 'public.stamp' });
    for my $i (1 .. $shards + 1) {
        $twin->load($i, $own);
        $twin->load($i, "INSERT INTO pgbraid.tables (schema_name, table_name, dist, key_columns, vindex) VALUES ('public', 'idv', 'sharded', '{k}', 'identity')") if $i != $twin->plain;
    }
    $twin->{sharded}{idv} = ['k'];
    $twin->router->restart;
    return $twin;
}

# A statement of its own, or several in a transaction: a list of [sql, values, types, formats].
sub batch
{
    my ($g, $extended) = @_;
    return ([ $g->statement(extended => $extended) ]) if rand() < 0.94;
    return (['BEGIN'], (map { [ $g->statement(extended => $extended, write => rand() < 0.7) ] } 1 .. 2 + int rand 2), [ rand() < 0.7 ? 'COMMIT' : 'ROLLBACK' ]);
}

sub check
{
    my ($twin, $g) = @_;
    my $extended = rand() < 0.5;
    my @batch = batch($g, $extended);
    for my $s (@batch) {
        my ($sql, $values, $types, $formats) = @$s;
        my %out;
        my $alone = @batch == 1 || $s == $batch[-1];
        my %how = $extended && @batch >= 1 && $values ? (values => $values, types => $types, formats => $formats, result_formats => [ rand() < 0.3 ? 1 : 0 ]) : ();
        my $diff = $twin->differs($sql, %how, plain_first => scalar($sql =~ /^\(?(?:SELECT|WITH)/ && $sql !~ /\b(?:INSERT|UPDATE|DELETE|MERGE)\b/), any_error => scalar($sql =~ /^INSERT .* VALUES \(.*\), \(/s), contents => $alone && scalar("@{[ map { $_->[0] } @batch ]}" !~ /^(?:SELECT|\(SELECT)/), out => \%out);
        return $diff if $diff;
        if ($out{skipped}) { # too many rows
            $count{skipped}++;
            next if @batch == 1;
            $twin->execute($_, 'ROLLBACK') for values %{ $twin->sessions };
            return $twin->contents_differ;
        }
        $count{statements}++;
        $count{ $out{refused} ? 'refused' : $out{got}{error} ? 'errors' : 'same' }++;
        if ($out{refused} && @batch > 1) { # the router's transaction is lost: so be the other
            $twin->execute($_, 'ROLLBACK') for values %{ $twin->sessions };
            return $twin->contents_differ;
        }
        $count{ 'why ' . ($out{refused}{M} =~ s/"[^"]*"/.../gr) }++ if $out{refused};
    }
    return undef;
}

for my $shards (3, 1) {
    my $twin = set_up($shards);
    is($twin->contents_differ, undef, "$shards shards: the same rows to begin with") or next;
    my $g = PgbraidTest::Statements->new(tables => \%t, worlds => \@worlds);
    for my $seed ($first .. $first + ($shards == 1 ? int(($seeds + 3) / 4) : $seeds) - 1) {
        srand $seed;
        my $bad = 0;
        # Superusers pass by row security: every other seed is the application's role.
        delete $twin->{session};
        my $user = $seed % 2 ? 'postgres' : 'app';
        $twin->{session} = { router => $twin->router->wire(user => $user), plain => $twin->cluster->wire($twin->plain, user => $user) };
        $twin->sessions->{plain}->do("SET statement_timeout = '300ms'");
        for my $i (1 .. $wanted) {
            my $diff = check($twin, $g) or next;
            $bad++;
            diag("seed $seed, statement $i, $shards shards, user $user:\n$diff\n");
            $twin->execute($_, 'ROLLBACK') for values %{ $twin->sessions };
            $twin->resync if $twin->contents_differ;
            last if $bad >= 5;
        }
        is($bad, 0, "$shards shards, seed $seed: no answer differs from one server's");
    }
}
note join ', ', map { "$_ " . ($count{$_} // 0) } qw(statements same refused errors skipped);
note "  $count{$_} $_" for sort { $count{$b} <=> $count{$a} } grep { /^why/ } keys %count;
cmp_ok($count{same}, '>', $count{statements} / 5, 'enough statements were answered');
done_testing();
