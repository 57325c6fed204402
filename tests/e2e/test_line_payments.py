"""Every platform, over a real socket: what a payment does, what the till hears, what the platform is told."""

from __future__ import annotations

import gzip

import pytest

from tests.e2e.platforms import Alipay, fresh_openid, fresh_transaction
from tests.e2e.till import Mode
from tests.e2e.town import LINES, Town

HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
MAY_BE_ADDED = {"via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"}

lines = pytest.mark.parametrize("line", LINES)


@lines
def test_r001_r020_r021_r022_the_first_payment_tags_and_gives_no_link(here: Town, line: str) -> None:
    paid = here.house.pay(line, here.platforms[line], fresh_openid(), 2500)
    assert paid["provider"] == here.platforms[line].provider
    assert paid["channel"] == line
    assert paid["amount_fen"] == 2500
    assert paid["refunded_fen"] == 0
    assert paid["payer"].startswith("p_")
    assert (paid["tag"]["before"], paid["tag"]["after"]) == ("untagged", "tagged")
    merchant = "sweets" if line == "v3-cert" else "hotpot"
    assert paid["merchant"] == merchant
    assert paid["tag"]["source"] == {"type": "payee", "id": merchant, "mode": "passive"}
    assert paid["links"] == []
    assert {"rule": "tag", "outcome": "done", "reason": "first_payment"} in _decisions(paid)


@lines
def test_r030_r033_r036_the_second_payment_gives_one_link(here: Town, line: str) -> None:
    openid = fresh_openid()
    first = here.house.pay(line, here.platforms[line], openid)
    second = here.house.pay(line, here.platforms[line], openid)
    assert second["payer"] == first["payer"]
    assert (second["tag"]["before"], second["tag"]["after"]) == ("tagged", "tagged")
    (link,) = second["links"]
    assert link["for"] == "payer"
    assert link["state"] == "issued"
    assert link["items"]
    assert link["url"].startswith(f"http://127.0.0.1:{here.house.port}/c/")
    assert len(link["url"].rpartition("/")[2]) == 22
    decisions = {one["rule"]: one for one in _decisions(second)}
    assert decisions["tag"] == {"rule": "tag", "outcome": "skipped", "reason": "already_tagged"}
    assert decisions["payer_link"] == {"rule": "payer_link", "outcome": "done", "reason": "issued"}
    assert decisions["source_link"]["reason"] == "passive_source"
    assert here.house.relayed(second["transaction_id"]) == {"state": "answered", "attempts": 1, "last_status": 200}


@lines
def test_r012_the_till_hears_the_request_untouched_and_its_answer_comes_back(here: Town, line: str) -> None:
    tail = "/a%2Fb/%E9%94%85/..%2Fc"
    query = "?x=1&y=%20a+b&x=2"
    sent = here.platforms[line].payment(fresh_openid())
    body = bytes(range(256))
    here.till.answers[f"/pay/{line}{tail}{query}"] = Mode(
        status=218,
        reason="This is fine",
        body=body,
        headers=(
            ("Content-Type", "application/x-anything"),
            ("X-Pos", "one"),
            ("Set-Cookie", "a=1; Path=/"),
            ("Set-Cookie", "b=2; Path=/"),
            ("X-Pos", "two"),
            ("Cache-Control", "no-store"),
        ),
    )
    extra = (
        ("X-Two", "a"),
        ("X-Two", "b"),
        ("X-Latin", "caf\xe9"),
        ("Cookie", "till=1; session=abc"),
        ("Authorization", "Basic dGlsbA=="),
        ("Accept-Encoding", "gzip, br"),
        ("X_Under", "dropped for safety"),
    )
    answer = here.house.notify(line, sent, tail + query, extra=extra)

    (heard,) = here.till.find(sent.body)
    assert heard.method == "POST"
    assert heard.target == f"/pay/{line}{tail}{query}"
    kept = [pair for pair in (*sent.headers, *extra) if "_" not in pair[0]]
    for name in {name for name, _ in kept}:
        assert _parts(heard.all(name)) == _parts([value for other, value in kept if other == name]), name
    strangers = {name.lower() for name, _ in heard.headers} - {name.lower() for name, _ in kept}
    assert strangers - MAY_BE_ADDED <= {"host", "content-length", "connection"}
    assert heard.all("Host") == [f"127.0.0.1:{here.till.port}"]
    assert heard.all("X_Under") == []

    assert answer.status == 218
    assert answer.body == body
    assert answer.header("Content-Type") == "application/x-anything"
    assert answer.all("Set-Cookie") == ["a=1; Path=/", "b=2; Path=/"]
    assert answer.all("X-Pos") == ["one", "two"]
    assert answer.header("Cache-Control") == "no-store"
    # Genuine all the same, whatever way it came.
    assert here.house.relayed(sent.transaction)["last_status"] == 218


