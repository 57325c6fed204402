"""Coupons (claimed items), their redemptions, and orders that buy them."""

TABLES = (
    # `origin` is the link or order that gave it; `unit` counts within it. UNIQUE makes a second claim impossible.
    """CREATE TABLE coupons (
        code TEXT PRIMARY KEY,
        origin TEXT NOT NULL,
        item TEXT NOT NULL,
        unit INTEGER NOT NULL,
        circle TEXT NOT NULL,
        merchant TEXT NOT NULL,
        person TEXT NOT NULL,
        payment TEXT,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        value_fen INTEGER NOT NULL,
        percent_off INTEGER NOT NULL,
        cap_fen INTEGER NOT NULL,
        min_spend_fen INTEGER NOT NULL,
        stackable INTEGER NOT NULL,
        exclusive_group TEXT NOT NULL,
        state TEXT NOT NULL,
        claimed_at TEXT NOT NULL,
        valid_from TEXT NOT NULL,
        valid_to TEXT NOT NULL,
        closed_at TEXT,
        closed_reason TEXT
    ) STRICT""",
    """CREATE UNIQUE INDEX coupons_origin ON coupons (origin, item, unit)""",
    """CREATE INDEX coupons_person ON coupons (person)""",
    """CREATE INDEX coupons_open ON coupons (valid_to) WHERE state IN ('claimed', 'reserved')""",
    # At most one standing redemption a coupon; a reversal keeps the row and frees the coupon.
    """CREATE TABLE redemptions (
        id TEXT PRIMARY KEY,
        coupon TEXT NOT NULL,
        key TEXT NOT NULL,
        by TEXT NOT NULL,
        shop TEXT,
        at TEXT NOT NULL,
        discount_fen INTEGER NOT NULL,
        amount_fen INTEGER,
        transaction_id TEXT,
        payment TEXT,
        reversed_at TEXT,
        reversed_by TEXT,
        reason TEXT
    ) STRICT""",
    """CREATE UNIQUE INDEX redemptions_standing ON redemptions (coupon) WHERE reversed_at IS NULL""",
    """CREATE INDEX redemptions_transaction ON redemptions (transaction_id) WHERE transaction_id IS NOT NULL""",
    # One row a request id: the same key and request get the same answer.
    """CREATE TABLE idempotency (
        scope TEXT NOT NULL,
        key TEXT NOT NULL,
        digest BLOB NOT NULL,
        status INTEGER NOT NULL,
        answer TEXT NOT NULL,
        created_at TEXT NOT NULL,
        PRIMARY KEY (scope, key)
    ) STRICT""",
    # state: created | fulfilled | closed | refunded
    """CREATE TABLE orders (
        id TEXT PRIMARY KEY,
        circle TEXT NOT NULL,
        merchant TEXT NOT NULL,
        item TEXT NOT NULL,
        person TEXT NOT NULL,
        quantity INTEGER NOT NULL,
        refunded_units INTEGER NOT NULL DEFAULT 0,
        price_fen INTEGER NOT NULL,
        amount_fen INTEGER NOT NULL,
        state TEXT NOT NULL,
        holds_stock INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        paid_at TEXT,
        closed_reason TEXT
    ) STRICT""",
    """CREATE INDEX orders_person ON orders (person, circle)""",
    """CREATE INDEX orders_unpaid ON orders (expires_at) WHERE state = 'created'""",
)
