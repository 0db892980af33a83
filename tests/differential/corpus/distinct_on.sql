-- DISTINCT ON over rows of several shards: which rows are equal is PostgreSQL's equality of every type, and the first of them is the answer's.
!SELECT DISTINCT ON (i2) id, i2 FROM types ORDER BY i2, id DESC, k;
!SELECT DISTINCT ON (i4) id, i4 FROM types ORDER BY i4, id DESC, k;
!SELECT DISTINCT ON (i8) id, i8 FROM types ORDER BY i8, id DESC, k;
!SELECT DISTINCT ON (f4) id, f4 FROM types ORDER BY f4, id DESC, k;
!SELECT DISTINCT ON (f8) id, f8 FROM types ORDER BY f8, id DESC, k;
!SELECT DISTINCT ON (n) id, n FROM types ORDER BY n, id DESC, k;
!SELECT DISTINCT ON (nm) id, nm FROM types ORDER BY nm, id DESC, k;
!SELECT DISTINCT ON (mo) id, mo FROM types ORDER BY mo, id DESC, k;
!SELECT DISTINCT ON (t) id, t FROM types ORDER BY t, id DESC, k;
!SELECT DISTINCT ON (tc) id, tc FROM types ORDER BY tc, id DESC, k;
!SELECT DISTINCT ON (tg) id, tg FROM types ORDER BY tg, id DESC, k;
!SELECT DISTINCT ON (v) id, v FROM types ORDER BY v, id DESC, k;
!SELECT DISTINCT ON (bp) id, bp FROM types ORDER BY bp, id DESC, k;
!SELECT DISTINCT ON (nam) id, nam FROM types ORDER BY nam, id DESC, k;
!SELECT DISTINCT ON (ch) id, ch FROM types ORDER BY ch, id DESC, k;
!SELECT DISTINCT ON (b) id, b FROM types ORDER BY b, id DESC, k;
!SELECT DISTINCT ON (by) id, by FROM types ORDER BY by, id DESC, k;
!SELECT DISTINCT ON (u) id, u FROM types ORDER BY u, id DESC, k;
!SELECT DISTINCT ON (d) id, d FROM types ORDER BY d, id DESC, k;
!SELECT DISTINCT ON (ti) id, ti FROM types ORDER BY ti, id DESC, k;
!SELECT DISTINCT ON (tz) id, tz FROM types ORDER BY tz, id DESC, k;
!SELECT DISTINCT ON (ts) id, ts FROM types ORDER BY ts, id DESC, k;
!SELECT DISTINCT ON (tsz) id, tsz FROM types ORDER BY tsz, id DESC, k;
!SELECT DISTINCT ON (iv) id, iv FROM types ORDER BY iv, id DESC, k;
!SELECT DISTINCT ON (ine) id, ine FROM types ORDER BY ine, id DESC, k;
!SELECT DISTINCT ON (ci) id, ci FROM types ORDER BY ci, id DESC, k;
!SELECT DISTINCT ON (ma) id, ma FROM types ORDER BY ma, id DESC, k;
!SELECT DISTINCT ON (ma8) id, ma8 FROM types ORDER BY ma8, id DESC, k;
!SELECT DISTINCT ON (bi) id, bi FROM types ORDER BY bi, id DESC, k;
!SELECT DISTINCT ON (vb) id, vb FROM types ORDER BY vb, id DESC, k;
!SELECT DISTINCT ON (jb) id, jb FROM types ORDER BY jb, id DESC, k;
!SELECT DISTINCT ON (i4r) id, i4r FROM types ORDER BY i4r, id DESC, k;
!SELECT DISTINCT ON (nr) id, nr FROM types ORDER BY nr, id DESC, k;
!SELECT DISTINCT ON (dr) id, dr FROM types ORDER BY dr, id DESC, k;
!SELECT DISTINCT ON (mr) id, mr FROM types ORDER BY mr, id DESC, k;
!SELECT DISTINCT ON (tv) id, tv FROM types ORDER BY tv, id DESC, k;
!SELECT DISTINCT ON (ia) id, ia FROM types ORDER BY ia, id DESC, k;
!SELECT DISTINCT ON (ta) id, ta FROM types ORDER BY ta, id DESC, k;
!SELECT DISTINCT ON (na) id, na FROM types ORDER BY na, id DESC, k;
!SELECT DISTINCT ON (m) id, m FROM types ORDER BY m, id DESC, k;
!SELECT DISTINCT ON (moods) id, moods FROM types ORDER BY moods, id DESC, k;
!SELECT DISTINCT ON (dm) id, dm FROM types ORDER BY dm, id DESC, k;
!SELECT DISTINCT ON (cp) id, cp FROM types ORDER BY cp, id DESC, k;
!SELECT DISTINCT ON (ls) id, ls FROM types ORDER BY ls, id DESC, k;

