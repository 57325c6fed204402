"""Gifts from one customer to another: who handed a coupon on, and how far that has come."""

TABLES = (
    # state: made | taken | taken_back | lapsed. The token is derived from the link key `key_id` and the id; only its
    # digest is kept. `coupon` follows the coupon's code, which changes when it is taken.
    """CREATE TABLE handovers (
        id TEXT PRIMARY KEY,
        token_digest BLOB NOT NULL UNIQUE,
        key_id TEXT NOT NULL,
        circle TEXT NOT NULL,
        coupon TEXT NOT NULL,
        giver TEXT NOT NULL,
        state TEXT NOT NULL,
        made_at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        taker TEXT,
        closed_at TEXT
    ) STRICT""",
    # A coupon changes hands at most once, and has one open gift link at a time.
    """CREATE UNIQUE INDEX handovers_coupon ON handovers (coupon) WHERE state IN ('made', 'taken')""",
    """CREATE INDEX handovers_giver ON handovers (giver, id)""",
    """CREATE INDEX handovers_open ON handovers (expires_at) WHERE state = 'made'""",
)
