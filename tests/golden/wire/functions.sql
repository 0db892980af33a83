-- Functions of the wire scripts, on every shard; declared safe in the router's configuration.
CREATE FUNCTION say(level text, what text) RETURNS text LANGUAGE plpgsql AS $f$
BEGIN
    CASE level
        WHEN 'notice' THEN RAISE NOTICE 'said: %', what;
        WHEN 'warning' THEN RAISE WARNING USING MESSAGE = what, DETAIL = 'the detail', HINT = 'the hint', ERRCODE = '01234';
        WHEN 'error' THEN RAISE EXCEPTION USING MESSAGE = what, DETAIL = 'the detail', HINT = 'the hint', ERRCODE = 'ZZ123',
            COLUMN = 'col', CONSTRAINT = 'con', DATATYPE = 'dt', TABLE = 'tab', SCHEMA = 'sch';
    END CASE;
    RETURN what;
END $f$;
