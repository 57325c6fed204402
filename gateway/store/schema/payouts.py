"""Payouts: money on its way out of the house, one row each."""

TABLES = (
    # state: held | sent | settled | failed | unknown. `way`: wechat | alipay | bank. `merchant`, `channel`: whose
    # wallet pays, "" for the bank's. `request` is what is asked of the platform or the bank, sealed, as it will be sent
    # each time; gone once the payout has ended. `shown` may be shown. `handle` is what the payee's phone needs to
    # confirm, `detail` the platform's own last word. `asked` counts the looks at it: an outbox row with another count
    # is an old one. `batch` names the bank file that it went out in.
    """CREATE TABLE payouts (
        id TEXT PRIMARY KEY,
        campaign TEXT NOT NULL,
        key TEXT NOT NULL,
        circle TEXT NOT NULL,
        account TEXT NOT NULL,
        about TEXT NOT NULL,
        person TEXT NOT NULL,
        way TEXT NOT NULL,
        merchant TEXT NOT NULL,
        channel TEXT NOT NULL,
        request BLOB,
        shown TEXT NOT NULL,
        amount_fen INTEGER NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL DEFAULT '',
        handle TEXT NOT NULL DEFAULT '',
        begun_by TEXT NOT NULL,
        approved_by TEXT NOT NULL DEFAULT '',
        batch TEXT,
        asked INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL,
        moved_at TEXT NOT NULL,
        CHECK (amount_fen > 0)
    ) STRICT""",
    """CREATE UNIQUE INDEX payouts_once ON payouts (campaign, key)""",
    # One in flight an account (R113), whatever else goes wrong.
    """CREATE UNIQUE INDEX payouts_flight ON payouts (account) WHERE state IN ('held', 'sent', 'unknown')""",
    """CREATE INDEX payouts_account ON payouts (account, created_at)""",
    """CREATE INDEX payouts_person ON payouts (person) WHERE person <> ''""",
    """CREATE INDEX payouts_state ON payouts (state, created_at)""",
    """CREATE INDEX payouts_batch ON payouts (batch) WHERE batch IS NOT NULL""",
)
