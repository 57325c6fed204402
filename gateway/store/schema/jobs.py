"""Long work with progress that survives, what staff said about incidents, and what searching payments needs."""

TABLES = (
    # state: queued | running | done | failed | cancelled. `tries` counts takers and tells an old taker that he lost it;
    # `base` is how much was done when the present one took it up. `once` makes a form sent twice one job.
    """CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        once TEXT,
        kind TEXT NOT NULL,
        params TEXT NOT NULL,
        state TEXT NOT NULL,
        done INTEGER NOT NULL DEFAULT 0,
        total INTEGER NOT NULL DEFAULT 0,
        base INTEGER NOT NULL DEFAULT 0,
        result TEXT,
        error TEXT,
        by TEXT NOT NULL,
        circle TEXT,
        merchant TEXT,
        created_at TEXT NOT NULL,
        started_at TEXT,
        ended_at TEXT,
        tries INTEGER NOT NULL DEFAULT 0,
        leased_until TEXT,
        stopping INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    """CREATE UNIQUE INDEX jobs_once ON jobs (once) WHERE once IS NOT NULL""",
    """CREATE INDEX jobs_open ON jobs (id) WHERE state IN ('queued', 'running')""",
    """CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL""",
    """CREATE TABLE job_rows (
        job TEXT NOT NULL,
        name TEXT NOT NULL,
        outcome TEXT NOT NULL,
        detail TEXT NOT NULL,
        PRIMARY KEY (job, name)
    ) STRICT, WITHOUT ROWID""",
    # What staff said about an incident: `seen` (somebody is at it) or `closed`, with the cause.
    """CREATE TABLE incident_notes (
        incident TEXT NOT NULL,
        said TEXT NOT NULL,
        at TEXT NOT NULL,
        by TEXT NOT NULL,
        cause TEXT NOT NULL,
        PRIMARY KEY (incident, said)
    ) STRICT, WITHOUT ROWID""",
    """CREATE INDEX payments_out_trade ON payments (out_trade_no) WHERE out_trade_no IS NOT NULL""",
    """CREATE INDEX coupons_payment ON coupons (payment) WHERE payment IS NOT NULL""",
    """CREATE INDEX outbox_parked_object ON outbox (object, id) WHERE state = 'parked'""",
    """CREATE INDEX incidents_subject ON incidents (subject, id)""",
)
