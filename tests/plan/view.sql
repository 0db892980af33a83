-- Views over distributed tables: their text takes their place (planner/view.h).
SELECT * FROM big_orders;
SELECT sum FROM big_orders b WHERE k = 5 AND id = 'x'::text::bigint;
\bind 5
SELECT b.sum FROM public.big_orders AS b (key) WHERE key = $1 ORDER BY 1;
SELECT count(*), max(sum) FROM big_orders;
TABLE big_orders;
(TABLE joined) ORDER BY 1;
SELECT * FROM joined j JOIN lines l ON l.customer_id = j.id ORDER BY j.name;
SELECT a.name FROM joined a LEFT JOIN joined b USING (id) WHERE EXISTS (SELECT FROM big_orders x WHERE x.id = a.id);
SELECT * FROM odd_ones;
SELECT * FROM mixed;
SELECT country FROM joined WHERE country IN (SELECT name FROM country_names);
SELECT c.* FROM customers c JOIN country_names n ON n.code = c.country WHERE c.id = 5;
SELECT * FROM country_names;
SELECT * FROM timed;
SELECT * FROM calling;
SELECT * FROM calling_safe WHERE id = 5;
WITH x AS (SELECT * FROM big_orders) SELECT * FROM x;
EXPLAIN SELECT * FROM big_orders;
EXPLAIN (ANALYZE, FORMAT JSON) SELECT k FROM big_orders ORDER BY k;
DECLARE c CURSOR FOR SELECT * FROM big_orders;
COPY (SELECT id FROM big_orders) TO STDOUT;
INSERT INTO ranged SELECT k FROM big_orders WHERE k = 5;
UPDATE orders o SET item = 'x' FROM big_orders b WHERE b.k = o.customer_id;
DELETE FROM orders USING big_orders b WHERE b.k = orders.customer_id AND b.k = 7;
-- a name of the statement's own
WITH big_orders AS (SELECT 1) SELECT * FROM big_orders;
-- roles: what the view may read, the client has to be allowed to read, too
\role alice
SELECT * FROM big_orders;
SELECT * FROM joined;
SELECT * FROM order_totals;
\role nobody
SELECT * FROM big_orders;
\role postgres
SELECT * FROM policed;
SELECT * FROM policed_caller;
SELECT * FROM guarded;
-- where a sub-query is not as good, or the text may mean something else
SELECT big_orders FROM big_orders;
SELECT row_to_json(b) FROM big_orders b;
SELECT public.big_orders.id FROM big_orders;
SELECT (b).id FROM big_orders b;
SELECT * FROM ONLY big_orders;
SELECT * FROM big_orders *;
SELECT id FROM big_orders FOR UPDATE;
SELECT * FROM timed_back;
SELECT * FROM kept;
\path public, pg_catalog
SELECT * FROM big_orders;
\path public
INSERT INTO big_orders VALUES (1, 2, 3);
UPDATE big_orders SET sum = 3;
DELETE FROM big_orders;
MERGE INTO big_orders b USING countries c ON false WHEN NOT MATCHED THEN DO NOTHING;
CREATE TABLE copied AS SELECT * FROM big_orders;
COPY big_orders TO STDOUT;
REFRESH MATERIALIZED VIEW kept;
