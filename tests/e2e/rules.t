#!/usr/bin/perl
# The planner's rules, end to end: what each of them is about, on three shards and on one plain server. Both have to agree,
# or the router has to refuse with the error named here. (What plans come of it is in tests/plan.)
use strict;
use warnings;
use Test::More;
use PgbraidTest::Twin;
use PgbraidTest::Wire;

my $everywhere = <<'END';
CREATE ROLE alice LOGIN;
CREATE ROLE bob LOGIN;
CREATE SCHEMA hid;
GRANT USAGE ON SCHEMA hid TO alice;
CREATE COLLATION nd (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE FUNCTION always(bigint, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE OPERATOR = (leftarg = bigint, rightarg = text, function = always);
CREATE FUNCTION always8(bigint, bigint) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE OPERATOR = (leftarg = bigint, rightarg = bigint, function = always8);
CREATE FUNCTION always4(bigint, int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE OPERATOR = (leftarg = bigint, rightarg = int, function = always4);
CREATE FUNCTION alwaysv(varchar, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE OPERATOR = (leftarg = varchar, rightarg = text, function = alwaysv);
CREATE FUNCTION move_key() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.id := NEW.id + 1; RETURN NEW; END';
CREATE FUNCTION reads() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM acc); END';
CREATE FUNCTION liar() RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN (SELECT count(*) FROM acc); END';
CREATE FUNCTION reads_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.v := (SELECT count(*) FROM acc); RETURN NEW; END';
END
my $tables = <<'END';
CREATE TABLE acc (id bigint PRIMARY KEY, v int, name text, at timestamptz);
CREATE TABLE ord (acc_id bigint NOT NULL, id int NOT NULL, v int, PRIMARY KEY (acc_id, id));
CREATE TABLE hid.acc (id bigint PRIMARY KEY, v int);
CREATE TABLE days (d date PRIMARY KEY, v int);
CREATE TABLE docs (k text PRIMARY KEY, v int);
CREATE TABLE tags (k varchar(3) PRIMARY KEY, v int);
CREATE TABLE codes (k char(4) PRIMARY KEY, v int);
CREATE TABLE amounts (n numeric(6,2) PRIMARY KEY, v int);
CREATE TABLE moments (ts timestamp(0) PRIMARY KEY, v int);
CREATE TABLE small (id int PRIMARY KEY, v int);
CREATE TABLE moved (id bigint PRIMARY KEY, v int);
CREATE TRIGGER mover BEFORE INSERT ON moved FOR EACH ROW EXECUTE FUNCTION move_key();
CREATE TABLE peeps (id bigint PRIMARY KEY, v int);
CREATE TRIGGER peep BEFORE INSERT ON peeps FOR EACH ROW EXECUTE FUNCTION reads_trigger();
CREATE TABLE ref (k text PRIMARY KEY, v int);
CREATE TABLE parent (id bigint PRIMARY KEY);
CREATE TABLE deferred (id bigint PRIMARY KEY, other bigint UNIQUE DEFERRABLE INITIALLY DEFERRED);
GRANT ALL ON acc, hid.acc TO alice, bob;
INSERT INTO acc SELECT i, i % 3, 'n' || i, timestamptz '2024-01-01 00:00+00' + i * interval '1 day' FROM generate_series(1, 20) i;
INSERT INTO ord SELECT i % 10, i, i FROM generate_series(1, 30) i;
INSERT INTO hid.acc VALUES (5, 555);
INSERT INTO days SELECT date '2024-01-01' + i, i FROM generate_series(0, 40) i;
INSERT INTO docs SELECT 'n' || i, i FROM generate_series(1, 10) i;
INSERT INTO docs VALUES ('abc', 1), ('ABC', 2), ('Abc', 3), ('abC', 4), ('ab ', 5), ('ab', 6);
INSERT INTO tags SELECT 'n' || i, i FROM generate_series(1, 10) i UNION SELECT 'ab', 6;
INSERT INTO codes SELECT 'n' || i, i FROM generate_series(1, 10) i;
INSERT INTO amounts SELECT i / 2.0, i FROM generate_series(1, 10) i;
INSERT INTO moments SELECT timestamp '2024-01-01' + i * interval '1 hour', i FROM generate_series(0, 20) i;
INSERT INTO small SELECT i, i FROM generate_series(1, 20) i;
INSERT INTO ref SELECT 'n' || i, i FROM generate_series(1, 6) i;
END
my $t = PgbraidTest::Twin->new(everywhere => $everywhere, tables => $tables, reference => ['ref'],
    config => { safe_functions => 'public.move_key, public.always, public.always8, public.always4, public.alwaysv' },
    sharded => { acc => ['id'], ord => ['acc_id'], days => ['d'], docs => ['k'], tags => ['k'], codes => ['k'], amounts => ['n'], moments => ['ts'], small => ['id'],
        moved => ['id'], peeps => ['id'] });
my $cluster = $t->cluster;

# The same on both sides and not refused.
sub same
{
    my ($rule, $sql, %opt) = @_;
    my %out;
    my $diff = $t->differs($sql, %opt, contents => $opt{contents} // scalar($sql =~ /^(?:INSERT|UPDATE|DELETE|MERGE|WITH)/), out => \%out);
    is($diff // ($out{refused} ? "refused: $out{refused}{M}" : 'same'), 'same', "$rule: $sql" . ($opt{values} ? ' with ' . PgbraidTest::Twin::row($opt{values}) : ''));
    return $out{got};
}

# Refused, with this error, and nothing done.
sub refused
{
    my ($rule, $id, $sql, %opt) = @_;
    my %out;
    my $diff = $t->differs($sql, %opt, contents => 1, out => \%out);
    is($diff // ($out{refused} ? $out{refused}{D} : 'answered') =~ s/.*\b(PB\d{4}).*/$1/sr, $id, "$rule: $sql is refused" . ($opt{values} ? ' with ' . PgbraidTest::Twin::row($opt{values}) : ''));
    return;
}

# Refused, or gathered and the same; never something else.
sub right { my ($rule, $sql, %opt) = @_; is($t->differs($sql, %opt) // 'right', 'right', "$rule: $sql"); return; }

sub sessions { my (%opt) = @_; delete $t->{session}; $t->{session} = { router => $t->router->wire(%opt), plain => $cluster->wire($t->plain, %opt) }; return; }
sub both { my ($sql) = @_; my $s = $t->sessions; $s->{$_}->do($sql) for qw(router plain); return; }

is($t->contents_differ, undef, 'the same rows to begin with');

# --- P12: what a cached plan depends on ---
for my $round (1, 2) {
    for my $user (qw(alice bob)) { # the same text of search_path; bob may not use hid
        sessions(user => $user);
        both('SET search_path = hid, public');
        same("P12a round $round $user", 'SELECT v FROM acc WHERE id = 5');
        same("P12a round $round $user", 'SELECT v FROM acc WHERE id = $1', values => [5]);
    }
}
sessions();
for my $n (1, 9, 1) {
    same('P12b', "SELECT coalesce(v, 1) FROM ord WHERE acc_id = 5 ORDER BY coalesce(v, $n)");
    same('P12b', "SELECT acc_id, coalesce(v, 1) AS c, count(*) FROM ord WHERE acc_id = 5 GROUP BY acc_id, coalesce(v, $n)");
    same('P12b', "SELECT v, id FROM ord WHERE acc_id = 5 ORDER BY " . ($n == 1 ? 1 : 2), ordered => 1);
}
same('P12b', 'UPDATE acc SET id = 5, v = 50 WHERE id = 5');
refused('P12b', 'PB0201', 'UPDATE acc SET id = 6, v = 50 WHERE id = 5');
same('P12b', 'UPDATE acc SET id = 7, v = 50 WHERE id = 7');
for my $style ('ISO, MDY', 'ISO, DMY', 'ISO, MDY') {
    both("SET DateStyle = '$style'");
    my %out;
    is($t->differs("SELECT v FROM days WHERE d = '02/01/2024'", out => \%out), undef, "P12c: $style, by date");
    is($t->differs("SELECT v, '03/02/2024'::date FROM acc WHERE id = 5", out => \%out), undef, "P12c: $style, a constant");
    same("P12c $style", "SELECT '03/02/2024'::date");
}
for my $tne ('on', 'off') {
    both("SET transform_null_equals = $tne");
    same("P12c transform_null_equals $tne", 'SELECT id FROM acc WHERE name = NULL');
    is($t->differs('SELECT count(*) FROM acc WHERE id = NULL'), undef, "P12c: transform_null_equals $tne, on the key");
}

# --- P13: what a shared prepared statement freezes ---
{
    my @s = map { my $style = $_; my %w = (router => $t->router->wire, plain => $cluster->wire($t->plain)); $w{$_}->do("SET DateStyle = '$style'") for keys %w; \%w } 'ISO, MDY', 'ISO, DMY', 'ISO, MDY';
    for my $sql ("SELECT date '02/01/2024', v FROM acc WHERE id = \$1", "SELECT v FROM acc WHERE id = \$1 AND at > '01/02/2024'") {
        for my $i (0 .. $#s) {
            my ($got, $want) = map { $s[$i]{$_}->send(Parse('p', $sql), Bind('', 'p', ['5']), Execute(''), PgbraidTest::Wire::Close('S', 'p'), Sync()); PgbraidTest::Wire::result($s[$i]{$_}->until_ready)->{rows} } qw(router plain);
            is_deeply($got, $want, "P13: session $i, $sql");
        }
    }
    # 'now' is taken when the client prepares, which is not when the first client did.
    my $sql = "SELECT timestamptz 'now' >= \$2::timestamptz FROM acc WHERE id = \$1";
    for my $i (0, 1) {
        my $before = $cluster->value(1, 'SELECT clock_timestamp()');
        my $w = $s[$i]{router};
        $w->send(Parse('n', $sql), Sync());
        $w->until_ready;
        $w->send(Bind('', 'n', [ '5', $before ]), Execute(''), Sync());
        is(PgbraidTest::Wire::result($w->until_ready)->{rows}[0][0], 't', "P13: session $i: 'now' is no earlier than its Parse");
    }
}
sessions();

# --- P14: the comparison's type decides ---
for my $cond ('id = 5.0', 'id = 5e0', 'id IN (1, 2.5)', 'id = 5::smallint', "id = '5'", 'id = 5::float8', 'id::numeric = 5', 'id IN (5, 6.0)', 'id = -(-5)', 'id = ANY (ARRAY[5, 6.0])', 'id <= 5', 'id BETWEEN 5 AND 5') {
    same('P14', "SELECT id, v FROM acc WHERE $cond");
}
for my $p ([ '5.0', 1700 ], [ '5e0', 701 ], [ '5', 1700 ], [ '5', 23 ], [ '5', 21 ], [ '5', 20 ]) {
    same('P14', 'SELECT id, v FROM acc WHERE id = $1', values => [ $p->[0] ], types => [ $p->[1] ]);
}
same('P14', $_) for "SELECT v FROM tags WHERE k = 'ab '::char(3)", "SELECT v FROM docs WHERE k = 'ab '::char(3)", "SELECT v FROM docs WHERE k = 'abc'::name", "SELECT v FROM codes WHERE k = 'n1'",
    "SELECT v FROM codes WHERE k = 'n1'::text", "SELECT v FROM codes WHERE k = 'n1    '", "SELECT v FROM days WHERE d = timestamp '2024-01-05'", "SELECT v FROM days WHERE d = timestamp '2024-01-05 10:00'",
    "SELECT v FROM moments WHERE ts = timestamptz '2024-01-01 05:00+00'", "SELECT v FROM moments WHERE ts = date '2024-01-01'", "SELECT v FROM tags WHERE k = 'n1 '", "SELECT v FROM amounts WHERE n = 1.50",
    "SELECT v FROM amounts WHERE n = 1.501", "SELECT v FROM amounts WHERE n = 2";
both("SET TimeZone = 'Asia/Tokyo'");
same('P14', "SELECT v FROM moments WHERE ts = timestamptz '2024-01-01 05:00+09'");
both('RESET TimeZone');

# --- P15: collations ---
same('P15', "SELECT v FROM docs WHERE k = 'abc' COLLATE nd");
same('P15', "SELECT v FROM docs WHERE k COLLATE nd = 'abc'");
same('P15', "SELECT v FROM docs WHERE k COLLATE nd IN ('abc', 'n1')");
right('P15', "SELECT count(*) FROM docs WHERE k = 'abc' COLLATE nd");
same('P15', "SELECT count(*) FROM docs WHERE k = 'abc'");

# --- P16: whose "=" it is ---
same('P16', "SELECT id FROM acc WHERE id = '5'::text");
same('P16', "SELECT id FROM acc WHERE id IN ('5'::text)");
same('P16', 'SELECT id FROM acc WHERE id = 5');
same('P16', "SELECT k FROM tags WHERE k = 'ab'");
same('P16', 'SELECT id FROM acc WHERE id OPERATOR(public.=) 5');
both('SET search_path = public, pg_catalog');
same('P16 pg_catalog last', 'SELECT id FROM acc WHERE id = 5');
same('P16 pg_catalog last', 'SELECT id FROM acc WHERE id IN (5, 6)');
same('P16 pg_catalog last', "SELECT id FROM acc WHERE id = ANY ('{5}')");
right('P16 pg_catalog last', 'SELECT a.id, o.id FROM acc a JOIN ord o ON o.acc_id = a.id');
right('P16 pg_catalog last', 'SELECT count(*) FROM acc WHERE id = 5');
both('SET search_path = pg_catalog, public');
same('P16 pg_catalog first', 'SELECT count(*) FROM acc WHERE id = 5');
both('RESET search_path');

# --- P17: the value that is stored places the row ---
same('P17', 'INSERT INTO amounts (n, v) VALUES (100.005, 1), (101.004, 2), (102.995, 3), (103, 4)');
same('P17', 'SELECT v FROM amounts WHERE n = 100.01');
same('P17', 'SELECT v FROM amounts WHERE n = 100.005');
same('P17', "INSERT INTO tags (k, v) VALUES ('abc  ', 1), ('x', 2), ('y ', 3)");
same('P17', "SELECT v FROM tags WHERE k = 'abc'");
same('P17', "SELECT v FROM tags WHERE k = 'abc  '");
same('P17', "INSERT INTO codes (k, v) VALUES ('q', 1), ('q2   ', 2), ('q3', 3)");
for my $insert ('INSERT INTO small (id, v) VALUES (20.5, 1)', "INSERT INTO moments (ts, v) VALUES ('2025-01-01 00:00:00.7', 1)", "INSERT INTO amounts (n, v) VALUES ('1e2', 1)", 'INSERT INTO small (id, v) VALUES (30 + 1, 1)', 'INSERT INTO small (id, v) VALUES (3000000000, 1)') {
    is($t->differs($insert, contents => 1), undef, "P17: $insert agrees or is refused");
}
same('P17', 'INSERT INTO amounts (n, v) VALUES ($1, 1), ($2, 2)', values => [ '110.005', '111.114' ], types => [ 1700, 1700 ]);
same('P17', 'INSERT INTO small (id, v) VALUES ($1, 1), ($2, 2)', values => [ '40', '41' ], types => [ 20, 21 ]);


# --- P18: the forms of a value ---
for my $form (' 5 ', '+5', '05', '5', '-0', "\t5", '5\\n', '1_0', '0x5', '') {
    is($t->differs('SELECT id FROM acc WHERE id = ' . "'$form'"), undef, "P18: '$form' is read as PostgreSQL reads it");
    is($t->differs('SELECT count(*) FROM acc WHERE id = $1', values => [$form]), undef, "P18: parameter '$form' too, or it is refused");
}
for my $form ('{5,6}', '{ 5 , "6"}', '[3:4]={5,6}', '{{5,6},{7,8}}', '{}', '{NULL,5}', '{5', '{"5"}', '{null}') {
    is($t->differs('SELECT id FROM acc WHERE id = ANY (' . "'$form')"), undef, "P18: array $form");
    is($t->differs('SELECT count(*) FROM acc WHERE id = ANY ($1::bigint[])', values => [$form]), undef, "P18: array parameter $form");
}
same('P18', "SELECT count(*) FROM days WHERE d = '2024-01-05'");
is($t->differs("SELECT count(*) FROM days WHERE d = '$_'"), undef, "P18: date $_") for 'January 5, 2024', '20240105', '2024-1-5', '2024-005', 'J2460315', ' 2024-01-05 ', '2024-01-05 BC', 'infinity', 'epoch', '05-Jan-2024', '2024-01-05 10:00';
is($t->differs("SELECT count(*) FROM moments WHERE ts = '$_'"), undef, "P18: timestamp $_") for '2024-01-01 05:00:00', '2024-01-01T05:00', '2024-01-01 05:00:00+09', '2024-01-01 05:00:00.4', '2024-01-01 24:00:00', 'infinity', '2024-01-01 5:0:0', '2024-01-01 05:00 AM';
is($t->differs("SELECT count(*) FROM amounts WHERE n = $_"), undef, "P18: number $_") for '1.5', '1.50', "'1.5'", "' 1.5'", "'15e-1'", '.5', '1.', "'NaN'", '0000001.5';

# --- P19: no row where it does not belong ---
{
    my $e = $t->router->wire->error('INSERT INTO moved (id, v) VALUES (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1)');
    is($e->{C}, '23514', 'P19: a trigger that moves keys off their shard is stopped');
    is($t->content($_, 'moved')->{moved} && scalar @{ $t->content($_, 'moved')->{moved} }, 0, "P19: nothing is left on shard $_") for 1 .. 3;
    my ($there) = grep { @{ $cluster->rows($_, 'SELECT 1 FROM acc WHERE id = 5') } } 1 .. 3;
    like($cluster->wire($_)->error('INSERT INTO acc (id) VALUES (5)')->{M}, qr/pgbraid_placement/, "P19: a client of shard $_ cannot misplace a row") for grep { $_ != $there } 1 .. 3;
}

# --- P20: code that sees one shard ---
refused('P20', 'PB0205', $_) for 'SELECT reads() FROM acc WHERE id = 5', 'SELECT reads()', 'SELECT liar() FROM acc WHERE id = 5', 'SELECT v FROM acc WHERE id = 5 AND liar() > 3', 'INSERT INTO peeps (id) VALUES (5)',
    "SELECT query_to_xml('SELECT * FROM acc', true, true, '')", 'SELECT * FROM reads()', "UPDATE ref SET v = liar() WHERE k = 'n1'";
same('P20', 'SELECT * FROM peeps WHERE id = 5');

# --- P21: rows that come from no row of the sharded table ---
right('P21', $_) for 'SELECT * FROM ref LEFT JOIN acc ON acc.name = ref.k', 'SELECT * FROM ref FULL JOIN acc ON acc.name = ref.k', 'SELECT * FROM acc RIGHT JOIN ref ON acc.name = ref.k',
    'SELECT * FROM ref WHERE NOT EXISTS (SELECT FROM acc WHERE acc.name = ref.k)', 'SELECT k FROM ref UNION ALL SELECT name FROM acc', "SELECT name FROM acc UNION SELECT 'x'", "SELECT name FROM acc UNION ALL SELECT 'x'",
    'SELECT k FROM ref WHERE k IN (SELECT name FROM acc)', 'WITH acc AS (SELECT * FROM acc) SELECT * FROM ref', 'SELECT (SELECT max(v) FROM acc), k FROM ref', 'SELECT k FROM ref, LATERAL (SELECT count(*) FROM acc WHERE name = k) c',
    'SELECT * FROM generate_series(1, 3) g LEFT JOIN acc ON acc.id = g';
same('P21', $_) for 'SELECT * FROM acc LEFT JOIN ref ON acc.name = ref.k', 'SELECT * FROM acc, ref', 'SELECT * FROM ref LEFT JOIN acc ON acc.id = ref.v AND acc.id = 5', 'SELECT * FROM ref LEFT JOIN acc ON acc.id = 3 WHERE ref.v < 4',
    'SELECT k FROM ref WHERE NOT EXISTS (SELECT FROM acc WHERE acc.id = 3 AND acc.name = ref.k)', 'SELECT acc.id FROM acc LEFT JOIN ord ON ord.acc_id = acc.id AND ord.v > 15';

# --- P22: no shard means any one ---
for my $cond ('id = NULL', "id = ANY ('{}')", 'id = 1 AND id = 2', 'id IN (NULL)', 'id IN (1, 2) AND id = 3', 'id = NULL::bigint', 'false AND id = 5') {
    same('P22', "SELECT count(*), max(v), bool_and(v > 3) FROM acc WHERE $cond") if $cond ne 'id IN (1, 2) AND id = 3';
    same('P22', "SELECT v FROM acc WHERE $cond");
    same('P22', "UPDATE acc SET v = 1 WHERE $cond");
    same('P22', "DELETE FROM acc WHERE $cond RETURNING *");
}
same('P22', 'SELECT count(*) FROM acc WHERE id = $1', values => [undef]);
same('P22', 'SELECT count(*) FROM acc WHERE id = ANY ($1)', values => [undef]);
same('P22', 'SELECT count(*) FROM acc WHERE id = ANY ($1)', values => ['{}']);
same('P22', 'SELECT 1 / 0 FROM acc WHERE id = NULL');
same('P22', 'SELECT nonsense FROM acc WHERE id = NULL');
same('P22', 'INSERT INTO acc (id) VALUES (NULL)');
same('P22', 'INSERT INTO acc (id) VALUES ($1)', values => [undef]);
same('P22', 'INSERT INTO acc (id, v) VALUES (900, 1), (NULL, 1), (901, 1)');
same('P22', 'INSERT INTO acc (v) VALUES (1)');

# --- P26: addresses of rows are one shard's ---
refused('P26', 'PB0201', $_) for 'SELECT ctid FROM acc', 'DELETE FROM acc WHERE ctid IN (SELECT ctid FROM acc LIMIT 2)', "SELECT id FROM acc WHERE ctid = '(0,1)'", 'SELECT xmin, id FROM acc', 'SELECT tableoid, id FROM acc', 'UPDATE acc SET v = 1 WHERE xmax::text = $$0$$',
    'SELECT tableoid, id FROM acc WHERE id = 5', 'SELECT cmin FROM acc a JOIN ord o ON o.acc_id = a.id', 'INSERT INTO acc (id) VALUES (902), (903), (904), (905) RETURNING ctid';
same('P26', 'SELECT ctid IS NULL, xmin IS NULL FROM acc WHERE id = 5');
same('P26', 'DELETE FROM ord WHERE acc_id = 9 AND ctid IN (SELECT ctid FROM ord WHERE acc_id = 9)');

# --- P30: one environment, whatever the shards' defaults are ---
{
    my @odd = ([ TimeZone => 'Asia/Tokyo' ], [ DateStyle => 'SQL, DMY' ], [ IntervalStyle => 'sql_standard' ], [ bytea_output => 'escape' ], [ extra_float_digits => '-5' ], [ search_path => 'hid' ], [ standard_conforming_strings => 'off' ],
        [ default_transaction_read_only => 'off' ], [ transform_null_equals => 'on' ], [ xmlbinary => 'hex' ]);
    $t->load(2, join '', map { "ALTER DATABASE shard_2 SET $_->[0] = '$_->[1]';\n" } @odd);
    $t->load(3, "ALTER ROLE postgres IN DATABASE shard_3 SET TimeZone = 'America/New_York';");
    $t->router->restart;
    sessions();
    same('P30', 'SELECT id, at, at::date, interval $$1 day 2:03$$ * id, sqrt(id), decode(lpad(id::text, 4, $$0$$), $$hex$$) FROM acc');
    same('P30', q{SELECT id, 'a\b' FROM acc});
    same('P30', 'SELECT id FROM acc WHERE name = NULL');
    same('P30', "SELECT current_setting('$_->[0]')") for grep { $_->[0] ne 'search_path' } @odd;
    both("SET TimeZone = 'Europe/Paris'");
    same('P30', 'SELECT id, at FROM acc');
    both('RESET TimeZone');
    same('P30', 'SELECT id, at FROM acc');
}

# --- P35: rows are gathered for the session's role ---
same('P35', 'SELECT current_user, count(*), max(v) FROM acc WHERE v > 0');
both('SET ROLE alice');
same('P35', 'SELECT current_user, count(*), max(v) FROM acc WHERE v > 0');
both('RESET ROLE');

# --- P52: a string, or a pipeline up to Sync, is one transaction ---
sessions();
same('P52', 'INSERT INTO acc (id) VALUES (1001); INSERT INTO acc (id) VALUES (1002); INSERT INTO acc (id) VALUES (1003)', contents => 1);
same('P52', 'INSERT INTO acc (id) VALUES (1011); INSERT INTO acc (id) VALUES (1012); INSERT INTO acc (id) VALUES (1013); INSERT INTO acc (id) VALUES (1001)', contents => 1);
same('P52', 'DELETE FROM acc WHERE id = 1001; DELETE FROM acc WHERE id = 1002; SELECT 1 / 0', contents => 1);
same('P52', 'BEGIN; DELETE FROM acc WHERE id = 1001; DELETE FROM acc WHERE id = 1002; ROLLBACK; DELETE FROM acc WHERE id = 1003', contents => 1);
same('P52', 'INSERT INTO acc (id) VALUES (1021); COMMIT; INSERT INTO acc (id) VALUES (1022); SELECT 1 / 0', contents => 1);
same('P52', 'SELECT id FROM acc WHERE id = 1; SELECT id FROM acc WHERE id = 2; SELECT v FROM ord WHERE acc_id = 3', contents => 1);
for my $last (1031, 1001) { # the second fails
    my %got;
    for my $side (qw(router plain)) {
        my $w = $t->sessions->{$side};
        $w->send((map { Parse('', 'INSERT INTO acc (id) VALUES ($1)'), Bind('', '', [$_]), Execute('') } 1041 + $last, 1042 + $last, 1043 + $last, $last), Sync());
        $got{$side} = summary(grep { $_->{type} ne q(N) } $w->until_ready);
    }
    is($got{router}, $got{plain}, "P52: a pipeline of four inserts, the last of $last");
    is($t->contents_differ, undef, "P52: the same rows after it");
}
done_testing();
