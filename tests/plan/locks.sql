-- row locks: of rows that the table's own conditions let through
SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.id WHERE o.total > 3 FOR UPDATE OF o;
SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.id WHERE o.total > 3 AND c.name = 'x' FOR SHARE OF c FOR NO KEY UPDATE NOWAIT FOR KEY SHARE OF o;
SELECT id FROM orders WHERE total > 3 ORDER BY total LIMIT 3 FOR UPDATE;
SELECT id FROM orders o WHERE total > 3 AND total > (SELECT avg(total) FROM orders) FOR UPDATE;
EXPLAIN SELECT id FROM orders WHERE total > 3 LIMIT 3 FOR UPDATE;
-- ... not of every row, nor of others than are taken
SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.id WHERE o.total > 3 FOR UPDATE;
SELECT id FROM orders WHERE total > 3 LIMIT 3 FOR UPDATE SKIP LOCKED;
SELECT o.id FROM orders o, (SELECT id FROM customers WHERE name = 'x') c WHERE c.id = o.id AND o.total > 3 FOR UPDATE;
SELECT o.id FROM orders o, (SELECT id FROM customers WHERE name = 'x') c WHERE c.id = o.id AND o.total > 3 FOR UPDATE OF o;
SELECT o.id FROM orders o, (SELECT id FROM customers WHERE name = 'x') c WHERE c.id = o.id AND o.total > 3 FOR UPDATE OF c;
SELECT count(*) FROM orders o, customers c WHERE c.id = o.id AND o.total > 3 FOR UPDATE OF o;
DECLARE c CURSOR FOR SELECT id FROM orders WHERE total > 3 LIMIT 3 FOR UPDATE;
EXPLAIN ANALYZE SELECT id FROM orders WHERE total > 3 LIMIT 3 FOR UPDATE;
