"""Setting shops up: what a channel's checks came to, and how far a merchant's setting up is."""

TABLES = (
    # kind: self | notice. state: ok | failed (self); sent | arrived | answered | failed (notice). facts: JSON.
    """CREATE TABLE setup_checks (
        id TEXT PRIMARY KEY,
        channel TEXT NOT NULL,
        kind TEXT NOT NULL,
        state TEXT NOT NULL,
        facts TEXT NOT NULL,
        at TEXT NOT NULL,
        by TEXT NOT NULL
    ) STRICT""",
    """CREATE INDEX setup_checks_channel ON setup_checks (channel, kind, id)""",
    # pays: how his customers pay (they_scan | we_scan | both). live_at: when he went live first.
    """CREATE TABLE setup_progress (
        merchant TEXT PRIMARY KEY,
        pays TEXT,
        live_at TEXT,
        updated_at TEXT NOT NULL
    ) STRICT""",
)
