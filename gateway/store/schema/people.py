"""Persons, the identities they are known by, their tags, and who asked to be left alone."""

TABLES = (
    # A merge points the younger person at the older and moves nothing else, so that it can be undone.
    """CREATE TABLE persons (
        id TEXT PRIMARY KEY,
        created_at TEXT NOT NULL,
        merged_into TEXT,
        absorbed INTEGER NOT NULL DEFAULT 0,
        forgotten_at TEXT
    ) STRICT, WITHOUT ROWID""",
    """CREATE INDEX persons_merged ON persons (merged_into) WHERE merged_into IS NOT NULL""",
    # `blind` is a keyed hash of (provider, app_id, value); the value itself lies sealed.
    """CREATE TABLE identities (
        blind BLOB PRIMARY KEY,
        person TEXT NOT NULL,
        provider TEXT NOT NULL,
        app_id TEXT NOT NULL,
        id_type TEXT NOT NULL,
        sealed BLOB NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE INDEX identities_person ON identities (person)""",
    """CREATE TABLE merges (
        id TEXT PRIMARY KEY,
        winner TEXT NOT NULL,
        loser TEXT NOT NULL,
        reason TEXT NOT NULL,
        done_at TEXT NOT NULL,
        done_by TEXT NOT NULL,
        undone_at TEXT,
        undone_by TEXT
    ) STRICT""",
    """CREATE INDEX merges_loser ON merges (loser)""",
    # state: active | expired | revoked | merged (by `merge`, which gives it back when undone)
    """CREATE TABLE tags (
        id TEXT PRIMARY KEY,
        circle TEXT NOT NULL,
        person TEXT NOT NULL,
        state TEXT NOT NULL,
        source_type TEXT NOT NULL,
        source_id TEXT NOT NULL,
        mode TEXT NOT NULL,
        origin TEXT NOT NULL,
        created_at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        closed_at TEXT,
        closed_reason TEXT,
        merge TEXT
    ) STRICT""",
    """CREATE UNIQUE INDEX tags_active ON tags (person, circle) WHERE state = 'active'""",
    """CREATE TABLE suppressions (
        person TEXT NOT NULL,
        circle TEXT NOT NULL,
        since TEXT NOT NULL,
        PRIMARY KEY (person, circle)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE shares (
        id TEXT PRIMARY KEY,
        token_digest BLOB NOT NULL UNIQUE,
        key_id TEXT NOT NULL,
        circle TEXT NOT NULL,
        person TEXT NOT NULL,
        created_at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        revoked_at TEXT
    ) STRICT""",
    """CREATE TABLE share_attempts (
        id TEXT PRIMARY KEY,
        share TEXT NOT NULL,
        person TEXT NOT NULL,
        outcome TEXT NOT NULL,
        at TEXT NOT NULL
    ) STRICT""",
)
