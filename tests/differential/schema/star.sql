-- A star: sales, sharded by the customer, with customers beside them; products on shards of their own; stores and days everywhere;
-- suppliers, a dimension of a dimension, on the home shard only. Sales without some dimension, or with one that is not there, and
-- dimensions without sales, so that outer joins fill on both sides.
-- sharded: sales s_customer
-- sharded: customers c_id
-- sharded: products p_id
-- reference: stores days
-- tables
CREATE TABLE customers (c_id int PRIMARY KEY, c_name text, c_city text);
CREATE TABLE products (p_id int PRIMARY KEY, p_name text, p_kind text, p_supplier int);
CREATE TABLE stores (t_id int PRIMARY KEY, t_city text, t_size int);
CREATE TABLE days (d_id int PRIMARY KEY, d_month int, d_weekday text);
CREATE TABLE suppliers (u_id int PRIMARY KEY, u_name text);
CREATE TABLE sales (s_customer int NOT NULL, s_id int NOT NULL, s_product int, s_store int, s_day int, s_qty int, s_price numeric(8,2), PRIMARY KEY (s_customer, s_id));
INSERT INTO customers SELECT i, 'customer ' || i, (ARRAY['Ulm', 'Bonn', 'Kiel'])[1 + i % 3] FROM generate_series(3, 36) i;
INSERT INTO products SELECT i, 'product ' || i, (ARRAY['pen', 'ink', NULL])[1 + i % 3], NULLIF(i % 4, 3) FROM generate_series(1, 18) i;
INSERT INTO stores SELECT i, (ARRAY['Ulm', 'Bonn', 'Kiel'])[1 + i % 3], i * 10 FROM generate_series(1, 5) i;
INSERT INTO days SELECT i, 1 + i / 10, (ARRAY['Mon', 'Tue', 'Wed'])[1 + i % 3] FROM generate_series(1, 30) i;
INSERT INTO suppliers SELECT i, 'supplier ' || i FROM generate_series(0, 4) i;
INSERT INTO sales SELECT 1 + i * 7 % 34, i, NULLIF(1 + i * 5 % 20, 7), NULLIF(1 + i % 6, 3), NULLIF(1 + i * 11 % 33, 9), 1 + i % 5, i % 40 * 1.25 FROM generate_series(1, 150) i;
