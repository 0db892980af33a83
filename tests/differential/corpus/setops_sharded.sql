-- Set operations whose rows need not meet on one server: UNION ALL of sharded tables, UNION with duplicates on several shards and with rows that
-- every shard has, INTERSECT and EXCEPT with the sharding key in the same columns; and what looks like them.

-- UNION ALL: order, limits, types that meet
!SELECT id, name FROM users UNION ALL SELECT user_id, status FROM orders ORDER BY 1, 2;
!SELECT id AS k, score AS s FROM users UNION ALL SELECT user_id, total FROM orders ORDER BY s DESC NULLS LAST, k LIMIT 20 OFFSET 5;
!SELECT age AS a FROM users UNION ALL SELECT user_id FROM orders ORDER BY a NULLS FIRST LIMIT 30;
!SELECT qty AS a FROM lines UNION ALL SELECT id FROM users UNION ALL SELECT user_id FROM orders ORDER BY a DESC OFFSET 40;
SELECT qty AS a FROM lines UNION ALL SELECT id FROM users UNION ALL SELECT total FROM orders ORDER BY a DESC;
!SELECT rating AS a FROM users UNION ALL SELECT score FROM users ORDER BY a;
SELECT score AS a FROM users UNION ALL SELECT price FROM lines;
!SELECT placed FROM orders UNION ALL SELECT born FROM users ORDER BY placed LIMIT 12;
!SELECT country AS c FROM users UNION ALL SELECT status FROM orders ORDER BY c LIMIT 50;
!SELECT name COLLATE "C" AS c FROM users UNION ALL SELECT word COLLATE "C" FROM words ORDER BY c DESC;
!SELECT word COLLATE german AS c FROM words UNION ALL SELECT name COLLATE german FROM users ORDER BY c, 1 LIMIT 25;
SELECT name COLLATE german AS c FROM users UNION ALL SELECT word COLLATE "C" FROM words ORDER BY c;
!SELECT email AS x FROM users UNION ALL SELECT note FROM orders ORDER BY x COLLATE "C";
SELECT 'user' AS what, name FROM users WHERE age > 30 UNION ALL SELECT 'word', word FROM words WHERE freq > 4;
!SELECT 'user' AS what, id FROM users WHERE age > 30 UNION ALL SELECT NULL, user_id FROM orders WHERE qty > 2 ORDER BY what, id LIMIT 33;
SELECT NULL AS a FROM users UNION ALL SELECT NULL FROM orders;
SELECT id, NULL AS a FROM users UNION ALL SELECT user_id, total FROM orders;
!SELECT id FROM users UNION ALL SELECT id FROM orders ORDER BY id FETCH FIRST 7 ROWS WITH TIES;
!SELECT id FROM users UNION ALL SELECT id FROM orders ORDER BY id LIMIT 2 + 3;
!SELECT id FROM users UNION ALL SELECT id FROM orders ORDER BY id LIMIT 0;
!SELECT id FROM users UNION ALL SELECT id FROM orders ORDER BY id LIMIT NULL OFFSET 150;
SELECT count(*) FROM (SELECT id FROM users UNION ALL SELECT id FROM orders LIMIT 10) q;
SELECT id FROM users UNION ALL SELECT id FROM orders ORDER BY id + 1;
SELECT id FROM users UNION ALL SELECT id FROM orders ORDER BY nobody;
SELECT id FROM users UNION ALL SELECT id FROM orders ORDER BY 3;
SELECT id FROM users UNION ALL SELECT id, user_id FROM orders;
SELECT id FROM users UNION ALL SELECT status FROM orders;
SELECT id FROM users UNION ALL SELECT id FROM orders FOR UPDATE;
(SELECT id FROM users) UNION ALL (SELECT id FROM orders);
!((SELECT id FROM users) UNION ALL (SELECT id FROM orders)) ORDER BY 1;
!(SELECT id FROM users UNION ALL SELECT id FROM orders ORDER BY 1);
SELECT * FROM points UNION ALL SELECT * FROM points WHERE x > 10;
!SELECT * FROM points UNION ALL SELECT tenant, 'xx', x, id FROM points JOIN users ON id = x ORDER BY 1, 2, 3, 4;
TABLE tree UNION ALL TABLE tree;
!TABLE tree UNION ALL SELECT id, user_id, status FROM orders ORDER BY 1, 2, 3 LIMIT 40;
SELECT a, b FROM (SELECT id AS a, parent AS b FROM tree) s UNION ALL SELECT k, id FROM types;
SELECT js::text FROM types UNION ALL SELECT x::text FROM types;
SELECT js FROM types UNION ALL SELECT js FROM types WHERE id > 30;
SELECT m FROM types UNION ALL SELECT mood FROM users;
!SELECT m FROM types UNION ALL SELECT mood FROM users ORDER BY m DESC LIMIT 40;
SELECT dm FROM types UNION ALL SELECT age FROM users;
!SELECT dm FROM types UNION ALL SELECT age FROM users ORDER BY dm LIMIT 19;
SELECT cp FROM types UNION ALL SELECT cp FROM types;
SELECT nm FROM types UNION ALL SELECT total FROM orders;
SELECT v FROM types UNION ALL SELECT email FROM users;
SELECT bp FROM types UNION ALL SELECT country FROM users;
!SELECT bp FROM types UNION ALL SELECT country FROM users ORDER BY bp COLLATE "C";
SELECT n FROM types UNION ALL SELECT nm FROM types UNION ALL SELECT i8 FROM types ORDER BY 1;

