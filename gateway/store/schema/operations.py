"""What keeps the house running: outbox, incidents, the audit chain, the state of breakers and workers."""

TABLES = (
    # state: due | done | parked. A lease is a time until which one worker owns the row.
    """CREATE TABLE outbox (
        id TEXT PRIMARY KEY,
        topic TEXT NOT NULL,
        object TEXT NOT NULL,
        payload TEXT NOT NULL,
        state TEXT NOT NULL,
        due_at TEXT NOT NULL,
        give_up_at TEXT,
        tries INTEGER NOT NULL DEFAULT 0,
        leased_until TEXT,
        last_error TEXT,
        created_at TEXT NOT NULL,
        done_at TEXT
    ) STRICT""",
    """CREATE INDEX outbox_due ON outbox (due_at) WHERE state = 'due'""",
    """CREATE INDEX outbox_parked ON outbox (id) WHERE state = 'parked'""",
    """CREATE TABLE incidents (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        detail TEXT NOT NULL,
        n INTEGER NOT NULL,
        first_at TEXT NOT NULL,
        last_at TEXT NOT NULL,
        closed_at TEXT
    ) STRICT""",
    """CREATE UNIQUE INDEX incidents_open ON incidents (kind, subject) WHERE closed_at IS NULL""",
    """CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        who TEXT NOT NULL,
        action TEXT NOT NULL,
        object TEXT NOT NULL,
        before TEXT,
        after TEXT,
        request_id TEXT,
        hash TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE breakers (
        channel TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        since TEXT NOT NULL
    ) STRICT""",
)
