"""Orders that customers pay with their wallets: what was announced to the platform, and what goes back through it."""

TABLES = (
    # One row a number at the platform. state: new | announced | paid | closed | failed | odd. `request` is the sealed
    # order as it was first sent, so that it can be sent again alike; gone once the state is final. `form` names the
    # page whose form made it. `asked` counts the looks at it: an outbox row with another count is an old one.
    """CREATE TABLE purchases (
        number TEXT PRIMARY KEY,
        order_id TEXT NOT NULL,
        channel TEXT NOT NULL,
        form TEXT,
        amount_fen INTEGER NOT NULL,
        request BLOB,
        state TEXT NOT NULL,
        handle TEXT,
        transaction_id TEXT,
        reason TEXT,
        asked INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL,
        settled_at TEXT
    ) STRICT""",
    """CREATE INDEX purchases_order ON purchases (order_id)""",
    """CREATE UNIQUE INDEX purchases_open ON purchases (order_id) WHERE state IN ('new', 'announced')""",
    """CREATE UNIQUE INDEX purchases_form ON purchases (form) WHERE form IS NOT NULL""",
    # One row a refund's number. state: new | pending | done | closed | abnormal. `cause` is once a purchase.
    """CREATE TABLE paybacks (
        number TEXT PRIMARY KEY,
        purchase TEXT NOT NULL,
        order_id TEXT NOT NULL,
        cause TEXT NOT NULL,
        fen INTEGER NOT NULL,
        state TEXT NOT NULL,
        reason TEXT,
        asked INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL,
        settled_at TEXT
    ) STRICT""",
    """CREATE UNIQUE INDEX paybacks_cause ON paybacks (purchase, cause) WHERE state <> 'closed'""",
    """CREATE INDEX paybacks_order ON paybacks (order_id)""",
)