-- arms that are more than a table
SELECT user_id, count(*) FROM orders GROUP BY user_id UNION ALL SELECT id, age FROM users;
!SELECT user_id, count(*), sum(total) FROM orders GROUP BY user_id HAVING count(*) > 2 UNION ALL SELECT user_id, max(n), avg(price) FROM lines GROUP BY user_id ORDER BY 1, 2, 3;
SELECT status, count(*) FROM orders GROUP BY status UNION ALL SELECT country, count(*) FROM users GROUP BY country;
SELECT count(*) FROM orders UNION ALL SELECT count(*) FROM users;
SELECT DISTINCT user_id FROM orders UNION ALL SELECT DISTINCT user_id FROM lines;
SELECT DISTINCT status FROM orders UNION ALL SELECT DISTINCT country FROM users;
SELECT DISTINCT ON (user_id) user_id FROM orders UNION ALL SELECT id FROM users;
SELECT u.id, o.id FROM users u JOIN orders o ON o.user_id = u.id UNION ALL SELECT o.user_id, l.n FROM orders o JOIN lines l ON l.user_id = o.user_id AND l.order_id = o.id;
SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id UNION ALL SELECT id, NULL FROM users;
SELECT u.id, p.name FROM users u JOIN products p ON p.id = u.age % 11 UNION ALL SELECT o.user_id, p.category FROM orders o LEFT JOIN products p ON p.id = o.product_id;
SELECT p.id FROM products p LEFT JOIN orders o ON o.product_id = p.id UNION ALL SELECT id FROM users;
SELECT id FROM users u WHERE EXISTS (SELECT FROM orders o WHERE o.user_id = u.id) UNION ALL SELECT user_id FROM orders o WHERE NOT EXISTS (SELECT FROM lines l WHERE l.user_id = o.user_id AND l.order_id = o.id);
SELECT id FROM users u WHERE EXISTS (SELECT FROM orders o WHERE o.product_id = u.id) UNION ALL SELECT id FROM orders;
SELECT id FROM users WHERE id IN (SELECT product_id FROM orders) UNION ALL SELECT id FROM orders;
SELECT id, rank() OVER (PARTITION BY user_id ORDER BY id) FROM orders UNION ALL SELECT user_id, n FROM lines;
SELECT id, rank() OVER (ORDER BY id) FROM orders UNION ALL SELECT user_id, n FROM lines;
(SELECT id FROM orders ORDER BY id LIMIT 3) UNION ALL SELECT id FROM users WHERE id < 4;
SELECT id FROM users UNION ALL (SELECT id FROM orders ORDER BY id DESC LIMIT 3);
SELECT id FROM orders UNION ALL (WITH w AS (SELECT id FROM users WHERE age > 30) SELECT id FROM w);
WITH w AS (SELECT id FROM users) SELECT id FROM w UNION ALL SELECT 5;
WITH w AS (SELECT id FROM users) SELECT id FROM w UNION ALL SELECT id FROM orders;
WITH w AS (SELECT id FROM users) SELECT id FROM orders UNION ALL SELECT user_id FROM lines;
WITH w AS (SELECT id FROM users) SELECT id FROM orders UNION SELECT id FROM w UNION SELECT 1000;
WITH w AS (SELECT code FROM countries) SELECT country FROM users UNION SELECT code FROM w;
SELECT q.a FROM (SELECT id AS a FROM users UNION ALL SELECT id FROM orders) q UNION ALL SELECT n FROM lines;

