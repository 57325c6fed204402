"""Micro-merchants themselves: applying, the review, codes, bank accounts (R100–R103, R115)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from campaigns.micro_merchant import tables
from campaigns.micro_merchant.rules import MEMBER_MOVES, MemberState, normal_account, normal_wechat_id
from gateway.contract.campaign import CampaignView
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx
from linkgen.codes import new_code

LONGEST_REASON: Final = 200
LONGEST_NAME: Final = 60
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class BankAccount:
    """Where payouts go. `name`: whose account it is, "" where it was not told."""

    number: str = field(repr=False)
    name: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Application:
    """What the form says, checked. `person`: who sent it from his wallet, "" where staff did."""

    wechat_id: str = field(repr=False)
    bank: BankAccount | None
    person: str


def read_application(wechat_id: Any, bank_account: Any, bank_name: Any, person: str) -> Application:
    """A form's values → an application. Raises Refused `invalid` 422 with every field that does not hold (R102)."""
    faults: dict[str, str] = {}
    known = normal_wechat_id(wechat_id) if isinstance(wechat_id, str) else ""
    if not known:
        faults["wechat_id"] = "must be a WeChat ID: 3 to 64 letters, digits, - or _"
    bank = None
    if bank_account not in (None, ""):
        bank = _bank(bank_account, bank_name, faults)
    if faults:
        raise Refused("invalid", 422, fields=faults)
    return Application(known, bank, person)


def read_bank(bank_account: Any, bank_name: Any) -> BankAccount:
    """A bank account as it was sent. Raises Refused `invalid` 422."""
    faults: dict[str, str] = {}
    bank = _bank(bank_account, bank_name, faults)
    if bank is None or faults:
        raise Refused("invalid", 422, fields=faults)
    return bank


def _bank(number: Any, name: Any, faults: dict[str, str]) -> BankAccount | None:
    digits = normal_account(number) if isinstance(number, str) else ""
    if not digits:
        faults["bank_account"] = "must be 8 to 32 digits"
    holder = "" if name is None else name
    if not isinstance(holder, str) or len(holder) > LONGEST_NAME or not holder.isprintable():
        faults["bank_name"] = f"must be a text of at most {LONGEST_NAME} characters"
        return None
    return BankAccount(digits, holder.strip()) if digits else None


def apply(tx: Tx, house: House, campaign: CampaignView, form: Application, now: datetime) -> Row:
    """Take an application in (R101). Raises Refused 409 `wechat_id_taken`, `already_applied`."""
    blind = wechat_blind(house, campaign, form.wechat_id)
    tx.lock(f"micro_merchant:apply:{campaign.slug}")
    if tables.live_with_wechat(tx, campaign.slug, blind) is not None:
        raise Refused("wechat_id_taken", 409)
    if form.person and live_of(tx, house, campaign, form.person) is not None:
        raise Refused("already_applied", 409)
    id_ = house.ids.new("mm", now)
    tables.insert(
        tx,
        "members",
        {
            "id": id_,
            "campaign": campaign.slug,
            "person": form.person or None,
            "state": "applied",
            "wechat_blind": blind,
            "wechat_sealed": house.seal(form.wechat_id, f"micro_merchant:wechat:{id_}"),
            "bank_sealed": _sealed(house, id_, form.bank) if form.bank is not None else None,
            "bank_last4": form.bank.number[-4:] if form.bank is not None else "",
            "bank_changed_at": None,
            "code": None,
            "reason": "",
            "applied_at": to_text(now),
            "decided_at": None,
            "decided_by": "",
        },
    )
    return the(tx, campaign, id_)


