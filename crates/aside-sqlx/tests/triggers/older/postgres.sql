-- The triggers that version 0.1.0 of 2026-11 installed for the kind `loan` on PostgreSQL.

CREATE OR REPLACE FUNCTION public.cache_journal_segment(value text, type regtype)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
         DECLARE
             plain text COLLATE "C" := value;
             class "char";
             base regtype;
             name text;
         BEGIN
             IF plain IS NULL THEN
                 RETURN NULL;
             END IF;
             IF type <> ALL ('{text, varchar, int2, int4, int8, uuid, bool}'::regtype[]) THEN
                 SELECT typtype, typbasetype, typname INTO class, base, name
                   FROM pg_type WHERE oid = type;
                 IF class = 'd' THEN
                     RETURN cache_journal_segment(plain, base);
                 ELSIF class <> 'e' AND name <> 'citext' THEN
                     RETURN E'\u0001';
                 END IF;
             END IF;
             IF translate(plain, '' || E'\u0025' || E'\u0001' || E'\u0002' || E'\u0003' || E'\u0004' || E'\u0005' || E'\u0006' || E'\u0007' || E'\u0008' || E'\u0009' || E'\u000a' || E'\u000b' || E'\u000c' || E'\u000d' || E'\u000e' || E'\u000f' || E'\u0010' || E'\u0011' || E'\u0012' || E'\u0013' || E'\u0014' || E'\u0015' || E'\u0016' || E'\u0017' || E'\u0018' || E'\u0019' || E'\u001a' || E'\u001b' || E'\u001c' || E'\u001d' || E'\u001e' || E'\u001f' || E'\u0023' || E'\u002a' || E'\u003a' || E'\u003f' || E'\u005b' || E'\u005c' || E'\u005d' || E'\u005e' || E'\u007b' || E'\u007d' || E'\u007f' || E'\u0080' || E'\u0081' || E'\u0082' || E'\u0083' || E'\u0084' || E'\u0085' || E'\u0086' || E'\u0087' || E'\u0088' || E'\u0089' || E'\u008a' || E'\u008b' || E'\u008c' || E'\u008d' || E'\u008e' || E'\u008f' || E'\u0090' || E'\u0091' || E'\u0092' || E'\u0093' || E'\u0094' || E'\u0095' || E'\u0096' || E'\u0097' || E'\u0098' || E'\u0099' || E'\u009a' || E'\u009b' || E'\u009c' || E'\u009d' || E'\u009e' || E'\u009f', '') <> plain THEN
                 plain := replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(plain, E'\u0025', '%25'), E'\u0001', '%01'), E'\u0002', '%02'), E'\u0003', '%03'), E'\u0004', '%04'), E'\u0005', '%05'), E'\u0006', '%06'), E'\u0007', '%07'), E'\u0008', '%08'), E'\u0009', '%09'), E'\u000a', '%0A'), E'\u000b', '%0B'), E'\u000c', '%0C'), E'\u000d', '%0D'), E'\u000e', '%0E'), E'\u000f', '%0F'), E'\u0010', '%10'), E'\u0011', '%11'), E'\u0012', '%12'), E'\u0013', '%13'), E'\u0014', '%14'), E'\u0015', '%15'), E'\u0016', '%16'), E'\u0017', '%17'), E'\u0018', '%18'), E'\u0019', '%19'), E'\u001a', '%1A'), E'\u001b', '%1B'), E'\u001c', '%1C'), E'\u001d', '%1D'), E'\u001e', '%1E'), E'\u001f', '%1F'), E'\u0023', '%23'), E'\u002a', '%2A'), E'\u003a', '%3A'), E'\u003f', '%3F'), E'\u005b', '%5B'), E'\u005c', '%5C'), E'\u005d', '%5D'), E'\u005e', '%5E'), E'\u007b', '%7B'), E'\u007d', '%7D'), E'\u007f', '%7F'), E'\u0080', '%C2%80'), E'\u0081', '%C2%81'), E'\u0082', '%C2%82'), E'\u0083', '%C2%83'), E'\u0084', '%C2%84'), E'\u0085', '%C2%85'), E'\u0086', '%C2%86'), E'\u0087', '%C2%87'), E'\u0088', '%C2%88'), E'\u0089', '%C2%89'), E'\u008a', '%C2%8A'), E'\u008b', '%C2%8B'), E'\u008c', '%C2%8C'), E'\u008d', '%C2%8D'), E'\u008e', '%C2%8E'), E'\u008f', '%C2%8F'), E'\u0090', '%C2%90'), E'\u0091', '%C2%91'), E'\u0092', '%C2%92'), E'\u0093', '%C2%93'), E'\u0094', '%C2%94'), E'\u0095', '%C2%95'), E'\u0096', '%C2%96'), E'\u0097', '%C2%97'), E'\u0098', '%C2%98'), E'\u0099', '%C2%99'), E'\u009a', '%C2%9A'), E'\u009b', '%C2%9B'), E'\u009c', '%C2%9C'), E'\u009d', '%C2%9D'), E'\u009e', '%C2%9E'), E'\u009f', '%C2%9F');
             END IF;
             IF 200 < octet_length(plain) THEN
                 RETURN '#' || encode(sha256(convert_to(plain, 'UTF8')), 'hex');
             END IF;
             RETURN plain;
         END $function$