-- rows that every shard has: once
SELECT country FROM users UNION ALL SELECT code FROM countries;
SELECT id FROM users UNION ALL SELECT 1;
SELECT id FROM users UNION ALL VALUES (1), (2);
SELECT id FROM users UNION ALL SELECT generate_series(1, 3);
SELECT id FROM users UNION ALL SELECT id FROM nothing;
SELECT country FROM users UNION SELECT code FROM countries UNION SELECT name FROM countries;
SELECT id FROM users UNION SELECT 1 UNION SELECT 1000;
SELECT id FROM users UNION VALUES (1), (2), (1000);
SELECT id FROM users UNION SELECT generate_series(35, 45);
SELECT id FROM users UNION (VALUES (1001) ORDER BY 1);
SELECT name FROM users UNION SELECT string_agg(name, ',' ORDER BY name) FROM products;
SELECT id::float8 FROM users UNION SELECT sum(weight) FROM products;
SELECT id::float8 FROM users UNION SELECT s FROM (SELECT avg(weight) AS s FROM products) q;
SELECT id FROM users UNION SELECT row_number() OVER () FROM products;
SELECT id FROM users UNION (SELECT id FROM products ORDER BY id LIMIT 2);
SELECT id FROM users UNION SELECT n FROM home;

-- duplicates over shards, and values that are equal but print differently
SELECT status FROM orders UNION SELECT country FROM users;
!SELECT status AS s FROM orders WHERE total > 20 UNION SELECT country FROM users WHERE age < 60 ORDER BY s DESC LIMIT 4 OFFSET 1;
SELECT status FROM orders UNION ALL SELECT country FROM users UNION SELECT kind FROM events;
SELECT status FROM orders UNION SELECT country FROM users UNION ALL SELECT kind FROM events;
SELECT status FROM orders UNION (SELECT country FROM users UNION ALL SELECT kind FROM events);
SELECT count(*) FROM (SELECT status FROM orders UNION SELECT country FROM users) q;
SELECT n IS NULL, trim_scale(n * 0) FROM types WHERE n <> 'NaN' UNION SELECT false, 0 FROM users;
SELECT trim_scale(n) FROM types UNION SELECT score FROM users;
SELECT i4 FROM types UNION SELECT i8 FROM types UNION SELECT i2 FROM types;
SELECT f4 FROM types WHERE f4 <> 0 UNION SELECT f8 FROM types WHERE f8 <> 0;
SELECT bp FROM types UNION SELECT country FROM users;
SELECT jb FROM types WHERE jb::text NOT LIKE '%1%' UNION SELECT prefs FROM users;
SELECT tags FROM users UNION SELECT ta FROM types;
SELECT js FROM types UNION SELECT js FROM types;
SELECT m FROM types UNION SELECT mood FROM users;
SELECT cp FROM types UNION SELECT cp FROM types;
SELECT ts FROM types UNION SELECT placed FROM orders;
\values 30 paid
SELECT name FROM users WHERE age > $1 UNION SELECT status FROM orders WHERE status = $2;
\values 30
\types 23
SELECT id + $1 FROM users UNION SELECT id FROM orders;
\values x
SELECT name FROM users UNION SELECT $1;
\values 5 3
!SELECT id FROM users WHERE id > $1 UNION ALL SELECT id FROM orders WHERE user_id = $1 ORDER BY 1 LIMIT $2;
\values 3 5
!SELECT id FROM users WHERE id > 5 UNION ALL SELECT user_id FROM orders ORDER BY 1 DESC LIMIT $1 OFFSET $2;
\values -1
SELECT id FROM users UNION ALL SELECT id FROM orders ORDER BY 1 LIMIT $1;
SELECT name FROM users UNION SELECT status FROM orders WHERE CASE WHEN qty > 1 THEN status <> 'new' ELSE user_id IN (SELECT user_id FROM lines l WHERE l.user_id = orders.user_id) END;
SELECT name FROM users WHERE (age > 20 AND (age < 60)) UNION SELECT status FROM orders GROUP BY user_id, status HAVING count(*) > 1;

