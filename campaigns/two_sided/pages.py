"""What people see: a customer his rebates, a merchant his, staff the codes and what became of every payment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from campaigns.two_sided import listing, people, quota
from campaigns.two_sided.api import must_take_part
from campaigns.two_sided.money import debts
from campaigns.two_sided.settings import Settings
from gateway.contract.account import merchant_rewards, person_rewards
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import Caller, ConsolePage, Data, GoTo, Page, Pages, Seen, Show, SignInFirst, Visit
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.payout import Payee
from gateway.contract.store import Tx
from gateway.ledger import book
from linkgen.codes import grouped

_PAGE: Final = 50
_BATCH: Final = 1000
_MOST_TYPED: Final = 128

# -- the customer's side ----------------------------------------------------------------------------------------------


def mine(house: House, visit: Visit) -> Seen:
    """`/campaigns/two_sided/<campaign>`: what my payments brought me; POST pays out what I hold."""
    campaign = _campaign(house, visit)
    if not visit.known_in(campaign.circle):
        raise SignInFirst(campaign.circle)
    refused = ""
    if visit.method == "POST":
        refused = house.store.write(lambda tx: _pay_out(tx, house, campaign, visit))
        if not refused:
            return GoTo(f"{_entry(campaign)}?done=payout")
    catalogue = house.catalogue()

    def look(tx: Tx) -> dict[str, Any]:
        group = house.group(tx, visit.person) or (visit.person,)
        payouts = [one for person in group for one in house.payouts_of(tx, person_rewards(person), 10)]
        return {
            "rows": [
                dict(_shown(row), fen=row["user_fen"], back=row["user_back_fen"]) for row in _mine(tx, campaign, group)
            ],
            "held": listing.held_by(tx, group),
            "payouts": sorted(payouts, key=lambda one: one.id, reverse=True)[:10],
        }

    seen = house.store.read(look)
    for row in seen["rows"]:
        row["merchant_name"] = _merchant_name(house, row["merchant"])
    values = {
        **seen,
        "campaign": campaign,
        "terms": _terms(campaign),
        "is_open": campaign.is_open(visit.now),
        "zone": catalogue.zone(None),
        "done": visit.query.get("done", ""),
        "refused": refused,
        "action": _entry(campaign),
    }
    return Show("two_sided/mine.html", values, 409 if refused else 200)


def _mine(tx: Tx, campaign: CampaignView, group: tuple[str, ...]) -> Sequence[Any]:
    return listing.of_person(tx, campaign.slug, group)


def _pay_out(tx: Tx, house: House, campaign: CampaignView, visit: Visit) -> str:
    """Send what the customer holds to his wallet, from each of his accounts; why not, "" when it has begun."""
    word = "insufficient"
    begun = False
    for person in house.group(tx, visit.person) or (visit.person,):
        account = person_rewards(person)
        free = min(book.balance(tx, account), listing.holds(tx, account))
        if free <= 0:
            continue
        key = f"two_sided:{house.ids.new('tsp', visit.now)}"
        try:
            with tx.savepoint():
                house.pay_out(tx, campaign, account, Payee(person=person), free, key, person, visit.now)
            begun = True
        except Refused as refused:
            word = refused.code
    return "" if begun else word


def _campaign(house: House, visit: Visit) -> CampaignView:
    """The campaign of the address, unless it has not begun. Raises Refused `not_found`."""
    for one in house.campaigns("two_sided"):
        if one.slug == visit.values.get("campaign") and one.state not in {"draft", "scheduled"}:
            return one
    raise Refused("not_found", 404)


def _entry(campaign: CampaignView) -> str:
    return f"/campaigns/two_sided/{campaign.slug}"


# -- the console ------------------------------------------------------------------------------------------------------


def show_firings(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """`/firings`: every payment of the caller's merchants, what it gave or why it gave nothing."""
    number, state, before = (_asked(visit, name) for name in ("q", "state", "before"))
    caller = _caller(visit)

    def look(tx: Tx) -> list[dict[str, Any]]:
        rows = listing.firings(
            tx,
            campaign.slug,
            merchants=caller.merchants,
            transaction_id=number,
            state=state,
            before=before,
            most=_PAGE + 1,
        )
        return [_shown(row) for row in rows]

    rows = house.store.read(look)
    for row in rows:
        row["merchant_name"] = _merchant_name(house, row["merchant"])
        row["guest"] = house.alias(row["person"]) if row["person"] else ""
    base = f"/admin/campaigns/{campaign.slug}/firings"
    kept = {name: value for name, value in (("q", number), ("state", state)) if value}
    following = f"{base}?{urlencode({**kept, 'before': rows[_PAGE - 1]['id']})}" if len(rows) > _PAGE else ""
    words = ("", "fired", "refused", "reversed")
    values = {
        **_frame(house, campaign, visit, "firings"),
        "rows": rows[:_PAGE],
        "number": number,
        "state": state,
        "states": [(one, f"{base}?{urlencode({'state': one})}" if one else base, one == state) for one in words],
        "is_filtered": bool(number or state),
        "clear": base,
        "following": following,
    }
    return Show("two_sided/firings.html", values)


