#!/usr/bin/perl
# Statements that nobody should write, over three shards and on one plain server: too long, too deep, too wide, with errors, over
# shards that disagree, with answers that nobody reads. The same answer or a clear refusal, and a router that goes on.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Gauge;
use PgbraidTest::Twin;
use PgbraidTest::Wire;

my $t = PgbraidTest::Twin->new(tables => <<'END_SQL', sharded => { big => ['id'], other => ['id'], rights => ['id'] }, reference => ['ref'], config => { schema_check_interval => '0' });
CREATE TABLE big (id bigint PRIMARY KEY, v int, w text);
CREATE TABLE other (id bigint PRIMARY KEY, v int, w text);
CREATE TABLE rights (id bigint PRIMARY KEY, v int, a aclitem);
CREATE TABLE ref (id int PRIMARY KEY, w text);
INSERT INTO big SELECT i, i % 100, 'w' || i FROM generate_series(1, 300) i;
INSERT INTO other SELECT i, i - 1, 'w' || i FROM generate_series(1, 100) i;
INSERT INTO rights SELECT i, i % 5, CASE WHEN i % 3 > 0 THEN '=r/postgres' ELSE '=w/postgres' END::aclitem FROM generate_series(1, 30) i;
INSERT INTO ref SELECT i, 'r' || i FROM generate_series(1, 20) i;
END_SQL
my $router = $t->router;

