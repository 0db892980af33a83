-- The schema that the plan tests are about. pgbraid.tables is filled by hand: no router is running.
CREATE ROLE alice LOGIN;
CREATE SCHEMA hid;
CREATE SCHEMA alice AUTHORIZATION alice;
GRANT USAGE ON SCHEMA public TO PUBLIC;

CREATE TABLE customers (id bigint PRIMARY KEY, name text, country text, parent_id bigint);
CREATE TABLE orders (customer_id bigint NOT NULL, id bigint NOT NULL, item text, total numeric, at timestamptz,
                     PRIMARY KEY (customer_id, id));
CREATE TABLE lines (customer_id integer NOT NULL, order_id bigint NOT NULL, n int NOT NULL, qty int,
                    PRIMARY KEY (customer_id, order_id, n));
CREATE TABLE docs (key text PRIMARY KEY, body text);
CREATE TABLE tags (name varchar(10) PRIMARY KEY, v int);
CREATE TABLE codes (code char(5) PRIMARY KEY, v int);
CREATE TABLE files (id uuid PRIMARY KEY, v int);
CREATE TABLE amounts (n numeric(6,2) PRIMARY KEY, v int);
CREATE TABLE days (d date PRIMARY KEY, v int);
CREATE TABLE moments (ts timestamp(3) PRIMARY KEY, v int);
CREATE TABLE events (tenant int NOT NULL, region text NOT NULL, v int, PRIMARY KEY (tenant, region));
CREATE TABLE notes (tenant int NOT NULL, region text NOT NULL, v int, PRIMARY KEY (tenant, region));
CREATE TABLE ranged (id bigint PRIMARY KEY, v int);
CREATE TABLE serials (customer_id bigint NOT NULL, id bigserial, made timestamptz DEFAULT now(), token uuid DEFAULT gen_random_uuid(),
                      PRIMARY KEY (customer_id, id));
CREATE TABLE stamped (customer_id bigint PRIMARY KEY, made timestamptz DEFAULT now(), flag boolean DEFAULT true,
                      token uuid DEFAULT gen_random_uuid(), label text GENERATED ALWAYS AS ('x'::text || flag::text) STORED);
