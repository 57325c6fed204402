"""What the module stores: quota codes, the merchants they admitted, merchants' own persons, and every firing."""

from __future__ import annotations

from typing import Final

MIGRATIONS: Final = (
    (
        "0001_two_sided",
        (
            # `uses` merchants may be admitted, `used` have been; `users`: how many payers it pays for at each (0: any).
            """CREATE TABLE two_sided_codes (
                code TEXT PRIMARY KEY,
                campaign TEXT NOT NULL,
                uses INTEGER NOT NULL,
                used INTEGER NOT NULL DEFAULT 0,
                users INTEGER NOT NULL,
                made_at TEXT NOT NULL,
                made_by TEXT NOT NULL,
                voided_at TEXT,
                CHECK (used <= uses)
            ) STRICT""",
            """CREATE INDEX two_sided_codes_campaign ON two_sided_codes (campaign, made_at, code)""",
            # Who takes part, and by which code.
            """CREATE TABLE two_sided_merchants (
                campaign TEXT NOT NULL,
                merchant TEXT NOT NULL,
                code TEXT NOT NULL,
                joined_at TEXT NOT NULL,
                joined_by TEXT NOT NULL,
                PRIMARY KEY (campaign, merchant)
            ) STRICT""",
            """CREATE INDEX two_sided_merchants_code ON two_sided_merchants (code)""",
            # A merchant's own persons: he himself, his people.
            """CREATE TABLE two_sided_people (
                campaign TEXT NOT NULL,
                merchant TEXT NOT NULL,
                person TEXT NOT NULL,
                added_at TEXT NOT NULL,
                added_by TEXT NOT NULL,
                PRIMARY KEY (campaign, merchant, person)
            ) STRICT""",
            # state: fired | refused | reversed. The amounts are what was given; `…_back_fen` what refunds took back
            # of it. `terms`: the numbers it was reckoned by, so that a refund reckons by the same.
            """CREATE TABLE two_sided_firings (
                id TEXT PRIMARY KEY,
                campaign TEXT NOT NULL,
                payment TEXT NOT NULL,
                transaction_id TEXT NOT NULL,
                merchant TEXT NOT NULL,
                shop TEXT,
                person TEXT,
                code TEXT,
                state TEXT NOT NULL,
                reason TEXT NOT NULL,
                amount_fen INTEGER NOT NULL,
                user_fen INTEGER NOT NULL,
                merchant_fen INTEGER NOT NULL,
                clerk TEXT,
                clerk_fen INTEGER NOT NULL,
                user_back_fen INTEGER NOT NULL DEFAULT 0,
                merchant_back_fen INTEGER NOT NULL DEFAULT 0,
                clerk_back_fen INTEGER NOT NULL DEFAULT 0,
                terms TEXT NOT NULL,
                pair TEXT NOT NULL,
                paid_at TEXT NOT NULL,
                at TEXT NOT NULL,
                reversed_at TEXT,
                UNIQUE (campaign, payment)
            ) STRICT""",
            """CREATE INDEX two_sided_firings_transaction ON two_sided_firings (campaign, transaction_id)""",
            """CREATE INDEX two_sided_firings_person ON two_sided_firings (campaign, person, paid_at)""",
            """CREATE INDEX two_sided_firings_merchant ON two_sided_firings (campaign, merchant, id)""",
            """CREATE INDEX two_sided_firings_refused ON two_sided_firings (campaign, at) WHERE state = 'refused'""",
        ),
    ),
)

BY_STAFF: Final = ("two_sided_codes", "two_sided_merchants", "two_sided_people")
"""What staff fill, and not payments."""


def marks(name: str, values: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """`(":p0, :p1", {"p0": …})`, to write `person IN (…)` with named parameters."""
    params = {f"{name}{number}": value for number, value in enumerate(values)}
    return ", ".join(f":{key}" for key in params), params
