"""What every campaign has to hold, held by two-sided incentive."""

from campaigns.conformance import CampaignContract
from campaigns.two_sided.kind import kind


class TestTwoSided(CampaignContract):
    kind = kind
    worked_sum = ("¥1.29", "¥1.15", "¥0.49", "¥2.93")

    def settings(self):
        return {
            "user_bps": 500,
            "merchant_fen": 100,
            "merchant_bps": 250,
            "clerk_bps": 3000,
            "clerks": {"noodles-1": "xiaozhou"},
            "quota_codes": 5,
            "per_pair_per_day": 2,
            "min_amount_fen": 1000,
            "times": 5,
            "period_days": 30,
            "user_sources": ["noodles", "books"],
            "own_persons": {"noodles": []},
            "user_budget_fen": 500_000,
            "merchant_budget_fen": 500_000,
        }

    def bad_settings(self):
        right = self.settings()
        return [
            ({**right, "user_bps": 0}, "user_fen"),
            ({**right, "merchant_fen": 0, "merchant_bps": 0}, "merchant_fen"),
            ({**right, "clerk_bps": 10_001}, "clerk_bps"),
            ({**right, "user_fen": -1}, "user_fen"),
            ({**right, "user_bps": 1.5}, "user_bps"),
            ({**right, "times": 0}, "times"),
            ({**right, "clerks": {"tea-1": "xiaozhou"}}, "clerks.tea-1"),
            ({**right, "clerks": {"nowhere": "xiaozhou"}}, "clerks.nowhere"),
            ({**right, "clerks": ["noodles-1"]}, "clerks"),
            ({**right, "own_persons": {"tea": []}}, "own_persons.tea"),
            ({**right, "own_persons": {"noodles": ["an openid"]}}, "own_persons.noodles"),
            ({**right, "quota_codes": 0}, "quota_codes"),
            ({**right, "quota_codes": "yes"}, "quota_codes"),
            ({**right, "user_sources": "noodles"}, "user_sources"),
            ({**right, "user_budget_fen": True}, "user_budget_fen"),
        ]

    def prepare(self, stage):
        made = stage.call("POST", "/quota-codes", {"count": 1, "uses": 1}, wants=201)
        (code,) = made.body.get("codes", ["none"])
        stage.call("POST", "/merchants", {"merchant": "noodles", "code": code}, role="manager", wants=201)

    def rewarding_events(self):
        return (
            lambda stage: stage.pay("K1", "kit-guest"),
            lambda stage: stage.pay("K2", "kit-guest"),
            lambda stage: stage.pay("K3", "kit-guest", 2599),
        )

    def undoing_events(self):
        return (lambda stage: stage.refund("K2", 10_000), lambda stage: stage.refund("K3", 2000))

    def bodies(self):
        return {
            "POST /quota-codes": {"count": 1, "uses": 2, "users": 3},
            "POST /merchants": {"merchant": "noodles", "code": "2222-2222-2222-2"},
            "POST /merchants/<merchant>/people": {"transaction_id": "K1"},
        }
