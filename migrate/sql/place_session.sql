-- Both ends of a copy print and read values alike, nothing fires, and nobody waits for ever.
SET DateStyle = 'ISO, YMD';
SET IntervalStyle = 'postgres';
SET TimeZone = 'UTC';
SET extra_float_digits = 1;
SET bytea_output = 'hex';
SET lc_monetary = 'C';
SET client_encoding = 'UTF8';
SET xmloption = content;
SET row_security = off;
SET search_path = pg_catalog;
SET statement_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET lock_timeout = '5s';
SET default_transaction_isolation = 'read committed';
SET default_transaction_read_only = off;
SET session_replication_role = replica;
SET client_min_messages = warning;
