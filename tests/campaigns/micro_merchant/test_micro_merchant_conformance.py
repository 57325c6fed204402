"""Micro-merchants under the campaigns' common contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from campaigns.conformance import CampaignContract, Stage, Step
from campaigns.micro_merchant.kind import kind as micro_merchant
from campaigns.micro_merchant.rules import Terms, price_fen, reward
from gateway.contract.money import yuan_of_fen
from tests.support.both import OnBothDatabases

BANK = "6222020200112233445"


def worked_sum() -> list[str]:
    """The README's sum, as the rule makes it."""
    terms = Terms(discount_bps=1000, reward_bps=500)
    paid = price_fen(terms, 9990, "MMCODE2345678")
    lines = [
        ("the buyer with a code pays", paid),
        ("pending from then on", reward(terms, paid).cash_fen),
        ("he gets ¥30.00 back within the week; pending", reward(terms, paid - 3000).cash_fen),
        ("a week after the purchase was complete, credited", reward(terms, paid - 3000).cash_fen),
        ("he gets ¥20.00 more back a month later; of the reward stays", reward(terms, paid - 5000).cash_fen),
    ]
    return [f"| {words} | ¥{yuan_of_fen(fen)} |" for words, fen in lines]


def _member(stage: Stage) -> object:
    made = stage.call("POST", "/micro-merchants", {"wechat_id": "wx_zhou_1", "bank_account": BANK}, wants=201)
    if made.status == 201:
        stage.memory["member"] = made.body["id"]
    return made


def _approve(stage: Stage) -> object:
    said = stage.call("POST", f"/micro-merchants/{stage.known('member')}/approve", {}, role="operator", wants=200)
    if said.status == 200:
        stage.memory["code"] = said.body["code"]
    return said


def _order(name: str) -> Step:
    def step(stage: Stage) -> object:
        made = stage.call("POST", "/orders", {"price_fen": 10_000, "code": stage.known("code")}, wants=201)
        if made.status == 201:
            stage.memory[name] = made.body["order"]
        return made

    return step


def _move(name: str, path: str, *, fen: int = 9000) -> Step:
    def step(stage: Stage) -> object:
        body = {} if path == "complete" else {"amount_fen": fen}
        return stage.call("POST", f"/orders/{stage.known(name)}/{path}", body, wants=200)

    return step


class TestMicroMerchant(OnBothDatabases, CampaignContract):
    """R100–R120 as every campaign holds them: refunds take back all that was given."""

    kind = micro_merchant
    worked_sum: Sequence[str] = worked_sum()

    def settings(self) -> Mapping[str, Any]:
        return {
            "discount_bps": 1000,
            "reward_bps": 500,
            "points_bps": 100,
            "coupon_item": "side",
            "credit": ["cash", "points", "coupons"],
            "refund_days": 1,
            "ask_referrer": True,
        }

    def bad_settings(self) -> Iterable[tuple[Mapping[str, Any], str]]:
        right = self.settings()
        yield {**right, "discount_bps": 10_001}, "discount_bps"
        yield {**right, "credit": ["gold"]}, "credit"
        yield {**right, "mode": "later"}, "mode"
        yield {**right, "levels": 2}, "levels"
        yield {**right, "coupon_item": "nothing"}, "coupon_item"
        yield {**right, "items": ["side"]}, "items"

    def rewarding_events(self) -> Sequence[Step]:
        return (
            _member,
            _approve,
            _order("first"),
            _move("first", "paid"),
            _order("second"),
            _move("second", "paid"),
            _move("first", "complete"),
            _move("second", "complete"),
            lambda stage: stage.later(days=1, minutes=1),
            lambda stage: stage.work(),
        )

    def undoing_events(self) -> Sequence[Step]:
        return (_move("first", "refund", fen=4000), _move("first", "refund", fen=5000), _move("second", "refund"))

    def bodies(self) -> Mapping[str, Mapping[str, Any]]:
        quote = {"price_fen": 1000, "session": "s", "code": "MMCODE2345678", "wechat_id": "wx_a_1", "kept_code": "x"}
        return {
            "POST /micro-merchants": {"wechat_id": "wx_other_1", "bank_account": BANK, "bank_name": "户主"},
            "POST /micro-merchants/<member>/approve": {"reason": "好"},
            "POST /micro-merchants/<member>/reject": {"reason": "看不清"},
            "POST /micro-merchants/<member>/points": {"points": 1, "reason": "换礼"},
            "POST /micro-merchants/<member>/payouts": {"amount_fen": 100},
            "PUT /micro-merchants/<member>/bank-account": {"bank_account": BANK, "bank_name": "户主"},
            "POST /quotes": quote,
            "POST /orders": {**quote, "merchant": "noodles"},
            "POST /orders/<order>/paid": {"amount_fen": 1000},
            "POST /orders/<order>/refund": {"amount_fen": 1000},
        }
