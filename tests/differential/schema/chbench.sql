-- CH-benCHmark's tables, which are TPC-C's with TPC-H's supplier, nation and region, with rows of our own making (see tpch.sql).
-- PGBRAID_SCALE=N makes N times as many warehouses.
--
-- Sharding: everything of a warehouse is together, as TPC-C's transactions want it, so keys begin with the warehouse; items, and the three
-- tables of TPC-H, are few and the same everywhere. So what joins by the warehouse, stock too, runs on the shards; lines join
-- stock of the supplying warehouse (Q7, Q8, Q9, Q15), and groups by customer or item alone (Q13, Q17), do not.
-- sharded: warehouse w_id
-- sharded: district d_w_id
-- sharded: customer c_w_id
-- sharded: history h_w_id
-- sharded: neworder no_w_id
-- sharded: orders o_w_id
-- sharded: order_line ol_w_id
-- sharded: stock s_w_id
-- reference: item supplier nation region
-- tables
\set scale `echo "${PGBRAID_SCALE:-1}"`
CREATE TABLE warehouse (w_id int PRIMARY KEY, w_name varchar(10), w_state char(2), w_tax decimal(4,4), w_ytd decimal(12,2));
CREATE TABLE district (d_id int, d_w_id int NOT NULL, d_name varchar(10), d_state char(2), d_tax decimal(4,4), d_ytd decimal(12,2), d_next_o_id int, PRIMARY KEY (d_w_id, d_id));
CREATE TABLE customer (c_id int, c_d_id int, c_w_id int NOT NULL, c_first varchar(16), c_last varchar(16), c_city varchar(20), c_state char(2), c_phone char(16), c_since timestamp, c_credit char(2),
    c_balance decimal(12,2), PRIMARY KEY (c_w_id, c_d_id, c_id));
CREATE TABLE history (h_id bigint, h_c_id int, h_c_d_id int, h_c_w_id int, h_d_id int, h_w_id int NOT NULL, h_date timestamp, h_amount decimal(6,2), PRIMARY KEY (h_w_id, h_id));
CREATE TABLE neworder (no_o_id int, no_d_id int, no_w_id int NOT NULL, PRIMARY KEY (no_w_id, no_d_id, no_o_id));
CREATE TABLE orders (o_id int, o_d_id int, o_w_id int NOT NULL, o_c_id int, o_entry_d timestamp, o_carrier_id int, o_ol_cnt int, PRIMARY KEY (o_w_id, o_d_id, o_id));
CREATE TABLE order_line (ol_o_id int, ol_d_id int, ol_w_id int NOT NULL, ol_number int, ol_i_id int, ol_supply_w_id int, ol_delivery_d timestamp, ol_quantity int, ol_amount decimal(6,2),
    PRIMARY KEY (ol_w_id, ol_d_id, ol_o_id, ol_number));
