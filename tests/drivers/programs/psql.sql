\set ON_ERROR_STOP off
\echo '## \\d of each kind of table'
\d accounts
\d items
\d countries
\d notes
\d types
\d notes_note_seq
\d accounts_owner
\d accounts_pkey
\echo '## \\d+'
\d+ accounts
\d+ items
\d+ countries
\echo '## \\d without a name, \\dt \\di \\ds \\dv \\dm \\dE'
\d
\dt
\dt acc*
\dt public.*
\di
\ds
\dv
\dm
\dE
\dtisv
\echo '## \\da \\df \\do \\dT \\dD \\dC \\dc'
\da public.*
\df public.*
\df abs
\do public.*
\dT
\dT+ mood
\dD
\dD positive
\dC pair
\dc public.*
\echo '## \\dn'
\dn
\echo '## \\db \\dp \\z \\ddp'
\dp accounts
\z
\ddp
\echo '## \\du \\dg \\drds \\dx \\dL \\dO'
\du
\dg
\drds
\dx
\dL
\dO pg_catalog.C
\echo '## \\dd \\dF \\dFd \\dFp \\dFt \\des \\det \\deu \\dew \\dA \\dAc \\dAf'
\dd
\dF english
\dFd simple
\dFp
\dFt simple
\des
\det
\deu
\dew
\dA
\dAc hash int4
\dAf hash int4
\echo '## \\dRp \\dRs \\dX \\dy \\dP \\dconfig \\dl \\l'
\dRs
\dX
\dy
\dP
\dconfig work_mem
\dl
\lo_list
\echo '## \\sf \\ef \\sv'
\sf nothing
\echo '## comments and privileges'
COMMENT ON COLUMN accounts.owner IS 'whose it is';
GRANT SELECT ON accounts, items TO public;
\d+ accounts
\dp
REVOKE SELECT ON accounts, items FROM public;
\echo '## insert'
INSERT INTO accounts (account_id, owner, balance, created) VALUES (1, 'ann', 10.5, '2024-02-29 12:00+00'), (2, 'bob', 0, '2024-02-29 13:00+00'), (3, 'cem', 30, '-infinity'), (4, 'dag', 0.01, 'infinity');
INSERT INTO items VALUES (1, 1, 'pen', 1.5), (1, 2, 'ink', NULL), (2, 1, 'nib', 0.25), (3, 1, 'pad', 12);
INSERT INTO countries VALUES ('DE', 'Germany'), ('SE', 'Sweden');
INSERT INTO notes (body) VALUES ('one'), (NULL), ('three') RETURNING *;
\echo '## output formats'
TABLE accounts ORDER BY account_id;
\x
SELECT * FROM accounts WHERE account_id = 1;
\x
\a
SELECT * FROM items ORDER BY account_id, item;
\pset format csv
SELECT * FROM items ORDER BY account_id, item;
\pset format aligned
\a
\pset null '(null)'
SELECT account_id, item, price FROM items ORDER BY 1, 2 \gx
\H
SELECT name FROM countries ORDER BY code;
\H
\t
SELECT count(*) FROM accounts;
\t
\pset format aligned
\echo '## \\g \\gset \\gexec \\gdesc \\crosstabview'
SELECT count(*) AS n, sum(balance) AS total FROM accounts \gset
\echo :n :total
SELECT account_id, owner, balance, created FROM accounts WHERE account_id = :n \gdesc
SELECT i.*, sum(price) OVER (PARTITION BY account_id) FROM items i \gdesc
SELECT account_id, count(*), avg(price) FROM items GROUP BY 1 \gdesc
UPDATE accounts SET balance = 1 WHERE account_id = 1 RETURNING balance, owner \gdesc
SELECT format('SELECT %s AS one', account_id) FROM accounts ORDER BY account_id \gexec
SELECT account_id, item, name FROM items ORDER BY 1, 2 \crosstabview
SELECT owner FROM accounts ORDER BY account_id \g (tuples_only=on format=unaligned)
\echo '## several statements in one string'
SELECT 1 AS a\; SELECT count(*) FROM accounts\; SELECT owner FROM accounts WHERE account_id = 2;
\echo '## \\copy in and out'
\copy items FROM STDIN
4	1	cup	3.25
4	2	\N	\N
\.
\copy items FROM STDIN WITH (FORMAT csv, HEADER)
account_id,item,name,price
4,3,"a ""quoted"" name",
2,2,"two
lines",7.00
\.
\copy (SELECT * FROM items WHERE account_id = 4 ORDER BY item) TO STDOUT WITH (FORMAT csv, HEADER)
\copy items (account_id, item) TO PROGRAM 'sort' DELIMITER ','
\copy countries TO STDOUT
COPY notes TO STDOUT;
\copy nothing FROM STDIN
\.
\echo '## COPY errors'
\copy items FROM STDIN
1	1	again	0
\.
\copy items FROM STDIN
1	x	again	0
\.
\copy items FROM STDIN
99	1	nobody	0
\.
SELECT count(*) FROM items;
\echo '## errors with SQLSTATE'
SELECT 1/0;
SELECT * FROM nowhere;
SELECT nothing FROM accounts WHERE account_id = 1;
SELEC 1;
INSERT INTO accounts (account_id, owner) VALUES (1, 'again');
INSERT INTO accounts (account_id, owner) VALUES (9, NULL);
UPDATE accounts SET balance = -1 WHERE account_id = 2;
INSERT INTO items VALUES (77, 1, 'x', 1);
SELECT 'x'::integer;
SELECT repeat('x', 30)::varchar(20), 'y'::mood;
\echo '## errors in full'
\set VERBOSITY default
SELECT * FROM accounts WHERE ownr = 'x';
INSERT INTO accounts (account_id, owner) VALUES (1, 'again');
SELEC 1;
SELECT 1 +;
UPDATE accounts SET balance = -1 WHERE account_id = 2;
INSERT INTO items VALUES (77, 1, 'x', 1);
\set VERBOSITY sqlstate
\echo '## transactions'
BEGIN;
UPDATE accounts SET balance = balance - 1 WHERE account_id = 1;
UPDATE accounts SET balance = balance + 1 WHERE account_id = 2;
SELECT account_id, balance FROM accounts ORDER BY 1;
ROLLBACK;
BEGIN;
UPDATE accounts SET balance = balance - 1 WHERE account_id = 1;
UPDATE accounts SET balance = balance + 1 WHERE account_id = 2;
COMMIT;
SELECT account_id, balance FROM accounts ORDER BY 1;
BEGIN;
SELECT 1/0;
SELECT 1;
COMMIT;
COMMIT;
\echo '## savepoints'
BEGIN;
SAVEPOINT a;
UPDATE accounts SET balance = 100 WHERE account_id = 1;
SAVEPOINT b;
UPDATE accounts SET balance = -100 WHERE account_id = 2;
ROLLBACK TO b;
UPDATE accounts SET balance = 200 WHERE account_id = 2;
RELEASE b;
ROLLBACK TO a;
UPDATE accounts SET balance = 300 WHERE account_id = 3;
ROLLBACK TO nothing;
ROLLBACK TO a;
UPDATE accounts SET balance = 31 WHERE account_id = 3;
COMMIT;
SELECT account_id, balance FROM accounts ORDER BY 1;
\echo '## ON_ERROR_ROLLBACK'
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO accounts (account_id, owner) VALUES (5, 'eve');
INSERT INTO accounts (account_id, owner) VALUES (5, 'eve');
INSERT INTO accounts (account_id, owner) VALUES (6, 'fay');
COMMIT;
\set ON_ERROR_ROLLBACK off
SELECT account_id FROM accounts ORDER BY 1;
\echo '## cursors: FETCH_COUNT'
\set FETCH_COUNT 2
SELECT account_id, owner FROM accounts ORDER BY account_id;
SELECT * FROM items WHERE account_id = 4 ORDER BY item;
\set FETCH_COUNT 0
BEGIN;
DECLARE c CURSOR FOR SELECT account_id FROM accounts ORDER BY account_id;
FETCH 2 FROM c;
MOVE 1 FROM c;
FETCH ALL FROM c;
CLOSE c;
COMMIT;
\echo '## PREPARE and EXECUTE'
PREPARE one (bigint) AS SELECT owner FROM accounts WHERE account_id = $1;
EXECUTE one (1);
EXECUTE one (2);
PREPARE one AS SELECT 1;
DEALLOCATE one;
EXECUTE one (1);
\echo '## settings'
SET TimeZone = 'Asia/Tokyo';
SELECT created FROM accounts WHERE account_id = 1;
SHOW TimeZone;
SET DateStyle = 'German';
SELECT created FROM accounts WHERE account_id = 2;
SET search_path = nowhere, public;
SELECT count(*) FROM accounts;
RESET ALL;
SHOW DateStyle;
SELECT current_setting('search_path'), current_user;
\encoding
\echo '## \\watch'
UPDATE accounts SET balance = balance - 15 WHERE account_id = 3 RETURNING 10 / (balance - 1) AS left \watch 0.1
SELECT balance FROM accounts WHERE account_id = 3;
\echo '## notices'
DROP TABLE IF EXISTS not_there;
\echo '## DDL'
CREATE TABLE wide (id integer PRIMARY KEY, t text DEFAULT 'x', n integer DEFAULT 7);
ALTER TABLE wide ADD COLUMN more jsonb;
CREATE INDEX ON wide (t);
\d wide
INSERT INTO wide (id, more) VALUES (1, '{"a": [1, null]}'), (2, NULL);
TABLE wide ORDER BY id;
CREATE VIEW some_notes AS SELECT note, body FROM notes;
\d+ some_notes
\sv some_notes
CREATE FUNCTION twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
\df twice
\sf twice
SELECT twice(21);
DROP VIEW some_notes;
DROP FUNCTION twice;
DROP TABLE wide;
\echo '## joins, groups, windows'
SELECT a.owner, count(i.item), sum(i.price) FROM accounts a LEFT JOIN items i USING (account_id) GROUP BY a.owner ORDER BY 1;
SELECT owner, rank() OVER (ORDER BY balance DESC) FROM accounts ORDER BY 2, 1;
WITH rich AS (SELECT * FROM accounts WHERE balance > 5) SELECT count(*) FROM rich;
SELECT a.account_id, c.name FROM accounts a, countries c ORDER BY 1, 2 LIMIT 3;
\echo '## what is left'
DELETE FROM accounts WHERE account_id IN (1, 4);
SELECT count(*) FROM items;
TRUNCATE items, accounts;
SELECT count(*) FROM accounts;
\echo '## end'
