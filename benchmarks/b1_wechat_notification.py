"""B1: a WeChat Pay v3 notification, request to PaymentEvent, against the bare RSA verify and wechatpayv3 `callback`.

Input: one notification of the sandbox platform under a 2048-bit public key. Ours finds the headers, verifies, checks
time, serial, event type and merchant, decrypts, refuses doubled names and wrong types, and builds the event. The floor
is `cryptography`'s verify of the same signature over a text at hand. The peer verifies, decrypts and decodes; it
checks neither time nor merchant, and gives a dict.
"""

import base64
import platform
import statistics
import time
from datetime import datetime, timezone
from importlib.metadata import version

from wechatpayv3 import WeChatPay, WeChatPayType

from adapters.sandbox.wechat_v3 import platform as sandbox
from adapters.wechat_v3 import adapter
from adapters.wechat_v3.verify import verify
from crypto import rsa
from gateway.contract import BadNotification, PaymentEvent, SandboxOrder

LOOPS = 500


def run(rounds: int = 5) -> dict:
    """Medians in microseconds and ratios; raises AssertionError when any side gives a wrong answer."""
    now = datetime(2026, 3, 1, 4, 0, tzinfo=timezone.utc)
    private, table = sandbox.new_keys()
    order = SandboxOrder(
        "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", 1280, "4200001234202603010000000001", "T-1", now, now, "b1", "013467", "till 3"
    )
    raw = sandbox.payment(private, table, order)
    keys = adapter.load_keys(table)
    key = keys.verifiers[raw.header("Wechatpay-Serial")]
    signature = base64.b64decode(raw.header("Wechatpay-Signature"))
    text = f"{raw.header('Wechatpay-Timestamp')}\n{raw.header('Wechatpay-Nonce')}\n".encode() + raw.body + b"\n"
    headers = dict(raw.headers)
    peer = WeChatPay(
        wechatpay_type=WeChatPayType.JSAPI,
        mchid=table["mchid"],
        private_key=rsa.new_private_key(),
        cert_serial_no="0",
        apiv3_key=table["apiv3_key"],
        appid=table["appid"],
        public_key=next(iter(table["public_keys"].values())),
        public_key_id=next(iter(table["public_keys"])),
    )
    _check(raw, keys, now, order, peer, headers)
    contestants = {
        "floor": lambda: rsa.verify_sha256(key, signature, text),
        "ours": lambda: adapter.parse(raw, keys, now),
        "ours_verify_only": lambda: verify(raw, keys, now),
        "peer": lambda: peer.callback(headers, raw.body),
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for call in contestants.values():
        _time(call)
    for _ in range(rounds):
        for name, call in contestants.items():
            times[name].append(_time(call))
    medians = {name: round(statistics.median(values), 2) for name, values in times.items()}
    return {
        "id": "B1",
        "what": "WeChat Pay v3 notification: verify, decrypt, PaymentEvent",
        "unit": "us",
        "medians": medians,
        "ratios": {
            "ours/floor": round(medians["ours"] / medians["floor"], 2),
            "ours_verify_only/floor": round(medians["ours_verify_only"] / medians["floor"], 2),
            "peer/ours": round(medians["peer"] / medians["ours"], 2),
        },
        "rounds": rounds,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("cryptography", "orjson", "wechatpayv3")},
        },
    }


def _check(raw, keys, now, order, peer, headers) -> None:
    event = adapter.parse(raw, keys, now)
    assert isinstance(event, PaymentEvent)
    assert event.amount_fen == order.amount_fen
    assert event.payers[0].value == order.openid
    assert peer.callback(headers, raw.body)["resource"]["payer"]["openid"] == order.openid
    damaged = raw.body.replace(b'"summary"', b'"summarz"')
    assert damaged != raw.body
    assert peer.callback(headers, damaged) is None
    try:
        adapter.parse(type(raw)(raw.method, "", raw.headers, damaged, now), keys, now)
    except BadNotification:
        return
    raise AssertionError("a damaged body was taken")


def _time(call) -> float:
    start = time.perf_counter()
    for _ in range(LOOPS):
        call()
    return (time.perf_counter() - start) / LOOPS * 1e6


if __name__ == "__main__":
    print(run())