;

CREATE OR REPLACE FUNCTION public.cache_journal_of_loans()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
         DECLARE
             keys text[];
             whole boolean := TG_OP = 'TRUNCATE';
         BEGIN
             IF current_setting('aside.writer', true) = 'on' THEN
                 RETURN NULL;
             END IF;
             IF to_regclass('cache_journal') IS NULL THEN
                 RAISE WARNING 'cache_journal is missing; caches are not notified of this change';
                 RETURN NULL;
             END IF;
             -- Checked before the keys of a million rows are computed.
             IF TG_OP IN ('UPDATE', 'DELETE') THEN
                 whole := EXISTS (SELECT FROM aside_before OFFSET 1000);
             ELSIF TG_OP = 'INSERT' THEN
                 whole := EXISTS (SELECT FROM aside_after OFFSET 1000);
             END IF;
             BEGIN
                 IF whole THEN
                 ELSIF TG_OP = 'INSERT' THEN
                     SELECT array_agg(DISTINCT k.key COLLATE "C") INTO keys
               FROM (SELECT * FROM aside_after) AS r CROSS JOIN LATERAL (VALUES ('loan:' || CASE WHEN CAST(r."id" AS TEXT) COLLATE "C" = 'all'
                  THEN CASE cache_journal_segment((r."id")::text COLLATE "C", pg_typeof(r."id")) WHEN 'all' THEN '%61ll' ELSE E'\u0001' END
                  ELSE coalesce(cache_journal_segment((r."id")::text COLLATE "C", pg_typeof(r."id")), E'\u0001') END)) AS k (key)
              WHERE k.key IS NOT NULL;
                 ELSIF TG_OP = 'DELETE' THEN
                     SELECT array_agg(DISTINCT k.key COLLATE "C") INTO keys
               FROM (SELECT * FROM aside_before) AS r CROSS JOIN LATERAL (VALUES ('loan:' || CASE WHEN CAST(r."id" AS TEXT) COLLATE "C" = 'all'
                  THEN CASE cache_journal_segment((r."id")::text COLLATE "C", pg_typeof(r."id")) WHEN 'all' THEN '%61ll' ELSE E'\u0001' END
                  ELSE coalesce(cache_journal_segment((r."id")::text COLLATE "C", pg_typeof(r."id")), E'\u0001') END)) AS k (key)
              WHERE k.key IS NOT NULL;
                 ELSE
                     SELECT array_agg(DISTINCT k.key COLLATE "C") INTO keys
               FROM (SELECT * FROM aside_before UNION ALL SELECT * FROM aside_after) AS r CROSS JOIN LATERAL (VALUES ('loan:' || CASE WHEN CAST(r."id" AS TEXT) COLLATE "C" = 'all'
                  THEN CASE cache_journal_segment((r."id")::text COLLATE "C", pg_typeof(r."id")) WHEN 'all' THEN '%61ll' ELSE E'\u0001' END
                  ELSE coalesce(cache_journal_segment((r."id")::text COLLATE "C", pg_typeof(r."id")), E'\u0001') END)) AS k (key)
              WHERE k.key IS NOT NULL;
                 END IF;
             EXCEPTION WHEN OTHERS THEN
                 RAISE WARNING 'the whole kind is recorded, because its keys failed: %', SQLERRM;
                 whole := true;
             END;
             IF whole OR 1000 < cardinality(keys)
                OR 0 < strpos(array_to_string(keys, ''), E'\u0001') THEN
                 keys := ARRAY['all of loan'];
             END IF;
             INSERT INTO cache_journal (key) SELECT unnest(keys);
             RETURN NULL;
         END $function$
;

CREATE TRIGGER cache_journal_delete AFTER DELETE ON public.loans REFERENCING OLD TABLE AS aside_before FOR EACH STATEMENT EXECUTE FUNCTION cache_journal_of_loans();

CREATE TRIGGER cache_journal_insert AFTER INSERT ON public.loans REFERENCING NEW TABLE AS aside_after FOR EACH STATEMENT EXECUTE FUNCTION cache_journal_of_loans();

CREATE TRIGGER cache_journal_truncate AFTER TRUNCATE ON public.loans FOR EACH STATEMENT EXECUTE FUNCTION cache_journal_of_loans();

CREATE TRIGGER cache_journal_update AFTER UPDATE ON public.loans REFERENCING OLD TABLE AS aside_before NEW TABLE AS aside_after FOR EACH STATEMENT EXECUTE FUNCTION cache_journal_of_loans();

