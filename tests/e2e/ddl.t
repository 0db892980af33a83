#!/usr/bin/perl
# DDL through the router, on three shards: what is on every shard is the same on every shard afterwards, what is on the home
# shard only is nowhere else, and whatever fails leaves nothing anywhere (P39, P41).
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(run wait_for);
use PgbraidTest::Router;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'tenant_id', shutdown_timeout => '1s', safe_functions => 'public.stamp, public.noted' });
my $w = $router->wire;

# What is on a shard of the tables that every shard has, and of everything that is no table. Our constraint differs, as it must.
my $EVERYWHERE = <<'SQL';
WITH dist AS (
    SELECT n.nspname || '.' || c.relname AS name, c.* FROM pgbraid.tables t
    JOIN pg_namespace n ON n.nspname = t.schema_name JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.table_name),
ours AS (SELECT n.oid, n.nspname FROM pg_namespace n WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'pgbraid'))
SELECT 'dist ' || t::text FROM pgbraid.tables t
UNION ALL SELECT format('table %s %s %s %s %s %s %s %s', name, pg_get_userbyid(relowner), relacl, reloptions, relrowsecurity, relforcerowsecurity, relreplident, obj_description(oid, 'pg_class')) FROM dist
UNION ALL SELECT format('column %s %s %s %s %s %s %s %s', d.name, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attacl, pg_get_expr(f.adbin, f.adrelid), col_description(d.oid, a.attnum))
    FROM dist d JOIN pg_attribute a ON a.attrelid = d.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
UNION ALL SELECT format('constraint %s %s %s', d.name, k.conname, CASE WHEN k.conname = 'pgbraid_placement' THEN 'ours' ELSE pg_get_constraintdef(k.oid) END)
    FROM dist d JOIN pg_constraint k ON k.conrelid = d.oid
UNION ALL SELECT format('index %s %s %s', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered) FROM dist d JOIN pg_index i ON i.indrelid = d.oid
UNION ALL SELECT format('trigger %s %s', pg_get_triggerdef(t.oid), t.tgenabled) FROM dist d JOIN pg_trigger t ON t.tgrelid = d.oid AND NOT t.tgisinternal
UNION ALL SELECT format('policy %s %s %s', d.name, p.polname, pg_get_expr(p.polqual, p.polrelid)) FROM dist d JOIN pg_policy p ON p.polrelid = d.oid
UNION ALL SELECT format('statistics %s', pg_get_statisticsobjdef(s.oid)) FROM dist d JOIN pg_statistic_ext s ON s.stxrelid = d.oid
UNION ALL SELECT format('sequence %s of %s %s', s.relname, d.name, s.relacl) FROM dist d JOIN pg_depend x ON x.refobjid = d.oid AND x.refclassid = 'pg_class'::regclass AND x.classid = x.refclassid AND x.deptype IN ('a', 'i') JOIN pg_class s ON s.oid = x.objid AND s.relkind = 'S'
UNION ALL SELECT format('schema %s %s %s %s', n.nspname, pg_get_userbyid(n.nspowner), n.nspacl, obj_description(n.oid, 'pg_namespace')) FROM ours o JOIN pg_namespace n USING (oid)
UNION ALL SELECT format('type %s.%s %s %s', o.nspname, t.typname, t.typtype, (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))
    FROM ours o JOIN pg_type t ON t.typnamespace = o.oid WHERE t.typtype IN ('d', 'e', 'r') OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c')