# Answered as by one server, in each protocol.
sub same
{
    my ($sql, $what) = @_;
    for my $binary ($sql =~ /^(?:INSERT|UPDATE|DELETE)/ ? 0 : (0, 1)) {
        my %out;
        my $diff = $t->differs($sql, extended => $binary, result_formats => [$binary], out => \%out);
        $diff //= "refused: $out{refused}{M} $out{refused}{D}" if $out{refused};
        is(substr($diff // 'same', 0, 3000), 'same', $what . ($binary ? ', binary' : ''));
    }
    return;
}

# --- long
my $ids = join ', ', map { $_ * 7 } 1 .. 5000;
my $values = join ', ', map { "($_, 'x$_')" } 1 .. 10_000;
same("SELECT * FROM big WHERE id IN ($ids)", '5,000 keys');
same("SELECT * FROM big WHERE v + 1 IN ($ids) ORDER BY id", '5,000 values');
same("SELECT b.id, o.id FROM big b JOIN other o ON b.v = o.v WHERE b.id IN ($ids)", '5,000 keys of what is gathered');
same("SELECT count(*) FROM big WHERE id NOT IN ($ids)", 'NOT IN');
same('SELECT count(*) FROM big WHERE id IN (' . join(',', 1 .. 30_000) . ')', '30,000 keys');
same('SELECT count(*) FROM big WHERE ' . join(' OR ', map { "id = $_" } 1 .. 3000), '3,000 ORs');
same("SELECT count(*), sum(b.v) FROM big b JOIN (VALUES $values) v (i, t) ON b.id = v.i", '10,000 VALUES');
same("VALUES $values", '10,000 rows of nothing but VALUES');
same('INSERT INTO big VALUES ' . join(', ', map { '(' . (1000 + $_) . ", 1, 'n')" } 1 .. 10_000), '10,000 rows inserted');
same('UPDATE big SET v = 2 WHERE id IN (' . join(', ', 1001 .. 6000) . ')', 'rows of 5,000 keys changed');
same('DELETE FROM big WHERE id IN (' . join(', ', 1001 .. 11_000) . ')', 'rows of 10,000 keys deleted');
is($t->contents_differ, undef, 'the same rows afterwards');

# --- wide
same('SELECT ' . join(', ', map { "v + $_ AS c$_" } 1 .. 1600) . ' FROM big WHERE id < 9', '1,600 columns');
same('SELECT ' . join(', ', map { "v + $_ AS c$_" } 1 .. 1665) . ' FROM big WHERE id < 9', 'a column too many');
same('SELECT ' . join(', ', map { "sum(v + $_) AS c$_" } 1 .. 1600) . ' FROM big', '1,600 aggregates: more partial ones than a table has columns');

# --- many tables: what PostgreSQL plans in reasonable time
my ($chain, $short) = map { "SELECT count(*), min(t$_.v) FROM other t1 " . join ' ', map { "JOIN other t$_ ON t$_.id = t" . ($_ - 1) . '.v' } 2 .. $_ } 200, 60;
same($chain, 'a join of 200');
same('SELECT count(*) FROM other t1 ' . join(' ', map { "LEFT JOIN other t$_ ON t$_.id = t1.id" } 2 .. 40), 'a join of 40 by the key');
same($chain, 'a join of 200, once more over the tables that were kept');
same('SELECT count(*) FROM other a JOIN big b ON a.v = b.v', 'a small one after it');
{
    my $w = $router->wire;
    $w->do('BEGIN', 'UPDATE other SET v = v WHERE id = 1');
    is_deeply($w->rows($short), $t->cluster->rows($t->plain, $short), 'a join of 60 in a transaction, where a shard is asked once for all');
    $w->do('ROLLBACK');
}
my $union = join ' UNION ALL ', map { "SELECT max(v) + $_ FROM big" } 1 .. 256;
is(scalar @{ $router->rows($union) }, 256, '256 mentions of tables');
my $e = $router->error("$union UNION ALL SELECT 1 FROM other");
is("$e->{C} " . ($e->{D} =~ s/.*: //r), '0A000 it names tables 257 times, and each time makes a temporary table; 256 are allowed. [PB0201]', 'are the most that can be gathered');

# --- numbers that no parameter has: one server's error, and no text that is made from the statement's has them
for my $from ('big', 'big WHERE id = 3', 'big b JOIN other o ON b.v = o.v', 'big GROUP BY id % 3', 'big ORDER BY 1 LIMIT 3') {
    for my $number (qw(0 70000 2147483647)) {
        my ($w, $sql) = ($router->wire, "SELECT max(\$$number) FROM $from");
        is($w->error($_)->{C}, '42P02', $_) for $sql, "EXPLAIN $sql";
        is($w->query_params($sql)->{error}{C}, $t->cluster->wire($t->plain)->query_params($sql)->{error}{C}, '... with Parse and Bind');
    }
}
is($router->query("INSERT INTO big VALUES (900001, \$0), (900002, 1)")->{error}{C}, '42P02', 'of rows for several shards');

# --- deep. At 200 levels as one server; at 100,000 it hears 54001 (or the parser's memory exhausted, too many dimensions) or an answer, and the router lives.
my %deep = (
    brackets => sub { my ($n) = @_; return 'SELECT ' . '(' x $n . 'v' . ')' x $n . ' FROM big' },
    sums => sub { my ($n) = @_; return 'SELECT ' . join('+', ('v') x $n) . ' FROM big' },
    'a sum in ORDER BY' => sub { my ($n) = @_; return 'SELECT id FROM big ORDER BY ' . join('+', ('v') x $n) . ', id' },
    signs => sub { my ($n) = @_; return 'SELECT ' . '- ' x $n . 'v FROM big' },
    NOT => sub { my ($n) = @_; return 'SELECT count(*) FROM big WHERE ' . 'NOT ' x $n . 'v > 3' },
    'sub-selects' => sub { my ($n) = @_; return 'SELECT ' . '(SELECT ' x $n . 'max(id)' . ')' x $n . ' FROM big' },
    'FROM' => sub { my ($n) = @_; return 'SELECT * FROM ' . '(SELECT * FROM ' x $n . 'big' . join '', map { ") s$_" } 1 .. $n },
    calls => sub { my ($n) = @_; return 'SELECT ' . 'abs(' x $n . 'v' . ')' x $n . ' FROM big' },
    CASE => sub { my ($n) = @_; return 'SELECT sum(' . 'CASE WHEN v > 1 THEN ' x $n . 'v' . ' END' x $n . ') FROM big' },
    casts => sub { my ($n) = @_; return 'SELECT v' . '::int' x $n . ' FROM big' },
    subscripts => sub { my ($n) = @_; return 'SELECT (ARRAY[v])' . '[1]' x $n . ' FROM big' },
    names => sub { my ($n) = @_; return 'SELECT big' . '.v' x $n . ' FROM big' },
    ARRAY => sub { my ($n) = @_; return 'SELECT ' . 'ARRAY[' x $n . 'v' . ']' x $n . ' FROM big' },
    BETWEEN => sub { my ($n) = @_; return 'SELECT count(*) FROM big WHERE v' . ' BETWEEN 1 AND NOT v' x $n . ' BETWEEN 1 AND 2' },
    WITH => sub { my ($n) = @_; return 'WITH a AS (' x $n . 'SELECT * FROM big' . ') SELECT * FROM a' x $n },
    UNION => sub { my ($n) = @_; return 'SELECT id FROM big' . ' UNION (SELECT 1' x $n . ')' x $n },
    comments => sub { my ($n) = @_; return 'SELECT ' . '/*' x $n . '*/' x $n . ' v FROM big' },
    'open comments' => sub { my ($n) = @_; return 'SELECT ' . '/*' x $n . ' v FROM big' },
    plus => sub { my ($n) = @_; return 'SELECT 1 ' . '+' x $n . ' v FROM big' },
    'a wall' => sub { my ($n) = @_; return 'SELECT /' . '*' x $n . '/ -' . '-' x $n . "\n v FROM big" },
    DECLARE => sub { my ($n) = @_; return 'DECLARE c CURSOR FOR SELECT ' . '(' x $n . 'v' . ')' x $n . ' FROM big' },
    INSERT => sub { my ($n) = @_; return 'INSERT INTO big VALUES (' . '(' x $n . '900000' . ')' x $n . ', 1) RETURNING 1/0' },
);
for my $what (sort keys %deep) {
    my %out;
    my $diff = $t->differs($deep{$what}->(200), out => \%out);
    is(substr($diff // 'same', 0, 3000), 'same', "200: $what");
    my $r = $router->query($deep{$what}->(100_000));
    ok(!$r->{error} || $r->{error}{C} =~ /^(?:54001|42601|54000)$/, "100,000: $what") or diag("$r->{error}{C} $r->{error}{M}");
}

# --- long values in what the router asks for itself: settings, the catalog, estimates; they are not the client's rows
{
    my $long = 'x' x 100_000;
    my ($w, $plain) = ($router->wire, $t->cluster->wire($t->plain));
    my @steps = ("SET my.value = '$long'", 'SHOW my.value', "SELECT set_config('my.value', '${long}y', false)", 'BEGIN', "SET LOCAL my.value = '$long'", 'SHOW my.value', 'COMMIT', 'SHOW my.value', 'BEGIN', "CREATE VIEW long AS SELECT id, '$long'::text AS x FROM big",
        'SELECT count(*), max(length(x)) FROM long', 'ROLLBACK', "SELECT count(*) FROM big b JOIN other o ON b.v = o.v AND b.w <> '$long' WHERE o.w IN (SELECT w FROM other)", 'SELECT 1');
    for my $sql (@steps) {
        my ($got, $want) = map { my $r = $_->query($sql); [ $r->{error}{C}, $r->{tags}, $r->{rows} ] } $w, $plain;
        is_deeply($got, $want, substr($sql, 0, 60));
    }
    $w->do("SET my.value = 'short'");
    my $huge = 'x' x 67_200_000;
    is($w->error("SET my.value = '$huge'")->{C}, '53200', 'a setting of 67 MB');
    is($w->value('SHOW my.value'), 'short', '... is not set');
    is($w->error("SELECT max(repeat(w || '$long', 700)) FROM big WHERE id < 7")->{C}, '53200', 'a row of 70 MB is not gathered');
    is($w->value('SELECT 1'), 1, '... and the session goes on');
}

# --- function calls of the protocol: of large objects as they are, right or wrong; of others not at all
{
    my ($w, $plain) = ($router->wire, $t->cluster->wire($t->plain));
    my $call = sub { my ($oid, $rest) = @_; return pack('a N N a*', 'F', 8 + length $rest, $oid, $rest); };
    my $integer = sub { return pack 'n n n N N n', 1, 1, 1, 4, $_[0], 1; };
    for my $case ([ 'lo_creat without arguments', 957, pack('n n n', 0, 0, 0) ], [ 'lo_open cut off', 952, pack('n n n', 1, 1, 2) ], [ 'nothing but a number', 964, '' ], [ 'lo_unlink of nothing', 964, $integer->(4_000_000_000) ], [ 'lo_close of nothing', 953, $integer->(7) ]) {
        my ($name, $oid, $rest) = @$case;
        my ($got, $want) = map { my $c = $_; $c->send($call->($oid, $rest)); join ' ', map { $_->{type} . ($_->{type} eq 'E' ? "($_->{fields}{C} $_->{fields}{M})" : '') } $c->until_ready } $w, $plain;
        is($got, $want, $name);
    }
    $w->send($call->(1598, pack('n n n', 0, 0, 0))); # random()
    my ($error) = grep { $_->{type} eq 'E' } $w->until_ready;
    is($error->{fields}{C}, '0A000', 'another function is refused');
    is($w->value('SELECT 1'), 1, '... and the session goes on');
}

# --- errors that are PostgreSQL's: the same SQLSTATE and message; a position that is the statement's, or none
for my $sql (
    'SELECT id, nope FROM big', 'SELECT b.nope FROM big b JOIN other o ON b.v = o.v', 'SELECT id FROM big JOIN other ON big.v = other.v', 'SELECT count(*) FROM big, other WHERE v > 3',
    'SELECT big.id FROM big b', 'SELECT * FROM big JOIN other USING (nope)', 'SELECT nofun(v) FROM big', 'SELECT id, sum(v) FROM big', 'SELECT id FROM big ORDER BY 3', 'SELECT sum(nope) FROM big GROUP BY v',
    'SELECT id + w FROM big', 'SELECT v FROM big GROUP BY v HAVING nope > 1', 'SELECT sum(id) OVER x FROM big', 'INSERT INTO big (id, nope) VALUES (1, 2), (2, 3)', 'UPDATE big SET nope = 1',
    "SELECT * FROM big WHERE v = 'abc'", 'SELECT sum(sum(v)) FROM big', 'SELECT id FROM big WHERE sum(v) > 1', 'SELECT id FROM big UNION SELECT w FROM other', 'SELECT 1 FROM big b, big b')
{
    my ($got, $want) = ($router->error($sql), $t->cluster->wire($t->plain)->error($sql));
    is("$got->{C} $got->{M}", "$want->{C} $want->{M}", $sql);
    is($got->{P} // $want->{P}, $want->{P}, '... its position') if $got->{P};
}

# --- an error in one row, so on one shard
for my $sql ('SELECT 10 / v FROM other', 'SELECT id FROM other ORDER BY 10 / v', 'SELECT sum(10 / v) FROM other', 'SELECT string_agg((10 / o.v)::text, \',\') FROM other o JOIN big b ON b.v = o.v', 'UPDATE other SET v = 10 / v', 'DELETE FROM other WHERE 10 / v > 3') {
    is($router->error($sql)->{C}, '22012', $sql);
}
is($t->contents_differ, undef, 'nothing has changed on the others');

# --- a type without a binary form: as text, or not at all
same($_, $_) for 'SELECT id, v FROM rights ORDER BY id', 'SELECT a.id, o.id FROM rights a JOIN other o ON a.v = o.v';
for my $sql ('SELECT id, a FROM rights', 'SELECT a FROM rights ORDER BY id', "SELECT id FROM rights WHERE a = '=r/postgres' ORDER BY id LIMIT 3", 'SELECT a FROM rights WHERE id = 3') {
    is($t->differs($sql, ordered => $sql =~ /ORDER/ ? 1 : 0) // 'same', 'same', $sql);
}
for my $sql ('SELECT DISTINCT a FROM rights', 'SELECT a, count(*) FROM rights GROUP BY a', 'SELECT r.a FROM rights r JOIN other o ON r.v = o.v') {
    $e = $router->error($sql);
    is("$e->{C} " . ($e->{D} =~ s/.*: //r), '0A000 column "a" has a type without a binary form. [PB0201]', $sql);
}

# --- answers that nobody reads, and a cancel: the router keeps little of them
for my $sql ("SELECT id, repeat('x', 100000) FROM big", "SELECT id, repeat('x', 100000) FROM big ORDER BY v, id", "SELECT o.id, repeat('x', 100000) FROM big b JOIN other o ON b.v = o.v", "SELECT sum(v), repeat('x', 100000) FROM big GROUP BY id % 7, id") {
    my $w = $router->wire;
    my $code;
    my $grown = PgbraidTest::Gauge::peak_growth_kib($router->pid, sub {
        $w->send(Query($sql));
        PgbraidTest::Proc::wait_for('rows', sub { $w->readable(0.01) });
        $w->cancel;
        ($code) = map { $_->{fields}{C} } grep { $_->{type} eq 'E' } $w->until_ready;
    });
    is($code, '57014', "cancelled: $sql");
    cmp_ok($grown, '<', 16 * 1024, '... the router grew by less than 16 MiB');
    is($w->value('SELECT count(*) FROM other'), 100, '... and the session goes on');
}

# --- a shard whose tables have been changed behind the router's back: named, and nothing is put together from it
my @reads = ('SELECT * FROM big', 'SELECT id, v FROM big WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8)', 'SELECT id, v FROM big ORDER BY v, id', 'SELECT sum(v), max(v) FROM big', 'SELECT v, count(*) FROM big GROUP BY v', 'SELECT stddev(v) FROM big',
    'SELECT b.id, b.v FROM big b JOIN other o ON b.v = o.v');
for my $change ([ 'ALTER TABLE big ALTER v TYPE real', 'ALTER TABLE big ALTER v TYPE int' ], [ 'ALTER TABLE big ALTER v TYPE bigint', 'ALTER TABLE big ALTER v TYPE int' ], [ 'ALTER TABLE big RENAME v TO x', 'ALTER TABLE big RENAME x TO v' ]) {
    $t->cluster->do(2, $change->[0]);
    for my $sql (@reads, 'BEGIN') {
        my $w = $router->wire;
        $w->do('BEGIN') if $sql eq 'BEGIN';
        $e = $w->error($sql eq 'BEGIN' ? $reads[-1] : $sql);
        like("$e->{C} $e->{M}", qr/^XX000 shard "s\d" describes the result differently|^42703 column .*v"? does not exist/, "$change->[0]: $sql");
    }
    $t->cluster->do(2, $change->[1]);
}
$t->reset_sessions;
same('SELECT stddev(v) FROM big', 'made equal again');
done_testing();
