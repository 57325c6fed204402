"""docs/api.md against the code: every code and reason that a caller may meet stands, and none that is never said."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest
from pages import ROOT, first_words, rows, section, text_of, words
from source import argument, calls, modules, returned_texts, texts

from gateway.auth.principal import ROLES
from gateway.contract import errors
from gateway.web.api.codes import codes, message
from gateway.web.api.messages import MESSAGES
from gateway.web.api.refusals import code_of

API = text_of("api.md")

SAID_BY_STATE = {"void", "reserved", "paused", "refunded"}
"""Codes that are a coupon's state (`redeeming`) or how a link's page stands (`claiming`), not a word in a call."""

GATEWAY = list(modules("gateway"))
KINDS = sorted(path.parent for path in (ROOT / "campaigns").glob("*/kind.py"))
CAMPAIGNS = list(modules(*(f"campaigns/{kind.name}" for kind in KINDS)))

NAMED_KINDS = set(
    tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]["drainage.campaigns"]
)
"""The kinds that the distribution brings."""

SAID_BY_RULES = {
    "help_cut/helping.py": {
        **dict.fromkeys(("self_help", "session_over", "agreed", "declined", "revoked"), 409),
        "too_late": 410,
    },
    "micro_merchant/paying.py": dict.fromkeys(
        ("no_bank_account", "payout_in_flight", "below_least", "insufficient", "limit", "account_locked"), 409
    ),
    "referral/binding.py": dict.fromkeys(("self_referral", "already_bound", "existing_customer", "expired"), 409),
}
"""Where a campaign refuses with the word that its pure rule came to: the words, with their status."""


def refusals(paths=GATEWAY):
    """Code → statuses, of every `Refused("code", status, …)`."""
    found = {}
    for call in calls(paths, "Refused"):
        for code in texts(argument(call, 0)):
            found.setdefault(code, set()).update(numbers(argument(call, 1)))
    return found


def campaign_refusals():
    """The same of the campaigns, with what their rules say."""
    found = refusals(CAMPAIGNS)
    for file, said in SAID_BY_RULES.items():
        for code, status in said.items() if (ROOT / "campaigns" / file).exists() else ():
            found.setdefault(code, set()).add(status)
    return found


def numbers(node):
    """Every status that an expression may come to."""
    if isinstance(node, ast.IfExp):
        return numbers(node.body) | numbers(node.orelse)
    return {node.value}


def statuses_told():
    return {
        words(row[0])[0]: {int(one) for one in re.findall(r"\d+", row[1])}
        for row in rows(section(API, "## Error codes"))
    }


def test_every_error_code_stands_with_its_status():
    told, real, theirs = statuses_told(), refusals(), campaign_refusals()
    # Where a campaign package was taken out, what it alone refused with is still told.
    all_there = {path.name for path in KINDS} >= NAMED_KINDS
    for code in {*real, *theirs}:
        said = real.get(code, set()) | theirs.get(code, set())
        assert told.get(code) == said if all_there else said <= told.get(code, set()), code
    by_status = {code_of(status) for status in (400, 401, 403, 404, 405, 413, 415, 429, 500, 503)}
    assert not all_there or set(told) - {*real, *theirs, *MESSAGES, *by_status, *SAID_BY_STATE} == set()
    assert ({*real, *theirs, *MESSAGES} | by_status | SAID_BY_STATE) - set(told) == set()


def test_each_code_stands_once():
    told = first_words(section(API, "## Error codes"))
    assert len(told) == len(set(told))


def test_R077_every_code_that_a_campaign_refuses_with_has_words_and_its_status():
    known = {one.code: one for one in codes()}
    for code, statuses in campaign_refusals().items():
        assert statuses <= set(known[code].statuses), code
        english, chinese = (message(code, chinese=zh, otherwise="none") for zh in (False, True))
        assert "none" not in {english, chinese}, code
        assert english != chinese, code


def test_the_campaigns_words_by_rule_are_said_and_no_other_call_hides_its_code():
    hidden = {
        str(path.relative_to(ROOT / "campaigns"))
        for path in CAMPAIGNS
        for call in calls([path], "Refused")
        if not texts(argument(call, 0))
    }
    here = {file for file in SAID_BY_RULES if (ROOT / "campaigns" / file).exists()}
    assert hidden == here
    for file in here:
        folder = (ROOT / "campaigns" / file).parent
        source = "".join(path.read_text("utf-8") for path in folder.glob("*.py"))
        assert [code for code in SAID_BY_RULES[file] if f'"{code}"' not in source] == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_R077_every_route_of_a_campaign_stands_in_its_readme(kind):
    readme = (kind / "README.md").read_text("utf-8")
    for call in calls(kind.glob("*.py"), "Route"):
        (path,) = texts(argument(call, 1, "path")) or {"/"}
        for word in re.findall(r"/([a-z][a-z-]*)", path):
            assert word in readme, path


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
