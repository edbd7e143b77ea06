-- JSON of any form comes back as it went in: the order of its fields, how its
-- numbers are written, and its size. JSONB writes 1e308 out as 309 digits.

-- All rows are written anew, which may take longer than a statement may.
SELECT set_config(name, '0', true) FROM pg_settings
 WHERE name IN ('statement_timeout', 'transaction_timeout');

ALTER TABLE stories
    ALTER COLUMN audio_file TYPE JSON USING audio_file::JSON,
    ALTER COLUMN full_response TYPE JSON USING full_response::JSON,
    ALTER COLUMN generation_info TYPE JSON USING generation_info::JSON;
