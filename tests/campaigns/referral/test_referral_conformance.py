"""What every campaign has to hold, held by referral."""

from campaigns.conformance import CampaignContract
from campaigns.referral.kind import kind


def invite(stage):
    made = stage.call(
        "POST", "/invitations", {"openid": "kit-host", "channel": "noodles-pay"}, role="manager", wants=201
    )
    stage.memory["invitation"] = (made.body or {}).get("invitation", "nothing")


def bind(stage):
    body = {"invitation": stage.known("invitation"), "openid": "kit-friend", "channel": "noodles-pay"}
    stage.call("POST", "/bindings", body, role="manager", wants=201)


def next_minute(stage):
    stage.later(minutes=1)


class TestReferral(CampaignContract):
    kind = kind

    def settings(self):
        return {
            "referrer_item": "book-5off",
            "referred_item": "side",
            "qualify": {"min_amount_fen": 1000},
            "per_day": 3,
            "total": 5,
            "hold_days": 2,
            "new_only": True,
            "link_days": 14,
            "invitation_days": 30,
            "qualify_days": 60,
            "referrers": "anyone",
            "reward_words": "outside_wechat",
            "name": "带朋友来坐坐",
        }

    def bad_settings(self):
        right = self.settings()
        return [
            ({**right, "referrer_item": "", "referred_item": ""}, "referrer_item"),
            ({**right, "referrer_item": "nowhere"}, "referrer_item"),
            ({**right, "qualify": {"min_amount_fen": -1}}, "qualify.min_amount_fen"),
            ({**right, "qualify": {"least": 1}}, "qualify.least"),
            ({**right, "qualify": 1000}, "qualify"),
            ({**right, "per_day": "3"}, "per_day"),
            ({**right, "hold_days": 4000}, "hold_days"),
            ({**right, "new_only": 1}, "new_only"),
            ({**right, "link_days": 0}, "link_days"),
            ({**right, "invitation_days": 0}, "invitation_days"),
            ({**right, "referrers": "everybody"}, "referrers"),
            ({**right, "reward_words": True}, "reward_words"),
            ({**right, "name": 7}, "name"),
        ]

    def rewarding_events(self):
        return (
            invite,
            bind,
            next_minute,
            lambda stage: stage.pay("K1", "kit-friend", shop="books"),
            lambda stage: stage.later(days=2),
        )

    def undoing_events(self):
        return (lambda stage: stage.refund("K1", 9500, shop="books"),)

    def bodies(self):
        return {
            "POST /invitations": {"openid": "kit-host", "channel": "noodles-pay"},
            "POST /bindings": {"invitation": "ri_0", "openid": "kit-friend", "channel": "noodles-pay", "device": "kit"},
        }
