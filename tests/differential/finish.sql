-- Statements about order, limits, groups and aggregates written to find a wrong answer, for finish.t. A statement that begins
-- with ! has a total order. Lines that begin with a backslash set its parameters, as in by_hand.sql.

-- order: ordinals, names, expressions

!SELECT id, item FROM ord ORDER BY 1;
!SELECT item, id FROM ord ORDER BY 1 NULLS FIRST, 2 DESC;
!SELECT id AS item, item AS id FROM ord ORDER BY item;
!SELECT id AS v, v AS q FROM ord ORDER BY v;
!SELECT id, v AS x FROM ord ORDER BY x DESC, id;
!SELECT id, -id AS id2 FROM ord ORDER BY id2;
!SELECT id FROM ord ORDER BY -id;
!SELECT id FROM ord ORDER BY id % 7, id;
!SELECT id FROM ord ORDER BY v * q DESC NULLS LAST, id;
!SELECT id FROM ord ORDER BY (v + q) / 2, id DESC;
!SELECT id FROM ord ORDER BY coalesce(v, q), id;
!SELECT id FROM ord ORDER BY item || 'x', id;
!SELECT id FROM ord ORDER BY CASE WHEN v > 2 THEN 1 ELSE 0 END, id;
!SELECT id FROM ord ORDER BY v IS NULL, v, id;
!SELECT id FROM ord ORDER BY length(item), upper(item), id;
!SELECT id FROM ord ORDER BY id::text;
!SELECT id FROM ord ORDER BY id::text COLLATE "C";
!SELECT id FROM ord ORDER BY id::numeric DESC;
!SELECT id FROM ord ORDER BY (SELECT name FROM acc WHERE acc.id = ord.acc_id), id;
!SELECT id FROM ord ORDER BY (v, q), id;
!SELECT id FROM ord ORDER BY ROW(v, id);
!SELECT id FROM ord ORDER BY id USING >;
SELECT id FROM ord ORDER BY 2;
SELECT id FROM ord ORDER BY 0;
SELECT id FROM ord ORDER BY -1;
SELECT id FROM ord ORDER BY 'x';
SELECT id FROM ord ORDER BY NULL;
SELECT id FROM ord ORDER BY 1.5;
SELECT id FROM ord ORDER BY nosuch;
SELECT id, id FROM ord ORDER BY id;
SELECT id AS x, v AS x FROM ord ORDER BY x;
!SELECT * FROM ord ORDER BY acc_id, id;
!SELECT * FROM ord ORDER BY 2, 1;
!SELECT ord.*, id + 1 AS next FROM ord ORDER BY next DESC;
!SELECT *, id AS more FROM ord ORDER BY more;
!SELECT o.*, l.n FROM ord o JOIN lin l ON l.acc_id = o.acc_id AND l.ord_id = o.id ORDER BY o.id, l.n, l.acc_id;
!SELECT o.id, l.* FROM ord o JOIN lin l ON l.acc_id = o.acc_id AND l.ord_id = o.id ORDER BY id, n, l.acc_id;
!SELECT acc_id, o.id, l.n FROM ord o JOIN lin l USING (acc_id) ORDER BY acc_id, id, n, ord_id;
!SELECT acc_id, o.id, l.n FROM ord o LEFT JOIN lin l USING (acc_id) ORDER BY acc_id DESC, id, n, ord_id;
!SELECT acc_id, l.ord_id, o.id FROM ord o RIGHT JOIN lin l USING (acc_id) ORDER BY acc_id, ord_id, n, id;
!SELECT a.id, o.id AS oid FROM acc a LEFT JOIN ord o ON o.acc_id = a.id ORDER BY a.id, oid NULLS FIRST;
!SELECT a.name, r.name FROM acc a JOIN ref r ON r.k = a.name ORDER BY r.v DESC, a.id;
!SELECT id FROM (SELECT acc_id, id, v FROM ord WHERE q > 1) s ORDER BY s.v, id;
!WITH w AS (SELECT * FROM ord WHERE v > 1) SELECT id, v FROM w ORDER BY v DESC, id LIMIT 5;
!SELECT id "order", v "limit" FROM ord ORDER BY "limit", "order";
!SELECT id AS from, v AS where FROM ord ORDER BY id;
!SELECT id FROM ord WHERE v IS DISTINCT FROM q ORDER BY id;
!SELECT v IS DISTINCT FROM q, id FROM ord ORDER BY id;
!SELECT CASE WHEN v > 1 THEN 'x' END AS end, id FROM ord ORDER BY id;
!SELECT substring(item FROM 1 FOR 1), id FROM ord ORDER BY id;
!SELECT id, 'a, b' AS s, ARRAY[1, 2], (1), ROW(1, 2) IS NULL FROM ord ORDER BY id LIMIT 3;
!SELECT/* ORDER BY v */id FROM ord ORDER/**/BY id -- LIMIT 1
;
!SELECT id FROM ord ORDER BY id;
!SELECT id FROM public.ord ORDER BY ord.id DESC;
!SELECT o.id FROM ord AS o ORDER BY o.v, o.id;
SELECT o FROM ord o ORDER BY id;
!SELECT o.item, (o).id FROM ord o ORDER BY o.id;
!SELECT generate_series(1, 2) AS g, id FROM ord ORDER BY id, g;
!SELECT id, generate_series(1, 3) FROM ord ORDER BY 2, 1 LIMIT 10;
SELECT id FROM ord ORDER BY random();
SELECT id FROM ord WHERE v = 1 ORDER BY now(), id;
!SELECT id FROM ord ORDER BY id FETCH FIRST ROW ONLY;
!TABLE one ORDER BY k;
!SELECT v, id FROM acc WHERE id IN (1, 2, 5, 7, 9) ORDER BY v NULLS FIRST, id;
!SELECT id FROM acc WHERE id = 5 ORDER BY id;
!SELECT id FROM acc WHERE id = 5 AND id = 6 ORDER BY id LIMIT 1;
!SELECT k, v FROM none ORDER BY k;
!SELECT k, v, w, s FROM one ORDER BY w DESC LIMIT 1;
SELECT FROM ord ORDER BY id;
!SELECT id FROM ord ORDER BY (id);
!SELECT (id) FROM ord ORDER BY ((id)) DESC;
!SELECT id FROM ord ORDER BY id ASC, id DESC;
!SELECT f, id FROM ord ORDER BY f, id;
!SELECT f, id FROM ord ORDER BY f DESC, id;
!SELECT id, tc COLLATE "en-x-icu" AS tc FROM m ORDER BY tc, id;
!SELECT id, tx FROM m ORDER BY tx COLLATE "C", id;
!SELECT id, min(v) OVER (PARTITION BY item) FROM ord ORDER BY id;
!SELECT acc_id, count(*) FROM ord GROUP BY acc_id ORDER BY count(*) DESC, acc_id;

