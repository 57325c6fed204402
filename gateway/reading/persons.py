"""One person as the API shows him: how he stands to each circle, his links, his coupons. No identity of his."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway import coupons, links, people, tagging
from gateway.contract.store import Tx
from gateway.reading.links import LinkView


def as_json(tx: Tx, person: str, circles: Iterable[str], view: LinkView, *, everywhere: bool) -> dict[str, Any] | None:
    """The person with this id, or whom it was merged into, as far as `circles` know him.

    None for an unknown one, and, unless `everywhere`, for one whom none of the circles knows.
    """
    who = people.look_up(tx, person)
    if who is None:
        return None
    wanted = sorted(circles)
    standings = {circle: tagging.standing(tx, circle, who, view.now) for circle in wanted}
    his_links = [link for link in links.of_person(tx, who) if link["circle"] in standings]
    his_coupons = [coupon["code"] for coupon in coupons.of_person(tx, who) if coupon["circle"] in standings]
    known = his_links or his_coupons or any(standing.state != "untagged" for standing in standings.values())
    if not known and not everywhere:
        return None
    return {
        "person": who.id,
        "circles": {
            circle: {
                "tag": standing.state,
                "source": standing.source.as_json() if standing.source is not None else None,
            }
            for circle, standing in standings.items()
        },
        "links": [view.as_json(link) for link in his_links],
        "coupons": his_coupons,
    }
