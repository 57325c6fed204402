"""What every campaign has to hold, held by help-to-cut."""

from campaigns.conformance import CampaignContract
from campaigns.help_cut.kind import kind
from campaigns.help_cut.rules import Ladder, PacketPolicy, split
from tests.support.both import OnBothDatabases


def _yuan(fen):
    return f"¥{fen / 100:.2f}"


LADDER = Ladder(9000, 6600, (300,), 8)
PACKETS = split(PacketPolicy(5, 400, 100, 1000), bytes(32), bytes(16))


def agree(number):
    def step(stage):
        body = {"openid": f"kit-friend-{number}", "channel": "noodles-pay"}
        stage.call("POST", f"/invitations/{stage.known(f'invitation-{number}')}/agree", body, role="manager", wants=200)

    return step


def begin(stage):
    body = {"openid": "kit-buyer", "channel": "noodles-pay"}
    answer = stage.call("POST", "/sessions", body, role="manager", wants=201)
    if answer.status == 201:
        stage.memory["session"] = answer.body["session"]


def name(stage):
    helpers = [{"type": "openid", "account": f"kit-friend-{number}"} for number in range(3)]
    path = f"/sessions/{stage.known('session')}/helpers"
    answer = stage.call("PUT", path, {"helpers": helpers}, role="manager", wants=200)
    if answer.status == 200:
        for number, told in enumerate(answer.body["invitations"]):
            stage.memory[f"invitation-{number}"] = told["invitation"]


def pay(stage):
    stage.call("POST", f"/sessions/{stage.known('session')}/pay", {"method": "wechat"}, role="manager", wants=200)


def give_back(stage):
    for row in stage.all("SELECT id FROM orders WHERE campaign = 'trial' AND state = 'fulfilled'"):
        stage.runtime.ordering.refund(row["id"], 1, stage.now)


def a_day_later(stage):
    stage.later(hours=25)


class TestHelpCut(OnBothDatabases, CampaignContract):
    kind = kind
    worked_sum = (
        *(_yuan(LADDER.price_after(helps)) for helps in (0, 1, 2, 4, 8)),
        ", ".join(map(str, PACKETS)),
        f"they have {_yuan(sum(PACKETS[:3]))}",
        f"and {_yuan(sum(PACKETS[3:]))} returns",
        _yuan(20 * sum(PACKETS)),
    )

    def catalog(self):
        return '[item.feast]\nmerchant = "noodles"\nname = "双人面"\nvalue_fen = 5000\nstock = 50\nweight = 0\n'

    def settings(self):
        return {
            "item": "feast",
            "price_fen": 990,
            "floor_price_fen": 690,
            "quantity": 2,
            "sessions": 4,
            "helpers": 3,
            "cut_fen": [100],
            "packets": 2,
            "packet_cap_fen": 200,
            "packet_floor_fen": 10,
            "total_fen": 200,
        }

    def bad_settings(self):
        right = self.settings()
        return [
            ({**right, "packets": 0}, "packets"),
            ({**right, "packet_cap_fen": 5}, "packet_cap_fen"),
            ({**right, "packet_floor_fen": 0}, "packet_floor_fen"),
            ({**right, "total_fen": 19}, "total_fen"),
            ({**right, "total_fen": 401}, "total_fen"),
            ({**right, "total_fen": "200"}, "total_fen"),
            ({**right, "helpers": 2}, "floor_price_fen"),
            ({**right, "floor_price_fen": 991}, "floor_price_fen"),
            ({**right, "price_fen": 9.9}, "price_fen"),
            ({**right, "quantity": True}, "quantity"),
            ({**right, "cut_fen": []}, "cut_fen"),
            ({**right, "cut_fen": [100, -1]}, "cut_fen"),
            ({**right, "item": "no-such-item"}, "item"),
            ({**right, "item": 5}, "item"),
            ({**right, "on_deadline": "maybe"}, "on_deadline"),
            ({**right, "in_wechat": "yes"}, "in_wechat"),
            ({**right, "sesions": 3}, "sesions"),
            ({**right, "designate_minutes": 60, "deadline_minutes": 30}, "designate_minutes"),
            ({name: value for name, value in right.items() if name != "helpers"}, "helpers"),
        ]

    def rewarding_events(self):
        return (begin, name, agree(0), agree(1), agree(2), pay)

    def undoing_events(self):
        return (give_back, a_day_later, a_day_later)

    def bodies(self):
        return {
            "POST /sessions": {"device": "a phone"},
            "PUT /sessions/<session>/helpers": {"helpers": [{"type": "phone", "account": "13800000000"}]},
            "POST /sessions/<session>/pay": {"method": "alipay"},
            "POST /invitations/<invitation>/agree": {"device": "a phone"},
        }
