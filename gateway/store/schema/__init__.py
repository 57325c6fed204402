"""The schema, as numbered steps that are only ever added to; one file an area.

Ids are text and time-ordered, so that rows born together lie together; tables whose key is their whole life are
`WITHOUT ROWID`. A step that has been released is never edited: a change is a new step.
"""

from __future__ import annotations

from gateway.store.schema import auth, catalog, coupons, inbox, jobs, ledger, links, operations, people
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
    Step("0014_jobs", jobs.TABLES),
)
"""The core's own migrations, in order."""

__all__ = ["CORE", "Step"]
