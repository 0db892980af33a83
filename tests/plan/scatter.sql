-- Several shards: only statements that are the sum over one table's rows, everything else following its key.

SELECT * FROM orders;
SELECT customer_id, lower(item), to_char(at, 'YYYY') FROM orders WHERE total > 10 AND item LIKE 'a%';
SELECT * FROM orders WHERE customer_id IN (1, 2, 3) AND item = 'x';
SELECT o.item, l.qty FROM orders o JOIN lines l ON l.customer_id = o.customer_id AND l.order_id = o.id;
SELECT o.item, l.qty FROM orders o JOIN lines l USING (customer_id);
SELECT c.name, o.item FROM customers c LEFT JOIN orders o ON o.customer_id = c.id;
SELECT c.name, o.item FROM orders o RIGHT JOIN customers c ON o.customer_id = c.id;
SELECT c.name, x.name FROM customers c JOIN countries x ON x.code = c.country;
SELECT c.name, x.name FROM customers c LEFT JOIN countries x ON x.code = c.country WHERE c.id IN (1, 2);
SELECT * FROM customers, products;
SELECT * FROM customers c, generate_series(1, 3) g;
SELECT * FROM customers c CROSS JOIN (VALUES (1), (2)) v (n);
SELECT * FROM customers WHERE country IN (SELECT code FROM countries WHERE population > 10);
SELECT * FROM customers WHERE country = (SELECT max(code) FROM countries);
SELECT * FROM customers c WHERE EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id);
SELECT * FROM customers c WHERE NOT EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id);
SELECT * FROM customers c WHERE c.id IN (SELECT customer_id FROM orders);
SELECT c.*, (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) AS n FROM customers c;
SELECT * FROM customers c JOIN LATERAL (SELECT max(total) FROM orders o WHERE o.customer_id = c.id) m ON true;
SELECT * FROM customers c JOIN LATERAL (SELECT * FROM orders o WHERE o.customer_id = c.id ORDER BY total LIMIT 3) m ON true;
SELECT * FROM customers c JOIN (SELECT customer_id, count(*) FROM orders GROUP BY customer_id) t ON t.customer_id = c.id;
SELECT * FROM (SELECT id, name FROM customers WHERE name <> '') s WHERE s.name < 'm';
WITH s AS (SELECT * FROM orders WHERE total > 5) SELECT * FROM s;
SELECT * FROM rls_good;
SELECT unnest(ARRAY[1, 2]), id FROM customers;
SELECT current_user, current_setting('TimeZone'), id FROM customers;
SELECT * FROM events e JOIN notes n USING (tenant, region);
-- no rows of the answer are made twice, but these are not sums over rows
SELECT count(*) FROM orders;
SELECT sum(total) FROM orders HAVING sum(total) > 5;
SELECT item FROM orders GROUP BY item;
SELECT customer_id, count(*) FROM orders GROUP BY customer_id;
SELECT DISTINCT item FROM orders;
SELECT DISTINCT ON (item) item FROM orders;
SELECT * FROM orders ORDER BY id;
SELECT * FROM orders LIMIT 2;
SELECT * FROM orders OFFSET 2;
SELECT * FROM orders FETCH FIRST 2 ROWS WITH TIES;
SELECT rank() OVER (ORDER BY id) FROM orders;
SELECT sum(total) OVER w FROM orders WINDOW w AS (PARTITION BY customer_id);
SELECT own_sum(1) FROM orders;
SELECT coalesce(sum(total), 0) FROM orders;
SELECT item FROM orders UNION ALL SELECT name FROM customers;
SELECT item FROM orders UNION SELECT name FROM products;
SELECT grouping(item) FROM orders GROUP BY ROLLUP (item);
SELECT * FROM orders FOR UPDATE;
SELECT * FROM orders WHERE id = 5 FOR UPDATE SKIP LOCKED;
SELECT * FROM (SELECT * FROM orders LIMIT 5) s;
SELECT * FROM (SELECT DISTINCT item FROM orders) s;
SELECT * FROM customers c WHERE c.id > (SELECT avg(customer_id) FROM orders);
SELECT * FROM customers c WHERE c.name IN (SELECT item FROM orders);
SELECT * FROM customers c WHERE c.id NOT IN (SELECT customer_id FROM orders);
SELECT * FROM customers a, customers b;
SELECT * FROM customers a JOIN customers b ON a.parent_id = b.id;
SELECT * FROM orders o JOIN lines l ON l.order_id = o.id;
SELECT * FROM events e JOIN notes n USING (tenant);
SELECT * FROM docs d JOIN codes c ON c.code = d.key;
-- an aggregate in a sub-query that belongs to the outer level
SELECT (SELECT count(c.id)) FROM customers c;
SELECT (SELECT count(c.id) FROM orders o WHERE o.customer_id = c.id) FROM customers c;
SELECT (SELECT count(o.id + c.id) FROM orders o WHERE o.customer_id = c.id) FROM customers c;

