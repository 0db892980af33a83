-- Tables for the corpus and for the queries made at random: all of PostgreSQL's types, keys of several types, reference
-- tables, a table without rows and one that is not sharded. Values of floating point are multiples of powers of two, so that
-- their sums do not depend on the order of the rows.
-- everywhere
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN small AS int CHECK (VALUE < 1000);
CREATE TYPE pair AS (a int, b text);
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 * 2';
CREATE FUNCTION is_positive(numeric) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
CREATE COLLATION german (provider = icu, locale = 'de');
-- tables
CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL, email varchar(30), country char(2), age int, score numeric(8,2), rating double precision,
    active boolean, born date, created timestamptz, mood mood, tags text[], prefs jsonb, boss bigint);
CREATE TABLE orders (user_id bigint NOT NULL, id int NOT NULL, product_id int, status text, total numeric(10,2), qty int, placed timestamp, note varchar(20), PRIMARY KEY (user_id, id));
CREATE TABLE lines (user_id bigint NOT NULL, order_id int NOT NULL, n int NOT NULL, product_id int, price numeric, qty smallint, PRIMARY KEY (user_id, order_id, n));
CREATE TABLE products (id int PRIMARY KEY, name text, category text, price numeric(8,2), weight real);
CREATE TABLE countries (code char(2) PRIMARY KEY, name text, continent text, population bigint);
CREATE TABLE words (word text PRIMARY KEY, lang varchar(5), freq int);
CREATE TABLE events (id uuid PRIMARY KEY, user_id bigint, kind text, at timestamptz, payload jsonb, amount numeric);
CREATE TABLE points (tenant int NOT NULL, region text NOT NULL, x int NOT NULL, y int, PRIMARY KEY (tenant, region, x));
CREATE TABLE tree (id int PRIMARY KEY, parent int, label text);
CREATE TABLE nothing (id int PRIMARY KEY, v int, t text);
CREATE TABLE home (id int PRIMARY KEY, v text, n int);
CREATE TABLE types (k int NOT NULL, id int NOT NULL, i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision, n numeric, nm numeric(12,3), mo money,
    t text, tc text COLLATE "C", tg text COLLATE german, v varchar(10), bp char(6), nam name, ch "char", b boolean, by bytea, u uuid, d date, ti time, tz timetz, ts timestamp(3), tsz timestamptz, iv interval,
    ine inet, ci cidr, ma macaddr, ma8 macaddr8, bi bit(4), vb bit varying(8), js json, jb jsonb, x xml, po point, ln lseg, bx box, pa path, pl polygon, cr circle,
    i4r int4range, nr numrange, dr daterange, tsr tsrange, mr int4multirange, tv tsvector, tq tsquery, ia int[], ta text[], na numeric[], m mood, moods mood[], dm small, cp pair, ls pg_lsn, PRIMARY KEY (k, id));
INSERT INTO users SELECT i, (ARRAY['ann', 'Bob', 'bob', 'Eve', 'zoë', 'Ångström', 'ann'])[1 + i % 7] || CASE WHEN i % 3 = 0 THEN '' ELSE i::text END, NULLIF('u' || i || '@example.' || (ARRAY['com', 'org', 'de'])[1 + i % 3], 'u7@example.org'),
    (ARRAY['de', 'fr', 'us', 'xx', NULL])[1 + i % 5], NULLIF(18 + i * 7 % 50, 25), NULLIF((i * 37 % 100) / 4.0, 9.25), NULLIF((i * 13 % 32) / 8.0, 1), (ARRAY[true, false, NULL])[1 + i % 3],
    date '1960-01-01' + i * 397, timestamptz '2024-01-01 00:00+00' + i * interval '37 hours 11 minutes', (ARRAY['sad', 'ok', 'happy', NULL]::mood[])[1 + i % 4],
    (ARRAY['{}', '{a}', '{a,b}', '{b,NULL,c}', NULL])[1 + i % 5]::text[], CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN '{}' ELSE jsonb_build_object('lang', (ARRAY['de', 'en', 'fr'])[1 + i % 3], 'n', i % 6, 'list', jsonb_build_array(i % 2, 'x')) END,
    NULLIF(i / 3, 0) FROM generate_series(0, 39) i;
