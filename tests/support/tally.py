"""A small campaign kind for tests: it notes what it hears, and fails, refuses or rewards as its settings say."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.contract.campaign import PaymentReceived, RefundReceived, Verdict
from gateway.contract.campaign_kind import Reply, Route
from gateway.contract.errors import BadConfig, Refused
from gateway.contract.money import Fen


class Tally:
    """Notes each event by its name, once per payment; fails, refuses or rewards as its settings say."""

    slug = "tally"
    pages = None
    deeds: ClassVar[dict[str, Any]] = {}
    migrations = (
        ("0001_tally", ("CREATE TABLE tally_heard (what TEXT, about TEXT, PRIMARY KEY (what, about)) STRICT",)),
    )

    def __init__(self):
        self.done = []
        self.deeds = {"note": self._do}

    def load_settings(self, table):
        unknown = set(table) - {"fails", "cost_fen", "needs_fen", "title"}
        if unknown:
            raise BadConfig([(name, "is unknown") for name in sorted(unknown)])
        return {"fails": False, "cost_fen": 0, "needs_fen": 0, **table}

    def faults(self, campaign, catalogue):
        return [("needs_fen", "is unlucky")] if campaign.settings["needs_fen"] == 13 else []

    def funding(self, campaign):
        return Fen(campaign.settings["needs_fen"])

    def take(self, tx, house, campaign, event, now):
        note(tx, type(event).__name__, getattr(event, "payment", "") or getattr(event, "code", "") or event.circle)
        if campaign.settings["fails"]:
            raise RuntimeError("a fault of the module")
        if isinstance(event, PaymentReceived):
            cost = campaign.settings["cost_fen"]
            if cost and not house.reserve(tx, campaign, event.payment, [("reward", cost)], now):
                return Verdict("refused", "budget")
            house.owe(tx, campaign, "note", event.payment, {"payment": event.payment}, now)
            return Verdict("done", event.tag.state)
        return Verdict("done", "taken_back") if isinstance(event, RefundReceived) else None

    def _do(self, house, campaign, payload, now):
        self.done.append(payload["payment"])

    @property
    def routes(self):
        return (
            Route("POST", "/things", _make, person="optional"),
            Route("GET", "/things/<thing>", lambda tx, house, asked: Reply(200, {"thing": asked.values["thing"]})),
            Route("POST", "/secrets", _make, role="operator"),
            Route("POST", "/plays", _make, sandbox=True),
            Route(
                "PATCH",
                "/files",
                lambda tx, house, asked: Reply(204, None, {"Upload-Offset": str(len(asked.data))}),
                raw=True,
                most_bytes=100,
            ),
        )

    sweeps = ()

    def counts(self, tx, campaign):
        return {"heard": tx.one("SELECT count(*) AS n FROM tally_heard")["n"]}


def note(tx, what, about):
    tx.run("INSERT INTO tally_heard VALUES (:what, :about) ON CONFLICT DO NOTHING", {"what": what, "about": about})


def _make(tx, house, asked):
    if asked.body.get("size") == "none":
        note(tx, "refused", "half")
        raise Refused("sold_out", 409)
    note(tx, "made", house.ids.new("th", asked.now))
    return Reply(
        201, {"person": asked.person, "made": tx.one("SELECT count(*) AS n FROM tally_heard WHERE what = 'made'")["n"]}
    )


def table(slug="tally", circle="riverside", **more):
    words = {"kind": '"tally"', "circle": f'"{circle}"', "state": '"live"', **more}
    return f"[campaign.{slug}]\n" + "".join(f"{name} = {value}\n" for name, value in words.items())
