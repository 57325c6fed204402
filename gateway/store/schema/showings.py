"""How links reach the payers' eyes: what was shown and what failed, the ways' switches, the shops' second screens."""

TABLES = (
    # state: shown | failed. What has no row is `queued` or `expired`, which follows from the clock and the link.
    """CREATE TABLE showings (
        link TEXT NOT NULL,
        way TEXT NOT NULL,
        merchant TEXT NOT NULL,
        state TEXT NOT NULL,
        first_at TEXT NOT NULL,
        last_at TEXT NOT NULL,
        times INTEGER NOT NULL,
        error TEXT,
        PRIMARY KEY (link, way)
    ) STRICT, WITHOUT ROWID""",
    """CREATE INDEX showings_day ON showings (last_at, merchant)""",
    # A merchant's choice for one way; without a row the way's default holds.
    """CREATE TABLE ways (
        merchant TEXT NOT NULL,
        way TEXT NOT NULL,
        mode TEXT NOT NULL,
        since TEXT NOT NULL,
        by TEXT NOT NULL,
        PRIMARY KEY (merchant, way)
    ) STRICT, WITHOUT ROWID""",
    # One row a shop: what its clerk told the screen. `pick`: a link's id, `shop` for the shop's own code, or NULL.
    """CREATE TABLE tills (
        shop TEXT PRIMARY KEY,
        auto INTEGER NOT NULL DEFAULT 1,
        pick TEXT,
        picked_at TEXT,
        hidden_at TEXT,
        seen_at TEXT
    ) STRICT, WITHOUT ROWID""",
    # A paired second screen: its secret's digest, and the one shop whose code it may show.
    """CREATE TABLE screens (
        id TEXT PRIMARY KEY,
        shop TEXT NOT NULL,
        digest BLOB NOT NULL,
        paired_at TEXT NOT NULL,
        paired_by TEXT NOT NULL,
        seen_at TEXT,
        revoked_at TEXT,
        revoked_by TEXT
    ) STRICT""",
    """CREATE INDEX screens_shop ON screens (shop) WHERE revoked_at IS NULL""",
    # The one pairing code that a shop has at a time, as a digest; gone once it is used.
    """CREATE TABLE pairings (
        shop TEXT PRIMARY KEY,
        digest BLOB NOT NULL,
        made_at TEXT NOT NULL,
        made_by TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        wrong INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID""",
    # Slip pages that asked for an order before its payment was told, until the worker has seen what came of it.
    """CREATE TABLE slip_asks (
        out_trade_no TEXT NOT NULL,
        sub_mch_id TEXT NOT NULL,
        asked_at TEXT NOT NULL,
        PRIMARY KEY (out_trade_no, sub_mch_id)
    ) STRICT, WITHOUT ROWID""",
    # What a slip page knows of its payment: these two numbers. Only a partner's payments have the second.
    """CREATE INDEX payments_order ON payments (out_trade_no, sub_mch_id) WHERE sub_mch_id IS NOT NULL""",
)
