"""What is told, to whom, in which order, how often, and that nothing private is in it (R074)."""

import threading

import pytest

from gateway.contract.errors import Refused
from gateway.redeeming import Bill, Clerk
from gateway.webhooks.sending import Sent, again, switch_on
from tests.webhooks.conftest import courier_of

CLERK = Clerk("zhou", None)


def messages(world, webhook="erp"):
    return world.all("SELECT * FROM messages WHERE webhook = :webhook ORDER BY created_at, seq", webhook=webhook)


def use(world, code, key="k1"):
    return world.runtime.redeeming.redeem(code, CLERK, key, Bill(5000, None, "sweets-1"), world.clock())


def reverse(world, code):
    return world.runtime.redeeming.reverse(code, CLERK, "slip", world.clock())


def test_R074_each_change_is_told_once_in_order(told, receiver, courier):
    claimed = told.claimed("openid-a")
    code = claimed.codes["bowl-5off"]
    use(told, code)
    use(told, code)
    told.clock.move(minutes=1)
    reverse(told, code)
    courier.do_due()
    erp = [message["type"] for message in receiver.at("erp")]
    assert sorted(erp) == ["coupon.redeemed", "coupon.reversed", "link.claimed", "link.issued"]
    assert erp.index("link.issued") < erp.index("link.claimed")
    assert erp.index("coupon.redeemed") < erp.index("coupon.reversed")
    assert [message["type"] for message in receiver.at("till")] == ["coupon.redeemed", "coupon.reversed"]
    assert courier.do_due() == 0


def test_R074_what_was_refused_is_not_told(told):
    claimed = told.claimed("openid-a")
    code = claimed.codes["bowl-5off"]
    before = len(messages(told))
    with pytest.raises(Refused):
        told.runtime.redeeming.redeem(code, CLERK, "k1", Bill(1), told.clock())
    with pytest.raises(Refused):
        reverse(told, code)
    told.runtime.claiming.claim(told.runtime.directory(), claimed.token, told.clock())
    told.pay("second-1", "openid-a")
    assert len(messages(told)) == before


def test_R074_a_change_that_is_undone_takes_its_message_with_it(told, monkeypatch):
    code = told.code()
    before = len(messages(told))

    def fail(*_args, **_more):
        raise RuntimeError("after the message was written")

    monkeypatch.setattr("gateway.redeeming._audit", fail)
    with pytest.raises(RuntimeError):
        use(told, code)
    assert len(messages(told)) == before
    assert told.one("SELECT state FROM coupons WHERE code = :code", code=code)["state"] == "claimed"


def test_R072_another_circle_and_another_merchant_are_not_told(told):
    told.pay("N1", "openid-n", channel="noodles-pay")
    told.pay("N2", "openid-n", channel="noodles-pay")
    assert messages(told) == []
    claimed = told.claimed("openid-a")
    use(told, claimed.codes["soup"])
    assert len(messages(told)) == 3
    assert messages(told, "sweets-till") == []


def test_R074_no_openid_token_or_code_is_in_a_message(told):
    claimed = told.claimed("openid-of-a-person")
    use(told, claimed.codes["bowl-5off"])
    bodies = " ".join(row["body"] + row["id"] + row["object"] for row in messages(told))
    for private in ("openid", claimed.token, *claimed.codes.values(), "zhou"):
        assert private not in bodies


def test_R074_without_a_webhook_nothing_is_written(told):
    told.apply('[webhook.erp]\ncircle = "hillside"\nurl = "https://a.example/"\nsecret = "whsec_' + "A" * 32 + '"\n')
    told.claimed("openid-a")
    told.runtime.holder._next_look = 0
    told.runtime.directory()
    told.claimed("openid-b")
    assert {row["object"] for row in messages(told)} <= {row["id"] for row in told.links()}


def test_R074_a_later_event_waits_for_the_earlier_one(told, receiver, courier):
    receiver.answer = lambda message: Sent(500, "status 500") if message["type"] == "link.issued" else Sent(200)
    told.claimed("openid-a")
    courier.do_due()
    assert [message["type"] for message in receiver.got] == ["link.issued"]
    receiver.answer = lambda _message: Sent(200)
    told.clock.move(seconds=2)
    courier.do_due()
    assert [message["type"] for message in receiver.got] == ["link.issued", "link.issued", "link.claimed"]
    first, second = receiver.got[:2]
    assert first["headers"]["webhook-id"] == second["headers"]["webhook-id"]
    assert first["headers"]["webhook-timestamp"] != second["headers"]["webhook-timestamp"]
    assert first["raw"] == second["raw"]


def test_R074_one_objects_failure_holds_up_no_other(told, receiver, courier):
    one, _ = told.claimed("openid-a"), told.claimed("openid-b")
    receiver.answer = lambda message: Sent(500, "status 500") if message["data"]["link"] == one.link else Sent(200)
    courier.do_due()
    taken = [message["type"] for message in receiver.got if message["data"]["link"] != one.link]
    assert taken == ["link.issued", "link.claimed"]


