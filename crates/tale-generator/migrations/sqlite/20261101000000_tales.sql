-- Ids are text so that `json_each` and triggers can name them; timestamps are
-- RFC 3339 with six decimals, so that their order as text is that in time.
-- Text compares by BINARY, SQLite's default: what a cache key compares by.

CREATE TABLE heroes (
    id                 TEXT    NOT NULL PRIMARY KEY,
    name               TEXT    NOT NULL CHECK (name <> ''),
    age                INTEGER NOT NULL CHECK (1 <= age),
    gender             TEXT    NOT NULL CHECK (gender IN ('male', 'female', 'other')),
    appearance         TEXT    NOT NULL,
    personality_traits TEXT    NOT NULL CHECK (1 <= json_array_length(personality_traits)),
    interests          TEXT    NOT NULL CHECK (json_valid(interests)),
    strengths          TEXT    NOT NULL CHECK (1 <= json_array_length(strengths)),
    language           TEXT    NOT NULL CHECK (language IN ('en', 'ru')),
    created_at         TEXT    NOT NULL,
    updated_at         TEXT    NOT NULL,
    version            INTEGER NOT NULL CHECK (1 <= version)
) STRICT;

CREATE INDEX heroes_all ON heroes (created_at, id);
CREATE INDEX heroes_name ON heroes (name, created_at, id);
CREATE INDEX heroes_language ON heroes (language, created_at, id);

CREATE TABLE children (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL CHECK (name <> ''),
    age        INTEGER NOT NULL CHECK (age BETWEEN 1 AND 18),
    gender     TEXT    NOT NULL CHECK (gender IN ('male', 'female', 'other')),
    interests  TEXT    NOT NULL CHECK (json_valid(interests)),
    created_at TEXT    NOT NULL,
    updated_at TEXT    NOT NULL,
    version    INTEGER NOT NULL CHECK (1 <= version)
) STRICT;

CREATE INDEX children_all ON children (created_at, id);
CREATE INDEX children_name ON children (name, created_at, id);
CREATE INDEX children_exact ON children (name, age, gender, created_at, id);

CREATE TABLE stories (
    id              TEXT    NOT NULL PRIMARY KEY,
    title           TEXT    NOT NULL CHECK (title <> ''),
    content         TEXT    NOT NULL,
    moral           TEXT    NOT NULL,
    language        TEXT    NOT NULL CHECK (language IN ('en', 'ru')),
    child_id        TEXT    REFERENCES children (id) ON DELETE SET NULL,
    child_name      TEXT,
    hero_id         TEXT    REFERENCES heroes (id) ON DELETE SET NULL,
    rating          INTEGER CHECK (rating BETWEEN 1 AND 10),
    story_length    INTEGER CHECK (1 <= story_length),
    audio_file      TEXT    CHECK (json_valid(audio_file)),
    model_used      TEXT,
    full_response   TEXT    CHECK (json_valid(full_response)),
    generation_info TEXT    CHECK (json_valid(generation_info)),
    created_at      TEXT    NOT NULL,
    updated_at      TEXT    NOT NULL,
    version         INTEGER NOT NULL CHECK (1 <= version)
) STRICT;

CREATE INDEX stories_all ON stories (created_at, id);
CREATE INDEX stories_child ON stories (child_id, created_at, id);
CREATE INDEX stories_child_name ON stories (child_name, created_at, id);
CREATE INDEX stories_hero ON stories (hero_id);
CREATE INDEX stories_language ON stories (language, created_at, id);
