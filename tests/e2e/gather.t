#!/usr/bin/perl
# Gathered statements (plan kind 3): the same statements on three shards through the router and on one plain server that has all
# rows, in the simple and in the extended protocol, in text and in binary. Names, types and rows must be equal; in order where
# the statement orders them.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 4);
my $router = PgbraidTest::Router->new(cluster => $cluster, ranges => [ PgbraidTest::Router::equal_ranges(3) ], config => { sharding_key => 'customer_id' });
my $plain = $cluster->wire(4);
my $w = $router->wire;

my @schema = (
    'CREATE TABLE orders (customer_id bigint NOT NULL, id int NOT NULL, item text, total numeric(10,2), at timestamp, tags text[], doc jsonb, f float8, PRIMARY KEY (customer_id, id))',
    'CREATE TABLE customers (customer_id bigint PRIMARY KEY, name varchar(20), country char(2), parent bigint)',
    'CREATE TABLE countries (code char(2) PRIMARY KEY, title text)',
    'CREATE TABLE settings (name text PRIMARY KEY, value int)',
    "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')",
    'CREATE TABLE moods (customer_id bigint NOT NULL, m mood, PRIMARY KEY (customer_id))',
);
my @data = (
    "INSERT INTO customers SELECT i, 'name ' || i % 7, CASE i % 3 WHEN 0 THEN 'DE' WHEN 1 THEN 'AT' END, nullif(i / 2, 0) FROM generate_series(1, 60) i",
    "INSERT INTO orders SELECT i % 60 + 1, i, CASE WHEN i % 5 > 0 THEN 'item ' || i % 11 END, i % 97 + 0.50, timestamp '2024-01-01' + i * interval '1 hour', ARRAY['t' || i % 3], jsonb_build_object('n', i % 4), i / 8.0 FROM generate_series(1, 600) i",
    "INSERT INTO moods SELECT i, (ARRAY['sad','ok','happy'])[i % 3 + 1]::mood FROM generate_series(1, 60) i",
    "INSERT INTO countries VALUES ('DE', 'Germany'), ('AT', 'Austria'), ('FR', 'France')",
    "INSERT INTO settings VALUES ('name 1', 1), ('name 2', 20)",
);
$plain->do(@schema, @data);
$w->do(@schema, "SELECT pgbraid.reference_table('countries')");
# Rows by COPY: generate_series is no list of values.
for my $t (qw(customers orders moods countries settings)) {
    my $rows = $plain->rows("SELECT * FROM $t");
    for my $r (@$rows) { $w->do("INSERT INTO $t VALUES (" . join(', ', map { defined $_ ? "'" . s/'/''/gr . "'" : 'NULL' } @$r) . ')'); }
}

sub bag { my ($rows) = @_; return [ sort map { join '|', map { $_ // '~' } @$_ } @$rows ]; }
sub list { my ($rows) = @_; return [ map { join '|', map { $_ // '~' } @$_ } @$rows ]; }

# Everything a client sees of a statement but for the order of rows that none is asked for.
sub extended
{
    my ($s, $sql, $values, $binary) = @_;
    $s->send(Parse('', $sql), Bind('', '', $values, result_formats => [ $binary ? 1 : 0 ]), Describe('P', ''), Execute(''), Sync());
    my (@rows, @columns, %r);
    for my $f ($s->until_ready) {
        @columns = map { "$_->{name}:$_->{type}:$_->{modifier}" } @{ $f->{columns} } if $f->{type} eq 'T';
        push @rows, $f->{values} if $f->{type} eq 'D';
        $r{tag} = $f->{tag} if $f->{type} eq 'C';
        $r{error} = $f->{fields}{C} if $f->{type} eq 'E';
    }
    return { %r, rows => \@rows, columns => $r{error} ? [] : \@columns }; # a part that fails does so before the columns are known
}

sub same
{
    my ($sql, @values) = @_;
    my $ordered = $sql =~ /ORDER BY/ && $sql !~ /unordered/;
    for my $binary (0, 1) {
        my ($want, $got) = map { extended($_, $sql, \@values, $binary) } $plain, $w;
        for ($want, $got) { $_->{rows} = $ordered ? list($_->{rows}) : bag($_->{rows}); s/:(\d{5,}):/:user:/ for @{ $_->{columns} }; }
        is_deeply($got, $want, ($binary ? 'binary: ' : 'text: ') . $sql);
    }
    # In a READ COMMITTED transaction one query gives all rows of a shard (X15).
    $_->do('BEGIN') for $plain, $w;
    my ($expected, $inside) = map { extended($_, $sql, \@values, 1) } $plain, $w;
    for ($expected, $inside) { $_->{rows} = $ordered ? list($_->{rows}) : bag($_->{rows}); s/:(\d{5,}):/:user:/ for @{ $_->{columns} }; }
    is_deeply($inside, $expected, "X15: in a transaction: $sql");
    $_->do('ROLLBACK') for $plain, $w;
    return if @values;
    my ($want, $got) = map { $_->query($sql) } $plain, $w;
    $_->{error} and $_->{columns} = [] for $want, $got;
    is_deeply([ $got->{columns}, "@{ $got->{tags} }", ($got->{error} // {})->{C}, $ordered ? list($got->{rows} // []) : bag($got->{rows} // []) ],
        [ $want->{columns}, "@{ $want->{tags} }", ($want->{error} // {})->{C}, $ordered ? list($want->{rows} // []) : bag($want->{rows} // []) ], "simple: $sql");
    return;
}

# --- aggregates, groups, order, limits
same('SELECT count(*) FROM orders');
same('SELECT count(*), count(item), sum(total), avg(total), min(at), max(item), sum(f) FROM orders');
same('SELECT count(*) FROM orders WHERE total > 50 AND item IS NOT NULL');
same('SELECT count(*) FROM orders WHERE total BETWEEN 10 AND 20 AND NOT item LIKE \'%1\' OR id = 7');
same('SELECT item, count(*) FROM orders GROUP BY item ORDER BY 2 DESC, 1 NULLS FIRST');
same('SELECT item, sum(total) FROM orders GROUP BY 1 HAVING sum(total) > 2000 ORDER BY item');
same('SELECT id FROM orders ORDER BY total DESC, id LIMIT 7 OFFSET 3');
same('SELECT id FROM orders ORDER BY total DESC, id FETCH FIRST 3 ROWS WITH TIES');
same('SELECT DISTINCT item FROM orders ORDER BY item');
same('SELECT DISTINCT ON (item) item, id FROM orders ORDER BY item, total DESC, id');
same('SELECT count(DISTINCT item), array_agg(DISTINCT country ORDER BY country) FROM orders JOIN customers USING (customer_id)');
same("SELECT string_agg(item, ',' ORDER BY id) FROM orders WHERE id < 40");
same('SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total), mode() WITHIN GROUP (ORDER BY item) FROM orders');
same('SELECT country, grouping(country, name), count(*) FROM customers GROUP BY GROUPING SETS ((country), (name), ()) ORDER BY 1, 2, 3');
same('SELECT count(*) FILTER (WHERE total > 50) * 2 + coalesce(sum(id) FILTER (WHERE id < 0), 0) FROM orders');
same('SELECT id, rank() OVER (PARTITION BY item ORDER BY total, id) FROM orders ORDER BY id');
same('SELECT c.*, count(*) FROM customers c JOIN orders o ON o.id = c.customer_id GROUP BY c.customer_id ORDER BY c.customer_id'); # P33
same('SELECT o.item, o.id FROM orders o GROUP BY o.id ORDER BY 2'); # not the whole key: PostgreSQL's own error
same('SELECT m, count(*) FROM moods GROUP BY m ORDER BY m DESC');
same('SELECT max(m), min(m) FROM moods');
# --- joins and sub-queries across shards
same('SELECT a.customer_id, b.customer_id FROM customers a JOIN customers b ON b.customer_id = a.parent ORDER BY 1, 2');
same('SELECT c.name, o.id FROM customers c LEFT JOIN orders o ON o.id = c.customer_id + 590 ORDER BY c.customer_id');
same('SELECT count(*) FROM customers c FULL JOIN orders o ON o.id = c.customer_id WHERE c.parent IS NULL OR o.total > 40');
same('SELECT count(*) FROM customers NATURAL JOIN orders');
same('SELECT c.*, x.title FROM customers c LEFT JOIN countries x ON x.code = c.country ORDER BY c.customer_id');
same('SELECT x.title, count(c.customer_id) FROM countries x LEFT JOIN customers c ON c.country = x.code GROUP BY 1 ORDER BY 1');
same('SELECT s.name, count(*) FROM settings s JOIN customers c ON c.name = s.name GROUP BY 1 ORDER BY 1');
same('SELECT s.value FROM settings s JOIN customers c ON c.name = s.name WHERE c.customer_id = 8');
same('SELECT customer_id FROM customers c WHERE NOT EXISTS (SELECT FROM orders o WHERE o.id = c.customer_id AND o.total < 30) ORDER BY 1');
same('SELECT customer_id FROM customers WHERE parent NOT IN (SELECT customer_id FROM orders WHERE total > 90) ORDER BY 1');
same('SELECT customer_id, (SELECT max(total) FROM orders o WHERE o.id % 60 = c.customer_id) FROM customers c ORDER BY 1');
same('SELECT * FROM (SELECT item, count(*) AS n FROM orders GROUP BY item) t WHERE n > 50 ORDER BY item');
same('SELECT l.total FROM customers c, LATERAL (SELECT total FROM orders o WHERE o.id < c.customer_id ORDER BY total DESC, id LIMIT 1) l ORDER BY c.customer_id');
same('WITH RECURSIVE up AS (SELECT customer_id, parent, 1 AS depth FROM customers WHERE customer_id = 50 UNION ALL SELECT c.customer_id, c.parent, depth + 1 FROM customers c JOIN up ON c.customer_id = up.parent) SELECT * FROM up ORDER BY depth');
same('WITH t AS (SELECT customer_id, sum(total) AS s FROM orders GROUP BY 1) SELECT count(*) FROM t a JOIN t b ON a.s < b.s');
same("SELECT item FROM orders WHERE customer_id = 1 UNION SELECT name FROM customers EXCEPT SELECT 'name 1' ORDER BY 1");
same('SELECT code FROM countries UNION ALL SELECT country FROM customers');
same('TABLE customers ORDER BY 1 LIMIT 3');
same('SELECT customers FROM customers WHERE customer_id = 4');
same('SELECT row_to_json(c), count(c) OVER () FROM customers c WHERE customer_id < 4 ORDER BY c.customer_id');
same('SELECT "orders"."id" FROM "public"."orders" ORDER BY "id" DESC LIMIT 2');
same("SELECT id, tags, doc->>'n', f FROM orders -- a comment ' with a quote\nWHERE id < 10 /* and (another) */ ORDER BY id");
same("SELECT o.customer_id AS select_me, CASE WHEN o.id > 5 AND o.id < 9 THEN 'mid' ELSE 'x' END AS end FROM orders o WHERE CASE WHEN o.id > 1 THEN o.id < 9 ELSE false END AND o.total > 0 ORDER BY o.id");
same('SELECT c1.name FROM customers c1 (cid, n) WHERE c1.cid < 5 ORDER BY n LIMIT 2');
same('SELECT DISTINCT length(n) FROM customers c1 (cid, n) WHERE c1.cid < 5');
same('SELECT count(*) FROM orders o, orders p WHERE o.id = p.id + 1 AND o.item = p.item');
# --- parameters
same('SELECT count(*), sum(total) FROM orders WHERE total > $1::numeric AND item = $2', 20, 'item 3');
same('SELECT id FROM orders WHERE id = ANY ($1::int[]) ORDER BY id LIMIT $2', '{3,5,9,400}', 3);
same('SELECT $1::text, count(*) FROM orders WHERE $2 < total', 'x', '12.5');
same('SELECT count(*) FROM orders o JOIN customers c ON c.customer_id = o.id WHERE c.name = $1 AND o.total < $2', 'name 2', '90');
# --- keys that name several shards, or none
same('SELECT count(*), max(id) FROM orders WHERE customer_id IN (1, 2, 3, 4, 5)');
same('SELECT count(*) FROM orders WHERE customer_id IN (1, 2) AND customer_id IN (3, 4)');
same("SELECT count(*) FROM orders WHERE customer_id = ' 5 '");
# --- errors are PostgreSQL's own
same('SELECT sum(total / (id - 300)) FROM orders');
same('SELECT count(nothing) FROM orders');
same('SELECT count(customer_id) FROM orders JOIN customers ON true');
same('SELECT item, count(*) FROM orders');
same("SELECT count(*) FROM orders WHERE total > 'many'");

# --- in a transaction the own writes are seen, and nothing stays behind
$w->do('BEGIN', "INSERT INTO orders (customer_id, id, total) VALUES (1, 10001, 1), (2, 10002, 2), (3, 10003, 3)");
is($w->value('SELECT count(*) FROM orders'), 603, 'own writes are seen');
$w->do('ROLLBACK');
is($w->value('SELECT count(*) FROM orders'), 600, 'and not kept');
$w->do('BEGIN');
is($w->value('SELECT count(*) FROM orders o, orders p WHERE o.id = p.id'), 600, 'X15: several parts of one shard in a READ COMMITTED transaction');
$w->do('INSERT INTO orders (customer_id, id, total) VALUES (1, 10001, 1), (2, 10002, 2)', 'SAVEPOINT a', "UPDATE orders SET item = 'mine'");
is_deeply($w->rows("SELECT count(*), count(DISTINCT o.item), count(p.id) FROM orders o JOIN orders p USING (id)"), [ [ 602, 1, 602 ] ], '... with the own writes');
$w->do('ROLLBACK TO a');
is_deeply($w->rows("SELECT count(*), count(*) FILTER (WHERE o.item = 'mine') FROM orders o JOIN orders p USING (id)"), [ [ 602, 0 ] ], '... not those that were rolled back');
$w->do('DELETE FROM orders WHERE id > 10000', 'COMMIT');
is($w->value("SELECT count(*) FROM orders WHERE item = 'mine'"), 0, '... and it commits over all shards');
# A commit on one shard between what would be two queries: the first table is free, the second one locked.
{
    my $locker = $cluster->wire(1);
    my $sums = 'SELECT (SELECT sum(f) FROM orders), (SELECT sum(parent) FROM customers)';
    my $before = $w->rows($sums)->[0];
    $locker->do('BEGIN', 'LOCK TABLE customers IN ACCESS EXCLUSIVE MODE', 'UPDATE orders SET f = f + 1000 WHERE id = (SELECT min(id) FROM orders)',
        'UPDATE customers SET parent = parent + 1000 WHERE customer_id = (SELECT min(customer_id) FROM customers WHERE parent IS NOT NULL)');
    $w->do('SET pgbraid.consistent_reads = off', 'BEGIN');
    $w->send(Query($sums));
    wait_for('the reader to wait', sub { $cluster->value(1, q{SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'customers'::regclass}) > 0 });
    $locker->do('COMMIT');
    my $row = PgbraidTest::Wire::result($w->until_ready)->{rows}[0];
    is_deeply([ map { $row->[$_] - $before->[$_] } 0, 1 ], [ 1000, 1000 ], 'X15: all parts of a shard have one snapshot');
    # What is cancelled or fails leaves nothing behind, and the transaction is over as it is on one server.
    $w->do('COMMIT');
    $locker->do('BEGIN', 'LOCK TABLE customers IN ACCESS EXCLUSIVE MODE');
    $w->do('BEGIN', 'SAVEPOINT a', "SET LOCAL statement_timeout = '200ms'");
    is($w->error($sums)->{C}, '57014', 'X15: statement_timeout while it gathers');
    is($w->error('SELECT 1')->{C}, '25P02', '... fails the transaction');
    $locker->do('ROLLBACK');
    $w->do('ROLLBACK TO a');
    is_deeply($w->rows($sums), [$row], '... which goes on after ROLLBACK TO');
    $w->do('COMMIT', 'BEGIN READ ONLY');
    is_deeply($w->rows($sums), [$row], 'X15: in a READ ONLY transaction');
    $w->do('COMMIT', 'RESET pgbraid.consistent_reads');
    $locker->do('UPDATE orders SET f = f - 1000 WHERE f >= 1000', 'UPDATE customers SET parent = parent - 1000 WHERE parent >= 1000');
}
$w->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($w->value('SELECT count(*) FROM orders'), 600, 'P7: several shards with one snapshot');
is($w->value('SELECT count(*) FROM orders o, orders p WHERE o.id = p.id'), 600, 'X15: ... and several parts on one shard');
$w->do('INSERT INTO orders (customer_id, id, total) VALUES (1, 10001, 1), (2, 10002, 2)');
is($w->value('SELECT count(*) FROM orders o, orders p WHERE o.id = p.id'), 602, '... with the own writes');
$w->do('ROLLBACK');
$w->do('BEGIN');
my $began = $w->value('SELECT now()');
is_deeply($w->rows('SELECT count(*), now() FROM orders'), [ [ 600, $began ] ], "X22: the transaction's clock");
is($w->error('SELECT count(*), max(age(now()::date)) FROM orders')->{C}, '0A000', '... where it cannot be given: refused');
$w->do('ROLLBACK');
$w->do('SET default_transaction_read_only = on');
is($w->value('SELECT count(*) FROM orders'), 600, 'P4: in a read-only session');
$w->do('RESET default_transaction_read_only', "SET search_path = ''");
is($w->value('SELECT count(*) FROM public.orders'), 600, 'without a search path');
$w->do('RESET search_path');



# --- a statement that fails halfway, is cancelled, or loses a server, leaves the next one unharmed
for my $try (1 .. 3) {
    is($w->error('SELECT sum(total / (id - 300)) FROM orders')->{C}, '22012', "a shard fails: $try");
    is($w->error('SELECT sum(1 / (id - 300)) OVER (ORDER BY id) FROM orders')->{C}, '22012', "the gathering server fails: $try");
    is($w->value('SELECT count(*) FROM orders'), 600, 'and the next statement works');
}
my $slow = $router->wire;
$slow->send(Query('SELECT count(*), (SELECT pg_sleep(60)) FROM orders'));
wait_for('the statement to sleep', sub { $plain->value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%pg_catalog.unnest%' AND state = 'active' AND pid <> pg_backend_pid()") });
$slow->cancel;
my ($error) = grep { $_->{type} eq 'E' } $slow->until_ready;
is($error->{fields}{C}, '57014', 'cancelled while it gathers');
is($slow->value('SELECT count(*) FROM orders'), 600, 'and goes on');
$slow->send(Query('SELECT count(*), (SELECT pg_sleep(60)) FROM orders'));
wait_for('the statement to sleep', sub { $plain->value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%pg_catalog.unnest%' AND state = 'active' AND pid <> pg_backend_pid()") });
$plain->value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%pg_catalog.unnest%' AND state = 'active' AND pid <> pg_backend_pid()");
($error) = grep { $_->{type} eq 'E' } $slow->until_ready;
is($error->{fields}{C}, '08006', 'the gathering server is lost');
is($slow->value('SELECT count(*) FROM orders'), 600, 'another one takes its place');

# --- temporary tables are kept by what they are made of, and never hold rows of another statement
is($w->value('SELECT count(*) FROM orders WHERE id < 0'), 0, 'no row of the statement before') for 1 .. 3;
$router->do('ALTER TABLE orders ADD COLUMN extra int DEFAULT 5');
$plain->do('ALTER TABLE orders ADD COLUMN extra int DEFAULT 5');
same('SELECT * FROM orders ORDER BY id LIMIT 3');
same('SELECT sum(extra) FROM orders');

# A cursor WITH HOLD commits the rows that it was made from.
for my $i (1 .. 3) {
    my $h = $router->wire;
    $h->do('DECLARE held CURSOR WITH HOLD FOR SELECT a.id FROM orders a JOIN orders b ON a.id = b.id + 1 WHERE a.total > 90');
    is(scalar @{ $h->rows('FETCH ALL FROM held') }, $plain->value('SELECT count(*) FROM orders a JOIN orders b ON a.id = b.id + 1 WHERE a.total > 90'), "held: $i");
    $h->do('CLOSE held');
    is_deeply(bag($h->rows('SELECT a.id FROM orders a JOIN orders b ON a.id = b.id + 1 WHERE a.total > 90')),
        bag($plain->rows('SELECT a.id FROM orders a JOIN orders b ON a.id = b.id + 1 WHERE a.total > 90')), '... and nothing of it is left');
}

# --- rule P5: no table is made under another name, and rows of statements that are over leave its file
my $kept = sub { return $cluster->value(1, "SELECT $_[0] FROM pg_class WHERE relpersistence = 't' AND relkind = 'r' AND relname LIKE 'pgbraid%'"); };
my $large = 'SELECT count(*), count(DISTINCT a.doc::text || b.f) FROM orders a, orders b WHERE a.id = b.id + 1 AND a.customer_id <> b.customer_id AND b.doc IS NOT NULL';
for my $s ($plain, $w) { $s->do(q{UPDATE orders SET doc = jsonb_build_object('n', repeat('x', 1500))}); }
same($large);
$w->rows($large);
my $made = $kept->("string_agg(DISTINCT relname, ' ' ORDER BY relname)");
$w->rows($large) for 1 .. 5;
is($kept->("string_agg(DISTINCT relname, ' ' ORDER BY relname)"), $made, 'P5: the same tables');
ok(eval { wait_for('tables to be emptied', sub { $kept->('sum(pg_relation_size(oid))') < 1 << 20 }) }, '... which are not larger for it')
    or diag $kept->("string_agg(concat_ws(' ', relnamespace, relname, pg_relation_size(oid)), E'\n')");

# --- rule P5: few rows need no table at all
my $before = $kept->('count(*)');
for my $i (1 .. 5) {
    same("SELECT a.id, b.id, a.total, b.at, a.doc IS NULL, length(b.item) AS l$i FROM orders a JOIN orders b ON a.id = b.id + $i AND a.customer_id <> b.customer_id WHERE a.id < 2$i");
    same("SELECT count(*), sum(total), min(at), avg(f) AS l$i FROM orders WHERE id < 3$i GROUP BY customer_id % $i HAVING count(*) > 0");
}
is($kept->('count(*)'), $before, 'P5: nor is one made');
same('SELECT country FROM customers c, orders o WHERE o.id = 5 GROUP BY c.customer_id');
cmp_ok($kept->('count(*)'), '>', $before, '... is one');
done_testing();
