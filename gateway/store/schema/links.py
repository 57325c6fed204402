"""Claim links: what was chosen for whom and why, and how far the customer has come with it."""

TABLES = (
    # purpose: payer | source | order. state: issued | opened | claimed | expired | revoked | superseded.
    # The token itself is nowhere: it is derived from the link key `key_id` and the id; only its digest is kept.
    """CREATE TABLE links (
        id TEXT PRIMARY KEY,
        token_digest BLOB NOT NULL,
        key_id TEXT NOT NULL,
        circle TEXT NOT NULL,
        merchant TEXT NOT NULL,
        shop TEXT,
        person TEXT NOT NULL,
        purpose TEXT NOT NULL,
        payment TEXT,
        about TEXT,
        source_order TEXT,
        offer TEXT NOT NULL,
        items TEXT NOT NULL,
        choice TEXT NOT NULL,
        state TEXT NOT NULL,
        created_at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        opened_at TEXT,
        claimed_at TEXT,
        closed_at TEXT,
        closed_reason TEXT
    ) STRICT""",
    """CREATE UNIQUE INDEX links_token ON links (token_digest)""",
    """CREATE UNIQUE INDEX links_payment ON links (payment, purpose) WHERE payment IS NOT NULL""",
    """CREATE INDEX links_person ON links (person, id)""",
    """CREATE INDEX links_order ON links (source_order) WHERE source_order IS NOT NULL""",
    """CREATE INDEX links_open ON links (expires_at) WHERE state IN ('issued', 'opened')""",
)
