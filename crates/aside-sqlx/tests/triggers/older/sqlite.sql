-- The triggers that version 0.1.0 of 2026-11 installed for the kind `loan` on SQLite.

CREATE INDEX IF NOT EXISTS cache_journal_keys ON cache_journal (key);

CREATE TRIGGER "cache_journal_loans_inserted" AFTER INSERT ON "loans"
         WHEN NOT EXISTS (SELECT 1 FROM cache_journal_writer)
         BEGIN
             DELETE FROM cache_journal WHERE key IN (SELECT CASE WHEN instr(key, char(1)) THEN 'all of loan' ELSE key END
           FROM (SELECT 'loan:' || CASE WHEN CAST(NEW."id" AS TEXT) COLLATE BINARY = 'all'
                  THEN CASE CASE WHEN NEW."id" IS NULL THEN NULL
              WHEN typeof(NEW."id") NOT IN ('text', 'integer')
                OR 0 < instr(NEW."id", char(0))
                OR NEW."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(NEW."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(NEW."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END WHEN 'all' THEN '%61ll' ELSE char(1) END
                  ELSE coalesce(CASE WHEN NEW."id" IS NULL THEN NULL
              WHEN typeof(NEW."id") NOT IN ('text', 'integer')
                OR 0 < instr(NEW."id", char(0))
                OR NEW."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(NEW."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(NEW."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END, char(1)) END AS key) WHERE key IS NOT NULL);
             INSERT INTO cache_journal (key) SELECT CASE WHEN instr(key, char(1)) THEN 'all of loan' ELSE key END
           FROM (SELECT 'loan:' || CASE WHEN CAST(NEW."id" AS TEXT) COLLATE BINARY = 'all'
                  THEN CASE CASE WHEN NEW."id" IS NULL THEN NULL
              WHEN typeof(NEW."id") NOT IN ('text', 'integer')
                OR 0 < instr(NEW."id", char(0))
                OR NEW."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(NEW."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(NEW."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END WHEN 'all' THEN '%61ll' ELSE char(1) END
                  ELSE coalesce(CASE WHEN NEW."id" IS NULL THEN NULL
              WHEN typeof(NEW."id") NOT IN ('text', 'integer')
                OR 0 < instr(NEW."id", char(0))
                OR NEW."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(NEW."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(NEW."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END, char(1)) END AS key) WHERE key IS NOT NULL;
             INSERT INTO cache_journal (key) SELECT 'all of loan'
              WHERE EXISTS (SELECT 1 FROM cache_journal WHERE key = 'all of loan') OR 1000 < (
                  SELECT count(*) FROM (SELECT 1 FROM cache_journal WHERE 'loan:' <= key AND key < 'loan;'
                                         LIMIT 1000 + 1));
             DELETE FROM cache_journal WHERE 'loan:' <= key AND key < 'loan;' AND EXISTS (SELECT 1 FROM cache_journal WHERE key = 'all of loan');
             DELETE FROM cache_journal WHERE key = 'all of loan'
                AND id < (SELECT max(id) FROM cache_journal WHERE key = 'all of loan');
         END;

CREATE TRIGGER "cache_journal_loans_updated" AFTER UPDATE ON "loans"
         WHEN NOT EXISTS (SELECT 1 FROM cache_journal_writer)
         BEGIN
             DELETE FROM cache_journal WHERE key IN (SELECT CASE WHEN instr(key, char(1)) THEN 'all of loan' ELSE key END
           FROM (SELECT 'loan:' || CASE WHEN CAST(OLD."id" AS TEXT) COLLATE BINARY = 'all'
                  THEN CASE CASE WHEN OLD."id" IS NULL THEN NULL
              WHEN typeof(OLD."id") NOT IN ('text', 'integer')
                OR 0 < instr(OLD."id", char(0))
                OR OLD."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(OLD."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(OLD."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END WHEN 'all' THEN '%61ll' ELSE char(1) END
                  ELSE coalesce(CASE WHEN OLD."id" IS NULL THEN NULL
              WHEN typeof(OLD."id") NOT IN ('text', 'integer')
                OR 0 < instr(OLD."id", char(0))
                OR OLD."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(OLD."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(OLD."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END, char(1)) END AS key UNION SELECT 'loan:' || CASE WHEN CAST(NEW."id" AS TEXT) COLLATE BINARY = 'all'
                  THEN CASE CASE WHEN NEW."id" IS NULL THEN NULL
              WHEN typeof(NEW."id") NOT IN ('text', 'integer')
                OR 0 < instr(NEW."id", char(0))
                OR NEW."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(NEW."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(NEW."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END WHEN 'all' THEN '%61ll' ELSE char(1) END
                  ELSE coalesce(CASE WHEN NEW."id" IS NULL THEN NULL
              WHEN typeof(NEW."id") NOT IN ('text', 'integer')
                OR 0 < instr(NEW."id", char(0))
                OR NEW."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(NEW."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(NEW."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END, char(1)) END AS key) WHERE key IS NOT NULL);
             INSERT INTO cache_journal (key) SELECT CASE WHEN instr(key, char(1)) THEN 'all of loan' ELSE key END
           FROM (SELECT 'loan:' || CASE WHEN CAST(OLD."id" AS TEXT) COLLATE BINARY = 'all'
                  THEN CASE CASE WHEN OLD."id" IS NULL THEN NULL
              WHEN typeof(OLD."id") NOT IN ('text', 'integer')
                OR 0 < instr(OLD."id", char(0))
                OR OLD."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(OLD."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(OLD."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END WHEN 'all' THEN '%61ll' ELSE char(1) END
                  ELSE coalesce(CASE WHEN OLD."id" IS NULL THEN NULL
              WHEN typeof(OLD."id") NOT IN ('text', 'integer')
                OR 0 < instr(OLD."id", char(0))
                OR OLD."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(OLD."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(OLD."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END, char(1)) END AS key UNION SELECT 'loan:' || CASE WHEN CAST(NEW."id" AS TEXT) COLLATE BINARY = 'all'
                  THEN CASE CASE WHEN NEW."id" IS NULL THEN NULL
              WHEN typeof(NEW."id") NOT IN ('text', 'integer')
                OR 0 < instr(NEW."id", char(0))
                OR NEW."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(NEW."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(NEW."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END WHEN 'all' THEN '%61ll' ELSE char(1) END
                  ELSE coalesce(CASE WHEN NEW."id" IS NULL THEN NULL
              WHEN typeof(NEW."id") NOT IN ('text', 'integer')
                OR 0 < instr(NEW."id", char(0))
                OR NEW."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(NEW."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(NEW."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END, char(1)) END AS key) WHERE key IS NOT NULL;
             INSERT INTO cache_journal (key) SELECT 'all of loan'
              WHERE EXISTS (SELECT 1 FROM cache_journal WHERE key = 'all of loan') OR 1000 < (
                  SELECT count(*) FROM (SELECT 1 FROM cache_journal WHERE 'loan:' <= key AND key < 'loan;'
                                         LIMIT 1000 + 1));
             DELETE FROM cache_journal WHERE 'loan:' <= key AND key < 'loan;' AND EXISTS (SELECT 1 FROM cache_journal WHERE key = 'all of loan');
             DELETE FROM cache_journal WHERE key = 'all of loan'
                AND id < (SELECT max(id) FROM cache_journal WHERE key = 'all of loan');
         END;

CREATE TRIGGER "cache_journal_loans_deleted" AFTER DELETE ON "loans"
         WHEN NOT EXISTS (SELECT 1 FROM cache_journal_writer)
         BEGIN
             DELETE FROM cache_journal WHERE key IN (SELECT CASE WHEN instr(key, char(1)) THEN 'all of loan' ELSE key END
           FROM (SELECT 'loan:' || CASE WHEN CAST(OLD."id" AS TEXT) COLLATE BINARY = 'all'
                  THEN CASE CASE WHEN OLD."id" IS NULL THEN NULL
              WHEN typeof(OLD."id") NOT IN ('text', 'integer')
                OR 0 < instr(OLD."id", char(0))
                OR OLD."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(OLD."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(OLD."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END WHEN 'all' THEN '%61ll' ELSE char(1) END
                  ELSE coalesce(CASE WHEN OLD."id" IS NULL THEN NULL
              WHEN typeof(OLD."id") NOT IN ('text', 'integer')
                OR 0 < instr(OLD."id", char(0))
                OR OLD."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(OLD."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(OLD."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END, char(1)) END AS key) WHERE key IS NOT NULL);
             INSERT INTO cache_journal (key) SELECT CASE WHEN instr(key, char(1)) THEN 'all of loan' ELSE key END
           FROM (SELECT 'loan:' || CASE WHEN CAST(OLD."id" AS TEXT) COLLATE BINARY = 'all'
                  THEN CASE CASE WHEN OLD."id" IS NULL THEN NULL
              WHEN typeof(OLD."id") NOT IN ('text', 'integer')
                OR 0 < instr(OLD."id", char(0))
                OR OLD."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(OLD."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(OLD."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END WHEN 'all' THEN '%61ll' ELSE char(1) END
                  ELSE coalesce(CASE WHEN OLD."id" IS NULL THEN NULL
              WHEN typeof(OLD."id") NOT IN ('text', 'integer')
                OR 0 < instr(OLD."id", char(0))
                OR OLD."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(OLD."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(OLD."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END, char(1)) END AS key) WHERE key IS NOT NULL;
             INSERT INTO cache_journal (key) SELECT 'all of loan'
              WHERE EXISTS (SELECT 1 FROM cache_journal WHERE key = 'all of loan') OR 1000 < (
                  SELECT count(*) FROM (SELECT 1 FROM cache_journal WHERE 'loan:' <= key AND key < 'loan;'
                                         LIMIT 1000 + 1));
             DELETE FROM cache_journal WHERE 'loan:' <= key AND key < 'loan;' AND EXISTS (SELECT 1 FROM cache_journal WHERE key = 'all of loan');
             DELETE FROM cache_journal WHERE key = 'all of loan'
                AND id < (SELECT max(id) FROM cache_journal WHERE key = 'all of loan');
         END;

CREATE TRIGGER "cache_journal_loans_replaced" BEFORE INSERT ON "loans"
         WHEN NOT EXISTS (SELECT 1 FROM cache_journal_writer)
         BEGIN
             DELETE FROM cache_journal WHERE key IN (SELECT CASE WHEN instr(key, char(1)) THEN 'all of loan' ELSE key END
           FROM (SELECT 'loan:' || CASE WHEN CAST(r."id" AS TEXT) COLLATE BINARY = 'all'
                  THEN CASE CASE WHEN r."id" IS NULL THEN NULL
              WHEN typeof(r."id") NOT IN ('text', 'integer')
                OR 0 < instr(r."id", char(0))
                OR r."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(r."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(r."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END WHEN 'all' THEN '%61ll' ELSE char(1) END
                  ELSE coalesce(CASE WHEN r."id" IS NULL THEN NULL
              WHEN typeof(r."id") NOT IN ('text', 'integer')
                OR 0 < instr(r."id", char(0))
                OR r."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(r."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(r."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END, char(1)) END AS key FROM "loans" AS r WHERE (r."id" = NEW."id" COLLATE "BINARY")) WHERE key IS NOT NULL);
             INSERT INTO cache_journal (key) SELECT CASE WHEN instr(key, char(1)) THEN 'all of loan' ELSE key END
           FROM (SELECT 'loan:' || CASE WHEN CAST(r."id" AS TEXT) COLLATE BINARY = 'all'
                  THEN CASE CASE WHEN r."id" IS NULL THEN NULL
              WHEN typeof(r."id") NOT IN ('text', 'integer')
                OR 0 < instr(r."id", char(0))
                OR r."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(r."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(r."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END WHEN 'all' THEN '%61ll' ELSE char(1) END
                  ELSE coalesce(CASE WHEN r."id" IS NULL THEN NULL
              WHEN typeof(r."id") NOT IN ('text', 'integer')
                OR 0 < instr(r."id", char(0))
                OR r."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(r."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(r."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END, char(1)) END AS key FROM "loans" AS r WHERE (r."id" = NEW."id" COLLATE "BINARY")) WHERE key IS NOT NULL;
             INSERT INTO cache_journal (key) SELECT 'all of loan'
              WHERE EXISTS (SELECT 1 FROM cache_journal WHERE key = 'all of loan') OR 1000 < (
                  SELECT count(*) FROM (SELECT 1 FROM cache_journal WHERE 'loan:' <= key AND key < 'loan;'
                                         LIMIT 1000 + 1));
             DELETE FROM cache_journal WHERE 'loan:' <= key AND key < 'loan;' AND EXISTS (SELECT 1 FROM cache_journal WHERE key = 'all of loan');
             DELETE FROM cache_journal WHERE key = 'all of loan'
                AND id < (SELECT max(id) FROM cache_journal WHERE key = 'all of loan');
         END;

CREATE TRIGGER "cache_journal_loans_replaced_by_update" BEFORE UPDATE ON "loans"
         WHEN NOT EXISTS (SELECT 1 FROM cache_journal_writer)
         BEGIN
             DELETE FROM cache_journal WHERE key IN (SELECT CASE WHEN instr(key, char(1)) THEN 'all of loan' ELSE key END
           FROM (SELECT 'loan:' || CASE WHEN CAST(r."id" AS TEXT) COLLATE BINARY = 'all'
                  THEN CASE CASE WHEN r."id" IS NULL THEN NULL
              WHEN typeof(r."id") NOT IN ('text', 'integer')
                OR 0 < instr(r."id", char(0))
                OR r."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(r."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(r."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END WHEN 'all' THEN '%61ll' ELSE char(1) END
                  ELSE coalesce(CASE WHEN r."id" IS NULL THEN NULL
              WHEN typeof(r."id") NOT IN ('text', 'integer')
                OR 0 < instr(r."id", char(0))
                OR r."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(r."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(r."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END, char(1)) END AS key FROM "loans" AS r WHERE (r."id" = NEW."id" COLLATE "BINARY")) WHERE key IS NOT NULL);
             INSERT INTO cache_journal (key) SELECT CASE WHEN instr(key, char(1)) THEN 'all of loan' ELSE key END
           FROM (SELECT 'loan:' || CASE WHEN CAST(r."id" AS TEXT) COLLATE BINARY = 'all'
                  THEN CASE CASE WHEN r."id" IS NULL THEN NULL
              WHEN typeof(r."id") NOT IN ('text', 'integer')
                OR 0 < instr(r."id", char(0))
                OR r."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(r."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(r."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END WHEN 'all' THEN '%61ll' ELSE char(1) END
                  ELSE coalesce(CASE WHEN r."id" IS NULL THEN NULL
              WHEN typeof(r."id") NOT IN ('text', 'integer')
                OR 0 < instr(r."id", char(0))
                OR r."id" GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR 200 < length(CAST(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(r."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') AS BLOB)) THEN char(1)
              ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(r."id", '%', '%25'), '#', '%23'), '*', '%2A'), ':', '%3A'), '?', '%3F'), '[', '%5B'), '\', '%5C'), ']', '%5D'), '^', '%5E'), '{', '%7B'), '}', '%7D') END, char(1)) END AS key FROM "loans" AS r WHERE (r."id" = NEW."id" COLLATE "BINARY")) WHERE key IS NOT NULL;
             INSERT INTO cache_journal (key) SELECT 'all of loan'
              WHERE EXISTS (SELECT 1 FROM cache_journal WHERE key = 'all of loan') OR 1000 < (
                  SELECT count(*) FROM (SELECT 1 FROM cache_journal WHERE 'loan:' <= key AND key < 'loan;'
                                         LIMIT 1000 + 1));
             DELETE FROM cache_journal WHERE 'loan:' <= key AND key < 'loan;' AND EXISTS (SELECT 1 FROM cache_journal WHERE key = 'all of loan');
             DELETE FROM cache_journal WHERE key = 'all of loan'
                AND id < (SELECT max(id) FROM cache_journal WHERE key = 'all of loan');
         END;