@pytest.mark.parametrize(("tail", "target"), [("", ""), ("/", "/"), ("//x", "//x"), ("/a;b=c", "/a;b=c"), ("?", "?")])
def test_r012_a_tail_is_appended_as_it_came(here: Town, tail: str, target: str) -> None:
    sent = here.platforms["v3"].payment(fresh_openid())
    assert here.house.notify("v3", sent, tail).status == 200
    assert [heard.target.rstrip("?") for heard in here.till.find(sent.body)] == [f"/pay/v3{target}".rstrip("?")]


def test_r012_a_redirect_of_the_till_is_passed_back_and_not_followed(here: Town) -> None:
    here.till.answers["/pay/v3/moved"] = Mode(status=302, reason="Found", headers=(("Location", "/pay/v3/else"),))
    sent = here.platforms["v3"].payment(fresh_openid())
    answer = here.house.notify("v3", sent, "/moved")
    assert (answer.status, answer.header("Location")) == (302, "/pay/v3/else")
    assert [heard.target for heard in here.till.find(sent.body)] == ["/pay/v3/moved"]


@pytest.mark.parametrize("status", [204, 304, 400, 404, 418, 500, 503])
def test_r012_whatever_status_the_till_gives_is_ours(here: Town, status: int) -> None:
    empty = status in {204, 304}
    here.till.answers[f"/pay/v3/s{status}"] = Mode(status=status, reason="As told", body=b"" if empty else b"why")
    sent = here.platforms["v3"].payment(fresh_openid())
    answer = here.house.notify("v3", sent, f"/s{status}")
    assert (answer.status, answer.body) == (status, b"" if empty else b"why")
    # What the till thinks of it does not change what we know.
    assert here.house.payment(sent.transaction)["tag"]["after"] == "tagged"


def test_r012_a_packed_answer_is_not_unpacked(here: Town) -> None:
    packed = gzip.compress(b"success")
    here.till.answers["/pay/alipay/gz"] = Mode(headers=(("Content-Encoding", "gzip"),), body=packed)
    answer = here.house.notify("alipay", here.platforms["alipay"].payment(fresh_openid()), "/gz")
    assert (answer.header("Content-Encoding"), answer.body) == ("gzip", packed)


@lines
def test_r009_the_same_again_is_relayed_again_and_counted_once(here: Town, line: str) -> None:
    openid, transaction = fresh_openid(), fresh_transaction()
    here.house.pay(line, here.platforms[line], openid)
    sent = here.platforms[line].payment(openid, 2500, transaction)
    again = here.platforms[line].payment(openid, 2500, transaction)
    assert again.body != sent.body or not isinstance(here.platforms[line], Alipay)
    for each in (sent, sent, again):
        assert here.house.notify(line, each).status == 200
    paid = here.house.payment(transaction)
    assert paid["deliveries"] == 3
    assert len(paid["links"]) == 1
    assert len([one for one in _decisions(paid) if one["rule"] == "payer_link"]) == 1
    assert here.house.relayed(transaction, 3)["attempts"] == 3
    assert len(here.till.find(sent.body)) + len(here.till.find(again.body)) == 3