UNION ALL SELECT format('attribute %s %s', c.relname, a.attname) FROM ours o JOIN pg_class c ON c.relnamespace = o.oid AND c.relkind = 'c' JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
UNION ALL SELECT format('function %s %s %s', CASE p.prokind WHEN 'a' THEN p.proname ELSE pg_get_functiondef(p.oid) END, p.proacl, pg_get_userbyid(p.proowner)) FROM ours o JOIN pg_proc p ON p.pronamespace = o.oid
UNION ALL SELECT format('operator %s', p.oprname) FROM ours o JOIN pg_operator p ON p.oprnamespace = o.oid
UNION ALL SELECT format('extension %s', extname) FROM pg_extension
UNION ALL SELECT format('default privileges %s', d.defaclacl) FROM pg_default_acl d
ORDER BY 1
SQL
# Relations of ours that no other shard may have.
my $HOME = <<'SQL';
SELECT c.relkind::text || ' ' || n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'pgbraid') AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  AND NOT EXISTS (SELECT FROM pgbraid.tables t WHERE t.schema_name = n.nspname AND t.table_name = c.relname)
  AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_class o ON o.oid = d.refobjid JOIN pg_namespace m ON m.oid = o.relnamespace
                  JOIN pgbraid.tables t ON t.schema_name = m.nspname AND t.table_name = o.relname
                  WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.refclassid = d.classid AND d.deptype IN ('a', 'i'))
ORDER BY 1
SQL

my @shards = map { $cluster->wire($_) } 1 .. 3;
sub lines { my ($shard, $sql) = @_; return join "\n", map { $_->[0] } @{ $shards[ $shard - 1 ]->rows($sql) }; }
sub everywhere { return map { lines($_, $EVERYWHERE) } 1 .. 3; }
# The shards agree, and only the home shard has more.
sub agree
{
    my ($what) = @_;
    my @now = everywhere();
    my $ok = 1;
    for my $i (1, 2) {
        $ok &&= $now[$i] eq $now[0] or do { is($now[$i], $now[0], "$what: shard " . ($i + 1) . ' is as the home shard'); last };
    }
    $ok &&= !length lines($_, $HOME) or is(lines($_, $HOME), '', "$what: shard $_ has nothing of its own") for 2, 3;
    return wantarray ? @now : $ok;
}
my @counted = (0, 0, 0);