-- shards that only some arms need
SELECT id FROM users WHERE id = 5 UNION ALL SELECT user_id FROM orders WHERE user_id = 5;
SELECT id FROM users WHERE id = 5 UNION ALL SELECT user_id FROM orders WHERE user_id = 6;
SELECT id FROM users WHERE id = 5 UNION ALL SELECT user_id FROM orders;
SELECT id FROM users WHERE id = 5 UNION SELECT user_id FROM orders WHERE user_id IN (5, 7, 9);
SELECT id FROM users WHERE id IN (1, 2, 3) EXCEPT SELECT user_id FROM orders WHERE user_id = 2;
SELECT id FROM users WHERE id = 5 EXCEPT SELECT user_id FROM orders;
SELECT user_id FROM orders EXCEPT SELECT id FROM users WHERE id = 5;
SELECT id FROM users WHERE id = 5 AND id = 6 UNION ALL SELECT 1 FROM orders WHERE user_id = NULL;
SELECT id FROM users WHERE id = 5 AND id = 6 UNION SELECT 1;
SELECT count(*) FROM (SELECT id FROM users WHERE id = 5 AND id = 6 UNION ALL SELECT user_id FROM orders WHERE user_id = NULL) q;
SELECT sum(x) FROM (SELECT id AS x FROM users WHERE id = 5 UNION ALL SELECT user_id FROM orders WHERE user_id = 7) q;

-- the sharding key in the same columns
SELECT id FROM users INTERSECT SELECT user_id FROM orders;
SELECT user_id FROM orders INTERSECT ALL SELECT user_id FROM lines;
SELECT user_id FROM orders EXCEPT ALL SELECT user_id FROM lines;
!SELECT user_id, id FROM orders EXCEPT SELECT user_id, order_id FROM lines ORDER BY 2 DESC LIMIT 9;
!SELECT id AS k FROM users EXCEPT SELECT user_id FROM orders UNION SELECT user_id FROM lines WHERE n = 3 ORDER BY k;
SELECT id FROM users EXCEPT (SELECT user_id FROM orders EXCEPT SELECT user_id FROM lines);
(SELECT id FROM users UNION ALL SELECT user_id FROM orders) EXCEPT ALL SELECT user_id FROM lines;
SELECT id, id FROM users EXCEPT SELECT id, user_id FROM orders;
SELECT id, user_id FROM orders INTERSECT SELECT order_id, user_id FROM lines;
SELECT id, user_id FROM orders INTERSECT SELECT user_id, order_id FROM lines;
SELECT o.id, u.id FROM users u JOIN orders o ON o.user_id = u.id EXCEPT SELECT order_id, user_id FROM lines;
SELECT u.id FROM users u LEFT JOIN orders o ON o.user_id = u.id AND o.qty > 2 EXCEPT SELECT user_id FROM lines;
SELECT o.user_id FROM users u LEFT JOIN orders o ON o.user_id = u.id EXCEPT SELECT user_id FROM lines;
SELECT user_id, status FROM orders UNION SELECT id, country FROM users;
SELECT tenant, region FROM points EXCEPT SELECT tenant, region FROM points WHERE y > 2;
SELECT region, tenant FROM points INTERSECT SELECT region, tenant FROM points WHERE x % 2 = 0;
SELECT region, x FROM points INTERSECT SELECT region, tenant FROM points;
SELECT word FROM words EXCEPT SELECT name FROM users;
SELECT word FROM words EXCEPT SELECT word FROM words WHERE freq > 5;
SELECT k FROM types INTERSECT SELECT id FROM users;
SELECT k FROM types INTERSECT SELECT user_id FROM orders UNION SELECT 1;
SELECT id + 0 FROM users EXCEPT SELECT user_id FROM orders;
SELECT id::int FROM users EXCEPT SELECT user_id FROM orders;
SELECT id FROM users EXCEPT (SELECT user_id FROM orders ORDER BY user_id LIMIT 5);
(SELECT id FROM users EXCEPT SELECT user_id FROM orders ORDER BY 1 LIMIT 3) UNION ALL SELECT user_id FROM lines;
SELECT user_id, count(*) FROM orders GROUP BY user_id INTERSECT SELECT user_id, count(*) FROM lines GROUP BY user_id;
SELECT id FROM users EXCEPT SELECT user_id FROM orders WHERE user_id NOT IN (SELECT user_id FROM lines);