-- P21: rows of a reference table must not come once from each shard
SELECT * FROM countries x LEFT JOIN customers c ON c.country = x.code;
SELECT * FROM customers c RIGHT JOIN countries x ON c.country = x.code;
SELECT * FROM countries x FULL JOIN customers c ON c.country = x.code;
SELECT * FROM countries x WHERE NOT EXISTS (SELECT FROM customers c WHERE c.country = x.code);
SELECT * FROM countries x WHERE EXISTS (SELECT FROM customers c WHERE c.country = x.code);
SELECT code FROM countries UNION ALL SELECT country FROM customers;
SELECT (SELECT count(*) FROM customers);
SELECT * FROM (VALUES (1)) v (n) LEFT JOIN customers c ON c.id = v.n;
SELECT * FROM generate_series(1, 3) g LEFT JOIN customers c ON c.id = g;
SELECT EXISTS (SELECT FROM customers);
SELECT * FROM countries x JOIN customers c ON c.country = x.code LEFT JOIN orders o ON o.customer_id = c.id;
SELECT * FROM countries x LEFT JOIN (customers c JOIN orders o ON o.customer_id = c.id) ON c.country = x.code;
SELECT * FROM customers c FULL JOIN orders o ON o.customer_id = c.id;
-- a key group that leaves one shard still says it all
SELECT * FROM countries x LEFT JOIN customers c ON c.country = x.code AND c.id = 5;
SELECT * FROM countries x WHERE NOT EXISTS (SELECT FROM customers c WHERE c.country = x.code AND c.id = 5);

-- P1: each shard has its own clock and dice
SELECT now(), id FROM customers;
SELECT * FROM orders WHERE at < CURRENT_TIMESTAMP;
SELECT * FROM orders WHERE at < 'now';
SELECT * FROM orders WHERE at > date 'yesterday 10:00';
SELECT * FROM orders WHERE item = 'I know nothing';
SELECT random(), id FROM customers;
SELECT * FROM customers WHERE random() < 0.1;
SELECT * FROM orders WHERE age(at) > '1 day';
SELECT * FROM customers TABLESAMPLE BERNOULLI (10);
SELECT current_date, count(*) FROM orders WHERE customer_id = 5;

-- P26: system columns are about one server
SELECT ctid, * FROM orders WHERE customer_id = 5;
SELECT ctid, * FROM orders;
SELECT tableoid::regclass, id FROM orders;
SELECT o.xmin FROM orders o;
DELETE FROM orders WHERE ctid IN (SELECT ctid FROM orders LIMIT 10);
UPDATE orders SET item = 'x' WHERE customer_id = 5 AND xmin = '123';
SELECT ctid FROM countries;

-- a LIMIT in a sub-query picks other rows of a reference table on each shard
SELECT * FROM customers WHERE country IN (SELECT code FROM countries LIMIT 3);
SELECT * FROM customers WHERE country IN (SELECT DISTINCT ON (population) code FROM countries);

-- unsharded tables and catalogs are on the home shard only
SELECT * FROM customers c JOIN settings s ON s.name = c.name WHERE c.id = 5;
SELECT * FROM orders WHERE customer_id = 5 AND item IN (SELECT name FROM settings);
SELECT * FROM customers c, pg_class WHERE c.id = 5;
SELECT * FROM customers c, information_schema.tables WHERE c.id = 5;

-- partitions are where their parent's rows are
SELECT * FROM parts WHERE customer_id = 5;
SELECT count(*) FROM parts_low WHERE customer_id = 5;
SELECT count(*) FROM parts_low;

-- gathered, but a shard can leave out rows that go with none of a table beside them
SELECT c.name FROM customers c JOIN orders o ON o.customer_id = c.id JOIN customers d ON d.name = o.item WHERE c.country = 'DE' AND o.total > 3;
SELECT c.name FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.total > 3 JOIN customers d ON d.name = o.item WHERE c.country = 'DE';
SELECT c.name FROM customers c JOIN customers d ON d.name = c.name WHERE NOT EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id AND o.total > 3);
