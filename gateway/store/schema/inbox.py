"""What came in: every request (deliveries), and what is true about the world because of it (payments, refunds).

Payments and refunds together are the events of R009: the unique key (provider, mch_id, kind, transaction_id, refund
number) is each table's own unique index, its kind being the table.
"""

TABLES = (
    # `sealed` is the request under a data key, dropped after the retention; `digest` is SHA-256 of the body.
    """CREATE TABLE deliveries (
        id TEXT PRIMARY KEY,
        channel TEXT NOT NULL,
        received_at TEXT NOT NULL,
        outcome TEXT NOT NULL,
        reason TEXT,
        payment TEXT,
        digest BLOB NOT NULL,
        sealed BLOB
    ) STRICT""",
    """CREATE INDEX deliveries_payment ON deliveries (payment) WHERE payment IS NOT NULL""",
    """CREATE INDEX deliveries_refused ON deliveries (channel, id) WHERE outcome = 'refused'""",
    """CREATE INDEX deliveries_quarantine ON deliveries (id) WHERE outcome = 'refused' AND sealed IS NOT NULL""",
    """CREATE TABLE payments (
        id TEXT PRIMARY KEY,
        provider TEXT NOT NULL,
        mch_id TEXT NOT NULL,
        sub_mch_id TEXT,
        transaction_id TEXT NOT NULL,
        out_trade_no TEXT,
        channel TEXT NOT NULL,
        circle TEXT NOT NULL,
        merchant TEXT NOT NULL,
        shop TEXT,
        amount_fen INTEGER NOT NULL,
        payer_total_fen INTEGER,
        refunded_fen INTEGER NOT NULL DEFAULT 0,
        currency TEXT NOT NULL,
        trade_type TEXT,
        device_id TEXT,
        paid_at TEXT NOT NULL,
        received_at TEXT NOT NULL,
        person TEXT,
        tag_before TEXT NOT NULL,
        tag_after TEXT NOT NULL,
        tag_source TEXT,
        decisions TEXT NOT NULL,
        relay_state TEXT NOT NULL DEFAULT 'none',
        relay_attempts INTEGER NOT NULL DEFAULT 0,
        relay_status INTEGER
    ) STRICT""",
    """CREATE UNIQUE INDEX payments_event ON payments (transaction_id, provider, mch_id)""",
    """CREATE INDEX payments_merchant ON payments (merchant, id)""",
    # state: applied | waiting (its payment has not come yet) | excess (more than was paid: an incident)
    """CREATE TABLE refunds (
        id TEXT PRIMARY KEY,
        provider TEXT NOT NULL,
        mch_id TEXT NOT NULL,
        transaction_id TEXT NOT NULL,
        refund_no TEXT NOT NULL,
        refund_fen INTEGER NOT NULL,
        refunded_total_fen INTEGER,
        refunded_at TEXT NOT NULL,
        received_at TEXT NOT NULL,
        payment TEXT,
        state TEXT NOT NULL
    ) STRICT""",
    """CREATE UNIQUE INDEX refunds_event ON refunds (transaction_id, provider, mch_id, refund_no)""",
    # Each try to hand a notification to the POS, replays included.
    """CREATE TABLE relay_attempts (
        id TEXT PRIMARY KEY,
        delivery TEXT NOT NULL,
        payment TEXT,
        channel TEXT NOT NULL,
        at TEXT NOT NULL,
        outcome TEXT NOT NULL,
        status INTEGER,
        ms INTEGER NOT NULL,
        replay INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    """CREATE INDEX relay_attempts_payment ON relay_attempts (payment) WHERE payment IS NOT NULL""",
    """CREATE INDEX relay_attempts_failed ON relay_attempts (id) WHERE outcome <> 'answered'""",
)