INSERT INTO orders SELECT i % 33, i, NULLIF(i % 12, 11), (ARRAY['new', 'paid', 'sent', 'done', NULL])[1 + i % 5], NULLIF((i * 53 % 400) / 4.0, 50), 1 + i % 4,
    timestamp '2024-02-01 08:00' + i * interval '5 hours 17 minutes', CASE WHEN i % 6 > 0 THEN 'note ' || i % 9 END FROM generate_series(0, 119) i;
INSERT INTO lines SELECT o.user_id, o.id, g, NULLIF((o.id + g * 3) % 13, 12), ((o.id * 7 + g * 11) % 80) / 8.0, CASE WHEN (o.id + g) % 7 > 0 THEN (o.id + g) % 5 END FROM orders o, generate_series(1, 3) g WHERE (o.id + g) % 4 < g;
INSERT INTO lines VALUES (35, 500, 1, 3, 99.5, 2), (36, 501, 1, NULL, NULL, NULL);
INSERT INTO products SELECT i, (ARRAY['pen', 'ink', 'paper', 'desk', 'lamp'])[1 + i % 5] || i, (ARRAY['office', 'home', NULL])[1 + i % 3], i * 1.25, i / 4.0 FROM generate_series(0, 10) i;
INSERT INTO countries VALUES ('de', 'Germany', 'Europe', 83000000), ('fr', 'France', 'Europe', 67000000), ('us', 'United States', 'America', 331000000), ('jp', 'Japan', 'Asia', NULL);
INSERT INTO words SELECT w, (ARRAY['en', 'de', NULL])[1 + (row_number() OVER ())::int % 3], (row_number() OVER () * 7 % 11)::int FROM unnest('{apple,Apple,äpfel,Zebra,zebra,"",über,uber,de,fr,us,bob,Bob,ann,a b,a_b,100%,naïve,x1,x10,x2,~tilde}'::text[]) w;
INSERT INTO events SELECT ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, NULLIF(i % 41, 40), (ARRAY['login', 'click', 'buy'])[1 + i % 3], timestamptz '2024-03-01 00:00+00' + i * interval '97 minutes',
    CASE WHEN i % 5 > 0 THEN jsonb_build_object('page', '/' || i % 4, 'ms', i * 3) END, NULLIF((i * 17 % 60) / 4.0, 3) FROM generate_series(0, 59) i;
