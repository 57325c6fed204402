"""`/admin`: the console's first page."""

from __future__ import annotations

from flask import render_template

from gateway.auth import Principal
from gateway.runtime import Runtime
from gateway.web.admin.door import Answer, Room


class OverviewPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:  # noqa: ARG002 - the seam's signature
        """What there is to do."""
        return render_template("admin/overview.html")


def overview_room(runtime: Runtime) -> Room:
    """The first page, under the name `admin_overview`."""
    pages = OverviewPages(runtime)
    room = Room("overview", __name__, runtime)
    room.add("", "index", pages.index, role="manager")
    return room
