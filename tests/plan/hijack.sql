-- P16: user operators and implicit casts that PostgreSQL may prefer where pg_catalog has no exact match.
CREATE TABLE tags (name varchar(10) PRIMARY KEY, v int);
CREATE TABLE docs (key text PRIMARY KEY, body text);
CREATE TABLE amounts (n numeric PRIMARY KEY, v int);
CREATE TABLE customers (id bigint PRIMARY KEY, name text);
CREATE FUNCTION public.always(varchar, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR public.= (leftarg = varchar, rightarg = int, function = public.always);
CREATE FUNCTION public.always(int, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR public.= (leftarg = int, rightarg = text, function = public.always);
CREATE FUNCTION public.always(numeric, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR public.= (leftarg = numeric, rightarg = int, function = public.always);
INSERT INTO pgbraid.tables (schema_name, table_name, dist, key_columns) VALUES
    ('public', 'tags', 'sharded', '{name}'), ('public', 'docs', 'sharded', '{key}'),
    ('public', 'amounts', 'sharded', '{n}'), ('public', 'customers', 'sharded', '{id}');
