"""Staff: the one-time links by which people set their own passwords, and what their sessions were opened with."""

TABLES = (
    # kind: join (a new user) | reset (a new password for `name`). The link's token is kept as its digest only.
    """CREATE TABLE invites (
        id TEXT PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        role TEXT NOT NULL,
        circle TEXT,
        merchant TEXT,
        made_at TEXT NOT NULL,
        made_by TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        used_at TEXT,
        revoked_at TEXT
    ) STRICT""",
    """CREATE INDEX invites_open ON invites (name) WHERE used_at IS NULL AND revoked_at IS NULL""",
    # `device`: kind of browser and system in two words, never the whole User-Agent.
    """CREATE TABLE session_devices (
        token TEXT PRIMARY KEY,
        device TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
)
