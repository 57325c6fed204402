"""The console for managers, operators and admins, a module a room, every route behind `door.Room`."""

from __future__ import annotations

from datetime import datetime, tzinfo

from flask import Flask, g
from flask_babel import gettext as _
from markupsafe import Markup

from gateway.auth import Principal
from gateway.runtime import Runtime
from gateway.web.admin.audit_pages import audit_room
from gateway.web.admin.campaign_trials import trials_room
from gateway.web.admin.campaigns import campaigns_room
from gateway.web.admin.channels import channels_room
from gateway.web.admin.delivery_pages import delivery_room
from gateway.web.admin.export_pages import export_room
from gateway.web.admin.incidents import incidents_room
from gateway.web.admin.items import items_room
from gateway.web.admin.job_pages import jobs_room
from gateway.web.admin.keys_pages import keys_room
from gateway.web.admin.menu import menu
from gateway.web.admin.merchants import merchants_room
from gateway.web.admin.offers import offers_room
from gateway.web.admin.overview import overview_room
from gateway.web.admin.pairs import pairs_room
from gateway.web.admin.parked import parked_room
from gateway.web.admin.payments import payments_room
from gateway.web.admin.payouts import payouts_room
from gateway.web.admin.people_pages import people_room
from gateway.web.admin.setup_pages import setup_room
from gateway.web.admin.staff_pages import staff_room
from gateway.web.admin.webhooks import webhooks_room
from gateway.web.pages import wording
from gateway.web.pages.roles import role_name

__all__ = ["register_admin"]


def register_admin(app: Flask, runtime: Runtime) -> None:
    """Add the console to `app`, after the pages whose chrome it wears."""
    app.jinja_env.globals["admin_menu"] = menu
    app.jinja_env.globals["role_name"] = role_name
    app.jinja_env.globals["scope_name"] = lambda who: scope_name(who, runtime)
    app.add_template_filter(moment_of)
    for make in (overview_room, payments_room, parked_room, incidents_room, audit_room, export_room, jobs_room):
        app.register_blueprint(make(runtime).blueprint)
    for make in (setup_room, merchants_room, channels_room, items_room, pairs_room, offers_room, webhooks_room):
        app.register_blueprint(make(runtime).blueprint)
    for make in (campaigns_room, trials_room, people_room, staff_room, keys_room, delivery_room, payouts_room):
        app.register_blueprint(make(runtime).blueprint)


def scope_name(who: Principal, runtime: Runtime) -> str:
    """What somebody may see, in a word or two: his merchant, his circle, or everything."""
    directory = runtime.directory()
    if who.merchant is not None:
        merchant = directory.merchant(who.merchant)
        return merchant.name if merchant is not None else who.merchant
    if who.circle is not None:
        circle = directory.circle(who.circle)
        return circle.name if circle is not None else who.circle
    return str(_("全部商圈"))


def moment_of(value: datetime | str, zone: tzinfo) -> Markup:
    """`<time>` to the millisecond, for what happened in one breath; the day stands before it unless it is today."""
    at = wording.as_time(value)
    local = at.astimezone(zone)
    clock = f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}"
    today = local.date() == g.now.astimezone(zone).date()
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), clock if today else f"{local:%m-%d} {clock}")
