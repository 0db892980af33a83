-- TPC-H's tables with rows of our own making: numbers from PostgreSQL's hash of the row's number, so that they are the same
-- everywhere; texts and ranges as the specification wants them where a query looks at them. PGBRAID_SCALE=N makes N times as
-- many rows (1: 300 customers, 3,000 orders; 500 is the specification's scale factor 1).
--
-- Sharding: an order and its lines belong together and are the bulk of the rows, so both by the order's key; a part and its
-- suppliers' offers by the part's key; customers by their own, which no order's place follows. Suppliers are few, change seldom and are in
-- most joins: a reference table, as nation and region. So lines meet their parts, and orders their customers, on other shards.
--
-- At a small scale some queries would find nothing: every 8th part is made for Q2, Q8, Q17, Q19 and Q20, every 50th order for Q18.
-- sharded: orders o_orderkey
-- sharded: lineitem l_orderkey
-- sharded: part p_partkey
-- sharded: partsupp ps_partkey
-- sharded: customer c_custkey
-- reference: supplier nation region
-- tables
\set scale `echo "${PGBRAID_SCALE:-1}"`
CREATE TABLE region (r_regionkey int PRIMARY KEY, r_name char(25) NOT NULL, r_comment varchar(152));
CREATE TABLE nation (n_nationkey int PRIMARY KEY, n_name char(25) NOT NULL, n_regionkey int NOT NULL, n_comment varchar(152));
CREATE TABLE supplier (s_suppkey int PRIMARY KEY, s_name char(25) NOT NULL, s_address varchar(40) NOT NULL, s_nationkey int NOT NULL, s_phone char(15) NOT NULL,
    s_acctbal decimal(15,2) NOT NULL, s_comment varchar(101) NOT NULL);
CREATE TABLE customer (c_custkey int PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL, c_nationkey int NOT NULL, c_phone char(15) NOT NULL,
    c_acctbal decimal(15,2) NOT NULL, c_mktsegment char(10) NOT NULL, c_comment varchar(117) NOT NULL);
CREATE TABLE part (p_partkey int PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr char(25) NOT NULL, p_brand char(10) NOT NULL, p_type varchar(25) NOT NULL, p_size int NOT NULL,
    p_container char(10) NOT NULL, p_retailprice decimal(15,2) NOT NULL, p_comment varchar(23) NOT NULL);
CREATE TABLE partsupp (ps_partkey int NOT NULL, ps_suppkey int NOT NULL, ps_availqty int NOT NULL, ps_supplycost decimal(15,2) NOT NULL, ps_comment varchar(199) NOT NULL,
    PRIMARY KEY (ps_partkey, ps_suppkey));
CREATE TABLE orders (o_orderkey bigint PRIMARY KEY, o_custkey int NOT NULL, o_orderstatus char(1) NOT NULL, o_totalprice decimal(15,2) NOT NULL, o_orderdate date NOT NULL,
    o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL, o_shippriority int NOT NULL, o_comment varchar(79) NOT NULL);
CREATE TABLE lineitem (l_orderkey bigint NOT NULL, l_partkey int NOT NULL, l_suppkey int NOT NULL, l_linenumber int NOT NULL, l_quantity decimal(15,2) NOT NULL,
    l_extendedprice decimal(15,2) NOT NULL, l_discount decimal(15,2) NOT NULL, l_tax decimal(15,2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL,
    l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL,
    PRIMARY KEY (l_orderkey, l_linenumber));
-- The i-th number drawn of a kind: from 0 to below n.
CREATE FUNCTION pg_temp.draw(i bigint, kind int, n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT ((hashint8extended(i, kind) & 2147483647) % n)::int';
CREATE FUNCTION pg_temp.pick(i bigint, kind int, words text[]) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT words[1 + pg_temp.draw(i, kind, cardinality(words))]';
CREATE FUNCTION pg_temp.words(i bigint, kind int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT string_agg(pg_temp.pick(i, kind + g,
    '{special,regular,express,final,ironic,bold,quick,silent,even,packages,requests,deposits,accounts,theodolites,Customer,Complaints,about,slyly,blithely}'), ' ' ORDER BY g)
    FROM generate_series(1, 4) g $$;
-- The supplier of a part's j-th offer: the specification's formula, which gives four different ones.
CREATE FUNCTION pg_temp.supplier(part bigint, j bigint, suppliers bigint) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT ((part + j * (suppliers / 4 + (part - 1) / suppliers)) % suppliers + 1)::int';
INSERT INTO region SELECT o - 1, name, pg_temp.words(o, 10) FROM unnest('{AFRICA,AMERICA,ASIA,EUROPE,MIDDLE EAST}'::text[]) WITH ORDINALITY r(name, o);
INSERT INTO nation SELECT o - 1, name, ('{0,1,1,1,4,0,3,3,2,2,4,4,2,4,0,0,0,1,2,3,4,2,3,3,1}'::int[])[o], pg_temp.words(o, 20)
    FROM unnest('{ALGERIA,ARGENTINA,BRAZIL,CANADA,EGYPT,ETHIOPIA,FRANCE,GERMANY,INDIA,INDONESIA,IRAN,IRAQ,JAPAN,JORDAN,KENYA,MOROCCO,MOZAMBIQUE,PERU,CHINA,ROMANIA,SAUDI ARABIA,VIETNAM,RUSSIA,UNITED KINGDOM,UNITED STATES}'::text[])
    WITH ORDINALITY n(name, o);
INSERT INTO supplier SELECT i, 'Supplier#' || lpad(i::text, 9, '0'), 'address ' || pg_temp.draw(i, 30, 100000), n, 10 + n || '-' || 100 + pg_temp.draw(i, 32, 900) || '-' || 1000 + pg_temp.draw(i, 33, 9000),
    (pg_temp.draw(i, 34, 1099998) - 99999) / 100.0, pg_temp.words(i, 35) FROM (SELECT i, i % 25 AS n FROM generate_series(1, 25 * :scale) i) s;
INSERT INTO customer SELECT i, 'Customer#' || lpad(i::text, 9, '0'), 'address ' || pg_temp.draw(i, 40, 100000), n, 10 + n || '-' || 100 + pg_temp.draw(i, 42, 900) || '-' || 1000 + pg_temp.draw(i, 43, 9000),
    (pg_temp.draw(i, 44, 1099998) - 99999) / 100.0, pg_temp.pick(i, 45, '{AUTOMOBILE,BUILDING,FURNITURE,MACHINERY,HOUSEHOLD}'), pg_temp.words(i, 46)
    FROM (SELECT i, pg_temp.draw(i, 41, 25) AS n FROM generate_series(1, 300 * :scale) i) c;
INSERT INTO part SELECT i, CASE WHEN made = 5 THEN 'forest ' ELSE '' END || pg_temp.pick(i, 50, '{almond,azure,blue,chocolate,forest,green,ivory,lemon,navy,olive,peru,red}') || ' ' || pg_temp.pick(i, 51, '{green,linen,maroon,orchid,plum,rose,sky}'),
    'Manufacturer#' || 1 + pg_temp.draw(i, 52, 5),
    CASE made WHEN 2 THEN 'Brand#23' WHEN 3 THEN 'Brand#12' ELSE 'Brand#' || 1 + pg_temp.draw(i, 52, 5) || 1 + pg_temp.draw(i, 53, 5) END,
    CASE made WHEN 0 THEN 'SMALL PLATED BRASS' WHEN 1 THEN 'ECONOMY ANODIZED STEEL' ELSE pg_temp.pick(i, 54, '{STANDARD,SMALL,MEDIUM,LARGE,ECONOMY,PROMO}') || ' ' || pg_temp.pick(i, 55, '{ANODIZED,BURNISHED,PLATED,POLISHED,BRUSHED}') || ' ' || pg_temp.pick(i, 56, '{TIN,NICKEL,BRASS,STEEL,COPPER}') END,
    CASE made WHEN 0 THEN 15 WHEN 3 THEN 1 + pg_temp.draw(i, 57, 5) ELSE 1 + pg_temp.draw(i, 57, 50) END,
    CASE made WHEN 2 THEN 'MED BOX' WHEN 3 THEN 'SM PKG' ELSE pg_temp.pick(i, 58, '{SM,LG,MED,JUMBO,WRAP}') || ' ' || pg_temp.pick(i, 59, '{CASE,BOX,BAG,JAR,PKG,PACK,CAN,DRUM}') END,
    (90000 + (i / 10) % 20001 + 100 * (i % 1000)) / 100.0, pg_temp.words(i, 60)::varchar(23) FROM (SELECT i, CASE WHEN i % 8 = 0 THEN i / 8 % 6 END AS made FROM generate_series(1, 400 * :scale) i) p;
INSERT INTO partsupp SELECT i, pg_temp.supplier(i, j, 25 * :scale), 1 + pg_temp.draw(i * 4 + j, 70, 9999), (100 + pg_temp.draw(i * 4 + j, 71, 99901)) / 100.0, pg_temp.words(i * 4 + j, 72)
    FROM generate_series(1, 400 * :scale) i, generate_series(0, 3) j;
-- Two of three customers have orders. Keys have gaps, as the specification's.
CREATE TEMP TABLE o AS SELECT i, i / 8 * 32 + i % 8 AS key, made, date '1992-01-01' + pg_temp.draw(i, 80, 2406) AS day, 1 + CASE WHEN made THEN 6 ELSE pg_temp.draw(i, 81, 7) END AS n
    FROM (SELECT i, i % 50 = 0 AS made FROM generate_series(1, 3000 * :scale) i) o;
INSERT INTO lineitem SELECT key, part, pg_temp.supplier(part, pg_temp.draw(l, 90, 4), 25 * :scale), g, quantity, quantity * (90000 + (part / 10) % 20001 + 100 * (part % 1000)) / 100.0,
    pg_temp.draw(l, 92, 11) / 100.0, pg_temp.draw(l, 93, 9) / 100.0, CASE WHEN received <= date '1995-06-17' THEN pg_temp.pick(l, 94, '{R,A}') ELSE 'N' END, CASE WHEN shipped > date '1995-06-17' THEN 'O' ELSE 'F' END,
    shipped, day + 30 + pg_temp.draw(l, 95, 61), received, pg_temp.pick(l, 96, '{DELIVER IN PERSON,COLLECT COD,NONE,TAKE BACK RETURN}'), pg_temp.pick(l, 97, '{REG AIR,AIR,RAIL,SHIP,TRUCK,MAIL,FOB}'), pg_temp.words(l, 98)::varchar(44)
    FROM (SELECT *, shipped + 1 + pg_temp.draw(l, 85, 30) AS received FROM (SELECT o.*, g, i * 8 + g AS l, day + 1 + pg_temp.draw(i * 8 + g, 86, 121) AS shipped, 1 + pg_temp.draw(i * 8 + g, 87, 400 * :scale)::bigint AS part,
        CASE WHEN made THEN 44 + pg_temp.draw(i * 8 + g, 88, 7) ELSE 1 + pg_temp.draw(i * 8 + g, 88, 50) END AS quantity FROM o, generate_series(1, 7) g WHERE g <= n) s) l;
INSERT INTO orders SELECT key, c - c % 3 + c % 3 % 2 + 1, CASE count(*) FILTER (WHERE l_linestatus = 'O') WHEN 0 THEN 'F' WHEN count(*) THEN 'O' ELSE 'P' END, round(sum(l_extendedprice * (1 + l_tax) * (1 - l_discount)), 2), day,
    pg_temp.pick(i, 101, '{1-URGENT,2-HIGH,3-MEDIUM,4-NOT SPECIFIED,5-LOW}'), 'Clerk#' || lpad(pg_temp.draw(i, 102, 1000)::text, 9, '0'), 0, pg_temp.words(i, 103)
    FROM (SELECT *, pg_temp.draw(i, 100, 299 * :scale) AS c FROM o) o JOIN lineitem ON l_orderkey = key GROUP BY i, key, day, c;