-- equal values that print differently, over shards: the one kept is the first by what stands behind it
!SELECT DISTINCT ON (n) n, id FROM types ORDER BY n DESC NULLS LAST, id;
!SELECT DISTINCT ON (f8) f8, id FROM types WHERE f8 = 0 ORDER BY f8, id;
!SELECT DISTINCT ON (iv) iv, id FROM types ORDER BY iv NULLS FIRST, id DESC;
!SELECT DISTINCT ON (lower(t) COLLATE "C") id, t FROM types ORDER BY lower(t) COLLATE "C", id;
!SELECT DISTINCT ON (bp) bp || '.' AS b, id FROM types ORDER BY bp, id LIMIT 4;
!SELECT DISTINCT ON (price) price, user_id, order_id, n FROM lines ORDER BY price, user_id, order_id, n;
!SELECT DISTINCT ON (v::numeric) v, k FROM (SELECT user_id AS k, CASE WHEN n = 1 THEN 1.0 ELSE 1.00 END AS v, order_id, n FROM lines) s ORDER BY v::numeric, k, v::text;

-- several keys in any order, keys that ORDER BY does not have, limits
!SELECT DISTINCT ON (status, product_id) product_id, status, id FROM orders ORDER BY product_id DESC, status, placed DESC, id;
!SELECT DISTINCT ON (product_id, status) product_id, status, id FROM orders ORDER BY status, product_id, id LIMIT 7 OFFSET 3;
!SELECT DISTINCT ON (product_id, product_id) product_id, id FROM orders ORDER BY product_id, product_id, id;
!SELECT DISTINCT ON (product_id) product_id, id FROM orders ORDER BY product_id, total DESC NULLS LAST, id LIMIT 1;
!SELECT DISTINCT ON (product_id) product_id, id FROM orders ORDER BY product_id, id OFFSET 9;
!SELECT DISTINCT ON (product_id) product_id, id FROM orders ORDER BY product_id, id LIMIT 0;
!SELECT DISTINCT ON (product_id) product_id, id FROM orders ORDER BY product_id, id LIMIT ALL OFFSET 100;
!SELECT DISTINCT ON (product_id) product_id, id FROM orders ORDER BY product_id, id FETCH FIRST 4 ROWS WITH TIES;
!SELECT DISTINCT ON (status, product_id) status FROM orders ORDER BY status FETCH FIRST 2 ROWS WITH TIES;
SELECT DISTINCT ON (status, product_id) status, product_id FROM orders ORDER BY status;
SELECT DISTINCT ON (status, product_id) status, product_id FROM orders;
SELECT DISTINCT ON (status) status FROM orders;
!SELECT DISTINCT ON (status) status FROM orders ORDER BY status LIMIT 2 + 1;
\values 2 1
!SELECT DISTINCT ON (product_id) product_id, id FROM orders WHERE user_id > $2 ORDER BY product_id, id LIMIT $1 OFFSET $2;
\values 5
\types 23
!SELECT DISTINCT ON (id % $1) id % $1 AS m, id FROM orders ORDER BY id % $1, id;
\values 3
\types 23
!SELECT DISTINCT ON (name) name, id + $1 AS s FROM users ORDER BY name, id LIMIT 5;

-- which column an item is: numbers, names of the answer before the tables', the first of two that are the same
!SELECT DISTINCT ON (1) status, id FROM orders ORDER BY 1, id;
!SELECT DISTINCT ON (2) id, status FROM orders ORDER BY status DESC, 1;
!SELECT DISTINCT ON (s) status AS s, id FROM orders ORDER BY s, id;
!SELECT DISTINCT ON (id) status AS id, id AS status FROM orders ORDER BY 1, 2;
!SELECT DISTINCT ON (orders.status) status, id FROM orders ORDER BY status, id;
!SELECT DISTINCT ON (status) * FROM orders ORDER BY status, id;
!SELECT DISTINCT ON (o.status) o.* FROM orders o ORDER BY o.status, o.id;
!SELECT DISTINCT ON (4) * FROM orders ORDER BY 4, 2;
SELECT DISTINCT ON (b) status AS a, status AS b FROM orders ORDER BY orders.status;
SELECT DISTINCT ON (status) id FROM orders ORDER BY id;
SELECT DISTINCT ON (status) id FROM orders ORDER BY id, status;
SELECT DISTINCT ON (9) id FROM orders;
SELECT DISTINCT ON (nobody) id FROM orders;
SELECT DISTINCT ON ((status, qty)) status, qty FROM orders ORDER BY (status, qty);
SELECT DISTINCT ON (js) id FROM types;
!SELECT DISTINCT ON (qty > 2) id FROM orders ORDER BY qty > 2, id;
!SELECT DISTINCT ON (CASE WHEN qty > 2 THEN 'x' END) id FROM orders ORDER BY CASE WHEN qty > 2 THEN 'x' END, id;

