-- The time in the place of the clock (rule X22): the text that more than one shard gets.

SELECT now() FROM orders WHERE customer_id = 5;
SELECT now(), now ( ), pg_catalog.now() /* now() */, 'now()', "now" FROM (SELECT 1 AS "now") x, orders WHERE customer_id = 5;
SELECT Current_Timestamp(3), CURRENT_DATE, current_time, localtime ( 2 ), LOCALTIMESTAMP, transaction_timestamp();
SELECT now()::date, now() AS x, (now()), now() + interval '1 day', coalesce(now(), now()), date_trunc('day', now());
SELECT CASE WHEN now() > 'x' THEN 1 END FROM orders WHERE customer_id = 5 AND now() > current_date ORDER BY now() - now();
UPDATE orders SET item = now()::text WHERE customer_id = 5 RETURNING now();
UPDATE orders SET (item, order_id) = (now()::text, 1) WHERE customer_id = 5;
DELETE FROM orders WHERE customer_id = 5 AND CURRENT_TIMESTAMP IS NOT NULL;
WITH w AS (SELECT now() AS n) SELECT * FROM w, orders WHERE customer_id = 5;
EXPLAIN SELECT now();
SELECT * FROM generate_series(now(), now() + interval '1 day', '1 hour') g;
SELECT * FROM now();
SELECT age('2000-01-01'::date);
SELECT 'now'::date;
SELECT statement_timestamp();

-- defaults
INSERT INTO refmoment (id) VALUES (1);
INSERT INTO refmoment VALUES (1), (2);
INSERT INTO refmoment VALUES (2, DEFAULT), (3, now());
INSERT INTO refmoment VALUES (1), (2, DEFAULT), (3, now());
INSERT INTO refmoment (id, made) VALUES (1);
INSERT INTO refmoment (id) VALUES (1, now());
INSERT INTO refmoment (made, id) VALUES (DEFAULT, 1), (now(), 2);
INSERT INTO refmoment AS values (id) VALUES (1), ((2)), (3) ON CONFLICT DO NOTHING RETURNING made;
INSERT INTO refmoment ("id" /* ) */) VALUES ($1), ($2);
INSERT INTO refmoment (id) SELECT 1;
INSERT INTO refmoment DEFAULT VALUES;
UPDATE refmoment SET made = DEFAULT, id = 1;
UPDATE refmoment SET (made, id) = (DEFAULT, 1);
INSERT INTO refmoment (id, made) VALUES (1, '2000-01-01') ON CONFLICT (id) DO UPDATE SET made = DEFAULT;
INSERT INTO refmoment (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET (made, id) = ROW(DEFAULT, 1);
