-- A query in FROM or WITH that groups, drops duplicates or limits, and holds all of the statement's tables: shards prepare it, the rest runs over it.
SELECT max(n), count(*), sum(n) FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) s;
!SELECT n, count(*) FROM (SELECT product_id, count(*) AS n FROM orders WHERE total > 3 GROUP BY product_id HAVING count(*) > 1) s WHERE n > 2 GROUP BY n ORDER BY 2 DESC, 1 LIMIT 3;
!SELECT status, t, g FROM (SELECT status, sum(total) AS t FROM orders GROUP BY status) s, generate_series(1, 3) g WHERE t > g * 300 ORDER BY t, g;
!SELECT rank() OVER (ORDER BY t DESC, status), status, t FROM (SELECT status, sum(total) AS t FROM orders GROUP BY status) s ORDER BY 1;
SELECT status, t, sum(t) OVER w FROM (SELECT status, sum(total) AS t FROM orders GROUP BY status) s WINDOW w AS (ORDER BY t, status);
SELECT count(*), min(status) FROM (SELECT DISTINCT status FROM orders) s;
SELECT count(*), sum(total) FROM (SELECT DISTINCT ON (status) status, total FROM orders ORDER BY status, total DESC NULLS LAST, id) s WHERE total > 5;
SELECT sum(total), count(*) FROM (SELECT total FROM orders ORDER BY total DESC NULLS LAST, id LIMIT 10) s;
SELECT sum(id), count(*) FROM (SELECT id, name FROM users ORDER BY name, id LIMIT 10 OFFSET 3) s;
SELECT sum(id), count(*) FROM (SELECT id FROM users ORDER BY id FETCH FIRST 4 ROWS WITH TIES) s;
SELECT count(*) FROM (SELECT id FROM users LIMIT 7) s;
SELECT count(*) FROM (SELECT id FROM users OFFSET 7) s;
SELECT count(*) FROM (SELECT id FROM users LIMIT 2 + 3) s;
SELECT count(*) FROM (SELECT id FROM users LIMIT 0) s;
!SELECT * FROM (SELECT id, name FROM users ORDER BY id DESC LIMIT 5) s ORDER BY id;
!SELECT * FROM (SELECT * FROM users ORDER BY id DESC LIMIT 5) s WHERE id % 2 = 0 ORDER BY 1;
!SELECT s.*, s.n * 2 AS d FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) s ORDER BY status;
\values 5 paid
SELECT sum(total), count(*) FROM (SELECT total, status FROM orders ORDER BY total DESC NULLS LAST, id LIMIT $1) s WHERE status > $2;
\values 2 3
\types 23 23
SELECT n + $1, count(*) FROM (SELECT status, count(*) AS n FROM orders WHERE user_id > $2 GROUP BY status) s WHERE n > $1 GROUP BY 1;
\values 2 x
SELECT $2 || status FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) s WHERE n > $1;
\values -1
SELECT count(*) FROM (SELECT id FROM users ORDER BY id LIMIT $1) s;
\values ~
SELECT count(*) FROM (SELECT id FROM users ORDER BY id LIMIT $1) s;
WITH w AS (SELECT status, sum(total) AS t FROM orders GROUP BY status) SELECT avg(t), count(*) FROM w WHERE t > 3;
!WITH w (a, b) AS (SELECT status, sum(total) FROM orders GROUP BY ROLLUP (status)) SELECT a, b FROM w ORDER BY b, a;
!WITH w (id, user_id) AS (SELECT user_id, id FROM orders ORDER BY id LIMIT 9) SELECT * FROM w ORDER BY 2;
!WITH w (id, x) AS (SELECT * FROM (SELECT parent, id FROM tree) t ORDER BY id LIMIT 9) SELECT * FROM w ORDER BY 2;
WITH w AS MATERIALIZED (SELECT status, count(*) AS n FROM orders GROUP BY status), v AS (SELECT max(n) AS m FROM w) SELECT m FROM v;
WITH w AS (SELECT status, count(*) AS n FROM orders GROUP BY status) SELECT max(a.n) FROM w a, w b;
WITH w AS (SELECT status, count(*) AS n FROM orders GROUP BY status) SELECT 5;
WITH w AS (SELECT status, count(*) AS n FROM orders GROUP BY status) SELECT n, x FROM w, (VALUES (1), (2)) v (x) WHERE n % 2 = x % 2;
WITH t AS (SELECT 2 AS two), w AS (SELECT status, count(*) AS n FROM orders GROUP BY status) SELECT status, n * two FROM w, t;
SELECT max(m), count(*) FROM (SELECT n % 3 AS k, max(n) AS m FROM (SELECT product_id, count(*) AS n FROM orders GROUP BY product_id) a GROUP BY n % 3) b;
SELECT count(*), max(c) FROM (SELECT o.status, count(*) AS c FROM orders o JOIN users u ON u.id = o.user_id JOIN countries n ON n.code = u.country GROUP BY o.status) s;
SELECT count(*), max(n) FROM (SELECT status, (SELECT 5) AS n, count(*) FROM orders GROUP BY status) s;
SELECT max(n) FROM (SELECT (SELECT 5) + count(*) AS n FROM orders GROUP BY status) s;
SELECT max(n) FROM (SELECT count(*) AS n FROM orders o WHERE EXISTS (SELECT FROM lines l WHERE l.user_id = o.user_id AND l.order_id = o.id) GROUP BY status) s;
SELECT s.status FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) s WHERE s.n = (SELECT 24);
SELECT x.status, y FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) x, LATERAL (SELECT x.n + 1 AS y) z;
SELECT s.n, name FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) s, countries;
SELECT s.n FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) s WHERE n > (SELECT count(*) FROM countries);
SELECT g, s.n FROM generate_series(1, 3) g, LATERAL (SELECT count(*) AS n FROM orders WHERE id > g) s;
SELECT g, s.n FROM generate_series(1, 3) g, LATERAL (SELECT max(n) AS n FROM (SELECT count(*) AS n FROM orders WHERE id > g GROUP BY status) r) s;
SELECT (SELECT max(n) FROM (SELECT count(*) AS n FROM orders GROUP BY status) s), 5;
SELECT v, n FROM (VALUES (24), (1)) t (v) LEFT JOIN (SELECT count(*) AS n FROM orders GROUP BY status) s ON n = v;
SELECT v, n FROM (SELECT count(*) AS n FROM orders GROUP BY status) s LEFT JOIN (VALUES (24), (1)) t (v) ON n = v;
SELECT max(a) FROM (SELECT array_agg(total ORDER BY id) AS a FROM orders GROUP BY status) s;
SELECT max(n) FROM (SELECT count(*) AS n FROM orders o JOIN lines l ON l.n = o.id GROUP BY o.status) s;
SELECT count(*) FROM (SELECT status FROM orders GROUP BY status) a, (SELECT status FROM orders GROUP BY status) b;
SELECT s, s.n FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) s;
SELECT row_to_json(s) FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) s;
SELECT json_agg(s ORDER BY n, status) FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) s;
SELECT pg_typeof(t), pg_typeof(status), t FROM (SELECT status, avg(qty) AS t FROM orders GROUP BY status) s;
SELECT stddev(n), string_agg(status, ',' ORDER BY status), array_agg(n ORDER BY n) FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) s;
SELECT m, count(*) FROM (SELECT mood AS m, country, count(*) FROM users GROUP BY mood, country) s GROUP BY m;
SELECT n FROM (SELECT nm AS n, count(*) FROM types GROUP BY nm) s UNION SELECT 5;
SELECT "A b" FROM (SELECT status AS "A b", count(*) FROM orders GROUP BY 1) "S x" WHERE "S x"."A b" > 'a';
SELECT count(*) FROM ((SELECT status, count(*) FROM orders GROUP BY status)) s;
SELECT count(*) FROM (SELECT s.status FROM ((SELECT status, id FROM orders ORDER BY id LIMIT 5)) s) r;
SELECT count(*) FROM (SELECT user_id, status, count(*) FROM orders GROUP BY user_id, status) s WHERE user_id = 5;
SELECT count(*) FROM (SELECT status, count(*) FROM orders WHERE user_id = 5 GROUP BY status) s;
SELECT count(*) FROM (SELECT status, count(*) FROM orders WHERE user_id IN (5, 6, 7) GROUP BY status) s WHERE status > 'a';
SELECT user_id FROM (SELECT user_id, id FROM orders ORDER BY id LIMIT 5) s WHERE user_id = 2;
SELECT 1 / (n - n) FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) s;
SELECT nobody FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) s;
SELECT t, count(*) FROM (SELECT t, v FROM nothing ORDER BY v LIMIT 3) s GROUP BY t;
SELECT count(*), sum(n) FROM (SELECT count(*) AS n FROM nothing) s;
SELECT count(*), sum(n) FROM (SELECT count(*) AS n FROM nothing GROUP BY t) s;
SELECT now() - now() AS z, count(*) FROM (SELECT status FROM orders GROUP BY status) s;
SELECT count(*) FROM (SELECT status, random() FROM orders GROUP BY status) s;
SELECT count(*), random() < 2 FROM (SELECT status FROM orders GROUP BY status) s;