@lines
def test_r003_r004_r005_r006_what_is_not_genuine_is_relayed_and_changes_nothing(here: Town, line: str) -> None:
    openid = fresh_openid()
    wrong = here.platforms[line].wrong(openid)
    before = here.house.summary()
    for name, sent in wrong.items():
        heard = len(here.till.find(sent.body))
        answer = here.house.notify(line, sent, "/wrong")
        assert (answer.status, answer.body) == (200, b"till-says-ok"), name
        assert len(here.till.find(sent.body)) == heard + 1, name
        if sent.transaction:
            assert here.house.api("GET", f"/payments/{sent.transaction}").status == 404, name
    after = here.house.summary()
    assert after["refused"] == before["refused"] + len(wrong)
    for unmoved in ("payments", "tagged", "links_issued"):
        assert after[unmoved] == before[unmoved]
    # The person of all those is still a stranger.
    assert here.house.pay(line, here.platforms[line], openid)["tag"]["before"] == "untagged"


def test_r003_refused_bytes_are_told_by_the_metrics(here: Town) -> None:
    here.house.notify("v3", here.platforms["v3"].wrong(fresh_openid())["a stranger's key"])
    page = _metrics(here)
    counted = [row for row in page.splitlines() if row.startswith("drainage_notifications_total") and '"v3"' in row]
    assert any("refused" in row for row in counted), counted


@lines
def test_r017_another_merchants_payment_is_relayed_and_makes_no_payment(here: Town, line: str) -> None:
    sent = here.platforms[line].foreign(fresh_openid())
    answer = here.house.notify(line, sent)
    assert (answer.status, answer.body) == (200, b"till-says-ok")
    assert here.house.api("GET", f"/payments/{sent.transaction}").status == 404


@lines
def test_r002_an_unpaid_state_is_relayed_and_makes_no_payment(here: Town, line: str) -> None:
    sent = here.platforms[line].unpaid(fresh_openid())
    assert here.house.notify(line, sent).body == b"till-says-ok"
    assert here.house.api("GET", f"/payments/{sent.transaction}").status == 404


@pytest.mark.parametrize(
    ("event_type", "original_type"),
    [("TRANSACTION.SUCCESS", "profitsharing"), ("COUPON.USE", "coupon"), ("PAYSCORE.USER_PAID", "payscore")],
)
def test_r002_wechat_events_of_other_kinds_are_relayed_and_ignored(
    here: Town, event_type: str, original_type: str
) -> None:
    v3 = here.platforms["v3"]
    sent = v3.payment(fresh_openid(), event_type=event_type, original_type=original_type)
    assert here.house.notify("v3", sent).body == b"till-says-ok"
    assert here.house.api("GET", f"/payments/{sent.transaction}").status == 404


def test_r002_a_payment_without_a_payer_is_untaggable_and_nothing_more(here: Town) -> None:
    alipay = here.platforms["alipay-gbk"]
    fields = alipay.fields("unused")
    del fields["buyer_open_id"]
    sent = alipay.signed(fields)
    assert here.house.notify("alipay-gbk", sent).status == 200
    paid = here.house.payment(sent.transaction)
    assert paid["payer"] is None
    assert paid["tag"]["before"] == paid["tag"]["after"] == "untaggable"
    assert paid["links"] == []
    assert {"rule": "tag", "outcome": "skipped", "reason": "untaggable"} in _decisions(paid)


def test_r006_alipay_fields_are_decoded_once_and_reordering_is_fine(here: Town) -> None:
    alipay = here.platforms["alipay"]
    fields = alipay.fields(fresh_openid(), subject="100%25 & a=b + 汤", body="", new_field="later")
    sent = alipay.signed(dict(reversed(fields.items())))
    assert here.house.notify("alipay", sent).status == 200
    assert here.house.payment(sent.transaction)["tag"]["after"] == "tagged"


