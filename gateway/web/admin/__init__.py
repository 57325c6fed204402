"""The console for managers, operators and admins, a module a room, every route behind `door.Room`."""

from __future__ import annotations

from datetime import datetime, tzinfo

from flask import Flask, g
from markupsafe import Markup

from gateway.runtime import Runtime
from gateway.web.admin.job_pages import jobs_room
from gateway.web.admin.menu import menu
from gateway.web.admin.overview import overview_room
from gateway.web.pages import wording

__all__ = ["register_admin"]


def register_admin(app: Flask, runtime: Runtime) -> None:
    """Add the console to `app`, after the pages whose chrome it wears."""
    app.jinja_env.globals["admin_menu"] = menu
    app.add_template_filter(moment_of)
    for make in (overview_room, jobs_room):
        app.register_blueprint(make(runtime).blueprint)


def moment_of(value: datetime | str, zone: tzinfo) -> Markup:
    """`<time>` to the millisecond, for what happened in one breath; the day stands before it unless it is today."""
    at = wording.as_time(value)
    local = at.astimezone(zone)
    clock = f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}"
    today = local.date() == g.now.astimezone(zone).date()
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), clock if today else f"{local:%m-%d} {clock}")
