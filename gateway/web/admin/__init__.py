"""The console for managers, operators and admins, a module a room, every route behind `door.Room`."""

from __future__ import annotations

from flask import Flask

from gateway.runtime import Runtime
from gateway.web.admin.menu import menu
from gateway.web.admin.overview import overview_room

__all__ = ["register_admin"]


def register_admin(app: Flask, runtime: Runtime) -> None:
    """Add the console to `app`, after the pages whose chrome it wears."""
    app.jinja_env.globals["admin_menu"] = menu
    for make in (overview_room,):
        app.register_blueprint(make(runtime).blueprint)
