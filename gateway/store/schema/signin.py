"""Wallet sign-ins on their way, and what the sandbox's twins of the wallet platforms remember."""

TABLES = (
    # Of no use to whoever reads it: state and browser are digests, the way back is sealed.
    # person: who it was once the platform has told, "" for one that nobody here knows. failed: why it came to nothing.
    """CREATE TABLE sign_ins (
        state_digest BLOB PRIMARY KEY,
        browser BLOB NOT NULL,
        channel TEXT NOT NULL,
        platform TEXT NOT NULL,
        circle TEXT NOT NULL,
        target BLOB NOT NULL,
        makes INTEGER NOT NULL,
        round INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        taken_at TEXT,
        person TEXT,
        failed TEXT
    ) STRICT, WITHOUT ROWID""",
    """CREATE INDEX sign_ins_expiry ON sign_ins (expires_at)""",
    """CREATE TABLE twin_state (
        channel TEXT NOT NULL,
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (channel, kind, key)
    ) STRICT, WITHOUT ROWID""",
)
