"""What webhooks are told: a row a message and receiver, and how each receiver does."""

TABLES = (
    # state: due | done | parked | dropped. `seq` counts the messages about one object: a later one waits for the
    # earlier. `body` is what is sent, to the byte; `object` the link or coupon, under a name that opens nothing.
    """CREATE TABLE messages (
        id TEXT PRIMARY KEY,
        webhook TEXT NOT NULL,
        event TEXT NOT NULL,
        object TEXT NOT NULL,
        seq INTEGER NOT NULL,
        body TEXT NOT NULL,
        state TEXT NOT NULL,
        created_at TEXT NOT NULL,
        due_at TEXT NOT NULL,
        give_up_at TEXT NOT NULL,
        tries INTEGER NOT NULL DEFAULT 0,
        leased_until TEXT,
        status INTEGER,
        error TEXT,
        done_at TEXT
    ) STRICT""",
    """CREATE UNIQUE INDEX messages_object ON messages (webhook, object, seq)""",
    """CREATE INDEX messages_due ON messages (webhook, due_at) WHERE state = 'due'""",
    """CREATE INDEX messages_made ON messages (webhook, created_at)""",
    """CREATE TABLE receivers (
        webhook TEXT PRIMARY KEY,
        failures INTEGER NOT NULL DEFAULT 0,
        failing_since TEXT,
        next_at TEXT,
        ok_at TEXT,
        off_at TEXT,
        off_why TEXT
    ) STRICT""",
)
