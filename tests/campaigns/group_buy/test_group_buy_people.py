"""R016: a guest's films, tickets and reminders, in his copy and when he is forgotten."""

import json

import pytest

from campaigns.group_buy import tables
from tests.campaigns.group_buy.group_buy_hands import Deal, catalog
from tests.support.forgotten import copy_of, forget, in_clear
from tests.support.world import World

FILM = b"canary film of a guest" * 40


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def deal(request, tmp_path):
    more = {"store_url": request.getfixturevalue("postgres_url")} if request.param == "postgres" else {}
    world = World(tmp_path, sandbox=True, catalog=catalog(), **more)
    yield Deal(world)
    world.close()


def film_of(deal, order, *, state="uploading"):
    """A film as it stands in one state, with every file there might be."""
    answer = deal.post(f"/orders/{order}/video", {"size": len(FILM) + 1, "type": "video/mp4", "consent": True})
    assert answer.status_code == 201, answer.json
    video, now = answer.json["video"], deal.world.clock()
    folder = deal.world.runtime.campaigns.house.files("group_buy")
    (folder / f"{video}.part").write_bytes(FILM)
    if state != "uploading":
        deal.world.store.write(lambda tx: tables.move_video(tx, video, ("uploading",), state, now))
        (folder / f"{video}.mp4").write_bytes(FILM)
        (folder / f"{video}.jpg").write_bytes(FILM)
    return video


def person_of(deal, order):
    return deal.world.one("SELECT person FROM group_buy_orders WHERE id = :id", id=order)["person"]


def video(deal, id_):
    return deal.world.one("SELECT * FROM group_buy_videos WHERE id = :id", id=id_)


def test_R016_the_copy_tells_of_orders_and_films(deal):
    order = deal.used()
    film_of(deal, order)
    other = deal.paid("guest-b")
    kept = copy_of(deal.world, person_of(deal, order))
    assert [row["state"] for row in kept["group_buy.group_buy_orders"]] == ["used"]
    assert [row["state"] for row in kept["group_buy.group_buy_videos"]] == ["uploading"]
    assert person_of(deal, other) not in json.dumps(kept)


@pytest.mark.parametrize("state", ["uploading", "uploaded", "processing", "review", "published", "rejected"])
def test_R016_no_file_of_a_forgotten_guest_is_left(deal, state):
    order = deal.used()
    made = film_of(deal, order, state=state)
    assert in_clear(deal.world, "canary film of a guest")
    forget(deal.world, person_of(deal, order))
    assert in_clear(deal.world, "canary film of a guest") == []
    row = video(deal, made)
    assert (row["state"], row["has_original"]) == ("rejected" if state == "rejected" else "removed", 0)
    assert deal.world.client().get(f"/campaigns/group_buy/v/{made}.mp4").status_code == 404
    deal.sweep()
    assert video(deal, made)["state"] == row["state"]


def test_R016_a_film_of_another_stays(deal):
    order, other = deal.used(), deal.used("guest-b")
    made = film_of(deal, other, state="published")
    forget(deal.world, person_of(deal, order))
    assert video(deal, made)["state"] == "published"
    assert in_clear(deal.world, "canary film of a guest")


def test_R016_nobody_is_reminded_of_somebody_forgotten(deal):
    order = deal.paid()
    person = person_of(deal, order)
    deal.world.store.write(lambda tx: tables.plan_push(tx, order, "dinner", "s1", deal.world.clock()))
    deal.world.store.write(
        lambda tx: tables.add_ticket(tx, "tk_1", "dinner", "sweets-1", "2026-11-22", 1, person, deal.world.clock())
    )
    forget(deal.world, person)
    assert [row["state"] for row in deal.world.all("SELECT state FROM group_buy_pushes")] == ["quiet"]
    (ticket,) = deal.world.all("SELECT person, state FROM group_buy_tickets")
    assert (ticket["person"], ticket["state"]) == (None, "waiting")
