"""The words for people in their roles, and for persons without a name."""

from __future__ import annotations

from flask_babel import gettext as _


def role_name(role: str) -> str:
    """What a role is called; its own word where this version has no other."""
    names = {
        "admin": _("管理员"),
        "operator": _("运营"),
        "manager": _("店长"),
        "clerk": _("店员"),
        "integrator": _("接入方"),
    }
    return str(names.get(role, role))


def guest(person: str | None) -> str:
    """A person's pseudonym, from the random end of his id: `客人 7F3A`."""
    return str(_("客人 %(guest)s", guest=person[-4:].upper()) if person else _("未知客人"))