-- limits

SELECT count(*) FROM (SELECT id FROM ord LIMIT 5) s;
SELECT 1 FROM ord LIMIT 5;
SELECT 1 FROM ord LIMIT 0;
SELECT 1 FROM ord OFFSET 58;
SELECT 1 FROM ord LIMIT 10 OFFSET 55;
SELECT 1 FROM ord LIMIT ALL;
SELECT 1 FROM ord LIMIT NULL;
SELECT 1 FROM ord OFFSET NULL;
SELECT 1 FROM ord LIMIT 1000;
SELECT 1 FROM ord LIMIT -1;
SELECT 1 FROM ord OFFSET -1;
SELECT 1 FROM ord LIMIT 2 OFFSET -1;
SELECT 1 FROM ord LIMIT 9223372036854775807;
SELECT 1 FROM ord LIMIT 9223372036854775807 OFFSET 1;
SELECT 1 FROM ord LIMIT 9223372036854775808;
SELECT 1 FROM ord LIMIT 1.5;
SELECT 1 FROM ord LIMIT '3';
SELECT 1 FROM ord LIMIT 'x';
SELECT 1 FROM ord LIMIT 2 + 1;
SELECT 1 FROM ord LIMIT (SELECT 2);
SELECT 1 FROM ord LIMIT (SELECT v FROM ref WHERE k = 'n1');
SELECT 1 FROM ord LIMIT (SELECT v FROM one WHERE k = 1);
SELECT 1 FROM ord LIMIT 2::int;
SELECT 1 FROM ord LIMIT 2::numeric;
SELECT 1 FROM ord LIMIT id;
SELECT 1 FROM ord LIMIT 007;
SELECT 1 FROM ord FETCH FIRST 5 ROWS ONLY;
SELECT 1 FROM ord OFFSET 2 ROWS FETCH NEXT 5 ROWS ONLY;
!SELECT id FROM ord ORDER BY id LIMIT 5;
!SELECT id FROM ord ORDER BY id OFFSET 5 LIMIT 5;
!SELECT id FROM ord ORDER BY v DESC, id LIMIT 5 OFFSET 1;
!SELECT id FROM ord ORDER BY id LIMIT 0;
!SELECT id FROM ord ORDER BY id LIMIT -5;
!SELECT v FROM ord ORDER BY v FETCH FIRST 3 ROWS WITH TIES;
!SELECT v, id FROM ord ORDER BY v, id OFFSET 2 FETCH FIRST 3 ROWS WITH TIES;
!SELECT v FROM ord ORDER BY v DESC NULLS LAST OFFSET 4 FETCH FIRST ROW WITH TIES;
!SELECT acc_id FROM ord ORDER BY acc_id OFFSET 1 ROW FETCH FIRST (4) ROWS WITH TIES;
SELECT v, id FROM ord ORDER BY v FETCH FIRST 3 ROWS WITH TIES;
SELECT v FROM ord ORDER BY v OFFSET 3 FETCH FIRST 0 ROWS WITH TIES;
SELECT v FROM ord ORDER BY v OFFSET 1000 FETCH FIRST 2 ROWS WITH TIES;
SELECT id FROM ord ORDER BY id FETCH FIRST -1 ROWS WITH TIES;
!SELECT id FROM ord ORDER BY id OFFSET 1 FETCH FIRST 9223372036854775807 ROWS WITH TIES;
SELECT DISTINCT acc_id, v FROM ord ORDER BY acc_id FETCH FIRST 2 ROWS WITH TIES;
!SELECT acc_id, count(*) FROM ord GROUP BY acc_id ORDER BY count(*) DESC, acc_id OFFSET 1 FETCH FIRST 2 ROWS WITH TIES;
!SELECT count(*) FROM (SELECT v FROM ord ORDER BY v FETCH FIRST 2 ROWS WITH TIES) AS t;
!SELECT id FROM ord ORDER BY id LIMIT 3 OFFSET 1000;
SELECT * FROM none LIMIT 3;
SELECT * FROM ord WHERE acc_id = 3 LIMIT 2 OFFSET 100;
\values 3
!SELECT id FROM ord ORDER BY id LIMIT $1;
\values 3
\types 20
!SELECT id FROM ord ORDER BY id LIMIT $1;
\values 3
\types 21
!SELECT id FROM ord ORDER BY id LIMIT $1;
\values 0x00000003
\types 23
\formats 1
!SELECT id FROM ord ORDER BY id LIMIT $1;
\values 0x0000000000000003 0x0000000000000002
\formats 1 1
!SELECT id FROM ord ORDER BY id LIMIT $1 OFFSET $2;
\values 0x000000000000000300
\formats 1
!SELECT id FROM ord ORDER BY id LIMIT $1;
\values ~
!SELECT id FROM ord ORDER BY id LIMIT $1;
\values ~ ~
!SELECT id FROM ord ORDER BY id LIMIT $1 OFFSET $2;
\values -1
!SELECT id FROM ord ORDER BY id LIMIT $1;
\values +3
!SELECT id FROM ord ORDER BY id LIMIT $1;
\values x
!SELECT id FROM ord ORDER BY id LIMIT $1;
\values 99999999999999999999
!SELECT id FROM ord ORDER BY id LIMIT $1;
\values 4 2
!SELECT id FROM ord WHERE v > $2 ORDER BY id LIMIT $1;
\values 2 4
!SELECT id, $1 + id AS x FROM ord ORDER BY x DESC LIMIT $2;
\values 2 3
\types 23 20
!SELECT id, id * $1 FROM ord WHERE q < $1 ORDER BY id % $1, id LIMIT $2 OFFSET $1;
\values 2
!SELECT id, $1 FROM ord ORDER BY id LIMIT 2;
\values 3
!SELECT id FROM ord WHERE v = $1 ORDER BY id LIMIT $1;
\values 2
SELECT 1 FROM ord LIMIT $1::int;
\values 3 5
!SELECT item, count(*) FROM ord WHERE v < $1 GROUP BY item HAVING count(*) > $2 ORDER BY 1;
\values 1
!SELECT item, count(*) + $1 FROM ord GROUP BY item ORDER BY 1;
\values 1
!SELECT item, sum(v + $1) FROM ord GROUP BY item ORDER BY 1;
\values 2
!SELECT id % $1, count(*) FROM ord GROUP BY id % $1 ORDER BY 1;
\values 1
SELECT count(*) FROM ord WHERE v = $1 HAVING count(*) > $1;
\values 5
SELECT count(*) FROM ord WHERE acc_id = $1;
\values {1,2,3}
SELECT count(*), sum(v) FROM ord WHERE acc_id = ANY ($1);

