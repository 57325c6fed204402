"""What became of each link on each way, on both databases: states from what happened and from the clock (R031, R264)."""

from datetime import datetime, timedelta, timezone

import pytest

from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.ids import IdFactory
from gateway.delivery import showings, ways
from gateway.reading import timeline
from tests.support.browsing import link_token

NOW = datetime(2026, 11, 22, 4, 5, 6, tzinfo=timezone.utc)


class Book:
    """A store with links made by hand."""

    def __init__(self, store):
        self.store = store
        self.ids = IdFactory()

    def link(self, age_s=0, *, merchant="m", shop="s", partner=True, state="issued", live=True):
        """A payment and its payer's link of so many seconds ago; (payment, link)."""
        at = NOW - timedelta(seconds=age_s)
        link, payment = self.ids.new("l", at), self.ids.new("pay", at)
        common = {"payment": payment, "merchant": merchant, "shop": shop, "at": to_text(at)}

        def make(tx):
            tx.run(
                "INSERT INTO payments (id, provider, mch_id, sub_mch_id, transaction_id, out_trade_no, channel, circle, "
                "merchant, shop, amount_fen, currency, paid_at, received_at, tag_before, tag_after, decisions) "
                "VALUES (:payment, 'wechat', 'M', :sub, :payment, 'O', 'c', 'ci', :merchant, :shop, 1, 'CNY', :at, :at, "
                "'tagged', 'tagged', '[]')",
                {**common, "sub": "1" if partner else None},
            )
            tx.run(
                "INSERT INTO links (id, token_digest, key_id, circle, merchant, shop, person, purpose, payment, offer, "
                "items, choice, state, created_at, expires_at) VALUES (:link, :digest, 'k', 'ci', :merchant, :shop, 'p', "
                "'payer', :payment, 'o', '[]', '{}', :state, :at, :end)",
                {
                    **common,
                    "link": link,
                    "digest": link.encode(),
                    "state": state,
                    "end": to_text(NOW + timedelta(days=1 if live else -1)),
                },
            )

        self.store.write(make)
        return payment, link

    def states(self, payment, now=NOW):
        found = self.store.read(lambda tx: showings.of_payment(tx, payment, now))
        return {one.way: one.state for one in found}

    def figures(self, merchants=None, hours=24):
        since = NOW - timedelta(hours=hours)
        found = self.store.read(lambda tx: showings.figures(tx, merchants, since, NOW))
        return {one.way: one for one in found}

    def write(self, work):
        return self.store.write(work)


@pytest.fixture
def book(store):
    return Book(store)


def test_R031_untried_ways_wait_as_long_as_each_can_be_taken(book):
    payment, _ = book.link()
    assert list(book.states(payment)) == ["slip", "till", "receipt", "wallet"]
    for after, states in (
        (0, "queued queued queued queued"),
        (59, "queued queued queued queued"),
        (60, "queued expired queued queued"),
        (599, "queued expired queued queued"),
        (600, "expired expired queued queued"),
        (86_400, "expired expired expired expired"),
    ):
        assert " ".join(book.states(payment, NOW + timedelta(seconds=after)).values()) == states, after


@pytest.mark.parametrize(
    ("facts", "names"),
    [
        ({"partner": False}, ["till", "receipt", "wallet"]),
        ({"shop": None}, ["slip", "wallet"]),
        ({"shop": None, "partner": False}, ["wallet"]),
    ],
)
def test_R031_only_what_applies(book, facts, names):
    payment, _ = book.link(**facts)
    assert list(book.states(payment)) == names


@pytest.mark.parametrize("over", [{"state": "revoked"}, {"state": "claimed"}, {"live": False}])
def test_R031_a_link_that_is_over_waits_for_nothing(book, over):
    payment, _ = book.link(**over)
    assert set(book.states(payment).values()) == {"expired"}


def test_R031_a_payment_without_a_link_has_no_ways(book):
    assert book.states("pay_x") == {}


def test_R031_shown_stays_shown_and_counts(book):
    payment, link = book.link()
    later = NOW + timedelta(seconds=30)
    book.write(lambda tx: showings.note_failed(tx, NOW, link, "till", "m", "two_at_once"))
    assert book.states(payment)["till"] == "failed"
    book.write(lambda tx: showings.note_shown(tx, later, link, "till", "m"))
    book.write(lambda tx: showings.note_shown(tx, later + timedelta(seconds=5), link, "till", "m"))
    book.write(lambda tx: showings.note_failed(tx, later + timedelta(seconds=9), link, "till", "m", "two_at_once"))
    (reach,) = [one for one in book.store.read(lambda tx: showings.of_payment(tx, payment, NOW)) if one.way == "till"]
    assert (reach.state, reach.at, reach.times, reach.error) == ("shown", to_text(later), 2, "")


