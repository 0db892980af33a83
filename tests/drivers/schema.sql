-- What every driver's program finds, on the plain server and through the router; sharding_key = account_id, id.
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (x integer, y text);
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);

-- Sharded by id: one column a type.
CREATE TABLE types (
    id bigint PRIMARY KEY,
    i2 smallint, i4 integer, i8 bigint, num numeric, num2 numeric(12, 2), f4 real, f8 double precision, b boolean,
    t text, vc varchar(20), c char(5), ba bytea,
    d date, ti time, titz timetz, ts timestamp, tstz timestamptz, iv interval,
    u uuid, j json, jb jsonb, ip inet, net cidr, mac macaddr,
    ia integer[], ta text[], na numeric[], bits bit(4), vbits varbit, pt point, r int4range, m money, x xml, md mood, p pair, pos positive
);

CREATE TABLE countries (code char(2) PRIMARY KEY, name text NOT NULL);

-- Colocated: accounts and what belongs to them.
CREATE TABLE accounts (
    account_id bigint PRIMARY KEY,
    owner text NOT NULL,
    balance numeric(14, 2) NOT NULL DEFAULT 0 CONSTRAINT balance_not_negative CHECK (balance >= 0),
    created timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX accounts_owner ON accounts (owner);
COMMENT ON TABLE accounts IS 'who has how much';

CREATE TABLE items (
    account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    item integer NOT NULL,
    name varchar(40) NOT NULL,
    price numeric(10, 2),
    PRIMARY KEY (account_id, item)
);

-- On the home shard only.
CREATE TABLE notes (note serial PRIMARY KEY, body text);

