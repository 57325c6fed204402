"""B2: an Alipay notification, form bytes to PaymentEvent, against the bare RSA verify and python-alipay-sdk `verify`.

Input: one notification of the sandbox platform (24 fields, UTF-8, RSA2 with 2048 bits). Ours splits and decodes the
form, checks every field's place, sign_type, charset, app and seller, verifies, and builds the event. The floor is
`cryptography`'s verify of the same signature over a text at hand. The peer is given its fields already parsed.
"""

import json
import platform
import statistics
import time
from datetime import datetime, timezone
from importlib.metadata import version
from urllib.parse import parse_qsl

from adapters.alipay import adapter
from adapters.alipay.form import read_form
from adapters.alipay.verify import signed_text, verified
from adapters.sandbox.alipay import platform as sandbox
from crypto import rsa
from gateway.contract import PaymentEvent, SandboxOrder

LOOPS = 400


def run(rounds: int = 5) -> dict:
    """Medians in microseconds and ratios; raises AssertionError when any side gives a wrong answer."""
    now = datetime(2026, 3, 1, 4, 0, tzinfo=timezone.utc)
    private, table = sandbox.new_keys()
    order = SandboxOrder("074a1CcTG1LelxKe4xQC0zgNdId0nxi9", 1280, "2026030122001468", "T-1", now, now, "b2")
    raw = sandbox.payment(private, table, order)
    keys = adapter.load_keys(table)
    form = read_form(raw.body)
    text, key = signed_text(form, "v1"), keys.every[0]
    signature = rsa.sign_sha256(rsa.load_private_key(private["private_key"]), text)
    peer = _peer(table, private)
    fields = dict(parse_qsl(raw.body.decode(), keep_blank_values=True))
    sign = fields.pop("sign")

    def ours() -> PaymentEvent:
        return adapter.parse(raw, keys, now)

    event = ours()
    assert isinstance(event, PaymentEvent)
    assert event.amount_fen == order.amount_fen
    assert event.payers[0].value == order.openid
    assert peer.verify(dict(fields), sign) is True
    assert peer.verify({**fields, "total_amount": "0.01"}, sign) is False
    contestants = {
        "floor": lambda: rsa.verify_sha256(key, signature, text),
        "ours": ours,
        "ours_verify_only": lambda: verified(raw.body, keys),
        "peer": lambda: peer.verify(dict(fields), sign),
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for name, call in contestants.items():
        _time(call, name)
    for _ in range(rounds):
        for name, call in contestants.items():
            times[name].append(_time(call, name))
    medians = {name: round(statistics.median(values), 2) for name, values in times.items()}
    return {
        "id": "B2",
        "what": "Alipay notification: form, verify, PaymentEvent",
        "unit": "us",
        "medians": medians,
        "ratios": {
            "ours/floor": round(medians["ours"] / medians["floor"], 2),
            "ours_verify_only/floor": round(medians["ours_verify_only"] / medians["floor"], 2),
            "peer/ours": round(medians["peer"] / medians["ours"], 1),
        },
        "rounds": rounds,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("cryptography", "python-alipay-sdk")},
        },
    }


def _peer(table: dict, private: dict):
    from alipay import AliPay

    return AliPay(
        appid=table["app_id"],
        app_notify_url=None,
        app_private_key_string=private["private_key"],
        alipay_public_key_string=table["public_keys"][0],
        sign_type="RSA2",
    )


def _time(call, name: str) -> float:
    loops = LOOPS // 8 if name == "peer" else LOOPS
    start = time.perf_counter()
    for _ in range(loops):
        call()
    return (time.perf_counter() - start) / loops * 1e6


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