-- in FROM
SELECT count(*), sum(x), avg(x), min(x), count(DISTINCT x) FROM (SELECT id AS x FROM users UNION ALL SELECT qty FROM orders) q;
SELECT x, count(*) FROM (SELECT country AS x FROM users WHERE age > 20 UNION ALL SELECT status FROM orders WHERE total > 10) q GROUP BY x HAVING count(*) > 1;
!SELECT x % 5 AS m, count(*), sum(x) FROM (SELECT id AS x FROM users UNION ALL SELECT user_id FROM orders) q GROUP BY x % 5 ORDER BY 1 DESC;
!SELECT * FROM (SELECT id AS x, name AS t FROM users UNION ALL SELECT user_id, status FROM orders) q WHERE x > 3 ORDER BY x DESC, t LIMIT 12;
SELECT DISTINCT x FROM (SELECT country AS x FROM users UNION ALL SELECT status FROM orders) q;
!SELECT DISTINCT ON (x) x, y FROM (SELECT country AS x, id AS y FROM users UNION ALL SELECT status, user_id FROM orders) q ORDER BY x, y;
SELECT x, c.name FROM (SELECT country AS x FROM users UNION ALL SELECT status FROM orders) q JOIN countries c ON c.code = q.x;
SELECT c.code, count(q.x) FROM countries c LEFT JOIN (SELECT country AS x FROM users UNION ALL SELECT status FROM orders) q ON q.x = c.code GROUP BY c.code;
SELECT x, c.name FROM (SELECT country AS x FROM users UNION ALL SELECT status FROM orders) q LEFT JOIN countries c ON c.code = q.x;
SELECT c.code, q.x FROM countries c, LATERAL (SELECT id AS x FROM users u WHERE u.country = c.code UNION ALL SELECT o.id FROM orders o WHERE o.status = c.code) q;
SELECT u.id, q.x FROM users u, LATERAL (SELECT o.id AS x FROM orders o WHERE o.user_id = u.id UNION ALL SELECT l.n FROM lines l WHERE l.user_id = u.id) q;
SELECT u.id, q.x FROM users u, LATERAL (SELECT o.id AS x FROM orders o WHERE o.user_id = u.id UNION ALL SELECT l.n FROM lines l WHERE l.order_id = u.id) q;
SELECT u.id, q.x FROM users u, LATERAL (SELECT o.id AS x FROM orders o WHERE o.user_id = u.id UNION ALL SELECT u.age) q;
SELECT u.id, q.x FROM users u, (SELECT 1 AS x UNION ALL SELECT 2) q;
SELECT q.x, u.name FROM (SELECT user_id AS x FROM orders UNION ALL SELECT user_id FROM lines) q JOIN users u ON u.id = q.x;
SELECT count(*) FROM (SELECT user_id AS x FROM orders UNION ALL SELECT user_id FROM lines) q WHERE x IN (SELECT id FROM users WHERE age > 40);
SELECT count(*) FROM (SELECT user_id AS x FROM orders UNION ALL SELECT user_id FROM lines) q WHERE EXISTS (SELECT FROM countries);
SELECT x, count(*) OVER (PARTITION BY x) FROM (SELECT user_id AS x FROM orders UNION ALL SELECT user_id FROM lines) q;
SELECT count(*) FROM (SELECT user_id FROM orders EXCEPT SELECT id FROM users WHERE age > 30) q;
SELECT count(*), sum(id) FROM (SELECT id FROM users INTERSECT SELECT user_id FROM lines) q;
SELECT count(*) FROM (SELECT status FROM orders EXCEPT SELECT country FROM users) q;
SELECT count(*) FROM (SELECT id FROM users UNION ALL SELECT 5) q;
SELECT count(*) FROM (SELECT id FROM users UNION ALL SELECT id FROM products) q;
SELECT count(*) FROM (SELECT id FROM users UNION ALL SELECT user_id FROM orders) a, (SELECT code FROM countries UNION ALL SELECT name FROM countries) b;
SELECT count(*) FROM (SELECT id FROM users UNION ALL SELECT user_id FROM orders) a JOIN (SELECT user_id AS id FROM lines UNION ALL SELECT id FROM users) b USING (id);
SELECT q.x FROM (SELECT id AS x FROM users UNION ALL SELECT user_id FROM orders) q WHERE q.x = 5;
SELECT q.x, t.id FROM (SELECT id AS x FROM users UNION ALL SELECT user_id FROM orders) q, tree t WHERE t.id = 5 AND q.x = t.id;
SELECT n, count(*) FROM (SELECT x, count(*) AS n FROM (SELECT user_id AS x FROM orders UNION ALL SELECT user_id FROM lines) q GROUP BY x) r GROUP BY n;
SELECT (SELECT count(*) FROM (SELECT user_id FROM orders UNION ALL SELECT id FROM users) q), count(*) FROM countries;
SELECT id, (SELECT count(*) FROM (SELECT 1 FROM orders o WHERE o.user_id = u.id UNION ALL SELECT 2 FROM lines l WHERE l.user_id = u.id) q) FROM users u;
WITH q AS (SELECT id AS x FROM users UNION ALL SELECT user_id FROM orders) SELECT count(*), max(x) FROM q;
WITH q AS (SELECT id AS x FROM users UNION ALL SELECT user_id FROM orders) SELECT count(*) FROM q a JOIN q b USING (x);
WITH w AS (SELECT id FROM users) SELECT count(*) FROM (SELECT id FROM w UNION ALL SELECT 5) q;
WITH w AS (SELECT id FROM users) SELECT count(*) FROM (SELECT id FROM orders UNION ALL SELECT user_id FROM lines) q, w;
WITH RECURSIVE r AS (SELECT id, 0 AS d FROM tree WHERE id = 0 UNION ALL SELECT t.id, d + 1 FROM tree t JOIN r ON t.parent = r.id) SELECT d, count(*) FROM r GROUP BY d;
\values 20
SELECT count(*), sum(x) FROM (SELECT id AS x FROM users WHERE age > $1 UNION ALL SELECT user_id FROM orders) q;
\values 20 3
SELECT x, count(*) FROM (SELECT country AS x FROM users WHERE age > $1 UNION ALL SELECT status FROM orders WHERE user_id > $2) q GROUP BY x;

