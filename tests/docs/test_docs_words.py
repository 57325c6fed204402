"""docs/api.md against the code: every code and reason that a caller may meet stands, and none that is never said."""

from __future__ import annotations

from pages import ROOT, first_words, rows, section, text_of, words
from source import argument, calls, modules, returned_texts, texts

from gateway.auth.principal import ROLES
from gateway.contract import errors
from gateway.web.api.messages import MESSAGES
from gateway.web.api.refusals import code_of

API = text_of("api.md")

SAID_BY_STATE = {"void", "reserved", "paused", "refunded"}
"""Codes that are a coupon's state (`redeeming`) or how a link's page stands (`claiming`), not a word in a call."""

GATEWAY = list(modules("gateway"))


def refusals():
    """Code → statuses, of every `Refused("code", status, …)`."""
    found = {}
    for call in calls(GATEWAY, "Refused"):
        for code in texts(argument(call, 0)):
            found.setdefault(code, set()).add(ast_number(argument(call, 1)))
    return found


def ast_number(node):
    return node.value


def test_every_error_code_stands_with_its_status():
    told = {words(row[0])[0]: {int(row[1])} for row in rows(section(API, "## Error codes"))}
    real = refusals()
    for code, statuses in real.items():
        assert told.get(code) == statuses, code
    by_status = {code_of(status) for status in (400, 401, 403, 404, 405, 413, 415, 429, 500, 503)}
    assert set(told) == set(real) | set(MESSAGES) | by_status | SAID_BY_STATE


def test_the_codes_said_by_state_are_said():
    claiming = (ROOT / "gateway/claiming.py").read_text("utf-8")
    assert all(f'"{code}"' in claiming for code in ("paused", "refunded"))
    coupons = "".join((ROOT / f"gateway/{name}.py").read_text("utf-8") for name in ("coupons", "redeeming"))
    assert '"void"' in coupons
    assert "'reserved'" in coupons


def test_every_role_stands():
    assert tuple(sorted(first_words(section(API, "## Roles")))) == tuple(sorted(ROLES))


def test_every_decision_reason_stands_under_its_rules():
    told = {words(row[0])[0]: set(words(row[1])) for row in rows(section(API, "## Decisions"))}
    ledger = [ROOT / "gateway/ledger/limits.py", ROOT / "gateway/rewards.py"]
    real = set().union(*(texts(argument(call, 2, "reason")) for call in calls(GATEWAY, "Decision")))
    real |= set().union(*(texts(argument(call, 3, "reason")) for call in calls(ledger, "Limit")))
    assert set(told) == real
    for call in calls(GATEWAY, "Decision"):
        for reason in texts(argument(call, 2)):
            assert texts(argument(call, 0)) <= told[reason], reason


def test_every_reason_to_ignore_stands():
    adapters = [ROOT / f"adapters/{name}/parse.py" for name in ("wechat_v3", "wechat_v2", "alipay")]
    real = set()
    for call in calls([*adapters, ROOT / "gateway/service.py"], "Ignored", "_ignored"):
        real |= texts(argument(call, 1, "reason"))
    real |= returned_texts(adapters[0], "_why_not")
    assert set(first_words(section(API, "## Ignored notifications"))) == real


def test_every_reason_to_refuse_stands():
    real = {
        kind.reason
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.BadNotification)
    }
    assert set(first_words(section(API, "## Refused notifications"))) == real - {"bad_notification"}
