-- What the wire scripts work on; made on one server before anything is distributed.
CREATE TABLE t (id int PRIMARY KEY, v text, n int NOT NULL DEFAULT 0 CHECK (n >= 0));
INSERT INTO t SELECT i, 'v' || i, i % 5 FROM generate_series(1, 20) i;
-- For scripts that write: each uses ids of its own.
CREATE TABLE w (id bigint PRIMARY KEY, v varchar(10), at timestamp, n int);
CREATE TABLE c (id int, line int, v text, PRIMARY KEY (id, line));
INSERT INTO c SELECT i, l, 'c' || i || l FROM generate_series(1, 5) i, generate_series(1, 3) l;
CREATE TABLE r (code text PRIMARY KEY, name text);
INSERT INTO r VALUES ('de', 'Germany'), ('fr', 'France'), ('jp', 'Japan');
CREATE TABLE h (id int PRIMARY KEY, v text, d numeric(6, 2), b bytea);
INSERT INTO h VALUES (1, 'one', 1.50, '\x00ff'), (2, NULL, NULL, NULL), (3, 'drei', -3.00, '');
-- A key that is checked at the end of the transaction.
CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE q (id int PRIMARY KEY, p int REFERENCES p DEFERRABLE INITIALLY DEFERRED);
CREATE TYPE mood AS ENUM ('sad', 'glad');
