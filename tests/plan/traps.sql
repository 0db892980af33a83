-- Statements that look like one thing and are another: each of them once had a wrong plan.

-- a WITH query that is not run makes no rows: its table does not lead
WITH orders AS (SELECT * FROM orders) SELECT * FROM countries;
WITH w AS (SELECT * FROM orders) SELECT * FROM countries WHERE EXISTS (WITH w AS (SELECT 1) SELECT FROM w);
WITH w AS (SELECT * FROM orders) SELECT * FROM w;

-- columns that cannot be counted get no names
WITH w(a, b) AS (SELECT g.*, c.id FROM generate_series(0, 11) g, customers c) SELECT count(*) FROM w WHERE a = 5;
SELECT count(*) FROM (SELECT (l).*, o.customer_id AS k FROM lines l JOIN orders o USING (customer_id)) s (a, b, c, d, k) WHERE b = 10;
SELECT count(*) FROM (SELECT (l).*, l.customer_id AS k FROM lines l) s WHERE k = 5;
SELECT count(*) FROM customers c, countries p, countries q WHERE ROW(p.*, c.id, 3) = ROW('a', 'b', 1, 5, 'c');
SELECT count(*) FROM customers c, lines p, lines q WHERE ROW(p.*, c.id, 4) = ROW(1, 5, q.*) AND p.customer_id = c.id AND q.customer_id = c.id;
SELECT count(*) FROM customers c, countries p WHERE ROW(p.*, c.id, 4) IN (ROW(1, 5, p.*));
SELECT count(*) FROM customers c, countries p WHERE ROW(p.*, c.id) IN (SELECT 1, customer_id FROM orders WHERE customer_id = 5);
SELECT count(*) FROM countries p, LATERAL (VALUES (p.*, 5)) v (a, b, c, id), orders o WHERE o.customer_id = id;
INSERT INTO lines (order_id, n, customer_id, qty) SELECT (p).*, 5, 7 FROM countries p;
INSERT INTO customers (name, id) SELECT z.*, 7, p.* FROM (SELECT) z, (SELECT 'a', 'b') p;
MERGE INTO customers c USING countries p ON c.id = 20 WHEN NOT MATCHED THEN INSERT (country, id, name) VALUES (p.*, 20);
SELECT count(*) FROM (SELECT public.orders.* FROM hid.orders, public.orders) s WHERE customer_id = 5;

-- values of a list that belong together at one mention of a WITH query do not at two
WITH w AS (SELECT tenant, region FROM notes WHERE (tenant, region) IN ((1, 'eu'), (2, 'us'))) SELECT count(*) FROM events e WHERE e.tenant IN (SELECT tenant FROM w) AND e.region IN (SELECT region FROM w);
WITH w AS (SELECT tenant, region FROM notes WHERE (tenant, region) IN ((1, 'eu'), (2, 'us'))) SELECT count(*) FROM events e JOIN w w1 ON w1.tenant = e.tenant JOIN w w2 ON w2.region = e.region;
WITH w AS (SELECT tenant, region FROM notes WHERE (tenant, region) IN ((1, 'eu'), (2, 'us'))) SELECT count(*) FROM events e JOIN w USING (tenant, region);

-- a row inside a row is compared whole: NULL equals NULL
SELECT p.code FROM countries p LEFT JOIN customers c ON c.country = p.code WHERE ((c.id, 1), 2) = ((NULL::bigint, 1), 2);
SELECT p.code FROM countries p LEFT JOIN customers c ON c.country = p.code WHERE (c.id, 2) = (NULL::bigint, 2);

-- a parameter's type is what the whole statement makes of it
\bind 6
INSERT INTO amounts (n, v) VALUES (100, $1), (101, $1 / 4), (102, $1), (103, $1);
\bind 6
INSERT INTO amounts (n, v) VALUES (100, $1), (101, $1), (102, $1), (103, $1);
\types 23
\bind 6
INSERT INTO amounts (n, v) VALUES (100, $1), (101, $1 / 4), (102, $1), (103, $1);
\bind 5
SELECT count(*) FROM customers WHERE id IN ($1, 2.5) AND id = $1;
\bind 5
SELECT count(*) FROM customers WHERE id = ANY (ARRAY[$1]::bigint[]) AND id = $1;

-- rows of different lengths are an error of the whole
INSERT INTO customers (id) VALUES (312), (313, 4);
INSERT INTO customers (id, name) VALUES (312, 'a'), (313, 'b');

-- numbers of objects are one server's
SELECT tableoid, id FROM customers WHERE id = 5;
SELECT 'customers'::regclass::oid FROM customers WHERE id = 5;
SELECT 'customers'::regclass::oid;

-- a table's children's rows are its rows, and what runs for them runs for it
SELECT * FROM family WHERE id = 5;
SELECT * FROM ONLY family;
SELECT * FROM child WHERE id = 5;
UPDATE halves SET v = 3 WHERE customer_id = 5;
SELECT count(*) FROM halves WHERE customer_id = 5;

-- what a declared trigger does may depend on the clock: copies of a reference table would differ
INSERT INTO ref_touched VALUES (1);
SELECT * FROM ref_touched;

-- another type of the same name
\path public, pg_catalog
INSERT INTO customers (id) VALUES ('5'::int8);
INSERT INTO customers (id) VALUES (5);
\path "$user", public
