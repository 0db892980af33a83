-- Statements about views over distributed tables, for views.t, which has the views. ! before a statement: its order is total.

SELECT * FROM v_ord;
!SELECT id, v FROM v_ord ORDER BY v, id LIMIT 7;
SELECT count(*), sum(v), avg(v) FROM v_ord;
SELECT item, count(*) FROM v_ord GROUP BY item;
SELECT * FROM v_ord WHERE acc_id = 5;
SELECT o.id FROM v_ord AS o (k, id) WHERE o.k = 5;
SELECT v_ord.* FROM v_ord WHERE v_ord.v = 1;
SELECT * FROM public.v_ord WHERE id < 5;
TABLE v_ord;
TABLE v_items;
(TABLE v_distinct);
SELECT * FROM v_names WHERE b IS NOT NULL;
SELECT a FROM v_names GROUP BY a HAVING count(*) = 1;
SELECT * FROM v_join;
!SELECT * FROM v_join WHERE lines > 1 ORDER BY acc, id;
SELECT * FROM v_join WHERE acc = 3;
SELECT * FROM v_sums;
SELECT note, two, count(*) FROM v_sums GROUP BY 1, 2;
SELECT * FROM v_sums s JOIN acc a ON a.id = s.acc_id;
SELECT * FROM v_sums WHERE acc_id IN (1, 2, 3);
SELECT * FROM v_items WHERE s > 10;
!SELECT * FROM v_both ORDER BY id, which;
SELECT which, count(*) FROM v_both GROUP BY which;
SELECT * FROM v_on_view;
SELECT a.name, x.s FROM v_on_view x JOIN v_acc a ON a.id = x.acc_id;
SELECT * FROM v_last;
SELECT * FROM v_distinct;
!SELECT * FROM v_limit ORDER BY 1;
SELECT * FROM v_uns;
SELECT * FROM v_ref;
SELECT o.id, r.name FROM ord o JOIN v_ref r ON r.k = o.item;
SELECT count(*) FROM v_clock;
SELECT * FROM v_dates;
SELECT * FROM v_with;
SELECT * FROM v_sub;
SELECT * FROM v_twice;
SELECT * FROM "V x";
SELECT "I d" FROM "V x" WHERE "select" = 'n1';
SELECT "V x"."I d" FROM "V x" JOIN v_ord ON v_ord.id = "V x"."I d";
SELECT a.id, b.id FROM v_acc a, v_acc b WHERE a.id = b.id + 1;
SELECT id FROM acc WHERE id IN (SELECT acc_id FROM v_ord WHERE v = 3);
SELECT id FROM acc WHERE EXISTS (SELECT FROM v_sums s WHERE s.acc_id = acc.id AND s.s > 8);
SELECT name, (SELECT s FROM v_sums WHERE acc_id = acc.id) FROM acc;
WITH v_acc AS (SELECT 1 AS x) SELECT * FROM v_acc;
WITH w AS (SELECT * FROM v_acc) SELECT count(*) FROM w;
SELECT id FROM v_acc UNION SELECT id FROM v_ord;
SELECT * FROM v_acc a LEFT JOIN v_sums s ON s.acc_id = a.id;
SELECT * FROM v_acc a, LATERAL (SELECT max(id) FROM v_ord o WHERE o.acc_id = a.id) x;
SELECT nosuch FROM v_ord;
SELECT 1 / (v - v) FROM v_ord WHERE v > 1;
\values 3
SELECT id FROM v_ord WHERE v = $1;
\values 3
SELECT id FROM v_ord WHERE acc_id = $1;
\values 3 2
!SELECT id FROM v_ord WHERE acc_id > $1 ORDER BY id LIMIT $2;
\values n1 5
SELECT * FROM v_join WHERE name = $1 OR acc = $2;