def test_R264_figures_by_way_and_the_last_error(book):
    # The oldest first: ids of one maker never go backwards.
    book.link(3000)
    first = [book.link(5)[1] for _ in range(3)]
    book.link(5, partner=False)
    book.link(5, merchant="other")
    book.write(lambda tx: showings.note_shown(tx, NOW, first[0], "slip", "m"))
    book.write(lambda tx: showings.note_failed(tx, NOW, first[1], "slip", "m", "too_late"))
    slip = book.figures(["m"])["slip"]
    assert (slip.queued, slip.shown, slip.failed, slip.expired, slip.sent) == (1, 1, 1, 1, 4)
    assert (slip.last_error, slip.last_error_at) == ("too_late", to_text(NOW))
    till = book.figures(["m"])["till"]
    assert (till.queued, till.expired, till.failed, till.last_error) == (4, 1, 0, "")
    assert book.figures()["slip"].sent == 5
    assert book.figures(["other"])["slip"].last_error == ""
    assert book.figures([])["slip"].sent == 0
    assert book.figures(hours=0.1)["till"].expired == 0


def test_R264_switched_off_ways_count_what_happened_and_nothing_else(book):
    _, link = book.link(5)
    book.link(5)
    book.write(lambda tx: showings.note_shown(tx, NOW, link, "slip", "m"))
    book.write(lambda tx: ways.switch(tx, NOW, "m", "slip", "off", "lin"))
    slip = book.figures()["slip"]
    assert (slip.queued, slip.shown) == (0, 1)


def test_R246_a_switch_is_audited_once_and_stays(book):
    for mode, before in (("always", "on"), ("always", "always"), ("off", "always")):
        assert book.write(lambda tx, m=mode: ways.switch(tx, NOW, "m", "slip", m, "lin")) == before
    assert book.store.read(lambda tx: ways.modes(tx)).of("m", "slip") == "off"
    assert book.store.read(lambda tx: ways.modes(tx, ["m"])).of("m", "slip") == "off"
    assert book.store.read(lambda tx: ways.modes(tx, ["n"])).of("n", "slip") == "on"
    rows = book.store.read(lambda tx: tx.all("SELECT who, action, object FROM audit ORDER BY seq"))
    assert [tuple(row[name] for name in ("who", "action", "object")) for row in rows] == [
        ("lin", "way.switch", "m/slip")
    ] * 2


@pytest.mark.parametrize(
    ("way", "mode"), [("wallet", "off"), ("till", "always"), ("x", "on"), ("slip", ""), ("slip", "ON")]
)
def test_R264_no_such_way_or_position(book, way, mode):
    with pytest.raises(Refused) as refused:
        book.write(lambda tx: ways.switch(tx, NOW, "m", way, mode, "lin"))
    assert (refused.value.code, refused.value.status) == ("invalid", 422)
    assert book.store.read(lambda tx: tx.all("SELECT * FROM ways")) == []


def test_R264_a_position_of_another_version_counts_as_the_default(book):
    book.write(
        lambda tx: tx.run("INSERT INTO ways (merchant, way, mode, since, by) VALUES ('m', 'till', 'blink', 'x', 'y')")
    )
    assert book.store.read(lambda tx: ways.modes(tx)).of("m", "till") == "on"


def test_R031_the_timeline_tells_it(world, app):
    link_token(world, "openid-a")
    now, link = world.clock(), world.links()[-1]["id"]
    world.store.write(lambda tx: showings.note_shown(tx, now, link, "till", "hotpot"))
    world.store.write(lambda tx: showings.note_failed(tx, now, link, "slip", "hotpot", "too_late"))
    payment = world.all("SELECT * FROM payments ORDER BY id")[-1]
    told = world.store.read(lambda tx: timeline.of_payment(tx, payment))
    said = {(one["what"], one["detail"]) for one in told}
    assert ("shown", f"link {link} by till") in said
    assert ("not_shown", f"link {link} by slip: too_late") in said


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh-CN", ["小票页 已显示", "收银屏 没能显示：10 秒内有两笔有券的付款，屏幕没有自动显示", "券包 等待显示"]),
        ("en", ["Slip page Shown", "Two payments with gifts within 10 s", "Wallet page Waiting to be shown"]),
    ],
)
def test_R031_the_lines_in_words(app, language, words):
    from gateway.delivery.showings import Reach
    from gateway.web.pages.ways_words import error_words, line_of, mode_name, way_name

    with app.test_request_context("/", headers={"Accept-Language": language}):
        lines = [
            line_of(Reach("l", "slip", "shown")),
            line_of(Reach("l", "till", "failed", error="two_at_once")),
            line_of(Reach("l", "wallet", "queued")),
        ]
        assert all(word in line for word, line in zip(words, lines, strict=True)), lines
        assert (way_name("x"), error_words("x"), error_words("")) == ("x", "x", "")
        assert mode_name("always") != "always"
