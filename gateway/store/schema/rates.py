"""What the status page shows of much traffic in few rows: a minute's, an hour's, and today's tallies of payments."""

TABLES = (
    # A channel's minute with anything in it. `times`: JSON, milliseconds (two digits kept) → how many answers took so.
    """CREATE TABLE rates (
        channel TEXT NOT NULL,
        minute TEXT NOT NULL,
        events INTEGER NOT NULL,
        tried INTEGER NOT NULL,
        answered INTEGER NOT NULL,
        times TEXT NOT NULL,
        PRIMARY KEY (channel, minute)
    ) STRICT, WITHOUT ROWID""",
    # A channel's hour. `silence_s`: the longest that it had been silent at any moment of it; `last_at`: its last event.
    """CREATE TABLE hours (
        channel TEXT NOT NULL,
        hour TEXT NOT NULL,
        events INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        silence_s INTEGER NOT NULL,
        last_at TEXT,
        PRIMARY KEY (channel, hour)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE tallies (
        merchant TEXT NOT NULL,
        hour TEXT NOT NULL,
        payments INTEGER NOT NULL,
        tagged INTEGER NOT NULL,
        linked INTEGER NOT NULL,
        PRIMARY KEY (hour, merchant)
    ) STRICT, WITHOUT ROWID""",
    # Written at a claim and a redemption only, never while a payment is taken in.
    """CREATE INDEX links_claimed ON links (id, merchant) WHERE state = 'claimed' AND purpose = 'payer'""",
    """CREATE INDEX coupons_redeemed ON coupons (origin) WHERE state = 'redeemed'""",
)
