"""The conformance kit of campaigns on the group buy, on both databases."""

import pytest

from campaigns.conformance import CampaignContract
from campaigns.group_buy.kind import kind


def order(stage):
    body = {"openid": "guest-a", "channel": "noodles-pay", "shop": "noodles-1"}
    stage.memory["order"] = stage.call("POST", "/orders", body, wants=201).body.get("order")


def on_order(path, method="POST", body=None):
    def step(stage):
        stage.call(method, f"/orders/{stage.known('order')}{path}", {} if body is None else body, wants=200)

    return step


def ticket(stage):
    stage.memory["ticket"] = stage.call("POST", "/shops/noodles-1/tickets", {}, wants=201).body.get("ticket")


def called(stage):
    stage.call("POST", f"/shops/noodles-1/tickets/{stage.known('ticket')}/call", {}, wants=200)


class TestGroupBuy(CampaignContract):
    kind = kind
    worked_sum = ("前面 3 桌 × 7 分钟 = 约 21 分钟（估计）",)

    def settings(self):
        return {
            "item": "noodle-dinner", "price_fen": 880, "lunch": "11:30", "dinner": "17:00", "days": 3, "slot_capacity": 6,
            "slot_minutes": 120, "max_picks": 3, "push_minutes": [-30, 0, 60], "rechoices": 2, "unused": "refund",
            "caption": False,
        }  # fmt: skip

    def catalog(self):
        return '[item.noodle-dinner]\nmerchant = "noodles"\nname = "双人面套餐"\nvalue_fen = 5000\nstock = 50\nweight = 0\n'

    def bad_settings(self):
        right = self.settings()
        without = {key: value for key, value in right.items() if key not in {"lunch", "dinner"}}
        for change, key in (
            ({"item": "nothing"}, "item"), ({"item": ""}, "item"),
            ({"item": 7}, "item"), ({"price_fen": 0}, "price_fen"), ({"price_fen": "880"}, "price_fen"),
            ({"price_fen": True}, "price_fen"), ({"lunch": "25:00"}, "lunch"), ({"dinner": 17}, "dinner"),
            ({"days": 0}, "days"), ({"days": 32}, "days"), ({"slot_capacity": 0}, "slot_capacity"),
            ({"slot_capacity": 1.5}, "slot_capacity"), ({"max_picks": 0}, "max_picks"),
            ({"push_minutes": [1441]}, "push_minutes"), ({"push_minutes": "0"}, "push_minutes"),
            ({"push_minutes": list(range(13))}, "push_minutes"), ({"push_minutes": [True]}, "push_minutes"),
            ({"rechoices": -1}, "rechoices"), ({"unused": "maybe"}, "unused"), ({"caption": "yes"}, "caption"),
            ({"slot_minutes": 0}, "slot_minutes"), ({"slots": 1}, "slots"),
        ):  # fmt: skip
            yield {**right, **change}, key
        yield without, "lunch"
        yield {key: value for key, value in right.items() if key != "price_fen"}, "price_fen"
        yield {key: value for key, value in right.items() if key != "item"}, "item"

    def rewarding_events(self):
        return [
            order,
            on_order("/slots", "PUT", {"slots": ["2026-11-22-dinner", "2026-11-23-lunch"]}),
            ticket,
            on_order("/pay"),
            called,
        ]

    def undoing_events(self):
        # The deal is never used: its money goes back before the coupon ends.
        def ends(stage):
            stage.later(days=14)

        return [ends]

    def given(self, stage):
        rows = stage.store.read(lambda tx: tx.all("SELECT state FROM coupons WHERE item = 'noodle-dinner'"))
        return {"coupons": sum(1 for row in rows if row["state"] != "void")}

    def bodies(self):
        return {
            "POST /orders": {"shop": "noodles-1", "openid": "kit-guest", "channel": "noodles-pay"},
            "PUT /orders/<order>/slots": {"slots": ["2026-11-22-dinner"]},
            "POST /orders/<order>/video": {"size": 1000, "type": "video/mp4", "consent": True},
            "POST /videos/<video>/reject": {"reason": "blurred"},
            "POST /videos/<video>/cut": {"from_ms": 0, "to_ms": 2000},
        }

    @pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
    def database(self, request):
        if request.param == "sqlite":
            return "sqlite:///drainage.db"
        return request.getfixturevalue("postgres_server").new_database(empty=True)
