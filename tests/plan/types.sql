-- P14 to P18: which comparisons bind a key, and how values are read.

-- P14: the comparison's type decides. These cast the column, or use another operator: nothing is bound
SELECT * FROM customers WHERE id = 5.0;
SELECT * FROM customers WHERE id = 5e0;
SELECT * FROM customers WHERE id IN (1, 2.5);
SELECT * FROM customers WHERE id = '5'::numeric;
SELECT * FROM customers WHERE id = 5::float8;
\types 1700
\bind 5.0
SELECT * FROM customers WHERE id = $1;
\types 701
\bind 5e0
SELECT * FROM customers WHERE id = $1;
\types 1007
\bind {5}
SELECT * FROM customers WHERE id = ANY ($1);
\types 1231
\bind {5}
SELECT * FROM customers WHERE id = ANY ($1);
SELECT * FROM customers WHERE id::numeric = 5;
SELECT * FROM tags WHERE name = 'ab '::char(3);
SELECT * FROM docs WHERE key = 'ab'::bpchar;
SELECT * FROM docs WHERE key = 'abc'::name;
SELECT * FROM docs WHERE key = 'abc'::varchar(2);
SELECT * FROM moments WHERE ts = timestamptz '2024-01-01 00:00:00+00';
SELECT * FROM days WHERE d = timestamp '2024-01-01 00:00:00';
SELECT * FROM customers WHERE id = (SELECT 5);
SELECT * FROM customers WHERE id = NULLIF(5, 6);
SELECT * FROM customers WHERE id = -(-5);
-- of one family: bound
SELECT * FROM customers WHERE id = 5::smallint;
SELECT * FROM lines WHERE customer_id = 5000000000;
SELECT * FROM lines WHERE customer_id = '5'::bigint;
SELECT * FROM docs WHERE key = 'abc'::varchar;
SELECT * FROM tags WHERE name = 'abc'::text;
SELECT * FROM tags WHERE name = 'abc';
\types 1043
\bind abc
SELECT * FROM docs WHERE key = $1;
SELECT * FROM docs d JOIN tags t ON t.name = d.key WHERE d.key = 'abc';
SELECT * FROM codes WHERE code = 'ab';
SELECT * FROM codes WHERE code = 'ab   ';
SELECT * FROM codes WHERE code = ANY (ARRAY['ab']);
SELECT * FROM codes WHERE code = ANY ('{ab}');
SELECT * FROM files WHERE id = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11';
SELECT * FROM files WHERE id = uuid 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
SELECT * FROM amounts WHERE n = 5;
SELECT * FROM amounts WHERE n = 5.00;
SELECT * FROM amounts WHERE n IN (5, 5.00, '5.0');
SELECT * FROM days WHERE d = '2024-01-31';
SELECT * FROM days WHERE d = date '2024-01-31';
SELECT * FROM moments WHERE ts = '2024-01-31 10:00:00';
SELECT * FROM moments WHERE ts = '2024-01-31 10:00:00.000';
-- an int column of another table joined to a bigint key hashes alike; text to bigint does not compare
SELECT count(*) FROM customers c JOIN lines l ON l.customer_id = c.id WHERE l.customer_id = 5;
SELECT count(*) FROM docs d JOIN codes c ON c.code = d.key WHERE d.key = 'abc';

-- P14: a digits-only literal on a string key is the string only where PostgreSQL stores it as one
SELECT * FROM tags WHERE name = 123;
INSERT INTO tags (name) VALUES (123);
INSERT INTO tags (name) VALUES ('123');
INSERT INTO tags (name) VALUES (007);
INSERT INTO tags (name) VALUES (-5);

-- a parameter without a type gets it from its first use, wherever that is
\bind 5
SELECT * FROM customers WHERE id = $1 AND name = $1::text;
\bind 5
SELECT $1 || 'x', * FROM customers WHERE id = $1;
\bind 0x0000000000000005
SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = $1 AND o.customer_id = $1;
\bind 5
SELECT * FROM customers c JOIN lines l ON true WHERE c.id = $1 AND l.customer_id = $1;
\types 20
\bind 5
SELECT $1 || 'x', * FROM customers WHERE id = $1;
\types 25
\bind 5
SELECT * FROM customers WHERE id = $1::bigint;

-- P15: collations
SELECT * FROM docs WHERE key = 'abc' COLLATE nd;
SELECT * FROM docs WHERE key COLLATE nd = 'abc';
SELECT * FROM docs WHERE key = 'abc' COLLATE "C";
SELECT * FROM blurred WHERE key = 'abc';
SELECT count(*) FROM docs d JOIN blurred b ON b.key = d.key WHERE d.key = 'abc';