-- with groups, windows, joins, sub-queries
!SELECT DISTINCT ON (qty) qty, status, count(*) FROM orders GROUP BY qty, status ORDER BY qty, count(*) DESC, status;
!SELECT DISTINCT ON (count(*)) status, count(*), sum(total) FROM orders GROUP BY status ORDER BY count(*), status;
!SELECT DISTINCT ON (max(total) > 80) product_id, max(total) FROM orders GROUP BY product_id HAVING count(*) > 2 ORDER BY max(total) > 80, product_id;
!SELECT DISTINCT ON (status) status, avg(total) OVER (PARTITION BY status) FROM orders ORDER BY status, id;
!SELECT DISTINCT ON (rank() OVER (ORDER BY qty)) id FROM orders ORDER BY rank() OVER (ORDER BY qty), id;
SELECT DISTINCT ON (rank() OVER (ORDER BY qty)) rank() OVER (ORDER BY qty) FROM orders;
!SELECT DISTINCT ON (rank() OVER (PARTITION BY user_id ORDER BY id)) id FROM orders ORDER BY rank() OVER (PARTITION BY user_id ORDER BY id), id;
!SELECT DISTINCT ON (user_id % 3) user_id, count(*) FROM orders GROUP BY user_id ORDER BY user_id % 3, count(*), user_id;
!SELECT DISTINCT ON (u.country) u.country, u.id, o.id FROM users u JOIN orders o ON o.user_id = u.id ORDER BY u.country, o.placed, o.id;
!SELECT DISTINCT ON (p.category) p.category, o.id, p.name FROM orders o JOIN products p ON p.id = o.product_id ORDER BY p.category, o.total DESC, o.id;
!SELECT DISTINCT ON (u.id) u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id ORDER BY u.id, o.total DESC NULLS LAST, o.id;
!SELECT DISTINCT ON (o.user_id) o.user_id, u.id FROM users u LEFT JOIN orders o ON o.user_id = u.id ORDER BY o.user_id, u.id;
!SELECT DISTINCT ON (user_id) user_id, id FROM orders ORDER BY user_id, placed DESC, id LIMIT 9;
!SELECT DISTINCT ON (user_id, status) id FROM orders ORDER BY status, user_id, id;
SELECT DISTINCT ON (user_id) user_id FROM orders;
SELECT * FROM (SELECT DISTINCT ON (user_id) user_id, id, status FROM orders ORDER BY user_id, placed DESC, id) s WHERE status = 'paid';
SELECT s.status, count(*), sum(s.total) FROM (SELECT DISTINCT ON (user_id) * FROM orders ORDER BY user_id, placed DESC, id) s GROUP BY s.status;
SELECT s.k, u.name FROM (SELECT DISTINCT ON (1) user_id AS k, id FROM orders ORDER BY 1, id DESC) s JOIN users u ON u.id = s.k WHERE s.id % 2 = 0;
SELECT s.status FROM (SELECT DISTINCT ON (user_id) status AS user_id, status, id FROM orders ORDER BY 1, id) s;
SELECT count(*) FROM (SELECT DISTINCT ON (status) status FROM orders ORDER BY status, id) s;
SELECT count(*), sum(id) FROM (SELECT DISTINCT ON (orders.user_id) status AS user_id, id FROM orders ORDER BY orders.user_id, id) s;
SELECT u.id, (SELECT DISTINCT ON (status) o.id FROM orders o WHERE o.user_id = u.id ORDER BY status, o.id LIMIT 1) FROM users u;
SELECT c.id, s.kind FROM users c, LATERAL (SELECT DISTINCT ON (o.user_id) o.status AS kind FROM orders o WHERE o.user_id = c.id ORDER BY o.user_id, o.id) s;
WITH w AS (SELECT DISTINCT ON (user_id) user_id, total FROM orders ORDER BY user_id, total DESC NULLS LAST) SELECT count(*), sum(total) FROM w;
!SELECT DISTINCT ON (t) t, id FROM nothing ORDER BY t, id;
!SELECT DISTINCT ON (status) status, id FROM orders WHERE user_id = 7 ORDER BY status, id;
!SELECT DISTINCT ON (status) status, id FROM orders WHERE user_id IN (3, 4, 5) ORDER BY status, id LIMIT 3;
!SELECT DISTINCT ON (word COLLATE german) word FROM words ORDER BY word COLLATE german, freq;
!SELECT DISTINCT ON (lang) lang, word FROM words ORDER BY lang COLLATE "C", word COLLATE "C";