INSERT INTO points SELECT i % 5, (ARRAY['eu', 'us', 'as'])[1 + i / 5 % 3], i, NULLIF(i % 7, 3) FROM generate_series(0, 44) i;
INSERT INTO tree SELECT i, CASE WHEN i > 0 THEN (i - 1) / 2 END, 'node ' || i FROM generate_series(0, 24) i;
INSERT INTO home SELECT i, (ARRAY['de', 'x', NULL])[1 + i % 3], i % 4 FROM generate_series(0, 8) i;
INSERT INTO types (k, id) SELECT i % 9, i FROM generate_series(0, 35) i;
UPDATE types SET
    i2 = (ARRAY[0, -1, 1, 32767, -32768, 7, NULL])[1 + id % 7], i4 = (ARRAY[0, -1, 1, 2147483647, -2147483648, 7, 8, NULL])[1 + id % 8], i8 = (ARRAY[0, -1, 1, 9223372036854775807, -9223372036854775808, NULL])[1 + id % 6],
    f4 = (ARRAY[0, -0.0, 1.5, -1.5, 'NaN', 'Infinity', '-Infinity', 0.25, NULL]::real[])[1 + id % 9], f8 = (ARRAY[0, -0.0, 1.5, -1.5, 'NaN', 'Infinity', '-Infinity', 1e-300, 0.125, NULL]::float8[])[1 + id % 10],
    n = (ARRAY[0, 0.00, 1, 1.0, 1.00, -1.50, 12345678901234567890.123456789, 0.0001, 1e20, 'NaN', NULL]::numeric[])[1 + id % 11], nm = (ARRAY[0, 1, 1.5, -1.5, 999999999.999, 2.125, NULL]::numeric[])[1 + id % 7], mo = (ARRAY['0', '1.50', '-1.50', '1000000', NULL]::money[])[1 + id % 5],
    t = (ARRAY['a', 'A', 'ab', 'a b', 'B', '', 'é', 'zz', 'z', 'äx', '~', NULL])[1 + id % 12], tc = (ARRAY['a', 'A', 'ab', 'B', '', 'é', NULL])[1 + id % 7], tg = (ARRAY['a', 'A', 'ä', 'b', 'B', 'ß', 'ss', NULL])[1 + id % 8],
    v = (ARRAY['a', 'A', 'ab', '', 'ab ', NULL])[1 + id % 6], bp = (ARRAY['a', 'A', 'ab', '', 'ab  ', NULL])[1 + id % 6], nam = (ARRAY['a', 'B', 'long_name', NULL]::name[])[1 + id % 4], ch = (ARRAY['a', 'b', '', NULL]::"char"[])[1 + id % 4],
    b = (ARRAY[true, false, NULL])[1 + id % 3], by = (ARRAY['', '\x00', '\x0000', '\xff', '\x7f80', NULL]::bytea[])[1 + id % 6],
    u = (ARRAY['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '7fffffff-ffff-ffff-ffff-ffffffffffff', '80000000-0000-0000-0000-000000000000', NULL]::uuid[])[1 + id % 5],
    d = (ARRAY['2024-01-01', '1999-12-31', '2024-02-29', '0044-03-15 BC', '5874897-12-31', NULL]::date[])[1 + id % 6], ti = (ARRAY['00:00', '24:00', '12:00:00.000001', '12:00', NULL]::time[])[1 + id % 5],
    tz = (ARRAY['12:00+00', '13:00+01', '11:00-01', '23:59-12', NULL]::timetz[])[1 + id % 5], ts = (ARRAY['2024-01-01 00:00', 'infinity', '-infinity', '1999-12-31 23:59:59.999', '2024-03-31 02:30', NULL]::timestamp[])[1 + id % 6],
    tsz = (ARRAY['2024-01-01 00:00+00', 'infinity', '-infinity', '2024-01-01 01:00+01', '2024-06-15 12:34:56.789+02', NULL]::timestamptz[])[1 + id % 6], iv = (ARRAY['1 mon', '30 days', '720:00', '1 year', '-1 day 24:00', '0', '1.5 seconds', NULL]::interval[])[1 + id % 8],
    ine = (ARRAY['10.0.0.1', '10.0.0.1/8', '10.0.0.0/8', '::1', 'fe80::1/64', NULL]::inet[])[1 + id % 6], ci = (ARRAY['10.0.0.0/8', '192.168.1.0/24', '::/0', NULL]::cidr[])[1 + id % 4],
    ma = (ARRAY['00:00:00:00:00:00', '08:00:2b:01:02:03', 'ff:ff:ff:ff:ff:ff', NULL]::macaddr[])[1 + id % 4], ma8 = (ARRAY['08:00:2b:01:02:03:04:05', 'ff:ff:ff:ff:ff:ff:ff:ff', NULL]::macaddr8[])[1 + id % 3],
    bi = (ARRAY[B'0000', B'1010', B'1111', NULL])[1 + id % 4], vb = (ARRAY[B'', B'1', B'10', B'101010', NULL]::varbit[])[1 + id % 5],
    js = (ARRAY['{"a": 1, "b": [1, 2]}', '{"a":1.0}', '[1,2,3]', 'null', '"s"', NULL]::json[])[1 + id % 6], jb = (ARRAY['{"a": 1, "b": [1, 2]}', '{"a":1.0}', '{"a": {"b": "c"}}', '[1,2,3]', 'null', '"s"', '2', NULL]::jsonb[])[1 + id % 8],
    x = (ARRAY['<a>1</a>', '<a><b/></a>', NULL]::xml[])[1 + id % 3], po = (ARRAY['(0,0)', '(1,2)', '(-1.5,4)', NULL]::point[])[1 + id % 4], ln = (ARRAY['[(0,0),(1,1)]', '[(0,0),(3,4)]', NULL]::lseg[])[1 + id % 3],
    bx = (CASE id % 3 WHEN 0 THEN box '((0,0),(1,1))' WHEN 1 THEN box '((1,1),(4,5))' END), pa = (CASE id % 3 WHEN 0 THEN path '[(0,0),(1,1)]' WHEN 1 THEN path '((0,0),(1,1),(2,0))' END),
    pl = (CASE id % 2 WHEN 0 THEN polygon '((0,0),(1,1),(2,0))' END), cr = (CASE id % 3 WHEN 0 THEN circle '<(0,0),1>' WHEN 1 THEN circle '<(1,1),2.5>' END),
    i4r = (ARRAY['[1,5)', '[1,4]', 'empty', '(,3)', '[2,)', NULL]::int4range[])[1 + id % 6], nr = (ARRAY['[1,5)', '[1.0,5.0)', '(0.5,2]', 'empty', NULL]::numrange[])[1 + id % 5],
    dr = (ARRAY['[2024-01-01,2024-02-01)', '[2024-01-15,2024-03-01)', '(,2024-01-01)', NULL]::daterange[])[1 + id % 4], tsr = (ARRAY['[2024-01-01 00:00,2024-01-02 00:00)', 'empty', '(,)', NULL]::tsrange[])[1 + id % 4],
    mr = (ARRAY['{[1,5)}', '{[1,3),[7,9)}', '{}', NULL]::int4multirange[])[1 + id % 4], tv = (ARRAY['a fat cat', 'cat:3 fat:2', '', NULL]::tsvector[])[1 + id % 4], tq = (ARRAY['cat', 'fat & cat', '!dog', NULL]::tsquery[])[1 + id % 4],
    ia = (ARRAY['{}', '{1}', '{1,2,3}', '{3,NULL}', '{{1,2},{3,4}}', '[0:1]={5,6}', NULL]::text[])[1 + id % 7]::int[], ta = (ARRAY['{}', '{a}', '{a,"b c"}', '{NULL}', NULL]::text[])[1 + id % 5]::text[], na = (ARRAY['{1,1.0}', '{1.00,1}', '{2.5}', NULL]::text[])[1 + id % 4]::numeric[],
    m = (ARRAY['sad', 'ok', 'happy', NULL]::mood[])[1 + id % 4], moods = (ARRAY['{sad,happy}', '{ok}', '{}', NULL]::text[])[1 + id % 4]::mood[], dm = (ARRAY[1, 2, 999, NULL]::int[])[1 + id % 4],
    cp = (CASE id % 4 WHEN 0 THEN ROW(1, 'x')::pair WHEN 1 THEN ROW(1, NULL)::pair WHEN 2 THEN ROW(2, 'a,b')::pair END), ls = (ARRAY['0/0', '16/B374D848', 'FFFFFFFF/FFFFFFFF', NULL]::pg_lsn[])[1 + id % 4];
-- sharded: users id
-- sharded: orders user_id
-- sharded: lines user_id
-- sharded: words word
-- sharded: events id
-- sharded: points tenant region
-- sharded: tree id
-- sharded: nothing id
-- sharded: types k
-- reference: products countries
