"""The schema, as numbered steps that are only ever added to; one file an area.

Ids are text and time-ordered, so that rows born together lie together; tables whose key is their whole life are
`WITHOUT ROWID`. A step that has been released is never edited: a change is a new step.
"""

from __future__ import annotations

from gateway.store.schema import (
    auth,
    campaigns,
    catalog,
    coupons,
    gifts,
    inbox,
    jobs,
    ledger,
    links,
    operations,
    payouts,
    people,
    purchases,
    rates,
    scans,
    setup,
    showings,
    signin,
    staff,
    webhooks,
)
from gateway.store.schema.step import Step

CORE: tuple[Step, ...] = (
    Step("0001_catalog", catalog.TABLES),
    Step("0002_inbox", inbox.TABLES),
    Step("0003_people", people.TABLES),
    Step("0004_links", links.TABLES),
    Step("0005_coupons", coupons.TABLES),
    Step("0006_ledger", ledger.TABLES),
    Step("0007_operations", operations.TABLES),
    Step("0008_auth", auth.TABLES),
    Step("0009_signin", signin.TABLES),
    Step("0010_gifts", gifts.TABLES),
    Step("0011_purchases", purchases.TABLES),
    Step("0012_showings", showings.TABLES),
    Step("0013_scans", scans.TABLES),
    Step("0014_jobs", jobs.TABLES),
    Step("0015_setup", setup.TABLES),
    Step("0016_webhooks", webhooks.TABLES),
    Step("0017_staff", staff.TABLES),
    Step("0018_rates", rates.TABLES),
    Step("0019_campaigns", campaigns.TABLES),
    Step("0021_payouts", payouts.TABLES),
)
"""The core's own migrations, in order."""

__all__ = ["CORE", "Step"]