def test_R074_after_a_day_it_is_parked_and_what_follows_it_too_and_a_replay_sends_both_in_order(
    told, receiver, courier
):
    receiver.answer = lambda _message: Sent(503, "status 503")
    told.claimed("openid-a")
    for _ in range(60):
        courier.do_due()
        told.clock.move(minutes=30)
    assert {row["state"] for row in messages(told)} == {"parked"}
    kinds = {row["kind"] for row in told.all("SELECT kind FROM incidents WHERE closed_at IS NULL")}
    assert kinds == {"webhook_parked"}
    receiver.got.clear()
    receiver.answer = lambda _message: Sent(200)
    told.store.write(lambda tx: switch_on(tx, told.clock(), "erp"))
    assert told.store.write(lambda tx: again(tx, told.clock(), "erp")) == 2
    courier.do_due()
    assert [message["type"] for message in receiver.got] == ["link.issued", "link.claimed"]
    assert told.all("SELECT kind FROM incidents WHERE closed_at IS NULL") == []


def test_R074_one_or_a_stretch_is_sent_again_under_the_same_id(told, receiver, courier):
    told.claimed("openid-a")
    courier.do_due()
    ids = [message["headers"]["webhook-id"] for message in receiver.got]
    assert told.store.write(lambda tx: again(tx, told.clock(), "erp", id_=ids[1])) == 1
    courier.do_due()
    assert [message["headers"]["webhook-id"] for message in receiver.got] == [*ids, ids[1]]
    assert told.store.write(lambda tx: again(tx, told.clock(), "erp", since="2027")) == 0
    assert told.store.write(lambda tx: again(tx, told.clock(), "other", id_=ids[1])) == 0


def test_R074_a_receiver_that_fails_on_end_is_left_alone_for_a_while_then_switched_off(told, receiver, courier):
    receiver.answer = lambda _message: Sent(None, "refused")
    for number in range(6):
        told.claimed(f"openid-{number}")
    for _ in range(4):
        courier.do_due()
        told.clock.move(seconds=1)
    assert len(receiver.got) < 8
    for day in range(4):
        told.claimed(f"openid-day-{day}")
        courier.do_due()
        told.clock.move(days=1)
    assert told.one("SELECT off_why FROM receivers WHERE webhook = 'erp'")["off_why"] == "failing"
    assert "webhook_off" in {row["kind"] for row in told.all("SELECT kind FROM incidents")}
    receiver.got.clear()
    courier.do_due()
    assert receiver.got == []


def test_R074_gone_switches_off_at_once_and_switching_on_sends_what_waited(told, receiver, courier):
    receiver.answer = lambda _message: Sent(410, "status 410")
    told.claimed("openid-a")
    courier.do_due()
    assert len(receiver.got) == 1
    receiver.answer = lambda _message: Sent(200)
    told.clock.move(minutes=1)
    courier.do_due()
    assert len(receiver.got) == 1
    assert told.store.write(lambda tx: switch_on(tx, told.clock(), "erp"))
    courier.do_due()
    assert [message["type"] for message in receiver.got] == ["link.issued", "link.issued", "link.claimed"]


def test_R074_a_paused_receiver_waits_however_long_and_a_removed_ones_messages_are_dropped(told, receiver, courier):
    told.claimed("openid-a")
    hook = told.runtime.directory().catalog.webhooks["erp"]
    text = f'[webhook.erp]\ncircle = "riverside"\nurl = "{hook.url}"\nsecret = "{hook.secret}"\npaused = true\n'
    told.apply(text)
    fresh(told)
    told.clock.move(days=5)
    courier.do_due()
    assert receiver.got == []
    assert {row["state"] for row in messages(told)} == {"due"}
    told.store.write(lambda tx: tx.run("UPDATE messages SET webhook = 'nobody'"))
    courier.do_due()
    assert {row["state"] for row in messages(told, "nobody")} == {"dropped"}


def fresh(world):
    world.runtime.holder._next_look = 0
    world.runtime.directory()


def test_R074_two_workers_send_each_message_once_and_keep_each_objects_order(told, receiver):
    """Real threads over two processes' parts, with a receiver that fails every third time."""
    for number in range(12):
        claimed = told.claimed(f"openid-{number}")
        use(told, claimed.codes["bowl-5off"], f"use-{number}")
        reverse(told, claimed.codes["bowl-5off"])
    count = iter(range(10_000))
    receiver.answer = lambda _message: Sent(200) if next(count) % 3 else Sent(500, "status 500")
    couriers = [courier_of(told, receiver, told.another_runtime()) for _ in range(2)]

    def work(courier):
        for _ in range(40):
            courier.do_due()

    for _ in range(12):
        threads = [threading.Thread(target=work, args=(courier,)) for courier in couriers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told.clock.move(minutes=31)
        if not told.all("SELECT id FROM messages WHERE state = 'due'"):
            break
    rows = told.all("SELECT * FROM messages")
    assert {row["state"] for row in rows} == {"done"}
    assert len(rows) == 12 * (4 + 2)
    place = {row["id"]: (row["webhook"], row["object"], row["seq"]) for row in rows}
    last = {}
    for message in receiver.got:
        webhook, object_, seq = place[message["headers"]["webhook-id"]]
        assert seq >= last.get((webhook, object_), 0)
        last[webhook, object_] = seq


def test_R074_a_worker_that_dies_with_a_lease_leaves_the_message_to_another(told, receiver, courier):
    told.claimed("openid-a")

    def die(_message):
        raise SystemExit

    receiver.answer = die
    with pytest.raises(SystemExit):
        courier.do_due()
    receiver.answer = lambda _message: Sent(200)
    assert courier.do_due() == 0
    told.clock.move(minutes=3)
    courier.do_due()
    assert [message["type"] for message in receiver.got] == ["link.issued", "link.issued", "link.claimed"]
