"""What holds for each of the customer's own pages: headers, nothing inline, whole documents, both languages (R057, R248)."""

import re

import pytest

from tests.me.conftest import Guest, address_of
from tests.pages.test_page_safety import POLICY

LIVE = ("/live", ".png", ".json")


def places(world, guest, codes):
    """Each kind of page, picture and part, with what it needs to exist."""
    person = world.person_of("T0")
    bowl = address_of(world, codes["bowl-5off"])
    gift = world.runtime.handing_over.make(world.runtime.directory(), codes["bowl-5off"], person, world.clock())
    world.runtime.sharing.create(person, "riverside", world.clock())
    soup = address_of(world, codes["soup"])
    return (
        *("/me", "/me?tab=use", "/me?tab=past", "/me/live", "/me/invite", "/me/invite/qr.png", "/me/deleted"),
        *("/me/privacy", "/me/privacy/export", "/me/privacy/export.json", "/me/privacy/delete"),
        *(soup, f"{soup}/live", f"{soup}/qr.png", f"{soup}/why", f"{soup}/give", bowl),
        *(f"/me/gifts/{gift}", f"/me/gifts/{gift}/live", f"/me/gifts/{gift}/qr.png"),
    )


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_R057_every_page_is_kept_nowhere_and_holds_nothing_inline(world, app, held, language):
    person, codes = held()
    guest = Guest(world, app, person, language)
    for path in places(world, guest, codes):
        raw = guest.client.get(path, headers={"Accept-Language": language})
        assert raw.status_code in {200, 409}, path
        assert raw.headers["Content-Security-Policy"] == POLICY, path
        assert raw.headers["Referrer-Policy"] == "no-referrer", path
        assert raw.headers["Cache-Control"] == "no-store", path
        assert raw.headers["X-Robots-Tag"] == "noindex", path
        if path.endswith((".png", ".json")):
            continue
        page = guest.get(path)
        assert "<style" not in page.html
        assert not re.search(r"<script(?![^>]*\ssrc=)", page.html), path
        for _, name, value in page.attributes:
            assert name != "style", path
            assert not name.startswith("on"), (path, name)
            if name in {"src", "href", "action"}:
                assert not value.startswith(("http:", "https:", "//", "data:", "javascript:")), (path, value)
        if path.endswith(LIVE):
            assert "<h1" not in page.html
            continue
        assert page.html.count("<h1") == 1, path
        assert f'<html lang="{language}">' in page.html
        assert re.search(r"<title>[^<]+</title>", page.html), path
        assert 'class="skip" href="#main"' in page.html


def test_R016_no_page_or_log_of_his_holds_an_openid_or_an_id_of_ours(world, app, held, caplog):
    person, codes = held()
    guest = Guest(world, app, person)
    for path in places(world, guest, codes):
        raw = guest.client.get(path)
        for secret in (b"openid-a", person.encode(), b"canary"):
            assert secret not in raw.data, (path, secret)
    assert "openid-a" not in caplog.text


def test_R016_the_copy_and_the_circles_read_alike_on_both_databases(store_url):
    from gateway import people, privacy, tagging
    from tests.support.builders import House

    house = House(store_url)
    house.claimed("a")
    person = house.person("a")
    house.share("a")
    kept = house.store.read(lambda tx: privacy.copy_for(tx, person))
    assert {name: len(rows) for name, rows in kept.items()} == {
        "known_by": 1,
        "tags": 1,
        "left": 0,
        "payments": 2,
        "links": 1,
        "coupons": 2,
        "used": 0,
        "orders": 0,
        "payouts": 0,
        "invitations": 1,
        "given_away": 0,
    }
    house.write(lambda tx: tagging.opt_out(tx, "hillside", people.look_up(tx, person), house.now))
    found = house.store.read(lambda tx: privacy.circles_of(tx, people.look_up(tx, person)))
    assert found == ["hillside", "riverside"]
    standing = house.sharing.standing(person, "riverside", house.now)
    assert standing is not None
    assert house.sharing.revoke(person, "riverside", house.now)
    assert house.sharing.standing(person, "riverside", house.now) is None
    house.close()


def test_why_reads_alike_on_both_databases(store_url):
    from gateway import coupons
    from gateway.reading import why
    from tests.support.builders import House

    house = House(store_url)
    codes = house.claimed("a")
    for code in codes.values():
        answer = house.store.read(lambda tx, c=code: why.of_coupon(tx, coupons.by_code(tx, c)))
        assert answer.cause == "payment"
        assert answer.payment["transaction_id"] == "a-2"
        assert answer.tagged.merchant == "hotpot"
        assert (answer.choice.considered, answer.choice.chosen) == (4, 2)
    house.close()