-- what no column of a temporary table can hold, constants, names
SELECT ROW(id, name) FROM users UNION SELECT ROW(user_id, status) FROM orders;
SELECT ROW(id, name) FROM users UNION ALL SELECT ROW(user_id, status) FROM orders;
SELECT u FROM users u UNION SELECT u FROM users u WHERE id > 3;
SELECT u FROM users u UNION ALL SELECT u FROM users u WHERE id > 3;
SELECT u FROM users u UNION ALL SELECT u FROM users u WHERE id > 3 LIMIT 100;
!SELECT u.id, u FROM users u UNION ALL SELECT id, u FROM users u WHERE id > 3 ORDER BY 1;
SELECT u FROM users u UNION ALL SELECT u FROM users u WHERE id > 3 ORDER BY u;
!SELECT ROW(id, 1) AS r, id FROM users UNION ALL SELECT ROW(user_id, 1), id FROM orders ORDER BY id, r LIMIT 4;
SELECT x FROM (SELECT ROW(id, 1) AS x, note FROM orders) s ORDER BY x;
SELECT DISTINCT x FROM (SELECT ROW(id, 1) AS x, note FROM orders) s;
!SELECT x FROM (SELECT ROW(id, 1) AS x, note, id FROM orders) s ORDER BY note, id;
SELECT x FROM (SELECT ROW(id, 1) AS x FROM orders) s UNION SELECT ROW(1, 2) FROM users;
SELECT DISTINCT ON (x) x FROM (SELECT ROW(id, 1) AS x FROM orders) s;
SELECT DISTINCT ON (m) u FROM (SELECT mood AS m, u FROM users u) s ORDER BY m, (u).id;
!SELECT DISTINCT ON (mood) u FROM users u ORDER BY mood, id;
!SELECT DISTINCT ON (age) u FROM users u ORDER BY age, id;
SELECT unnest(tags) FROM users UNION SELECT status FROM orders;
SELECT unnest(tags) FROM users UNION ALL SELECT status FROM orders;
!SELECT unnest(tags) AS t, id FROM users UNION ALL SELECT status, id FROM orders ORDER BY id, t;
SELECT cp FROM types UNION SELECT cp FROM types;
!SELECT cp, id FROM types UNION ALL SELECT cp, id FROM types WHERE id < 9 ORDER BY cp, id;
SELECT moods FROM types UNION SELECT moods FROM types;
SELECT json_build_object('a', id) FROM users UNION ALL SELECT json_build_object('b', id) FROM orders;
!SELECT json_build_object('a', id), id FROM users UNION ALL SELECT json_build_object('b', id), id FROM orders WHERE id > 40 ORDER BY id;
!SELECT DISTINCT ON (id) id, json_build_object('a', id) FROM users ORDER BY id;
SELECT 'a'::text AS x FROM users UNION SELECT NULL FROM orders;
SELECT NULL AS x FROM users UNION SELECT NULL FROM orders;
SELECT NULL AS x FROM users UNION ALL SELECT NULL FROM orders ORDER BY x;
SELECT 'a' AS x FROM users UNION ALL SELECT 'b' FROM orders ORDER BY x;
SELECT 'a' AS x FROM users UNION SELECT 'b' FROM orders ORDER BY x;
SELECT DISTINCT ON (x) x FROM (SELECT 'a' AS x FROM users) s;
SELECT 'a' AS x, count(*) FROM users GROUP BY ROLLUP (x);
SELECT x, count(*) FROM (SELECT 'a' AS x FROM users) s GROUP BY ROLLUP (x);
SELECT id AS "A b", name AS "select" FROM users UNION SELECT user_id, status FROM orders;
!SELECT id AS "A b", name AS "select" FROM users UNION ALL SELECT user_id, status FROM orders ORDER BY "A b", "select";
SELECT id AS pgbraid_1, name AS c1 FROM users UNION ALL SELECT user_id, status FROM orders ORDER BY pgbraid_1 LIMIT 3;
!SELECT id AS c2, name AS c1 FROM users UNION ALL SELECT user_id, status FROM orders ORDER BY c1, c2;
SELECT id AS c2, name AS c1 FROM users UNION SELECT user_id, status FROM orders ORDER BY c1, c2;