-- aggregates

SELECT count(*) FROM none;
SELECT count(*), count(v), sum(v), sum(w), avg(v), min(s), max(w), bool_and(v > 1), bool_or(v > 1), every(v > 1) FROM none;
SELECT count(*), count(v), sum(v), sum(w), avg(v), avg(w), min(s), max(w), bool_and(v > 1), bool_or(v > 1) FROM one;
SELECT count(*) FROM one WHERE k = 99;
SELECT count(*) + 1, -count(*), count(*)::text || 'x', count(*) * 1.5 FROM ord;
SELECT coalesce(sum(v), 0), coalesce(sum(v), 0) / count(*) FROM none WHERE false;
SELECT sum(v) / count(*) FROM none;
SELECT sum(v), sum(q), sum(v::bigint), sum(v::numeric), sum(f), sum(v * 2), sum(v * q), sum(v::numeric(4,1)) FROM ord;
SELECT avg(v), avg(q), avg(v::bigint), avg(v::numeric), avg(f), avg(v * 2.5), avg(v::numeric(4,1)) FROM ord;
SELECT avg(v), avg(v::bigint), avg(v::numeric(10,4)), avg(v * 1.000001), avg(v / 3.0), avg(-v) FROM ord WHERE v > 0;
SELECT avg(n), sum(n) FROM m WHERE n BETWEEN -100000 AND 1e31;
SELECT avg(n) FROM m WHERE n IN ('NaN', 'Infinity');
SELECT avg(n), sum(n) FROM m WHERE n IN ('Infinity', '-Infinity');
SELECT avg(n), sum(n), count(n) FROM m WHERE n = 'Infinity' OR n < 5 AND n > '-Infinity';
SELECT sum(i8) FROM m;
SELECT sum(i8), avg(i8) FROM m WHERE i8 > 0;
SELECT sum(i2 + 0::smallint), sum(i2 + 1), sum(-i2::int), sum(i4 / 2), sum(i4 % 3), sum(i8 / 2) FROM m WHERE i2 <> -32768 AND i8 > 0;
SELECT stddev(v), variance(v), var_pop(q), regr_count(v, q) FROM ord;
SELECT bit_and(v), bit_or(v), bit_xor(v), bit_and(q), bit_or(q) FROM ord;
SELECT bool_and(v > 0), bool_or(v > 4), every(q < 9) FROM ord;
SELECT min(item), max(item), min(v), max(v), min(f), max(f), min(item COLLATE "C"), max(upper(item)) FROM ord;
SELECT min(v) + max(q), greatest(min(v), max(q)), least(max(v), 3) FROM ord;
SELECT count(*) FILTER (WHERE v > 2), sum(v) FILTER (WHERE q IS NULL), count(*) FILTER (WHERE false) FROM ord;
SELECT count(DISTINCT v), count(DISTINCT item), sum(DISTINCT v), avg(DISTINCT q), count(*), sum(v) FROM ord;
SELECT count(DISTINCT v) FILTER (WHERE q > 1) FROM ord;
SELECT count(DISTINCT (v, q)) FROM ord;
SELECT count(DISTINCT v + 1), max(DISTINCT item), min(DISTINCT q) FROM ord;
SELECT count(DISTINCT acc_id), count(DISTINCT item) FROM ord WHERE v > 1;
SELECT count(ALL v), sum(ALL q) FROM ord;
SELECT count(o), count(o.*), count((o.v, o.q)) FROM ord o;
SELECT string_agg(item, ',' ORDER BY id), array_agg(id ORDER BY id DESC), json_agg(v ORDER BY id) FROM ord WHERE id < 9;
SELECT array_agg(DISTINCT v ORDER BY v), string_agg(DISTINCT item, ',') FROM ord;
SELECT array_agg(DISTINCT q) FROM ord;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY v), mode() WITHIN GROUP (ORDER BY item) FROM ord;
SELECT sum(v) OVER (), count(*) FROM ord GROUP BY v;
SELECT max(v) FROM ord ORDER BY 1;
SELECT max(v) FROM ord LIMIT 1;
SELECT max(v) FROM ord OFFSET 1;
SELECT DISTINCT count(*) FROM ord;
SELECT count(*) FROM ord HAVING count(*) > 60;
SELECT count(*) FROM ord HAVING count(*) > 600;
SELECT 1 FROM ord HAVING true;
SELECT 1 FROM none HAVING true;
SELECT 1 FROM ord HAVING max(v) > 4;
SELECT count(*) FROM ord HAVING (SELECT count(*) FROM ref) = 3;
SELECT count(*) FROM ord HAVING (SELECT count(*) FROM acc) = 13;
SELECT (SELECT count(*) FROM ref), count(*) FROM ord;
SELECT sum((SELECT w FROM acc WHERE acc.id = ord.acc_id)) FROM ord;
SELECT (SELECT sum(v) FROM acc), count(*) FROM ord;
SELECT (SELECT sum(o.v) FROM ref WHERE ref.k = 'n1') FROM ord o;
SELECT count(*), count(*) FROM ord;
SELECT count(*) AS count, sum(v) AS count FROM ord;
SELECT count(*) AS "Count", sum(v) "a b", avg(v) AS "c""d" FROM ord;
SELECT pg_catalog.count(*), pg_catalog.sum(v) FROM ord;
SELECT count(*)::int, sum(v)::float8, (count(*))::numeric(10,2), CAST(max(v) AS text), count(*)::int::text FROM ord;
SELECT CASE WHEN count(*) > 5 THEN 'many' ELSE 'few' END, CASE count(*) WHEN 61 THEN max(v) END, nullif(max(v), 5), ARRAY[count(*), max(v)] FROM ord;
SELECT count(*) IS NULL, count(*) BETWEEN 1 AND 100, max(item) LIKE 'n%', NOT bool_and(v > 1), max(v) IN (1, 5), TRUE, NULL, 'x', 1, 1.5, DATE '2024-01-01', INTERVAL '1 day' FROM ord;
SELECT extract(year FROM max(ts)), date_trunc('day', max(ts)), max(d) - min(d), max(ts) - min(ts) FROM m WHERE ts > '2000-01-01' AND ts < '2030-01-01' AND d > '1990-01-01' AND d < '2030-01-01';
SELECT row(count(*), 1), (max(v), min(v)) FROM ord;
SELECT count(*) FROM ord, generate_series(1, 3);
SELECT count(*), sum(x) FROM ord, LATERAL (VALUES (v), (q)) s (x);
SELECT count(*), sum(l.v), sum(o.v) FROM ord o JOIN lin l ON l.acc_id = o.acc_id;
SELECT acc_id, sum(n) FROM ord JOIN lin USING (acc_id) GROUP BY acc_id;
SELECT sum(acc_id), avg(acc_id), max(acc_id) FROM ord JOIN lin USING (acc_id);
SELECT sum(acc_id) FROM lin FULL JOIN ord USING (acc_id);
SELECT count(*), count(o.id), sum(o.v) FROM acc a LEFT JOIN ord o ON o.acc_id = a.id;
SELECT count(*) FROM ref r LEFT JOIN acc a ON a.name = r.k;
SELECT count(*) FROM acc a JOIN ref r ON r.k = a.name;
SELECT r.name, count(*), sum(a.w) FROM acc a JOIN ref r ON r.k = a.name GROUP BY r.name;
SELECT count(*) FROM ord WHERE NOT EXISTS (SELECT FROM lin WHERE lin.acc_id = ord.acc_id AND lin.ord_id = ord.id);
SELECT count(*) FROM ord a JOIN ord b ON a.v = b.v;
SELECT count(*), sum(u.v) FROM ord o JOIN uns u ON u.id = o.v;
SELECT sum(v) FROM (SELECT v FROM ord UNION ALL SELECT v FROM lin) s;
SELECT sum(s.v), count(*) FROM (SELECT acc_id, v FROM ord WHERE q > 0) s;
SELECT sum(c) FROM (SELECT acc_id, count(*) AS c FROM ord GROUP BY acc_id) s;
SELECT max(c) FROM (SELECT item, count(*) AS c FROM ord GROUP BY item) s;
SELECT count(*) FROM (SELECT DISTINCT v FROM ord) s;
SELECT sum(v) / 0 FROM ord;
SELECT sum(v / (id - 30)) FROM ord;
SELECT nosuch(v) FROM ord;
SELECT count(nosuch) FROM ord;
SELECT sum(item) FROM ord;
SELECT v, count(*) FROM ord;
SELECT count(*) FROM ord GROUP BY id HAVING v > 1;
SELECT sum(count(*)) FROM ord;
SELECT count(*) FROM ord WHERE count(*) > 1;
SELECT max(v) FROM ord FOR UPDATE;