def decide(
    tx: Tx, house: House, campaign: CampaignView, id_: str, to: MemberState, who: str, reason: str, now: datetime
) -> Row:
    """Approve, reject, suspend, take up again or close (R101). Approval gives the code, once and for good (R103).

    Raises Refused 404 `not_found`, 409 `bad_transition`.
    """
    tx.lock(f"micro_merchant:member:{id_}")
    row = the(tx, campaign, id_)
    if to not in MEMBER_MOVES[row["state"]]:
        raise Refused("bad_transition", 409, state=row["state"])
    code = row["code"]
    if to == "approved" and code is None:
        code = _fresh_code(tx, house)
    tx.run(
        "UPDATE micro_merchant_members SET state = :state, code = :code, reason = :reason, decided_at = :now, "
        "decided_by = :who WHERE id = :id",
        {"state": to, "code": code, "reason": reason, "now": to_text(now), "who": who, "id": id_},
    )
    house.audit(tx, who, f"micro_merchant.{to}", id_, row["state"], to, now)
    return the(tx, campaign, id_)


def change_bank(
    tx: Tx, house: House, campaign: CampaignView, id_: str, bank: BankAccount, who: str, now: datetime
) -> Row:
    """Another bank account: payouts rest for a day, so that a stolen sign-in does not empty the balance (R115).

    The account of an application that is still to be reviewed is looked at there. Raises Refused 409 `bad_transition`
    for a record that is no more.
    """
    tx.lock(f"micro_merchant:member:{id_}")
    row = the(tx, campaign, id_)
    if row["state"] == "rejected":
        raise Refused("bad_transition", 409, state=row["state"])
    known = bank_of(house, row)
    if known == bank:
        return row
    changed = None if row["state"] == "applied" else to_text(now)
    tx.run(
        "UPDATE micro_merchant_members SET bank_sealed = :sealed, bank_last4 = :last4, bank_changed_at = :changed "
        "WHERE id = :id",
        {"sealed": _sealed(house, id_, bank), "last4": bank.number[-4:], "changed": changed, "id": id_},
    )
    house.audit(tx, who, "micro_merchant.bank_account", id_, row["bank_last4"] or None, bank.number[-4:], now)
    return the(tx, campaign, id_)


def the(tx: Tx, campaign: CampaignView, id_: str) -> Row:
    """A record of this campaign. Raises Refused `not_found` 404."""
    row = tables.member(tx, campaign.slug, id_)
    if row is None:
        raise Refused("not_found", 404)
    return row


def live_of(tx: Tx, house: House, campaign: CampaignView, person: str) -> Row | None:
    """A human's live record in a campaign."""
    rows = tables.of_persons(tx, campaign.slug, house.group(tx, person))
    return next((row for row in rows if row["state"] in ("applied", "approved", "suspended")), None)


def newest_of(tx: Tx, house: House, campaign: CampaignView, person: str) -> Row | None:
    """The record to show a human: his live one, else his newest."""
    rows = tables.of_persons(tx, campaign.slug, house.group(tx, person))
    live = (row for row in rows if row["state"] in ("applied", "approved", "suspended"))
    return next(live, rows[0] if rows else None)


def wechat_blind(house: House, campaign: CampaignView, wechat_id: str) -> bytes:
    """What a normalised WeChat ID is found by."""
    return house.blind(wechat_id, f"micro_merchant:wechat:{campaign.slug}")


def wechat_of(house: House, row: Row) -> str:
    """A member's WeChat ID, for those who review him and for himself; "" once it has been erased."""
    sealed = bytes(row["wechat_sealed"])
    return house.open(sealed, f"micro_merchant:wechat:{row['id']}") if sealed else ""


def bank_of(house: House, row: Row) -> BankAccount | None:
    """A member's bank account in clear: for the payout alone."""
    if row["bank_sealed"] is None:
        return None
    kept = orjson.loads(house.open(bytes(row["bank_sealed"]), f"micro_merchant:bank:{row['id']}"))
    return BankAccount(kept["number"], kept["name"])


def _sealed(house: House, id_: str, bank: BankAccount) -> bytes:
    text = orjson.dumps({"number": bank.number, "name": bank.name}).decode()
    return house.seal(text, f"micro_merchant:bank:{id_}")


def _fresh_code(tx: Tx, house: House) -> str:
    for _ in range(_TRIES):
        code = new_code(house.random)
        known = {"code": code}
        if tx.one("SELECT id FROM micro_merchant_members WHERE code = :code", known) is None:
            return code
    raise Refused("unavailable", 503, "no free code")
