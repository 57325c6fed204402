"""What the module stores: invitations, who was bound by them and how far that has come, browsers seen."""

from __future__ import annotations

from typing import Final

MIGRATIONS: Final = (
    (
        "0001_referral",
        (
            # The token opens `/r/<token>`: looked up by its digest, sealed so that its owner can be shown it again.
            """CREATE TABLE referral_invitations (
                id TEXT PRIMARY KEY,
                campaign TEXT NOT NULL,
                circle TEXT NOT NULL,
                person TEXT NOT NULL,
                token_digest BLOB NOT NULL UNIQUE,
                sealed BLOB NOT NULL,
                made_at TEXT NOT NULL,
                expires_at TEXT NOT NULL,
                revoked_at TEXT
            ) STRICT""",
            """CREATE INDEX referral_invitations_person ON referral_invitations (campaign, person, id)""",
            # state: scanned | review | bound | qualified | rewarded | rejected | expired. `reason`: a stable word.
            # `payment` qualified it, or will when a review ends well. `due_at`: when rewards are given, or tried again.
            # `counted`: the names of the referrer's caps that it took one of.
            """CREATE TABLE referral_bindings (
                id TEXT PRIMARY KEY,
                campaign TEXT NOT NULL,
                circle TEXT NOT NULL,
                invitation TEXT NOT NULL,
                referrer TEXT NOT NULL,
                referred TEXT NOT NULL,
                state TEXT NOT NULL,
                reason TEXT NOT NULL,
                scanned_at TEXT NOT NULL,
                bound_at TEXT,
                payment TEXT,
                merchant TEXT,
                qualified_at TEXT,
                due_at TEXT,
                tries INTEGER NOT NULL DEFAULT 0,
                rewarded_at TEXT,
                counted TEXT NOT NULL DEFAULT '',
                referrer_link TEXT,
                referred_link TEXT,
                decided_by TEXT,
                moved_at TEXT NOT NULL,
                UNIQUE (invitation, referred)
            ) STRICT""",
            # Bound once a person and campaign, whatever became of it (R193).
            """CREATE UNIQUE INDEX referral_bindings_once ON referral_bindings (campaign, referred)
                WHERE bound_at IS NOT NULL""",
            """CREATE INDEX referral_bindings_referrer ON referral_bindings (campaign, referrer, id)""",
            """CREATE INDEX referral_bindings_circle ON referral_bindings (circle, referred)""",
            """CREATE INDEX referral_bindings_payment ON referral_bindings (campaign, payment)""",
            """CREATE INDEX referral_bindings_state ON referral_bindings (campaign, state, id)""",
            """CREATE INDEX referral_bindings_due ON referral_bindings (campaign, due_at) WHERE state = 'qualified'""",
            # Which browser which person used, by a keyed hash of the browser's opaque name.
            """CREATE TABLE referral_devices (
                campaign TEXT NOT NULL,
                device BLOB NOT NULL,
                person TEXT NOT NULL,
                seen_at TEXT NOT NULL,
                PRIMARY KEY (campaign, device, person)
            ) STRICT""",
        ),
    ),
)


def marks(name: str, values: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """`(":p0, :p1", {"p0": …})`, to write `person IN (…)` with named parameters."""
    params = {f"{name}{number}": value for number, value in enumerate(values)}
    return ", ".join(f":{key}" for key in params), params