-- groups

!SELECT item, count(*), sum(v), avg(v), min(id), max(f) FROM ord GROUP BY item ORDER BY item;
!SELECT item, count(*) FROM ord GROUP BY 1 ORDER BY 2 DESC, 1;
!SELECT item AS x, count(*) AS n FROM ord GROUP BY x ORDER BY n, x DESC;
!SELECT v AS item, count(*) FROM ord GROUP BY item, v ORDER BY v, item;
!SELECT upper(item), count(*) FROM ord GROUP BY item ORDER BY 1;
!SELECT upper(item), count(*) FROM ord GROUP BY upper(item) ORDER BY upper(item);
!SELECT upper(item) || 'x', count(*) FROM ord GROUP BY upper(item) ORDER BY upper(item) DESC;
!SELECT id % 3, count(*), sum(v) FROM ord GROUP BY id % 3 ORDER BY id % 3;
!SELECT id % 3 AS r, count(*) FROM ord GROUP BY r ORDER BY r;
!SELECT id % 3 + 1, count(*) FROM ord GROUP BY id % 3 ORDER BY 1;
!SELECT id % 3, id % 4, count(*) FROM ord GROUP BY 1, 2 ORDER BY 1, 2;
!SELECT item, v, count(*) FROM ord GROUP BY item, v ORDER BY item, v;
!SELECT count(*) FROM ord GROUP BY item ORDER BY item;
SELECT count(*) FROM ord GROUP BY item;
SELECT item FROM ord GROUP BY item;
!SELECT item FROM ord GROUP BY item HAVING count(*) > 15 ORDER BY item;
!SELECT item FROM ord GROUP BY item HAVING sum(v) > 30 AND item > 'n0' ORDER BY max(id);
!SELECT item, count(*) FROM ord GROUP BY item HAVING avg(v) > 2.5 ORDER BY avg(v), item;
!SELECT item, count(*) FROM ord GROUP BY item ORDER BY sum(v) DESC NULLS LAST, item LIMIT 2;
!SELECT item, count(*) FROM ord GROUP BY item ORDER BY item OFFSET 1 LIMIT 2;
!SELECT item, count(DISTINCT v), count(DISTINCT q), sum(v) FROM ord GROUP BY item ORDER BY item;
!SELECT acc_id, count(*), sum(v) FROM ord GROUP BY acc_id ORDER BY acc_id;
SELECT acc_id, count(*), string_agg(id::text, ',' ORDER BY id), stddev(v), percentile_disc(0.5) WITHIN GROUP (ORDER BY v) FROM ord GROUP BY acc_id;
!SELECT acc_id, count(*) FROM ord GROUP BY acc_id HAVING count(*) > 5 ORDER BY 2 DESC, 1 LIMIT 3;
!SELECT acc_id, sum(v) AS s FROM ord GROUP BY acc_id ORDER BY s DESC NULLS LAST, acc_id LIMIT 4 OFFSET 1;
!SELECT acc_id, max(item), min(f) FROM ord GROUP BY acc_id ORDER BY max(item), min(f), acc_id;
!SELECT acc_id, avg(v) FROM ord GROUP BY acc_id ORDER BY avg(v), acc_id LIMIT 5;
SELECT acc_id + 0, count(*) FROM ord GROUP BY acc_id + 0;
SELECT acc_id, item, count(*) FROM ord GROUP BY acc_id, item;
SELECT acc_id % 2, count(*) FROM ord GROUP BY acc_id % 2;
SELECT DISTINCT count(*) FROM ord GROUP BY acc_id;
!SELECT DISTINCT count(*) FROM ord GROUP BY acc_id ORDER BY 1;
SELECT DISTINCT count(*) FROM ord GROUP BY item;
SELECT tenant, count(*) FROM ev GROUP BY tenant;
SELECT region, tenant, count(*), sum(v) FROM ev GROUP BY region, tenant;
!SELECT tenant, region, max(v) FROM ev GROUP BY tenant, region ORDER BY max(v) DESC NULLS FIRST, tenant, region LIMIT 3;
SELECT o.acc_id, count(*) FROM acc a LEFT JOIN ord o ON o.acc_id = a.id GROUP BY o.acc_id;
SELECT a.id, count(o.id), sum(o.v) FROM acc a LEFT JOIN ord o ON o.acc_id = a.id GROUP BY a.id;
SELECT a.id, a.name, count(o.id) FROM acc a LEFT JOIN ord o ON o.acc_id = a.id GROUP BY a.id;
SELECT a.name, count(o.id) FROM acc a LEFT JOIN ord o ON o.acc_id = a.id GROUP BY a.name;
SELECT acc_id, count(*) FROM ord LEFT JOIN lin USING (acc_id) GROUP BY acc_id;
SELECT acc_id, count(*) FROM ord RIGHT JOIN lin USING (acc_id) GROUP BY acc_id;
SELECT acc_id, count(*) FROM ord FULL JOIN lin USING (acc_id) GROUP BY acc_id;
SELECT ord.acc_id, count(*) FROM ord FULL JOIN lin USING (acc_id) GROUP BY ord.acc_id;
SELECT s.k, count(*) FROM (SELECT acc_id AS k, v FROM ord) s GROUP BY s.k;
SELECT item, count(*) FROM ord GROUP BY ROLLUP (item);
SELECT item, v, grouping(item, v), count(*) FROM ord GROUP BY GROUPING SETS ((item), (v), ());
SELECT acc_id, count(*) FROM ord GROUP BY CUBE (acc_id);
SELECT count(*) FROM ord GROUP BY ();
SELECT count(*) FROM none GROUP BY ();
SELECT count(*) FROM none GROUP BY v;
SELECT item, count(*) FROM ord GROUP BY (item);
SELECT item, v, count(*) FROM ord GROUP BY (item, v);
SELECT item, count(*) FROM ord GROUP BY DISTINCT item;
SELECT 'x', count(*) FROM ord GROUP BY 1;
SELECT NULL, count(*) FROM ord GROUP BY 1;
SELECT item, count(*) FROM ord GROUP BY 3;
SELECT item, count(*) FROM ord GROUP BY 0;
SELECT item, count(*) FROM ord GROUP BY 2;
SELECT item, v FROM ord GROUP BY item;
SELECT * FROM ord GROUP BY acc_id, id;
SELECT acc_id, id, item, v FROM ord GROUP BY acc_id, id;
SELECT item, sum(v) FROM ord GROUP BY item, v;
SELECT coalesce(item, 'none'), count(*) FROM ord GROUP BY coalesce(item, 'none');
SELECT coalesce(item, 'none'), count(*) FROM ord GROUP BY coalesce(item, 'other');
SELECT coalesce(v, 1), count(*) FROM ord GROUP BY coalesce(v, 2);
!SELECT coalesce(v, 1), count(*) FROM ord GROUP BY coalesce(v, 1) ORDER BY coalesce(v, 1);
SELECT v > 2, count(*) FROM ord GROUP BY v > 2;
SELECT v > 2 AND true, count(*) FROM ord GROUP BY v > 2;
SELECT date_trunc('month', ts), count(*) FROM m GROUP BY date_trunc('month', ts);
SELECT extract(hour FROM ts), count(*) FROM m WHERE ts > '1900-01-01' AND ts < '2100-01-01' GROUP BY extract(hour FROM ts);
SELECT e, count(*), min(e), max(e) FROM m GROUP BY e;
SELECT bp, v, t, count(*) FROM m GROUP BY bp, v, t;
SELECT length(bp), length(v), count(*) FROM m GROUP BY bp, v;
SELECT tx, count(*) FROM m GROUP BY tx;
SELECT ar, count(*) FROM m GROUP BY ar;
SELECT b, max(tx), min(tx), max(v), max(bp), min(tc) FROM m GROUP BY b;
SELECT max(tx) < 'b', max(tx || 'x') FROM m;
SELECT dm, count(*), sum(dm) FROM m GROUP BY dm;
SELECT nm, count(*) FROM m WHERE nm > 0 GROUP BY nm;
SELECT nm::text, sum(nm), avg(nm), max(nm) FROM m GROUP BY nm;
SELECT mo, count(*), sum(mo) FROM m GROUP BY mo;
SELECT row_number() OVER (ORDER BY item), item, count(*) FROM ord GROUP BY item;
!SELECT item, rank() OVER (ORDER BY sum(v) DESC) FROM ord GROUP BY item ORDER BY item;
SELECT item, count(*) FROM ord WHERE acc_id = 3 GROUP BY item;
SELECT item, count(*) FROM ord WHERE acc_id IN (3, 4) GROUP BY item;
SELECT item, count(*) FROM ord WHERE acc_id IN (3, 4, 5, 6) AND item IN ('n0', 'n1') GROUP BY item;
SELECT item, (SELECT count(*) FROM ref) FROM ord GROUP BY item;
SELECT item, (SELECT name FROM ref WHERE ref.k = ord.item) FROM ord GROUP BY item;
SELECT item, count(*) FROM ord GROUP BY item HAVING item IN (SELECT k FROM ref);
SELECT "item", count(*) FROM "ord" GROUP BY "ord"."item";
SELECT o.item, count(*) FROM ord o GROUP BY item;
SELECT item, count(*) FROM ord o GROUP BY o.item;
SELECT public.ord.item, count(*) FROM ord GROUP BY public.ord.item;
SELECT item, count(*) "c1", max(v) "c2" FROM ord GROUP BY item;
!SELECT v AS c1, item AS c2, count(*) AS c3 FROM ord GROUP BY v, item ORDER BY c3, c2, c1;
SELECT item, sum(v) AS item2 FROM ord GROUP BY item HAVING sum(v) IS NOT NULL;
SELECT item, sum(v) FROM ord GROUP BY item HAVING item IS NULL OR item = 'n1';

