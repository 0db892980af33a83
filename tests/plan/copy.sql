-- COPY: rows to the shard of their key, and the shards' rows one behind the other.

-- in
COPY customers FROM STDIN;
COPY customers (name, id) FROM STDIN;
COPY customers (name) FROM STDIN;
COPY public.customers (id, nonsense) FROM STDIN;
COPY customers FROM STDIN WITH (FORMAT csv, HEADER, DELIMITER ';', NULL 'nil', QUOTE '''', ESCAPE '\');
COPY customers FROM STDIN CSV HEADER DELIMITER '|' NULL 'x' FORCE NOT NULL name;
COPY customers FROM STDIN (FORMAT csv, HEADER match, FORCE_NULL (name));
COPY customers FROM STDIN (FORMAT csv, HEADER false, FORCE_NOT_NULL (name, id));
COPY customers FROM STDIN (FORMAT csv, HEADER 0, FREEZE);
COPY customers FROM STDIN (FORMAT csv, HEADER on, FORCE_QUOTE *);
COPY customers FROM STDIN WITH BINARY;
COPY BINARY customers FROM STDIN;
COPY customers FROM STDIN (ENCODING 'utf8');
COPY customers FROM STDIN (ENCODING 'latin1');
COPY customers FROM STDIN (DEFAULT '\D');
COPY customers FROM STDIN (ON_ERROR ignore);
COPY customers FROM STDIN WHERE country = 'de';
COPY customers FROM STDIN WHERE id < random() * 10;
COPY customers FROM STDIN WHERE name = now()::text;
COPY customers FROM STDIN WHERE id < reads_orders();
COPY customers FROM STDIN WHERE name > 'now'::timestamp::text;
COPY orders FROM STDIN;
COPY lines (qty, n, order_id, customer_id) FROM STDIN;
COPY docs FROM STDIN;
COPY tags FROM STDIN;
COPY amounts (v, n) FROM STDIN;
COPY events FROM STDIN;
COPY events (v, region, tenant) FROM STDIN;
COPY events (tenant) FROM STDIN;
COPY ranged FROM STDIN BINARY;
COPY parts FROM STDIN;
COPY blurred FROM STDIN;
COPY keydefault (v) FROM STDIN;
COPY misplaced FROM STDIN;
-- P45: defaults
COPY serials FROM STDIN;
COPY serials (customer_id, made, token) FROM STDIN;
COPY serials (customer_id, id, token) FROM STDIN;
COPY serials (customer_id, id, made) FROM STDIN;
-- generated columns are not in the data
COPY stamped FROM STDIN;
COPY stamped (label, customer_id, made) FROM STDIN;
-- P20, P43: code behind the table
COPY trig_safe FROM STDIN;
COPY trig_bad FROM STDIN;
COPY trig_statement FROM STDIN;
COPY ruled FROM STDIN;
COPY rls_good FROM STDIN;
COPY checked FROM STDIN;
COPY opaque_default FROM STDIN;
COPY opaque_default (id) FROM STDIN;
COPY order_totals FROM STDIN;
-- P42: reference tables
COPY countries FROM STDIN;
COPY countries FROM STDIN (ENCODING 'latin1', DEFAULT 'x');
COPY countries FROM STDIN WHERE population > random();
COPY refserial FROM STDIN;
COPY refserial (v) FROM STDIN;
COPY refmoment (id) FROM STDIN;
-- unsharded
COPY settings FROM STDIN CSV;
COPY settings FROM STDIN (ENCODING 'latin1');
COPY audit (what) FROM STDIN;
COPY nonsense FROM STDIN;
COPY hid.orders FROM STDIN;
-- the session's names
\path hid, public
COPY orders FROM STDIN;
\path "$user", public
-- files
COPY customers FROM '/tmp/x';
COPY customers TO '/tmp/x';
COPY customers FROM PROGRAM 'cat';
COPY customers TO PROGRAM 'cat';

-- out
COPY customers TO STDOUT;
COPY customers (name, id) TO STDOUT WITH (FORMAT csv, HEADER, FORCE_QUOTE *);
COPY customers TO STDOUT BINARY;
COPY countries TO STDOUT;
COPY settings TO STDOUT CSV HEADER;
COPY pg_class TO STDOUT;
COPY pg_constraint TO STDOUT;
COPY nonsense TO STDOUT;
COPY order_totals TO STDOUT;
COPY rls_bad TO STDOUT;
COPY misplaced TO STDOUT;
COPY (SELECT * FROM customers) TO STDOUT;
COPY (SELECT * FROM customers WHERE id = 5) TO STDOUT (HEADER);
COPY (SELECT * FROM customers WHERE id = 6) TO STDOUT (HEADER);
COPY (SELECT * FROM customers ORDER BY id) TO STDOUT;
COPY (SELECT count(*) FROM customers) TO STDOUT;
COPY (SELECT * FROM customers WHERE id = 5 ORDER BY name) TO STDOUT (FORMAT binary);
COPY (SELECT * FROM settings) TO STDOUT (DELIMITER '|');
COPY (SELECT conname FROM pg_constraint) TO STDOUT;
COPY (SELECT 1) TO STDOUT;
COPY (VALUES (1), (2)) TO STDOUT;
COPY (SELECT * INTO y FROM settings) TO STDOUT;
COPY (UPDATE customers SET name = 'x' RETURNING id) TO STDOUT;
COPY (UPDATE countries SET name = 'x' RETURNING code) TO STDOUT;
COPY (INSERT INTO customers (id) VALUES (1), (2), (3) RETURNING id) TO STDOUT;
COPY (DELETE FROM settings RETURNING *) TO STDOUT;
COPY customers TO STDOUT (FORMAT json);
COPY customers TO STDOUT (NEW_OPTION 'x');
