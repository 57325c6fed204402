"""Scans that a till kept while it had no line, and what became of each; when a token's holder last gave a password."""

TABLES = (
    # state: redeemed | held (the coupon is reserved until a password is given) | conflict. `merchant` is the one whose
    # staff scanned; `coupon` stands only where the coupon is theirs; first_… is the redemption that stood already.
    """CREATE TABLE scans (
        nonce TEXT PRIMARY KEY,
        digest BLOB NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        merchant TEXT,
        coupon TEXT,
        tail TEXT NOT NULL,
        owner TEXT,
        by TEXT NOT NULL,
        shop TEXT,
        amount_fen INTEGER,
        at TEXT NOT NULL,
        told_at TEXT NOT NULL,
        merged_at TEXT NOT NULL,
        first_at TEXT,
        first_shop TEXT,
        first_by TEXT,
        seen_at TEXT,
        seen_by TEXT
    ) STRICT""",
    """CREATE INDEX scans_open ON scans (merged_at) WHERE seen_at IS NULL AND state IN ('conflict', 'held')""",
    """CREATE INDEX scans_merged ON scans (merged_at)""",
    # When the chain of refreshed tokens began with a password, and when a password was last given for this one.
    """ALTER TABLE tokens ADD COLUMN begun_at TEXT""",
    """ALTER TABLE tokens ADD COLUMN confirmed_at TEXT""",
)
