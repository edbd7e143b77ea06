-- Indexed text is COLLATE "C": two names are equal when their bytes are,
-- which is what a cache key compares by.

CREATE TABLE heroes (
    id                 UUID             NOT NULL PRIMARY KEY,
    name               TEXT COLLATE "C" NOT NULL CHECK (name <> ''),
    age                INTEGER          NOT NULL CHECK (1 <= age),
    gender             TEXT COLLATE "C" NOT NULL CHECK (gender IN ('male', 'female', 'other')),
    appearance         TEXT             NOT NULL,
    personality_traits JSONB            NOT NULL CHECK (1 <= jsonb_array_length(personality_traits)),
    interests          JSONB            NOT NULL,
    strengths          JSONB            NOT NULL CHECK (1 <= jsonb_array_length(strengths)),
    language           TEXT COLLATE "C" NOT NULL CHECK (language IN ('en', 'ru')),
    created_at         TIMESTAMPTZ      NOT NULL,
    updated_at         TIMESTAMPTZ      NOT NULL,
    version            BIGINT           NOT NULL CHECK (1 <= version)
);

CREATE INDEX heroes_all ON heroes (created_at, id);
CREATE INDEX heroes_name ON heroes (name, created_at, id);
CREATE INDEX heroes_language ON heroes (language, created_at, id);

CREATE TABLE children (
    id         UUID             NOT NULL PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL CHECK (name <> ''),
    age        INTEGER          NOT NULL CHECK (age BETWEEN 1 AND 18),
    gender     TEXT COLLATE "C" NOT NULL CHECK (gender IN ('male', 'female', 'other')),
    interests  JSONB            NOT NULL,
    created_at TIMESTAMPTZ      NOT NULL,
    updated_at TIMESTAMPTZ      NOT NULL,
    version    BIGINT           NOT NULL CHECK (1 <= version)
);

CREATE INDEX children_all ON children (created_at, id);
CREATE INDEX children_name ON children (name, created_at, id);
CREATE INDEX children_exact ON children (name, age, gender, created_at, id);

CREATE TABLE stories (
    id              UUID             NOT NULL PRIMARY KEY,
    title           TEXT             NOT NULL CHECK (title <> ''),
    content         TEXT             NOT NULL,
    moral           TEXT             NOT NULL,
    language        TEXT COLLATE "C" NOT NULL CHECK (language IN ('en', 'ru')),
    child_id        UUID             REFERENCES children (id) ON DELETE SET NULL,
    child_name      TEXT COLLATE "C",
    hero_id         UUID             REFERENCES heroes (id) ON DELETE SET NULL,
    rating          INTEGER          CHECK (rating BETWEEN 1 AND 10),
    story_length    INTEGER          CHECK (1 <= story_length),
    audio_file      JSONB,
    model_used      TEXT,
    full_response   JSONB,
    generation_info JSONB,
    created_at      TIMESTAMPTZ      NOT NULL,
    updated_at      TIMESTAMPTZ      NOT NULL,
    version         BIGINT           NOT NULL CHECK (1 <= version)
);

CREATE INDEX stories_all ON stories (created_at, id);
CREATE INDEX stories_child ON stories (child_id, created_at, id);
CREATE INDEX stories_child_name ON stories (child_name, created_at, id);
CREATE INDEX stories_hero ON stories (hero_id);
CREATE INDEX stories_language ON stories (language, created_at, id);
