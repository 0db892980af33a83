-- WITH and WITH RECURSIVE.

-- once, twice, nested, hiding tables, materialized or not
WITH w AS (SELECT id, age FROM users WHERE age > 30) SELECT * FROM w;
WITH w AS (SELECT id, age FROM users WHERE age > 30) SELECT a.id, b.id FROM w a JOIN w b ON b.id = a.id + 1;
WITH w AS MATERIALIZED (SELECT user_id, sum(total) AS s FROM orders GROUP BY user_id) SELECT u.name, w.s FROM users u JOIN w ON w.user_id = u.id;
WITH w AS NOT MATERIALIZED (SELECT * FROM orders) SELECT count(*) FROM w WHERE user_id = 3;
WITH w AS (SELECT * FROM orders) SELECT count(*) FROM w WHERE w.user_id = 3 AND w.qty > 1;
WITH a AS (SELECT id FROM users), b AS (SELECT id FROM a WHERE id > 20) SELECT count(*) FROM b;
WITH a AS (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id), b AS (SELECT max(n) AS m FROM a) SELECT a.user_id FROM a, b WHERE a.n = b.m;
WITH users AS (SELECT 1 AS id) SELECT * FROM users;
WITH w (a, b) AS (SELECT id, name FROM users) SELECT b FROM w WHERE a = 7;
WITH w (a) AS (SELECT id, name FROM users) SELECT a, name FROM w WHERE a IN (7, 8);
WITH w AS (VALUES (1, 'x'), (2, 'y')) SELECT u.id, w.column2 FROM w JOIN users u ON u.id = w.column1;
WITH w AS (SELECT 1 AS x) SELECT u.id FROM users u, w WHERE u.id = w.x;
WITH unused AS (SELECT * FROM orders) SELECT count(*) FROM users;
WITH w AS (SELECT id FROM users ORDER BY id LIMIT 5) SELECT o.id FROM orders o JOIN w ON w.id = o.user_id;
WITH w AS (SELECT status, count(*) AS n FROM orders GROUP BY status) SELECT status, n, n * 100 / sum(n) OVER () FROM w;
SELECT * FROM (WITH w AS (SELECT id FROM users WHERE id < 4) SELECT id FROM w) q;
SELECT id, (WITH w AS (SELECT total FROM orders o WHERE o.user_id = u.id) SELECT max(total) FROM w) FROM users u;
SELECT id FROM users u WHERE EXISTS (WITH w AS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.qty = 4) SELECT FROM w);
!WITH w AS (SELECT id, name FROM users) SELECT name FROM w ORDER BY id DESC LIMIT 3;
WITH w AS (SELECT DISTINCT ON (user_id) user_id, id FROM orders ORDER BY user_id, id DESC) SELECT u.name, w.id FROM users u LEFT JOIN w ON w.user_id = u.id;
-- recursive
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 10) SELECT * FROM r;
WITH RECURSIVE r AS (SELECT id, parent, 0 AS depth FROM tree WHERE id = 0 UNION ALL SELECT t.id, t.parent, r.depth + 1 FROM tree t JOIN r ON t.parent = r.id) SELECT * FROM r;
WITH RECURSIVE r AS (SELECT id, parent FROM tree WHERE id = 17 UNION ALL SELECT t.id, t.parent FROM tree t JOIN r ON t.id = r.parent) SELECT id FROM r;
WITH RECURSIVE r AS (SELECT id, label FROM tree WHERE parent IS NULL UNION SELECT t.id, r.label || '/' || t.id FROM tree t, r WHERE t.parent = r.id) SELECT label FROM r;
WITH RECURSIVE r AS (SELECT id, boss FROM users WHERE id = 39 UNION ALL SELECT u.id, u.boss FROM users u JOIN r ON u.id = r.boss) SELECT count(*), min(id) FROM r;
WITH RECURSIVE r AS (SELECT id, parent FROM tree WHERE id = 0 UNION ALL SELECT t.id, t.parent FROM tree t JOIN r ON t.parent = r.id) SEARCH DEPTH FIRST BY id SET o SELECT id FROM r;
WITH RECURSIVE r AS (SELECT id, parent FROM tree WHERE id = 0 UNION ALL SELECT t.id, t.parent FROM tree t JOIN r ON t.parent = r.id) CYCLE id SET c USING p SELECT id, c FROM r;
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 40) SELECT r.n, u.name FROM r LEFT JOIN users u ON u.id = r.n;
WITH RECURSIVE r AS (SELECT id, 1 AS n FROM users WHERE id < 3 UNION ALL SELECT id, n + 1 FROM r WHERE n < 3) SELECT id, sum(n) FROM r GROUP BY id;
WITH RECURSIVE r (a, b) AS (VALUES (0, 1) UNION ALL SELECT b, a + b FROM r WHERE b < 50) SELECT a FROM r;