-- DISTINCT

SELECT DISTINCT item FROM ord;
SELECT DISTINCT item, v FROM ord;
SELECT DISTINCT acc_id FROM ord;
SELECT DISTINCT acc_id, item FROM ord;
SELECT DISTINCT * FROM ord;
SELECT DISTINCT * FROM one;
SELECT DISTINCT v + q FROM ord;
!SELECT DISTINCT item FROM ord ORDER BY item;
!SELECT DISTINCT item, v FROM ord ORDER BY v DESC NULLS LAST, item LIMIT 5;
!SELECT DISTINCT v % 2 AS r FROM ord ORDER BY v % 2;
!SELECT DISTINCT v % 2 AS r FROM ord ORDER BY r DESC;
!SELECT DISTINCT item FROM ord ORDER BY 1 DESC LIMIT 2 OFFSET 1;
SELECT DISTINCT item FROM ord ORDER BY v;
SELECT DISTINCT acc_id FROM ord ORDER BY v;
!SELECT DISTINCT acc_id FROM ord ORDER BY acc_id LIMIT 3;
!SELECT DISTINCT acc_id, v FROM ord ORDER BY v, acc_id LIMIT 5;
!SELECT DISTINCT acc_id AS x FROM ord ORDER BY x DESC;
!SELECT DISTINCT * FROM acc ORDER BY id;
!SELECT DISTINCT * FROM acc ORDER BY name, 3, 1;
SELECT DISTINCT item FROM ord LIMIT 100;
SELECT DISTINCT ON (item) item FROM ord;
!SELECT DISTINCT ON (item) item, id FROM ord ORDER BY item, id DESC;
SELECT DISTINCT ON (acc_id) acc_id FROM ord;
SELECT DISTINCT a.name, r.name FROM acc a JOIN ref r ON r.k = a.name;
SELECT DISTINCT e FROM m;
SELECT DISTINCT tx FROM m;
SELECT DISTINCT bp FROM m;
SELECT DISTINCT ar FROM m;
SELECT DISTINCT (v, q) FROM ord;
SELECT DISTINCT o FROM ord o WHERE id < 5;
SELECT DISTINCT NULL, 'x', 1 FROM ord;
SELECT DISTINCT j FROM m WHERE j::text <> '1.0';
SELECT ALL item FROM ord WHERE v = 1;
!SELECT ALL id FROM ord ORDER BY id;
SELECT count(*) FROM (SELECT DISTINCT acc_id FROM ord) s;

