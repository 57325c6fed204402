"""Users, their sessions and API tokens. Secrets are kept as hashes only."""

TABLES = (
    # role: admin | operator | manager | clerk.
    """CREATE TABLE users (
        name TEXT PRIMARY KEY,
        role TEXT NOT NULL,
        circle TEXT,
        merchant TEXT,
        password_hash TEXT NOT NULL,
        must_change INTEGER NOT NULL,
        disabled INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL
    ) STRICT""",
    # kind: session (a browser), login (two hours), api (made by an operator)
    """CREATE TABLE tokens (
        id TEXT PRIMARY KEY,
        digest BLOB NOT NULL,
        kind TEXT NOT NULL,
        user_name TEXT,
        name TEXT NOT NULL,
        role TEXT NOT NULL,
        circle TEXT,
        merchant TEXT,
        created_at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        revoked_at TEXT,
        last_used_at TEXT
    ) STRICT""",
    """CREATE INDEX tokens_user ON tokens (user_name) WHERE user_name IS NOT NULL""",
)