def show_codes(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """`/codes`: the quota codes; POST makes a batch or ends one."""
    base = f"/admin/campaigns/{campaign.slug}/codes"
    faults: Mapping[str, str] = {}
    refused = ""
    if visit.method == "POST":
        try:
            return GoTo(f"{base}?done={_change_codes(house, campaign, visit)}")
        except Refused as told:
            faults, refused = told.facts.get("fields", {}), told.code
    after = _asked(visit, "after")
    found = house.store.read(lambda tx: quota.codes(tx, campaign.slug, after, _PAGE + 1))
    values = {
        **_frame(house, campaign, visit, "codes"),
        "rows": [(one, grouped(one.code)) for one in found[:_PAGE]],
        "following": f"{base}?{urlencode({'after': found[_PAGE - 1].code})}" if len(found) > _PAGE else "",
        "faults": dict.fromkeys(faults, "range"),
        "refused": refused,
        "form": visit.form,
        "needs_code": _settings(campaign).needs_code,
        "action": base,
    }
    return Show("two_sided/codes.html", values, 422 if faults else 409 if refused else 200)


def _change_codes(house: House, campaign: CampaignView, visit: Visit) -> str:
    who = _caller(visit).name
    if visit.form.get("action") == "void":
        code = visit.form.get("code", "")[:_MOST_TYPED]

        def end(tx: Tx) -> None:
            quota.void(tx, campaign, code, visit.now)
            house.audit(tx, who, "two_sided.code_void", campaign.slug, None, code[-4:], visit.now)

        house.store.write(end)
        return "void"
    count, uses, users = (_number(visit.form.get(name, "")) for name in ("count", "uses", "users"))

    def make(tx: Tx) -> None:
        made = quota.make(tx, house.random, campaign, count, uses, users, who, visit.now)
        house.audit(tx, who, "two_sided.codes", campaign.slug, None, f"{len(made)} made", visit.now)

    house.store.write(make)
    return "made"


def download_codes(house: House, campaign: CampaignView, _visit: Visit) -> Seen:
    """`/codes.csv`: every code with its state, for handing out."""

    def page(after: str) -> Sequence[quota.QuotaCode]:
        return house.store.read(lambda tx: quota.codes(tx, campaign.slug, after, _BATCH))

    found = page("")
    lines = ["code,state,uses,used,users"]
    while found:
        lines += [f"{grouped(one.code)},{one.state},{one.uses},{one.used},{one.users}" for one in found]
        found = page(found[-1].code)
    name = f"{campaign.slug}-codes.csv"
    return Data(
        "\r\n".join(lines) + "\r\n",
        "text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def show_merchants(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """`/merchants`: who takes part and what he holds; POST lets one join by a code, or names a person of his own."""
    base = f"/admin/campaigns/{campaign.slug}/merchants"
    refused = ""
    if visit.method == "POST":
        try:
            return GoTo(f"{base}?done={_change_merchants(house, campaign, visit)}")
        except Refused as told:
            refused = f"{visit.form.get('action', '')}:{told.code}"
    mine = _caller(visit).merchants

    def look(tx: Tx) -> list[dict[str, Any]]:
        return [
            {
                "merchant": row["merchant"],
                "joined_at": row["joined_at"],
                "held": book.balance(tx, merchant_rewards(row["merchant"])),
                "owed": -book.balance(tx, debts(merchant_rewards(row["merchant"]))),
                "people": people.count(tx, campaign.slug, row["merchant"])
                + len(_settings(campaign).own_persons.get(row["merchant"], ())),
            }
            for row in quota.members(tx, campaign.slug)
            if mine is None or row["merchant"] in mine
        ]

    rows = house.store.read(look)
    for row in rows:
        row["merchant_name"] = _merchant_name(house, row["merchant"])
    choices = sorted(mine or campaign.merchants)
    values = {
        **_frame(house, campaign, visit, "merchants"),
        "rows": rows,
        "choices": [
            (slug, facts.name)
            for slug in choices
            if (facts := house.catalogue().merchant(slug)) is not None
            and facts.circle == campaign.circle
            and campaign.includes(slug)
        ],
        "refused": refused,
        "form": visit.form,
        "needs_code": _settings(campaign).needs_code,
        "action": base,
    }
    return Show("two_sided/merchants.html", values, 409 if refused else 200)


def _change_merchants(house: House, campaign: CampaignView, visit: Visit) -> str:
    caller, merchant = _caller(visit), visit.form.get("merchant", "")[:_MOST_TYPED]
    must_take_part(house.catalogue(), campaign, caller, merchant)
    if visit.form.get("action") == "own":
        number = visit.form.get("transaction_id", "").strip()[:_MOST_TYPED]

        def own(tx: Tx) -> None:
            person = people.payer_of(tx, campaign.slug, merchant, number)
            if people.add(tx, campaign.slug, merchant, person, caller.name, visit.now):
                house.audit(tx, caller.name, "two_sided.own_person", campaign.slug, None, merchant, visit.now)

        house.store.write(own)
        return "own"
    code = visit.form.get("code", "")

    def join(tx: Tx) -> None:
        if quota.bind(tx, campaign, merchant, code, caller.name, visit.now):
            house.audit(tx, caller.name, "two_sided.join", campaign.slug, None, merchant, visit.now)

    house.store.write(join)
    return "joined"


# -- what both sides use ----------------------------------------------------------------------------------------------


def _frame(house: House, campaign: CampaignView, visit: Visit, here: str) -> dict[str, Any]:
    role = _caller(visit).role
    rooms = ["firings", "merchants"] + (["codes"] if role in {"operator", "admin"} else [])
    base = f"/admin/campaigns/{campaign.slug}"
    return {
        "campaign": campaign,
        "terms": _terms(campaign),
        "rooms": [(name, f"{base}/{name}", name == here) for name in rooms],
        "zone": house.catalogue().zone(None),
        "done": visit.query.get("done", ""),
    }


def _shown(row: Any) -> dict[str, Any]:
    return {name: row[name] for name in row.keys()}  # noqa: SIM118 - a row of the store is no mapping


def _merchant_name(house: House, slug: str) -> str:
    facts = house.catalogue().merchant(slug)
    return facts.name if facts is not None else slug


def _caller(visit: Visit) -> Caller:
    assert visit.caller is not None  # the console's pages have one
    return visit.caller


def _settings(campaign: CampaignView) -> Settings:
    settings: Settings = campaign.settings
    return settings


def _terms(campaign: CampaignView) -> Any:
    return _settings(campaign).terms


def _asked(visit: Visit, name: str) -> str:
    value = visit.query.get(name, "").strip()
    return value if len(value) <= _MOST_TYPED and value.isprintable() else ""


def _number(text: str) -> int:
    """A typed number; one that is none is -1, which nothing allows."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else -1  # noqa: PLR2004 - digits enough


PAGES: Final = Pages(
    title="双向激励",
    label="我的返利",
    folder=Path(__file__).parent,
    customer=(Page("/campaigns/two_sided/<campaign>", mine, ("GET", "POST")),),
    console=(
        ConsolePage("/firings", show_firings, label="返利记录"),
        ConsolePage("/merchants", show_merchants, methods=("GET", "POST"), label="参与商户"),
        ConsolePage("/codes", show_codes, "operator", ("GET", "POST"), label="名额码"),
        ConsolePage("/codes.csv", download_codes, "operator"),
    ),
    entry=_entry,
)
