-- json_valid(NULL) is NULL in newer versions of SQLite, which passes a CHECK,
-- and 0 in older ones, such as the 3.40 of Debian 12, which does not.
--
-- The CHECKs are changed where SQLite keeps them, as its documentation has it
-- for changes that concern no stored row. A new table in the place of the old
-- one would lose the triggers that tell the cache of other programs' writes.

PRAGMA writable_schema = ON;
UPDATE sqlite_schema
   SET sql = replace(replace(replace(sql,
       'CHECK (json_valid(audio_file))',
       'CHECK (audio_file IS NULL OR json_valid(audio_file))'),
       'CHECK (json_valid(full_response))',
       'CHECK (full_response IS NULL OR json_valid(full_response))'),
       'CHECK (json_valid(generation_info))',
       'CHECK (generation_info IS NULL OR json_valid(generation_info))')
 WHERE type = 'table' AND name = 'stories';
-- A change that counts as one, so that every connection reads the schema again.
CREATE TABLE schema_changed (id INTEGER);
DROP TABLE schema_changed;
PRAGMA writable_schema = RESET;
