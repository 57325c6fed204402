"""The catalogue (what apply files say) and small facts about the store itself."""

TABLES = (
    """CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID""",
    """CREATE TABLE catalog (
        kind TEXT NOT NULL,
        slug TEXT NOT NULL,
        spec TEXT NOT NULL,
        secrets BLOB,
        secret_ids TEXT,
        updated_at TEXT NOT NULL,
        PRIMARY KEY (kind, slug)
    ) STRICT""",
    # A data key is random, wrapped under the home's master key; rotation adds a row and moves `active`.
    """CREATE TABLE data_keys (
        id TEXT PRIMARY KEY,
        wrapped BLOB NOT NULL,
        active INTEGER NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT""",
    # Stock that is taken at a claim or held for an unpaid order; `total` NULL is without end.
    """CREATE TABLE stock (
        item TEXT PRIMARY KEY,
        total INTEGER,
        taken INTEGER NOT NULL DEFAULT 0,
        CHECK (taken >= 0)
    ) STRICT, WITHOUT ROWID""",
    """CREATE INDEX stock_gone ON stock (item) WHERE taken >= total""",
)