# The statement changes something on every shard, in the same way, and answers the tag.
sub all
{
    my ($sql, $tag) = @_;
    my ($before) = everywhere();
    my $r = $w->query($sql);
    if ($r->{error}) { fail($sql); diag("$r->{error}{C} $r->{error}{M}"); return; }
    my @now = agree($sql);
    isnt($now[0], $before, $sql);
    is(tag($r), $tag, '... its tag') if $tag;
    is(scalar(grep { $_ ne $now[0] } @now), 0, '... the same on every shard');
    $counted[0]++;
    return;
}
sub tag { my ($r) = @_; return $r->{tags} ? $r->{tags}[-1] : $r->{tag}; }
# The statement changes the home shard's own, or at least nothing elsewhere.
sub home
{
    my ($sql, %opt) = @_;
    my @before = (everywhere(), lines(1, $HOME));
    my $r = $w->query($sql);
    if ($r->{error}) { fail($sql); diag("$r->{error}{C} $r->{error}{M}"); return; }
    my @now = (everywhere(), lines(1, $HOME));
    is_deeply([ @now[ 0 .. 2 ] ], [ @before[ 0 .. 2 ] ], "$sql: at home");
    isnt($now[3], $before[3], '... and there it does something') unless $opt{silent};
    $counted[1]++;
    return;
}
# Refused, with nothing changed.
sub refused
{
    my ($sql, $code, $message) = @_;
    my @before = everywhere();
    my $e = $w->error($sql);
    is($e->{C} // 'done', $code, "$sql: refused");
    like($e->{M} // '', $message, '... and why') if $message;
    is_deeply([ everywhere() ], \@before, '... without a change');
    $counted[2]++;
    return;
}

# --- what is no table ---
all('CREATE SCHEMA app', 'CREATE SCHEMA');
all(q{COMMENT ON SCHEMA app IS 'x'});
all(q{CREATE TYPE mood AS ENUM ('sad', 'glad')});
all(q{ALTER TYPE mood ADD VALUE 'mad'});
all('CREATE TYPE pair AS (a int, b int)');
all('ALTER TYPE pair ADD ATTRIBUTE c int');
all('CREATE DOMAIN positive AS int CHECK (VALUE > 0)');
all(q{CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'}, 'CREATE FUNCTION');
all(q{CREATE FUNCTION noted(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a'});
all('ALTER FUNCTION noted(int) STRICT');
all('CREATE AGGREGATE total(int) (sfunc = int4pl, stype = int)');
all('CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq)');
all('ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC');
all('ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM PUBLIC');

# --- roles: the three shards are databases of one server ---
is($w->do('CREATE ROLE ann LOGIN'), 'CREATE ROLE', 'CREATE ROLE where several shards are on one server (P41)');
is($w->do('CREATE ROLE bob'), 'CREATE ROLE', '... and another one');
is($w->do('GRANT bob TO ann'), 'GRANT ROLE', 'GRANT of a role');
is($w->do('ALTER ROLE ann SET work_mem = 2048'), 'ALTER ROLE', 'ALTER ROLE ... SET');
is($cluster->value(1, q{SELECT rolconfig::text FROM pg_roles WHERE rolname = 'ann'}), '{work_mem=2048}', '... once');

# --- tables ---
home('CREATE TABLE plain (id bigint PRIMARY KEY, v text)');
home('CREATE TABLE IF NOT EXISTS plain (tenant_id bigint)', silent => 1);
home('CREATE SEQUENCE counter');
home('ALTER SEQUENCE counter RESTART 10', silent => 1);
home('CREATE VIEW plain_view AS SELECT id FROM plain');
home('CREATE MATERIALIZED VIEW plain_copy AS SELECT id FROM plain');
home('REFRESH MATERIALIZED VIEW plain_copy', silent => 1);
home('CREATE TABLE plain_as AS SELECT 1 AS tenant_id');
home('SELECT 1 AS a INTO plain_into');
all('CREATE TABLE t (tenant_id bigint, id bigint, v text, n int DEFAULT 5, PRIMARY KEY (tenant_id, id)) -- a comment', 'CREATE TABLE');
is($cluster->value($_, q{SELECT count(*) FROM pg_constraint WHERE conname = 'pgbraid_placement' AND conrelid = 't'::regclass}), 1, "P19: shard $_ has the placement constraint") for 1 .. 3;
all('CREATE TABLE IF NOT EXISTS app.kids (tenant_id bigint NOT NULL, id bigint, parent bigint, mood mood, PRIMARY KEY (tenant_id, id), FOREIGN KEY (tenant_id, parent) REFERENCES t)', 'CREATE TABLE');
{
    my @before = everywhere();
    my $r = $w->query('CREATE TABLE IF NOT EXISTS t (tenant_id bigint PRIMARY KEY)');
    is(tag($r), 'CREATE TABLE', 'CREATE TABLE IF NOT EXISTS of one that exists');
    is($r->{notices}[0]{C} // ($r->{notice} // {})->{C}, '42P07', "... PostgreSQL's notice");
    is_deeply([ everywhere() ], \@before, '... and the rule is not applied again');
}
all('CREATE TABLE numbered (tenant_id bigserial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY)');
ok($shards[ $_ - 1 ]->error(q{SELECT nextval('numbered_n_seq')}), "P45: shard $_ draws no values") for 2, 3;
is($w->value(q{SELECT nextval('numbered_n_seq')}), 1, '... the home shard does');
$router->do('CREATE TABLE codes (code text PRIMARY KEY, name text)', q{SELECT pgbraid.reference_table('codes')});
agree('a reference table');
$w->do('INSERT INTO t (tenant_id, id, v) SELECT 1, 1, $$a$$');
$w->do('INSERT INTO t (tenant_id, id, v) VALUES ' . join ',', map { "($_, $_, 'v$_')" } 2 .. 60);
cmp_ok($cluster->value($_, 'SELECT count(*) FROM t'), '>', 5, "shard $_ has rows") for 1 .. 3;

# --- ALTER TABLE ---
all('ALTER TABLE t ADD COLUMN note text DEFAULT $$x$$', 'ALTER TABLE');
all('ALTER TABLE t ALTER COLUMN note SET DEFAULT $$y$$, ALTER COLUMN note SET NOT NULL');
all('ALTER TABLE t ALTER COLUMN note DROP NOT NULL');
all('ALTER TABLE t ALTER COLUMN note TYPE varchar(20)');
all('ALTER TABLE t ADD CONSTRAINT small CHECK (n < 1000) NOT VALID');
all('ALTER TABLE t VALIDATE CONSTRAINT small');
all('ALTER TABLE t RENAME CONSTRAINT small TO smaller');
all('ALTER TABLE t DROP CONSTRAINT smaller');
all('ALTER TABLE t ADD CONSTRAINT uv UNIQUE (tenant_id, v)');
all('ALTER TABLE t RENAME COLUMN note TO remark');
all('ALTER TABLE t DROP COLUMN remark');
all('ALTER TABLE t ADD FOREIGN KEY (v) REFERENCES codes NOT VALID');
all('ALTER TABLE t DROP CONSTRAINT t_v_fkey');
all('ALTER TABLE t SET (fillfactor = 70)');
all('ALTER TABLE t OWNER TO ann');
all('ALTER TABLE t OWNER TO postgres');
all('ALTER TABLE t REPLICA IDENTITY FULL');
all('ALTER TABLE t REPLICA IDENTITY DEFAULT');
all('ALTER TABLE t ENABLE ROW LEVEL SECURITY');
all('CREATE POLICY p ON t USING (v = current_user)');
all('ALTER POLICY p ON t USING (v <> current_user)');
all('ALTER POLICY p ON t RENAME TO q');
all('DROP POLICY q ON t');
all('ALTER TABLE t DISABLE ROW LEVEL SECURITY');
all('ALTER TABLE codes ADD COLUMN rank int DEFAULT 0');
home('ALTER TABLE plain RENAME TO simple');
home('ALTER TABLE simple ADD FOREIGN KEY (v) REFERENCES codes', silent => 1);

# --- names: pgbraid.tables follows ---
sub keys_found { my ($table, $key) = @_; return join ',', map { $w->value("SELECT v FROM $table WHERE $key = $_ AND id = $_") } 2 .. 6; }
all(q{ALTER TABLE t RENAME TO "T's"});
is(keys_found(q{"T's"}, 'tenant_id'), 'v2,v3,v4,v5,v6', 'a renamed table is found, by its key');
all(q{ALTER TABLE "T's" RENAME TO t});
all('ALTER TABLE t RENAME COLUMN tenant_id TO "Key"');
is(keys_found('t', '"Key"'), 'v2,v3,v4,v5,v6', '... by a renamed key');
all('ALTER TABLE t RENAME COLUMN "Key" TO tenant_id');
all('ALTER TABLE t SET SCHEMA app');
is(keys_found('app.t', 'tenant_id'), 'v2,v3,v4,v5,v6', '... in another schema');
all('ALTER SCHEMA app RENAME TO application');
is(keys_found('application.t', 'tenant_id'), 'v2,v3,v4,v5,v6', '... in a renamed schema');
all('ALTER TABLE application.t SET SCHEMA public');
all('ALTER TABLE codes RENAME TO kinds');

# --- indexes, triggers, statistics, comments, privileges ---
all('CREATE INDEX t_v ON t (v)', 'CREATE INDEX');
all('CREATE INDEX CONCURRENTLY t_n ON t (n)', 'CREATE INDEX');
all('ALTER INDEX t_n RENAME TO t_nn');
all('CLUSTER t USING t_v', 'CLUSTER');
all('DROP INDEX CONCURRENTLY t_nn', 'DROP INDEX');
all('DROP INDEX t_v', 'DROP INDEX');
all('CREATE UNIQUE INDEX t_u ON t (n, id, tenant_id)');
all('CREATE TRIGGER stamped BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION stamp()');
all('ALTER TABLE t DISABLE TRIGGER stamped');
all('ALTER TRIGGER stamped ON t RENAME TO stamps');
all('DROP TRIGGER stamps ON t');
all('CREATE STATISTICS t_s ON v, n FROM t');
all('DROP STATISTICS t_s', 'DROP STATISTICS');
home('CREATE STATISTICS simple_s ON id, v FROM simple', silent => 1);
home('DROP STATISTICS simple_s', silent => 1);
all(q{COMMENT ON TABLE t IS 'it''s'}, 'COMMENT');
all(q{COMMENT ON COLUMN t.v IS 'v'});
all('GRANT SELECT, UPDATE (v) ON t, simple TO ann', 'GRANT');
ok($cluster->value(1, q{SELECT has_table_privilege('ann', 'simple', 'SELECT')}), '... on the unsharded table, too');
all('REVOKE ALL ON ALL TABLES IN SCHEMA public FROM ann', 'REVOKE');
home('GRANT SELECT ON simple TO ann', silent => 1);

# --- maintenance ---
for my $sql ('VACUUM', 'VACUUM (ANALYZE) t', 'VACUUM t, simple', 'ANALYZE', 'ANALYZE t (v), simple', 'REINDEX TABLE t', 'REINDEX TABLE CONCURRENTLY t', 'CHECKPOINT') {
    my $r = $w->query($sql);
    ok(!$r->{error}, $sql) or diag("$r->{error}{C} $r->{error}{M}");
    is(tag($r), (split / /, $sql)[0], '... its tag');
}
is($cluster->value($_, q{SELECT count(*) FROM pg_stats WHERE tablename = 't' AND attname = 'v'}), 1, "shard $_ has statistics") for 1 .. 3;
is($w->error('VACUUM nonsense')->{C}, '42P01', 'VACUUM of nothing');
$w->do('BEGIN');
is($w->error('VACUUM t')->{C}, '25001', 'VACUUM in a transaction block');
$w->do('ROLLBACK', 'BEGIN');
is($w->do('LOCK TABLE t, simple IN EXCLUSIVE MODE'), 'LOCK TABLE', 'LOCK TABLE');
is($cluster->value(1, q{SELECT string_agg(d.datname || ' ' || l.mode, ', ' ORDER BY d.datname) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE l.locktype = 'relation' AND l.mode = 'ExclusiveLock' AND l.pid <> pg_backend_pid()}),
    'shard_1 ExclusiveLock, shard_1 ExclusiveLock, shard_2 ExclusiveLock, shard_3 ExclusiveLock', '... on every shard');
$w->do('ROLLBACK');
$w->do(q{INSERT INTO simple VALUES (1)});
is($w->do('TRUNCATE t, application.kids, simple RESTART IDENTITY'), 'TRUNCATE TABLE', 'TRUNCATE');
is($cluster->value($_, 'SELECT count(*) FROM t'), 0, "... shard $_ is empty") for 1 .. 3;
is($w->value('SELECT count(*) FROM simple'), 0, '... the unsharded table, too');
is($w->do('TRUNCATE numbered RESTART IDENTITY'), 'TRUNCATE TABLE', 'TRUNCATE ... RESTART IDENTITY');
is($w->value(q{SELECT nextval('numbered_n_seq')}), 1, '... restarts');
ok($shards[ $_ - 1 ]->error(q{SELECT nextval('numbered_n_seq')}), "P45: ... but not on shard $_") for 2, 3;
$w->do('ALTER SEQUENCE numbered_n_seq RESTART 7');
is($w->value(q{SELECT nextval('numbered_n_seq')}), 7, 'ALTER SEQUENCE ... RESTART');
ok($shards[ $_ - 1 ]->error(q{SELECT nextval('numbered_n_seq')}), "P45: ... but not on shard $_") for 2, 3;

# --- refused ---
refused('ALTER TABLE t DROP COLUMN tenant_id', '0A000');
refused('ALTER TABLE t ALTER COLUMN tenant_id TYPE int', '0A000');
refused('ALTER TABLE t ALTER COLUMN tenant_id DROP NOT NULL', '0A000');
refused('ALTER TABLE t DROP CONSTRAINT pgbraid_placement', '0A000');
refused('ALTER TABLE t ADD UNIQUE (v)', '0A000', qr/must contain the sharding key \(tenant_id\)/);
refused('CREATE UNIQUE INDEX ON t (v)', '0A000', qr/must contain the sharding key/);
refused('CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING', '0A000');
refused('CREATE TABLE x (t bigint, FOREIGN KEY (t, t) REFERENCES t)', '0A000', qr/cannot have a foreign key/);
refused('CREATE TABLE x (tenant_id bigint, id int PRIMARY KEY)', '0A000', qr/must contain the sharding key/);
refused('CREATE TABLE x (tenant_id jsonb)', '0A000');
refused('CREATE TABLE x (tenant_id int) PARTITION BY RANGE (tenant_id)', '0A000');
refused('CREATE TEMP TABLE x (id int)', '0A000');
refused('CREATE TABLE x AS SELECT * FROM t', '0A000');
refused('CREATE MATERIALIZED VIEW x AS SELECT * FROM t', '0A000');
refused('CREATE PUBLICATION x FOR ALL TABLES', '0A000');
refused('CREATE DATABASE x', '0A000');
refused('DROP SCHEMA pgbraid CASCADE', '0A000');
refused(q{DO 'BEGIN END'}, '0A000');
home('CREATE VIEW totals AS SELECT count(*) FROM t');
is($w->value('SELECT count FROM totals'), $w->value('SELECT count(*) FROM t'), 'a view over a sharded table');
like($w->error('INSERT INTO totals VALUES (1)')->{M}, qr/stands for distributed tables/, '... cannot be changed');

# --- psql: our constraint is not to be seen ---
my $d = $router->psql('\d t');
is($d->{rc}, 0, '\d t') or diag($d->{err});
like($d->{out}, qr/tenant_id/, '... shows the table');
unlike($d->{out}, qr/pgbraid/, 'P19: ... without the placement constraint');

# --- a failure on one shard leaves nothing on the others ---
$cluster->do(3, 'CREATE TABLE early (tenant_id int)', 'CREATE INDEX late ON t (v)', 'CREATE SCHEMA later');
for my $sql ('CREATE TABLE early (tenant_id int PRIMARY KEY)', 'CREATE INDEX late ON t (v)', 'CREATE SCHEMA later') {
    my @before = everywhere();
    my $e = $w->error($sql);
    like($e->{C} // '', qr/^42P0[67]$/, "$sql: exists already on one shard");
    like($e->{W} // '', qr/shard "s3"/, '... which is named');
    is_deeply([ everywhere() ], \@before, '... and nothing is left on the others');
    is($cluster->value($_, q{SELECT count(*) FROM pg_class WHERE relname = 'early'}), 0, "... shard $_ has no such table") for 1, 2;
}
$cluster->do(3, 'DROP TABLE early', 'DROP INDEX late', 'DROP SCHEMA later');
$cluster->do(2, 'ALTER TABLE t ADD CONSTRAINT own CHECK (n > 0)');
refused('ALTER TABLE t ADD COLUMN z int, ADD CONSTRAINT own CHECK (n > 0)', '42710');
$cluster->do(2, 'ALTER TABLE t DROP CONSTRAINT own');
agree('after the failures');

# What is no transaction may stop half way; doing it again, or undoing it, ends that.
$cluster->do(3, 'CREATE TABLE half (id int)');
is($w->error('CREATE INDEX CONCURRENTLY half ON t (n)')->{C}, '42P07', 'CREATE INDEX CONCURRENTLY fails on the last shard');
isnt(lines(1, $EVERYWHERE), lines(3, $EVERYWHERE), '... the others have it');
$cluster->do(3, 'DROP TABLE half');
is($w->do('CREATE INDEX CONCURRENTLY IF NOT EXISTS half ON t (n)'), 'CREATE INDEX', '... again, IF NOT EXISTS');
agree('the index made again');
is($w->do('DROP INDEX half'), 'DROP INDEX', '... DROP INDEX');
agree('the index dropped');
$cluster->do(3, 'CREATE TABLE half (id int)');
is($w->error('CREATE INDEX CONCURRENTLY half ON t (n)')->{C}, '42P07', 'once more');
$cluster->do(3, 'DROP TABLE half');
is($w->do('DROP INDEX IF EXISTS half'), 'DROP INDEX', '... DROP INDEX IF EXISTS undoes it');
agree('the index undone');

# --- transactions ---
{
    my @before = everywhere();
    $w->do('BEGIN', 'CREATE TABLE x (tenant_id int PRIMARY KEY, v int)', 'INSERT INTO x VALUES (1, 10), (2, 20), (3, 30), (4, 40)');
    is($w->value('SELECT v FROM x WHERE tenant_id = 3'), 30, 'a new table can be used in its transaction');
    $w->do('ALTER TABLE x RENAME TO y', 'ALTER TABLE y ADD COLUMN z int DEFAULT 7');
    is($w->value('SELECT z FROM y WHERE tenant_id = 4'), 7, '... under another name, with another column');
    is($router->wire->error('SELECT 1 FROM y WHERE tenant_id = 4')->{C}, '42P01', 'P12: ... but not by others');
    $w->do('SAVEPOINT a', 'DROP TABLE y');
    is($w->error('SELECT 1 FROM y WHERE tenant_id = 4')->{C}, '42P01', 'dropped');
    $w->do('ROLLBACK TO a');
    is($w->value('SELECT v FROM y WHERE tenant_id = 4'), 40, 'P12: a rollback to a savepoint brings it back');
    $w->do('ROLLBACK');
    is_deeply([ everywhere() ], \@before, 'a rolled back transaction leaves nothing anywhere');
    is($w->error('SELECT 1 FROM y')->{C}, '42P01', '... nor in the catalog');
    $w->do('BEGIN', 'CREATE TABLE x (tenant_id int PRIMARY KEY)', 'CREATE TABLE hx (id int)');
    ok($w->error('CREATE TABLE x (tenant_id int)'), 'an error in the transaction');
    is($w->do('COMMIT'), 'ROLLBACK', 'COMMIT of a failed transaction rolls back');
    is_deeply([ everywhere() ], \@before, '... leaving nothing anywhere');
}
$w->do('BEGIN', 'CREATE TABLE x (tenant_id int PRIMARY KEY, v int)', 'CREATE INDEX ON x (v)', 'INSERT INTO x VALUES (1, 10), (2, 20), (3, 30), (4, 40)', 'COMMIT');
agree('a committed transaction');
is($router->value("SELECT v FROM x WHERE tenant_id = $_"), 10 * $_, "row $_") for 1 .. 4;
my $r = $w->query('CREATE TABLE s1 (tenant_id int); CREATE TABLE s2 (tenant_id int REFERENCES x); INSERT INTO s1 VALUES (1), (2), (3); SELECT tenant_id FROM s1 WHERE tenant_id = 2');
ok(!$r->{error}, 'a string of statements') or diag($r->{error}{M});
agree('a string of statements');
is_deeply($r->{rows}, [ [2] ], '... is planned statement by statement');
$r = $w->query('CREATE TABLE s3 (tenant_id int); CREATE TABLE s1 (tenant_id int)');
is($r->{error}{C}, '42P07', 'a string that fails');
is($cluster->value($_, q{SELECT count(*) FROM pg_class WHERE relname = 's3'}), 0, "... leaves nothing on shard $_") for 1 .. 3;
# Extended protocol.
is($w->query_params('CREATE TABLE e1 (tenant_id int)')->{error}, undef, 'extended protocol');
agree('extended protocol');
is($w->query_params('DROP TABLE e1')->{error}, undef, '... DROP TABLE');

# --- a role that owns nothing of pgbraid's ---
$w->do('GRANT CREATE ON SCHEMA public TO ann');
my $ann = $router->wire(user => 'ann');
is($ann->do('CREATE TABLE anns (tenant_id int PRIMARY KEY)'), 'CREATE TABLE', 'an ordinary role makes a sharded table');
agree("an ordinary role's table");
is($ann->do('ALTER TABLE anns RENAME TO hers'), 'ALTER TABLE', '... renames it');
agree("an ordinary role's table, renamed");
is($ann->error('ALTER TABLE t RENAME TO mine')->{C}, '42501', '... but not that of another');
is($ann->error(q{CALL pgbraid.note_sharded('public', 'simple', 'id', true)})->{C}, '0A000', "... nor calls pgbraid's procedures");
is($ann->do('DROP TABLE hers'), 'DROP TABLE', '... drops it');

# --- DROP ---
all('DROP TABLE application.kids, simple CASCADE', 'DROP TABLE');
is($cluster->value(1, q{SELECT count(*) FROM pg_class WHERE relname = 'simple'}), 0, '... the unsharded one, too');
all('DROP TABLE t CASCADE', 'DROP TABLE');
is($w->query('DROP TABLE IF EXISTS nothing, x, s2 CASCADE')->{error}, undef, 'DROP TABLE IF EXISTS');
agree('DROP TABLE IF EXISTS');
all('DROP TABLE kinds');
all('DROP FUNCTION noted(int)');
all('DROP TYPE mood');
all('DROP OPERATOR === (int, int)');
$w->do('CREATE TABLE application.last (tenant_id int)');
all('DROP SCHEMA application CASCADE', 'DROP SCHEMA');
is($w->do('DROP OWNED BY ann'), 'DROP OWNED', 'DROP OWNED');
is($w->do('DROP ROLE ann, bob'), 'DROP ROLE', 'DROP ROLE');
for (1 .. 3) {
    is($cluster->value($_, q{SELECT count(*) FROM pgbraid.tables WHERE table_name NOT IN ('numbered', 's1') AND schema_name <> 'pgbraid'}), 0, "shard $_ has forgotten what was dropped");
}
note("on every shard: $counted[0], at home: $counted[1], refused: $counted[2]");

# --- the router is stopped while a statement waits ---
{
    my $blocker = $cluster->wire(2);
    $blocker->do('BEGIN', 'LOCK TABLE s1');
    $w->send(PgbraidTest::Wire::Query('ALTER TABLE s1 ADD COLUMN v int'));
    wait_for('the statement to wait', sub { $cluster->value(2, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()}) > 0 });
    is($router->stop, 0, 'the router stops in order');
    $blocker->do('ROLLBACK');
    $router->start;
    agree('after the stop');
}

# --- P39: the router is killed while it makes a table ---
for my $round (1 .. 6) {
    # The statement waits on a shard for a lock of ours: first, second and third shard in turn, or for the schema.
    my $shard = 1 + $round % 3;
    my $blocker = $cluster->wire($shard);
    $blocker->do('BEGIN', $round <= 3 ? "CREATE TABLE p39_$round (tenant_id int)" : 'LOCK TABLE pgbraid.tables IN EXCLUSIVE MODE');
    my $client = $router->wire;
    $client->send(PgbraidTest::Wire::Query("CREATE TABLE p39_$round (tenant_id int PRIMARY KEY)"));
    wait_for('the statement to wait', sub { $cluster->value($shard, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()}) > 0 });
    $router->kill_now;
    $blocker->do('ROLLBACK');
    $router->start;
    agree("P39: killed while shard $shard worked (round $round)");
    my @has = map { 0 + $cluster->value($_, "SELECT count(*) FROM pg_class WHERE relname = 'p39_$round'") } 1 .. 3;
    is_deeply(\@has, [ 0, 0, 0 ], "P39: round $round leaves nothing");
    $w = $router->wire;
    is($w->do("CREATE TABLE p39_$round (tenant_id int PRIMARY KEY)"), 'CREATE TABLE', '... and it can be made now');
    is($w->do("INSERT INTO p39_$round VALUES (1), (2), (3), (4)"), 'INSERT 0 4', '... and used');
}
agree('P39');
done_testing();
