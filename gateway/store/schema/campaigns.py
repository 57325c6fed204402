"""Campaigns: how each stands, what orders of theirs are about, and one link a person and occasion."""

TABLES = (
    # state: draft | scheduled | live | paused | ended | archived. `version` moves with every edit of its table.
    """CREATE TABLE campaign_states (
        campaign TEXT PRIMARY KEY,
        circle TEXT NOT NULL,
        state TEXT NOT NULL,
        version INTEGER NOT NULL,
        since TEXT NOT NULL
    ) STRICT""",
    """CREATE INDEX campaign_states_circle ON campaign_states (circle)""",
    """ALTER TABLE orders ADD COLUMN campaign TEXT""",
    """ALTER TABLE orders ADD COLUMN about TEXT""",
    """CREATE INDEX orders_campaign ON orders (campaign, about) WHERE campaign IS NOT NULL""",
    """CREATE UNIQUE INDEX links_campaign ON links (offer, person, about) WHERE purpose = 'campaign'""",
)