def test_r018_a_payment_below_the_minimum_is_kept_without_a_tag(here: Town) -> None:
    openid = fresh_openid()
    small = here.house.pay("v3", here.platforms["v3"], openid, 99)
    assert small["tag"]["after"] == "untagged"
    assert {"rule": "tag", "outcome": "skipped", "reason": "below_minimum"} in _decisions(small)
    assert here.house.pay("v3", here.platforms["v3"], openid, 100)["tag"]["before"] == "untagged"
    assert here.house.pay("v3", here.platforms["v3"], openid, 99)["links"] == []


def test_r023_a_tag_holds_at_every_merchant_of_its_circle_and_at_no_other(here: Town) -> None:
    openid = fresh_openid()
    first = here.house.pay("v3", here.platforms["v3"], openid)
    elsewhere = here.house.pay("v3-cert", here.platforms["v3-cert"], openid)
    assert elsewhere["payer"] == first["payer"]
    assert elsewhere["tag"]["before"] == "tagged"
    assert elsewhere["tag"]["source"]["id"] == "hotpot"
    assert len(elsewhere["links"]) == 1
    other_circle = here.house.pay("tea", here.platforms["tea"], openid)
    assert other_circle["payer"] == first["payer"]
    assert other_circle["tag"]["before"] == "untagged"


def test_r007_an_openid_under_another_appid_is_another_person(here: Town) -> None:
    openid = fresh_openid()
    assert (
        here.house.pay("v3", here.platforms["v3"], openid)["payer"]
        != here.house.pay("v2", here.platforms["v2"], openid)["payer"]
    )


def test_r033_a_daily_limit_gives_no_second_link_and_says_so(here: Town) -> None:
    openid = fresh_openid()
    paid = [here.house.pay("tea", here.platforms["tea"], openid) for _ in range(3)]
    reasons = [
        next((one["reason"] for one in _decisions(each) if one["rule"] == "payer_link"), None) for each in paid[1:]
    ]
    assert [len(each["links"]) for each in paid] == [0, 1, 0]
    assert reasons == ["issued", "limit_day"]


def test_r009_two_platforms_with_one_number_are_two_payments(here: Town) -> None:
    transaction = fresh_transaction()
    assert here.house.notify("v3", here.platforms["v3"].payment(fresh_openid(), 100, transaction)).status == 200
    assert here.house.notify("alipay", here.platforms["alipay"].payment(fresh_openid(), 200, transaction)).status == 200
    both = here.house.api("GET", f"/payments/{transaction}")
    assert (both.status, both.json["code"]) == (409, "ambiguous")
    assert here.house.api("GET", f"/payments/{transaction}?provider=wechat").json["amount_fen"] == 100
    assert here.house.api("GET", f"/payments/{transaction}?provider=alipay").json["amount_fen"] == 200


def test_the_list_of_payments_is_paged_by_cursor(here: Town) -> None:
    mine = [here.house.pay("crowd", here.platforms["crowd"], fresh_openid())["transaction_id"] for _ in range(3)]
    seen: list[tuple[str, str]] = []
    cursor: str | None = ""
    for _ in range(200):
        page = here.house.api("GET", "/payments" + (f"?cursor={cursor}" if cursor else "")).json
        seen += [(item["provider"], item["transaction_id"]) for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert {("wechat", transaction) for transaction in mine} <= set(seen)
    assert len(seen) == len(set(seen))


def _parts(values: list[str]) -> list[str]:
    """A header's values in order, whether they came apart or joined by a comma."""
    return [part.strip() for value in values for part in value.split(",")]


def _decisions(paid: dict) -> list[dict]:
    return [{name: one[name] for name in ("rule", "outcome", "reason")} for one in paid["decisions"]]


def _metrics(here: Town) -> str:
    from tests.e2e.house import call

    answer = call(here.house.port, "GET", "/metrics")
    assert answer.status == 200
    return answer.text