-- set operations

SELECT id FROM ord UNION ALL SELECT ord_id FROM lin;
!SELECT id FROM ord UNION ALL SELECT ord_id FROM lin ORDER BY 1;
SELECT item FROM ord UNION SELECT name FROM acc;
SELECT acc_id FROM ord INTERSECT SELECT acc_id FROM lin;
(SELECT id FROM ord ORDER BY id LIMIT 3) UNION ALL (SELECT id FROM ord ORDER BY id DESC LIMIT 3);
VALUES (1), (2) ORDER BY 1 LIMIT 1;
SELECT 1 ORDER BY 1 LIMIT 1;
!SELECT k, v FROM ref ORDER BY v, k LIMIT 2;
SELECT count(*), sum(v) FROM ref;
SELECT count(*), sum(v) FROM uns;

-- windows within the sharding key, and sub-queries that group, partition or drop duplicates by it

!SELECT acc_id, id, rank() OVER (PARTITION BY acc_id ORDER BY v NULLS LAST, id) FROM ord ORDER BY acc_id, id;
SELECT acc_id, id, row_number() OVER (PARTITION BY acc_id ORDER BY id), lag(v) OVER (PARTITION BY acc_id ORDER BY id DESC) FROM ord;
SELECT acc_id, sum(v) OVER (PARTITION BY item, acc_id ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM ord;
SELECT acc_id, sum(v) OVER (PARTITION BY acc_id), count(*) OVER () FROM ord;
SELECT acc_id, sum(v) OVER w FROM ord WINDOW w AS (PARTITION BY acc_id);
!SELECT acc_id, sum(v) OVER (PARTITION BY acc_id) AS s, id FROM ord ORDER BY s DESC, id LIMIT 5 OFFSET 2;
SELECT DISTINCT acc_id, count(*) OVER (PARTITION BY acc_id) FROM ord;
SELECT DISTINCT count(*) OVER (PARTITION BY acc_id) FROM ord;
SELECT acc_id, item, sum(count(*)) OVER (PARTITION BY acc_id) FROM ord GROUP BY acc_id, item;
SELECT acc_id, sum(sum(v)) OVER (ORDER BY acc_id) FROM ord GROUP BY acc_id;
SELECT a.id, rank() OVER (PARTITION BY o.acc_id ORDER BY o.id) FROM acc a LEFT JOIN ord o ON o.acc_id = a.id;
SELECT a.id, rank() OVER (PARTITION BY a.id ORDER BY o.id) FROM acc a LEFT JOIN ord o ON o.acc_id = a.id;
SELECT tenant, region, count(*) OVER (PARTITION BY region, tenant) FROM ev;
SELECT tenant, region, count(*) OVER (PARTITION BY region) FROM ev;
SELECT * FROM (SELECT acc_id, count(*) AS n FROM ord GROUP BY acc_id) s WHERE n > 3;
!SELECT n, count(*) FROM (SELECT acc_id, count(*) AS n FROM ord GROUP BY 1) s GROUP BY n ORDER BY n;
!SELECT a.name, s.n, a.id FROM acc a JOIN (SELECT acc_id AS k, count(*) AS n FROM ord GROUP BY k) s ON s.k = a.id ORDER BY s.n DESC, a.id LIMIT 5;
SELECT a.name, s.n FROM acc a LEFT JOIN (SELECT acc_id AS k, count(*) AS n FROM ord GROUP BY k) s ON s.k = a.id;
SELECT s.k, a.name FROM acc a RIGHT JOIN (SELECT acc_id AS k, count(*) AS n FROM ord GROUP BY acc_id) s ON s.k = a.id;
SELECT max(n), min(n), sum(n) FROM (SELECT count(*) AS n FROM ord GROUP BY item) s;
SELECT max(n), min(n), sum(n), count(*) FROM (SELECT count(*) AS n FROM ord GROUP BY acc_id HAVING count(*) > 4) s;
SELECT count(*) FROM (SELECT count(*) AS n FROM ord) s;
SELECT count(*) FROM (SELECT count(*) AS n FROM ord GROUP BY ()) s;
!SELECT * FROM (SELECT o.*, row_number() OVER (PARTITION BY acc_id ORDER BY id DESC) AS rn FROM ord o) s WHERE rn = 1 ORDER BY id;
!SELECT * FROM (SELECT id, row_number() OVER (ORDER BY id DESC) AS rn FROM ord o) s WHERE rn < 3 ORDER BY id;
!SELECT item, count(*) FROM (SELECT DISTINCT acc_id, item FROM ord) s GROUP BY item ORDER BY item;
SELECT count(*) FROM (SELECT DISTINCT item FROM ord) s;
SELECT count(*) FROM (SELECT DISTINCT ON (acc_id) acc_id, item FROM ord ORDER BY acc_id, id) s;
!WITH w AS (SELECT acc_id, sum(v) AS t FROM ord GROUP BY acc_id) SELECT acc_id FROM w ORDER BY t DESC NULLS LAST, acc_id LIMIT 2;
WITH w AS (SELECT acc_id, sum(v) AS t FROM ord GROUP BY acc_id) SELECT count(*), (SELECT count(*) FROM w) FROM w;
SELECT k, count(*), sum(v) FROM (SELECT acc_id AS k, v FROM ord) s GROUP BY k;
SELECT k2, count(*) FROM (SELECT k AS k2, n FROM (SELECT acc_id AS k, item AS n FROM ord) s) t GROUP BY 1;
SELECT k, count(*) FROM (SELECT acc_id + 0 AS k FROM ord) s GROUP BY k;
SELECT k, count(*) FROM (SELECT o.acc_id AS k FROM acc a LEFT JOIN ord o ON o.acc_id = a.id) s GROUP BY k;
SELECT k FROM (SELECT acc_id AS k, count(*) FROM ord GROUP BY acc_id ORDER BY 1 LIMIT 5) s;
SELECT acc_id, n FROM (SELECT acc_id, count(*) AS n FROM ord GROUP BY ROLLUP (acc_id)) s;
SELECT s.acc_id, l.n FROM (SELECT acc_id, count(*) FROM ord GROUP BY acc_id) s JOIN lin l ON l.n = s.acc_id;
SELECT s.acc_id, l.n, s.count FROM (SELECT acc_id, count(*) FROM ord GROUP BY acc_id) s JOIN lin l ON l.acc_id = s.acc_id;
SELECT s.acc_id FROM (SELECT acc_id, count(*) FROM ord GROUP BY acc_id) s, LATERAL (SELECT acc_id, max(n) FROM lin WHERE lin.acc_id = s.acc_id GROUP BY acc_id) t;
SELECT a.id, s.* FROM acc a, LATERAL (SELECT max(v), count(*) FROM ord WHERE ord.acc_id = a.id) s;
SELECT a.id, s.* FROM acc a, LATERAL (SELECT acc_id, max(v), count(*) FROM ord WHERE ord.v = a.v GROUP BY acc_id) s;
SELECT acc_id AS id, count(*) FROM (SELECT id AS acc_id, v FROM ord) s GROUP BY acc_id;
SELECT count(*) FROM (SELECT region, tenant, sum(v) FROM ev GROUP BY 1, 2) s;
SELECT count(*) FROM (SELECT region, sum(v) FROM ev GROUP BY 1) s;
SELECT count(*) FROM (SELECT acc_id AS item, item AS acc_id FROM ord) s GROUP BY acc_id;
SELECT s.* FROM (SELECT o.acc_id, l.acc_id AS l, count(*) FROM ord o, lin l WHERE l.acc_id = o.acc_id GROUP BY o.acc_id, l.acc_id) s;
SELECT s.* FROM (SELECT o.acc_id, count(*) FROM ord o, lin l WHERE l.acc_id = o.id GROUP BY o.acc_id) s;
SELECT s.* FROM (SELECT r.k, count(*) FROM ord o, ref r WHERE r.k = o.item GROUP BY r.k, o.acc_id) s;
SELECT s.* FROM (SELECT r.k, count(*) FROM ord o, ref r WHERE r.k = o.item GROUP BY r.k) s;
SELECT acc_id, 1 / (count(*) - 6) FROM ord GROUP BY acc_id;

-- row locks

SELECT id FROM ord FOR UPDATE;
SELECT id FROM ord WHERE v > 2 FOR SHARE NOWAIT;
!SELECT id, v FROM ord ORDER BY v DESC NULLS LAST, id FOR UPDATE SKIP LOCKED;
!SELECT id, item FROM ord WHERE v = 3 ORDER BY item, id FOR NO KEY UPDATE;
SELECT o.id, l.n FROM ord o JOIN lin l ON l.acc_id = o.acc_id FOR UPDATE OF o FOR SHARE OF l;
SELECT o.id FROM ord o LEFT JOIN lin l ON l.acc_id = o.acc_id FOR UPDATE;
SELECT o.id FROM ord o LEFT JOIN lin l ON l.acc_id = o.acc_id FOR UPDATE OF o;
SELECT o.id FROM ord o JOIN ref r ON r.k = o.item FOR UPDATE OF o;
SELECT * FROM (SELECT id FROM ord WHERE v = 1) s FOR UPDATE;
SELECT id FROM ord FOR UPDATE OF nosuch;
SELECT count(*) FROM ord FOR UPDATE;
SELECT acc_id FROM ord GROUP BY acc_id FOR UPDATE;
SELECT DISTINCT acc_id FROM ord FOR UPDATE;
SELECT acc_id, rank() OVER (PARTITION BY acc_id) FROM ord FOR UPDATE;
!SELECT id FROM ord ORDER BY id LIMIT 3 FOR UPDATE;
\values 3
!SELECT id FROM ord WHERE v = $1 ORDER BY v, id FOR UPDATE;
\values 3
SELECT id FROM ord WHERE v = $1 FOR KEY SHARE;
-- names of the answer's columns that the remainder uses for its own

!SELECT -id AS c1, id AS c2, v AS c3 FROM ord ORDER BY item || 'x', id;
!SELECT v AS c1, id AS c2 FROM ord ORDER BY coalesce(v, q), id LIMIT 9;
!SELECT max(id) AS c1, item AS c2 FROM ord GROUP BY item ORDER BY ord.item;
!SELECT -min(v) AS c1, v % 3 AS c2, count(*) AS pgbraid_rows FROM ord GROUP BY v % 3 ORDER BY v % 3 NULLS FIRST;
