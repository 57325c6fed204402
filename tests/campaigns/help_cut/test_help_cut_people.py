"""R016: whom a buyer named, and who named him, goes with either of them, and by itself in time."""

import json

import pytest

from campaigns.help_cut import personal
from tests.campaigns.help_cut.cutting import Cutting
from tests.support.forgotten import copy_of, forget, found_in, in_clear
from tests.support.invariants import broken

PHONE = "canary-13800000000"
TABLES = ("help_cut_sessions", "help_cut_invitations", "help_cut_packets", "idempotency", "audit", "outbox")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def shop(request, tmp_path):
    more = {"store_url": request.getfixturevalue("postgres_url")} if request.param == "postgres" else {}
    made = Cutting(tmp_path, **more)
    yield made
    assert made.store.read(lambda tx: broken(tx, made.clock())) == []
    made.close()


def invitation(shop, id_):
    return shop.one("SELECT * FROM help_cut_invitations WHERE id = :id", id=id_)


def sealed(shop):
    return [bytes(row["account"]) for row in shop.all("SELECT * FROM help_cut_invitations") if row["account"]]


def buyer_of(shop, session):
    return shop.one("SELECT buyer FROM help_cut_sessions WHERE id = :id", id=session)["buyer"]


def test_R016_the_copy_names_no_friend(shop):
    session = shop.start()
    shop.name(session, PHONE, by="phone")
    kept = copy_of(shop, buyer_of(shop, session))
    assert [row["state"] for row in kept["help_cut.help_cut_sessions"]] == ["inviting"]
    assert kept["help_cut.help_cut_invitations"] == []
    assert PHONE not in json.dumps(kept)


def test_R016_a_helper_finds_his_packet_in_his_copy(shop):
    session = shop.start()
    (asked,) = shop.name(session, "a")
    told = shop.agree(asked, "a")
    helper = invitation(shop, asked)["helper"]
    kept = copy_of(shop, helper)
    assert [row["state"] for row in kept["help_cut.help_cut_invitations"]] == ["agreed"]
    assert [row["amount_fen"] for row in kept["help_cut.help_cut_packets"]] == [told["amount_fen"]]
    assert kept["help_cut.help_cut_sessions"] == []
    assert buyer_of(shop, session) not in json.dumps(kept)


def test_R016_a_forgotten_buyer_takes_his_friends_accounts_along(shop):
    session = shop.start(device="phone-of-the-buyer")
    shop.name(session, PHONE, by="phone")
    was = sealed(shop)
    assert len(was) == 1
    buyer = buyer_of(shop, session)
    forget(shop, buyer)
    row = shop.one("SELECT * FROM help_cut_sessions")
    assert (row["state"], row["device"]) == ("cancelled", "")
    assert [one["state"] for one in shop.all("SELECT * FROM help_cut_invitations")] == ["revoked"]
    assert found_in(shop, TABLES, *was, PHONE, "phone-of-the-buyer") == []
    assert in_clear(shop, PHONE) == []
    house = shop.house
    assert shop.store.write(lambda tx: personal.forget(tx, house, [buyer], shop.clock())) == 0
    # The reserve of the session is free again.
    (budget,) = shop.all("SELECT reserved_fen, consumed_fen FROM budgets WHERE name = 'campaign:cut'")
    assert budget["consumed_fen"] == 0


def test_R016_a_forgotten_helper_is_nobody_in_anybodys_session(shop):
    session = shop.start()
    first, second = shop.name(session, "a", "b")
    told = shop.agree(first, "a", device="phone-of-a")
    helper = invitation(shop, first)["helper"]
    was = bytes(invitation(shop, first)["account"])
    forget(shop, helper)
    after = invitation(shop, first)
    assert (after["state"], bytes(after["account"]), after["device"]) == ("agreed", b"", "")
    assert found_in(shop, TABLES, was, "phone-of-a") == []
    # The price that his help made stays, the other invitation is untouched, and goes on.
    assert shop.show(session)["price_fen"] == told["price_fen"] == 890
    assert bytes(invitation(shop, second)["account"])
    assert shop.agree(second, "b")["price_fen"] == 790


def test_R016_an_openid_that_was_named_and_never_came_is_erased_too(shop):
    shop.pay("T1", "a", channel="sweets-pay")
    session = shop.start()
    named, other = shop.name(session, "a", "b")
    assert invitation(shop, named)["helper"] is None
    forget(shop, shop.person_of("T1"))
    assert (invitation(shop, named)["state"], bytes(invitation(shop, named)["account"])) == ("revoked", b"")
    assert (invitation(shop, other)["state"], bool(invitation(shop, other)["account"])) == ("sent", True)
    assert shop.refused("POST", f"/invitations/{named}/agree", {"openid": "a", "channel": "sweets-pay"})[0] in {
        403,
        409,
    }


def test_R016_a_paid_session_stays_paid(shop):
    session = shop.reached()
    shop.pay_for(session)
    buyer = buyer_of(shop, session)
    before = shop.show(session)["state"]
    forget(shop, buyer)
    assert shop.show(session)["state"] == before
    assert sealed(shop) == []


def test_R016_whom_a_buyer_named_is_kept_no_longer_than_needed(shop):
    session = shop.start()
    shop.name(session, PHONE, by="phone")
    shop.did("POST", f"/sessions/{session}/cancel")
    later = shop.start("second")
    shop.name(later, PHONE, by="phone")

    def sweep(**ahead):
        shop.clock.move(**ahead)
        campaign, house = shop.campaign, shop.house
        return shop.store.write(lambda tx: personal.forget_old(tx, house, campaign, shop.clock(), 100))

    assert sweep(days=179) == 0
    assert sweep(days=1) == 1
    assert len(sealed(shop)) == 1
    assert sweep(days=1) == 0