CREATE TABLE parts (customer_id bigint NOT NULL, v int) PARTITION BY RANGE (v);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE halves (customer_id bigint NOT NULL, v int) PARTITION BY RANGE (v);
CREATE TABLE halves_low PARTITION OF halves FOR VALUES FROM (0) TO (10);
CREATE TABLE family (id bigint PRIMARY KEY, v int);
CREATE TABLE child (w int, PRIMARY KEY (id)) INHERITS (family);
CREATE TABLE misplaced (id bigint PRIMARY KEY, CONSTRAINT pgbraid_placement CHECK (id > 0));
CREATE COLLATION nd (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE blurred (key text COLLATE nd PRIMARY KEY, v int);
CREATE TABLE keydefault (id bigint DEFAULT 7 PRIMARY KEY, v int);

CREATE TABLE countries (code text PRIMARY KEY, name text, population bigint);
CREATE TABLE products (id bigint PRIMARY KEY, name text, price numeric);
CREATE TABLE refserial (id serial PRIMARY KEY, v text);
CREATE TABLE refmoment (id bigint PRIMARY KEY, made timestamptz DEFAULT now());

CREATE TABLE settings (name text PRIMARY KEY, value text);
CREATE TABLE audit (id bigserial PRIMARY KEY, what text);
CREATE TABLE hid.orders (customer_id bigint PRIMARY KEY);
CREATE TABLE alice.customers (id bigint PRIMARY KEY, secret text);

CREATE VIEW order_totals AS SELECT customer_id, sum(total) AS total FROM orders GROUP BY customer_id;
CREATE VIEW order_totals_again AS SELECT * FROM order_totals;
CREATE VIEW country_names AS SELECT code, name FROM countries;
CREATE VIEW setting_names AS SELECT name FROM settings;

CREATE VIEW big_orders (k, id, sum) AS SELECT customer_id, id, total FROM orders WHERE total > 100;
CREATE VIEW joined AS SELECT o.id, c.name, n.name AS country FROM orders o JOIN customers c ON c.id = o.customer_id LEFT JOIN countries n ON n.code = c.country;
CREATE VIEW odd_ones AS SELECT id FROM orders UNION SELECT id FROM customers;
CREATE VIEW mixed AS SELECT o.id, s.value FROM orders o JOIN settings s ON s.name = o.item;
CREATE VIEW guarded WITH (security_barrier) AS SELECT * FROM orders;
CREATE VIEW timed AS SELECT id FROM orders WHERE at > now() - '1 day'::interval;
CREATE VIEW timed_back AS SELECT id FROM orders WHERE at > now() + '-1 day -01:00'::interval;
CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM orders WITH NO DATA;
GRANT SELECT ON orders, big_orders TO alice;

CREATE FUNCTION reads_orders() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM orders';
CREATE FUNCTION liar(int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT count(*) FROM orders';
CREATE FUNCTION declared_safe(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION moves_key() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.id := NEW.id + 1; RETURN NEW; END';
CREATE FUNCTION summary(orders) RETURNS text LANGUAGE sql STABLE AS 'SELECT count(*)::text FROM orders';
CREATE AGGREGATE own_sum(int) (sfunc = int4pl, stype = int);
CREATE FUNCTION own_step(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE AGGREGATE own_bad(int) (sfunc = own_step, stype = int, initcond = 0);

CREATE TRIGGER own BEFORE INSERT ON halves_low FOR EACH ROW EXECUTE FUNCTION moves_key();
CREATE TABLE ref_touched (id bigint PRIMARY KEY, at timestamptz);
CREATE TRIGGER touch BEFORE UPDATE ON ref_touched FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TABLE trig_safe (id bigint PRIMARY KEY, v int);
CREATE TRIGGER safe BEFORE UPDATE ON trig_safe FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TABLE trig_bad (id bigint PRIMARY KEY, v int);
CREATE TRIGGER mover BEFORE INSERT ON trig_bad FOR EACH ROW EXECUTE FUNCTION moves_key();
CREATE TABLE trig_statement (id bigint PRIMARY KEY, v int);
CREATE TRIGGER whole AFTER UPDATE ON trig_statement FOR EACH STATEMENT EXECUTE FUNCTION touch_updated_at();
CREATE TABLE ruled (id bigint PRIMARY KEY, v int);
CREATE RULE more AS ON INSERT TO ruled DO ALSO INSERT INTO customers (id) VALUES (NEW.id + 100);
CREATE TABLE rls_good (id bigint PRIMARY KEY, owner text);
ALTER TABLE rls_good ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON rls_good USING (owner = current_user);
CREATE TABLE rls_bad (id bigint PRIMARY KEY, owner text);
ALTER TABLE rls_bad ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON rls_bad USING (EXISTS (SELECT FROM customers c WHERE c.id = rls_bad.id));
CREATE TABLE checked (id bigint PRIMARY KEY, v int CHECK (liar(v) > 0));
CREATE TABLE opaque_default (id bigint PRIMARY KEY, v bigint DEFAULT reads_orders());
CREATE VIEW policed AS SELECT * FROM rls_good;
CREATE VIEW policed_caller WITH (security_invoker = on) AS SELECT * FROM rls_good;
CREATE VIEW calling AS SELECT id, declared_safe(v) AS v, liar(v) AS l FROM ranged;
CREATE VIEW calling_safe AS SELECT id, declared_safe(v) AS v FROM ranged;

CREATE FUNCTION public.near(int, int) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT count(*) > 0 FROM orders';
CREATE OPERATOR public.~~~ (leftarg = int, rightarg = int, function = public.near);

INSERT INTO pgbraid.tables (schema_name, table_name, dist, key_columns, vindex) VALUES
    ('public', 'customers', 'sharded', '{id}', 'hash'), ('public', 'orders', 'sharded', '{customer_id}', 'hash'),
    ('public', 'lines', 'sharded', '{customer_id}', 'hash'), ('public', 'docs', 'sharded', '{key}', 'hash'),
    ('public', 'tags', 'sharded', '{name}', 'hash'), ('public', 'codes', 'sharded', '{code}', 'hash'),
    ('public', 'files', 'sharded', '{id}', 'hash'), ('public', 'amounts', 'sharded', '{n}', 'hash'),
    ('public', 'days', 'sharded', '{d}', 'hash'), ('public', 'moments', 'sharded', '{ts}', 'hash'),
    ('public', 'events', 'sharded', '{tenant,region}', 'hash'), ('public', 'notes', 'sharded', '{tenant,region}', 'hash'),
    ('public', 'ranged', 'sharded', '{id}', 'identity'), ('public', 'serials', 'sharded', '{customer_id}', 'hash'),
    ('public', 'stamped', 'sharded', '{customer_id}', 'hash'), ('public', 'parts', 'sharded', '{customer_id}', 'hash'),
    ('public', 'blurred', 'sharded', '{key}', 'hash'), ('public', 'keydefault', 'sharded', '{id}', 'hash'),
    ('public', 'trig_safe', 'sharded', '{id}', 'hash'), ('public', 'trig_bad', 'sharded', '{id}', 'hash'),
    ('public', 'trig_statement', 'sharded', '{id}', 'hash'), ('public', 'ruled', 'sharded', '{id}', 'hash'),
    ('public', 'rls_good', 'sharded', '{id}', 'hash'), ('public', 'rls_bad', 'sharded', '{id}', 'hash'),
    ('public', 'checked', 'sharded', '{id}', 'hash'), ('public', 'opaque_default', 'sharded', '{id}', 'hash'),
    ('public', 'countries', 'reference', '{}', 'hash'), ('public', 'products', 'reference', '{}', 'hash'),
    ('public', 'child', 'sharded', '{id}', 'hash'), ('public', 'halves', 'sharded', '{customer_id}', 'hash'), ('public', 'ref_touched', 'reference', '{}', 'hash'),
    ('public', 'refserial', 'reference', '{}', 'hash'), ('public', 'refmoment', 'reference', '{}', 'hash');
