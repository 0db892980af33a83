-- Parameters in every place; then dates, text search, regular expressions and JSON paths, where the merge has something to do.

-- the key as a parameter: its type given or not, a list, beside other conditions
\values 5
SELECT id, name FROM users WHERE id = $1;
\values 5
\types 1700
SELECT id FROM users WHERE id = $1;
\values 5.5
\types 1700
SELECT id FROM users WHERE id = $1;
\values 5
\types 21
SELECT id FROM users WHERE $1 = id;
\values 5
\types 25
SELECT id FROM users WHERE id = $1::bigint;
\values ~
SELECT id FROM users WHERE id = $1;
\values ~
SELECT id FROM users WHERE id = $1 OR $1 IS NULL;
\values 5 30
SELECT id FROM users WHERE id = $1 OR age > $2;
\values 5 6
SELECT id FROM users WHERE id = $1 AND id = $2;
\values {1,5,NULL,77}
SELECT id FROM users WHERE id = ANY ($1);
\values {}
SELECT count(*), max(id) FROM users WHERE id = ANY ($1);
\values {1,5}
SELECT count(*) FROM users WHERE id <> ALL ($1);
\values 3 3
SELECT u.id, o.id FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = $1 AND o.user_id = $2;
\values 3 4
SELECT u.id, o.id FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = $1 AND o.user_id = $2;
\values 5
SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = $1;
\values 1 2
SELECT id FROM users WHERE id = $1 UNION ALL SELECT user_id FROM orders WHERE user_id = $2;
\values 3
SELECT count(*) FILTER (WHERE user_id = $1), count(*) FROM orders;
\values 2 eu
SELECT x FROM points WHERE tenant = $1 AND region = $2;
\values 2
SELECT region, count(*) FROM points WHERE tenant = $1 GROUP BY region;
\values de
\types 1042
SELECT word FROM words WHERE word = $1;
\values 00000000-0000-4000-8000-000000000007
SELECT kind FROM events WHERE id = $1;
-- in what is selected, grouped, ordered, limited
\values 10
SELECT id + $1::int, $1::int FROM users;
\values 7
SELECT id % $1::int, count(*) FROM users GROUP BY 1;
\values 2
SELECT user_id, sum(qty) * $1::int FROM orders GROUP BY user_id HAVING sum(qty) > $1::int * 4;
\values 0.5
\types 701
SELECT percentile_cont($1) WITHIN GROUP (ORDER BY total) FROM orders;
\values 0x2c20
SELECT string_agg(status, $1 ORDER BY id) FROM orders WHERE qty = 2;
\values 3
!SELECT id FROM users ORDER BY id % $1::int, id DESC;
\values 3 2
!SELECT id FROM users ORDER BY id LIMIT $1 OFFSET $2;
\values ~ 35
!SELECT id FROM users ORDER BY id LIMIT $1 OFFSET $2;
\values 0
SELECT id FROM users ORDER BY id LIMIT $1;
\values -1
SELECT id FROM users ORDER BY id LIMIT $1;
\values 4
SELECT qty, id FROM orders ORDER BY qty, id FETCH FIRST $1 ROWS WITH TIES;
\values 2
!SELECT user_id, id, lag(total, $1::int) OVER (PARTITION BY user_id ORDER BY id) FROM orders ORDER BY user_id, id;
\values 2
!SELECT id, sum(total) OVER (ORDER BY id ROWS $1 PRECEDING) FROM orders ORDER BY id;
\values 20 40
SELECT count(*) FROM (SELECT id FROM users WHERE age > $1 INTERSECT SELECT id FROM users WHERE age < $2) q;
\values 4
WITH w AS (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id) SELECT count(*) FROM w WHERE n >= $1;
\values 4
WITH RECURSIVE r AS (SELECT id FROM tree WHERE id = $1 UNION ALL SELECT t.id FROM tree t JOIN r ON t.parent = r.id) SELECT id FROM r;
\values abc
SELECT id FROM users WHERE id = $1;
\values 1 0
SELECT $1::int / $2::int FROM users;
-- dates and times above a merge
SELECT date_trunc('week', placed), count(*), sum(total) FROM orders GROUP BY 1;
SELECT extract(dow FROM placed), max(placed) - min(placed) FROM orders GROUP BY 1;
SELECT avg(placed - timestamp '2024-02-01'), sum(placed - timestamp '2024-02-01') FROM orders;
SELECT max(placed) + interval '1 month', min(placed)::date - 30, age(max(placed), min(placed)) FROM orders;
!SELECT born + interval '1 month' FROM users ORDER BY extract(month FROM born), born DESC LIMIT 9;
SELECT to_char(created, 'YYYY-MM'), count(DISTINCT country) FROM users GROUP BY 1 HAVING min(created) > '2024-01-05 00:00+00';
SELECT d.d::date, count(e.id) FROM generate_series(timestamptz '2024-03-01 00:00+00', '2024-03-06 00:00+00', '1 day') d (d) LEFT JOIN events e ON e.at >= d.d AND e.at < d.d + interval '1 day' GROUP BY 1;
SELECT DISTINCT date_trunc('month', born) - date_trunc('year', born) FROM users;
!SELECT placed, count(*) OVER (ORDER BY placed RANGE BETWEEN interval '1 day' PRECEDING AND CURRENT ROW) FROM orders ORDER BY placed;
SELECT extract(epoch FROM sum(iv)), extract(epoch FROM min(iv)), extract(epoch FROM max(iv)) FROM types WHERE iv <> '1 mon' AND iv <> '1 year';
-- text search, regular expressions, JSON paths above a merge
SELECT count(*) FROM orders WHERE to_tsvector('simple', note) @@ plainto_tsquery('simple', 'note 3');
SELECT tv @@ to_tsquery('simple', 'cat & !dog'), count(*) FROM types GROUP BY 1;
!SELECT id, ts_rank_cd(to_tsvector('simple', name), 'bob')::numeric(6,3) AS r FROM users ORDER BY r DESC, id LIMIT 5;
SELECT regexp_replace(name, '\d+', ''), count(*) FROM users GROUP BY 1;
SELECT substring(email FROM '\.(.*)$') AS top, count(*) FROM users GROUP BY top HAVING count(*) > 5;
SELECT word FROM words WHERE word SIMILAR TO '(x|~)%' UNION SELECT name FROM products WHERE name ~ '^p.n';
SELECT name LIKE 'b%' ESCAPE '!', count(*) FROM users GROUP BY 1;
SELECT jsonb_path_query_first(payload, '$.ms ? (@ > 90)'), count(*) FROM events GROUP BY 1;
SELECT payload ->> 'page', jsonb_agg(payload -> 'ms' ORDER BY id), sum((payload -> 'ms')::int) FROM events GROUP BY 1;
SELECT jsonb_object_agg(id, label ORDER BY id) FROM tree;
!SELECT prefs -> 'n', id FROM users ORDER BY prefs -> 'n' NULLS FIRST, id DESC LIMIT 20;
SELECT DISTINCT prefs #>> '{list,0}' FROM users;
-- conditions that go with a gathered table take their parameters along
\values 20 1
SELECT u.id, w.freq FROM users u JOIN words w ON w.word = u.name WHERE u.age > $1 AND w.freq > $2;
\values 1 20 5
SELECT u.id, w.freq, u.age + $2::int FROM users u JOIN words w ON w.word = u.name WHERE w.freq > $1 AND u.age > $2::int AND u.id + w.freq > $3;
\values 3 ab 20
SELECT u.id, $2::text FROM users u LEFT JOIN words w ON w.word = u.name AND w.freq < $1 WHERE u.age > $3 AND w.word <> $2;
\values 10 ~ 2
SELECT u.id FROM users u JOIN words w ON w.word = u.name WHERE u.age > $1 AND ($2::int IS NULL OR w.freq > $2::int) ORDER BY u.id LIMIT $3;
\values 20 2 1
SELECT u.id, o.id, w.freq FROM users u JOIN orders o ON o.user_id = u.id JOIN words w ON w.word = u.name WHERE u.age > $1 AND o.qty > $2 AND w.freq > $3;