CREATE TABLE stock (s_i_id int, s_w_id int NOT NULL, s_quantity int, s_ytd int, s_order_cnt int, s_data varchar(50), PRIMARY KEY (s_w_id, s_i_id));
CREATE TABLE item (i_id int PRIMARY KEY, i_name varchar(24), i_price decimal(5,2), i_data varchar(50));
CREATE TABLE region (r_regionkey int PRIMARY KEY, r_name char(55), r_comment char(152));
CREATE TABLE nation (n_nationkey int PRIMARY KEY, n_name char(25), n_regionkey int, n_comment char(152));
CREATE TABLE supplier (su_suppkey int PRIMARY KEY, su_name char(25), su_address varchar(40), su_nationkey int, su_phone char(15), su_acctbal decimal(12,2), su_comment char(101));
CREATE FUNCTION pg_temp.draw(i bigint, kind int, n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT ((hashint8extended(i, kind) & 2147483647) % n)::int';
CREATE FUNCTION pg_temp.pick(i bigint, kind int, words text[]) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT words[1 + pg_temp.draw(i, kind, cardinality(words))]';
INSERT INTO region SELECT o, name, 'region ' || o FROM unnest('{Africa,America,Asia,Europe,Australia}'::text[]) WITH ORDINALITY r(name, o);
-- A nation's key is the letter that the states of its customers begin with.
INSERT INTO nation SELECT 65 + i, CASE i WHEN 3 THEN 'Germany' WHEN 7 THEN 'Cambodia' ELSE 'Nation ' || chr(65 + i) END, CASE i WHEN 3 THEN 4 WHEN 7 THEN 3 ELSE 1 + i % 5 END, 'nation ' || i FROM generate_series(0, 11) i;
INSERT INTO supplier SELECT i, 'Supplier ' || lpad(i::text, 5, '0'), 'address ' || pg_temp.draw(i, 30, 1000), 65 + pg_temp.draw(i, 31, 12), 10 + i % 25 || '-' || 1000 + pg_temp.draw(i, 32, 9000), pg_temp.draw(i, 33, 1000000) / 100.0,
    pg_temp.pick(i, 34, '{good,bad,slow,quick}') || ' service' FROM generate_series(0, 9999) i WHERE i <= 600 * :scale;
INSERT INTO item SELECT i, 'item ' || i, (100 + pg_temp.draw(i, 40, 9900)) / 100.0, pg_temp.pick(i, 41, '{PR,co,zz,ab,cd}') || pg_temp.draw(i, 42, 1000) || pg_temp.pick(i, 43, '{a,b,c,BB}') FROM generate_series(1, 100) i;
INSERT INTO warehouse SELECT w, 'house ' || w, chr(65 + w % 12) || 'x', w % 20 / 100.0, 300000 FROM generate_series(1, 6 * :scale) w;
INSERT INTO district SELECT d, w, 'd' || d, chr(65 + d) || 'y', d / 100.0, 30000, 31 FROM generate_series(1, 6 * :scale) w, generate_series(1, 3) d;
INSERT INTO stock SELECT i, w, 10 + pg_temp.draw(w * 1000 + i, 50, 91), pg_temp.draw(w * 1000 + i, 51, 100), pg_temp.draw(w * 1000 + i, 52, 50), 'data' FROM generate_series(1, 6 * :scale) w, generate_series(1, 100) i;
INSERT INTO customer SELECT c, d, w, 'first ' || c, pg_temp.pick(k, 60, '{BAR,OUGHT,ABLE,PRI,PRES,ESE,ANTI,CALLY,ATION,EING}') || pg_temp.pick(k, 61, '{BAR,OUGHT,ABLE,PRI}'), 'city ' || pg_temp.draw(k, 62, 40), chr(65 + pg_temp.draw(k, 63, 12)) || 'z',
    (1 + pg_temp.draw(k, 64, 9)) || '23-' || pg_temp.draw(k, 65, 10000), timestamp '2006-01-01' + k * interval '3 hours', pg_temp.pick(k, 66, '{GC,BC}'), (pg_temp.draw(k, 67, 200000) - 50000) / 100.0
    FROM (SELECT c, d, w, w * 10000 + d * 1000 + c AS k FROM generate_series(1, 6 * :scale) w, generate_series(1, 3) d, generate_series(1, 30) c) s;
INSERT INTO history SELECT c_w_id * 10000 + c_d_id * 1000 + c_id, c_id, c_d_id, c_w_id, c_d_id, c_w_id, c_since, 10 FROM customer;
INSERT INTO orders SELECT o, d, w, 1 + pg_temp.draw(k, 70, 20), timestamp '2006-06-01' + pg_temp.draw(k, 71, 2600) * interval '1 day', CASE WHEN o <= 22 THEN 1 + pg_temp.draw(k, 72, 10) END, 5 + pg_temp.draw(k, 73, 6)
    FROM (SELECT o, d, w, w * 10000 + d * 1000 + o AS k FROM generate_series(1, 6 * :scale) w, generate_series(1, 3) d, generate_series(1, 30) o) s;
INSERT INTO neworder SELECT o_id, o_d_id, o_w_id FROM orders WHERE o_carrier_id IS NULL;
INSERT INTO order_line SELECT o_id, o_d_id, o_w_id, g, 1 + pg_temp.draw(k * 20 + g, 80, 100), CASE pg_temp.draw(k * 20 + g, 81, 5) WHEN 0 THEN 1 + pg_temp.draw(k, 82, 6) ELSE o_w_id END,
    CASE WHEN o_carrier_id IS NOT NULL THEN o_entry_d + pg_temp.draw(k * 20 + g, 83, 9) * interval '1 day' - interval '1 day' END, 1 + pg_temp.draw(k * 20 + g, 84, 10), pg_temp.draw(k * 20 + g, 85, 999999) / 100.0
    FROM (SELECT *, o_w_id::bigint * 10000 + o_d_id * 1000 + o_id AS k FROM orders) o, generate_series(1, 15) g WHERE g <= o_ol_cnt;
