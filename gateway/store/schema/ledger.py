"""Money and limits: double-entry transfers, budgets with holds, counters."""

TABLES = (
    # Sums of the transfers that touch an account, kept beside them; `drainage check` adds both up and compares.
    """CREATE TABLE accounts (
        id TEXT PRIMARY KEY,
        unit TEXT NOT NULL,
        debits_posted INTEGER NOT NULL DEFAULT 0,
        credits_posted INTEGER NOT NULL DEFAULT 0,
        debits_pending INTEGER NOT NULL DEFAULT 0,
        credits_pending INTEGER NOT NULL DEFAULT 0,
        overdraft INTEGER NOT NULL,
        CHECK (overdraft = 1 OR credits_posted - debits_posted - debits_pending >= 0)
    ) STRICT""",
    # state: pending | posted | voided. Never edited otherwise: what was wrong is set right by a transfer back.
    """CREATE TABLE transfers (
        id TEXT PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        debit TEXT NOT NULL,
        credit TEXT NOT NULL,
        amount INTEGER NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        at TEXT NOT NULL,
        settled_at TEXT,
        CHECK (amount > 0)
    ) STRICT""",
    """CREATE TABLE budgets (
        name TEXT PRIMARY KEY,
        total_fen INTEGER NOT NULL,
        reserved_fen INTEGER NOT NULL DEFAULT 0,
        consumed_fen INTEGER NOT NULL DEFAULT 0,
        CHECK (reserved_fen >= 0 AND consumed_fen >= 0)
    ) STRICT, WITHOUT ROWID""",
    # state: reserved | consumed | returned
    """CREATE TABLE budget_holds (
        origin TEXT NOT NULL,
        item TEXT NOT NULL,
        budget TEXT NOT NULL,
        fen INTEGER NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (origin, item, budget)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE counters (
        name TEXT PRIMARY KEY,
        n INTEGER NOT NULL,
        expires_at TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE INDEX counters_expiry ON counters (expires_at)""",
)