-- P16: who "=" is
SELECT * FROM customers WHERE id OPERATOR(pg_catalog.=) 5;
SELECT * FROM customers WHERE id OPERATOR(public.=) 5;
SELECT * FROM customers WHERE id = '5'::text;
\path public, pg_catalog
SELECT * FROM customers WHERE id = 5;
SELECT count(*) FROM customers WHERE id = 5;
\path pg_catalog, public
SELECT count(*) FROM customers WHERE id = 5;
\path "$user", public
\catalog hijack
SELECT * FROM customers WHERE id = '5'::text;
SELECT count(*) FROM customers WHERE id = 5;
SELECT count(*) FROM customers WHERE id = '5';
SELECT count(*) FROM docs WHERE key = 'abc';
SELECT count(*) FROM docs WHERE key = 'abc'::varchar;
SELECT count(*) FROM tags WHERE name = 'abc';
SELECT count(*) FROM tags WHERE name IN ('abc', 'def');
SELECT count(*) FROM tags WHERE name = ANY ('{abc}');
SELECT count(*) FROM amounts WHERE n = 5;
SELECT count(*) FROM amounts a JOIN amounts b USING (n) WHERE n = 5.0;
INSERT INTO tags (name) VALUES ('abc');
\catalog plan

-- P12(c): transform_null_equals and its kin change what "=" means
\odd on
SELECT count(*) FROM customers WHERE id = NULL;
SELECT count(*) FROM customers WHERE id = 5;
INSERT INTO customers (id) VALUES (5);
\odd off

-- P17: a new row is placed by the value after the assignment cast
INSERT INTO amounts (n) VALUES (1.005);
INSERT INTO amounts (n) VALUES (1.01);
INSERT INTO amounts (n) VALUES (5);
INSERT INTO tags (name) VALUES ('abc  ');
INSERT INTO codes (code) VALUES ('ab');
INSERT INTO customers (id) VALUES (20.5);
INSERT INTO customers (id) VALUES ('21');
INSERT INTO lines (customer_id, order_id, n) VALUES (5, 1, 1);
\types 20
\bind 0x0000000000000005
INSERT INTO lines (customer_id, order_id, n) VALUES ($1, 1, 1);
INSERT INTO moments (ts) VALUES ('2024-01-31 10:00:00.0005');
INSERT INTO moments (ts) VALUES ('2024-01-31 10:00:00.001');
INSERT INTO days (d) VALUES ('2024-01-31');

-- P18: what is not in canonical form is declined: all shards if that is proven, else refused
SELECT * FROM customers WHERE id = ' 5 ';
SELECT count(*) FROM customers WHERE id = ' 5 ';
SELECT count(*) FROM customers WHERE id = '+5';
SELECT count(*) FROM customers WHERE id = '0x5';
\bind +5
SELECT count(*) FROM customers WHERE id = $1;
SELECT count(*) FROM customers WHERE id = ANY ('{ 5 }');
SELECT count(*) FROM customers WHERE id = ANY ('{"5"}');
SELECT count(*) FROM customers WHERE id = ANY ('[3:3]={5}');
SELECT count(*) FROM customers WHERE id = ANY ('{{5,6},{7,8}}');
SELECT count(*) FROM customers WHERE id = ANY ('{5');
SELECT count(*) FROM customers WHERE id = 99999999999999999999;
SELECT count(*) FROM days WHERE d = '31.01.2024';
SELECT count(*) FROM days WHERE d = 'today';
SELECT count(*) FROM docs WHERE key = E'a\142c';
SELECT count(*) FROM docs WHERE key = E'abc';
SELECT count(*) FROM docs WHERE key = 'it''s';
SELECT count(*) FROM docs WHERE key = $$it's$$;
SELECT count(*) FROM docs WHERE key = $q$it's$q$;
SELECT count(*) FROM docs WHERE key = U&'abc';
SELECT count(*) FROM docs WHERE key = N'abc';
SELECT count(*) FROM docs WHERE key = '';
SELECT count(*) FROM docs WHERE key IN ('a', 'b') AND key = 'a';
SELECT count(*) FROM docs WHERE key = ANY ('{a,"b,c",d\"e}');
SELECT count(*) FROM docs WHERE key = ANY ('{"NULL",NULL}');
INSERT INTO customers (id) VALUES (' 5');
\types 23
\bind 0x0000000000000005
SELECT count(*) FROM customers WHERE id = $1;
