"""R226–R229: a video's way by the API: consent, pieces, processing, review, cut, withdrawal, forgetting."""

import shutil

import pytest

from campaigns.group_buy import film, uploads, videos
from campaigns.group_buy.kind import kind
from tests.campaigns.group_buy.group_buy_hands import BASE, Deal, catalog, keyed
from tests.campaigns.group_buy.test_group_buy_films import clip
from tests.support.databases import missing
from tests.support.world import World


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    if film.find_tools() is None:
        missing("ffmpeg is not installed")
    return clip(tmp_path_factory.mktemp("clip") / "small.mp4").read_bytes()


@pytest.fixture
def deal(tmp_path):
    world = World(tmp_path, sandbox=True, catalog=catalog(), kinds=[kind])
    yield Deal(world)
    world.close()


def begin(deal, order, size, **more):
    return deal.post(f"/orders/{order}/video", {"size": size, "type": "video/mp4", "consent": True, **more})


def patch(deal, location, at, data):
    return deal.manager.patch(
        location, data=data, headers={"Upload-Offset": str(at), "Content-Type": "application/offset+octet-stream"}
    )


def uploaded(deal, data, order=None):
    order = order or deal.used()
    answer = begin(deal, order, len(data))
    assert answer.status_code == 201, answer.json
    assert patch(deal, answer.headers["Location"], 0, data).status_code == 204
    return answer.json["video"]


def state(deal, video):
    found = deal.get(f"/videos/{video}").json
    return found["state"], found["reason"]


def files(deal):
    return sorted(path.name for path in deal.world.runtime.campaigns.house.files("group_buy").iterdir())


def settled(deal, video):
    """The worker looks until the film is done."""
    for _ in range(40):
        deal.sweep()
        if state(deal, video)[0] not in {"uploaded", "processing"}:
            return state(deal, video)
        deal.world.clock.move(seconds=4)
    raise AssertionError(state(deal, video))


def test_R229_without_consent_nothing_begins(deal):
    order = deal.used()
    for consent in (False, None, "true", 1, 0):
        answer = begin(deal, order, 1000, consent=consent)
        assert (answer.status_code, answer.json["fields"]) == (422, {"consent": "must be given"}), consent
    assert deal.world.all("SELECT id FROM group_buy_videos") == []


def test_R227_only_after_use_and_within_its_bounds(deal):
    order = deal.paid()
    assert begin(deal, order, 1000).json["code"] == "not_used"
    deal.post(f"/orders/{order}/use")
    large = begin(deal, order, 200_000_001)
    assert (large.status_code, large.json["code"]) == (413, "too_large")
    assert begin(deal, order, 200_000_000).status_code == 201
    for size in (0, -1, "1", 1.5, None, True):
        assert begin(deal, order, size).status_code == 422, size
    for said in ("", "text/html", None, 7):
        assert begin(deal, order, 10, type=said).status_code == 422, said


def test_R227_an_upload_never_fills_the_disk(deal, monkeypatch):
    order = deal.used()
    monkeypatch.setattr(
        uploads.shutil, "disk_usage", lambda _folder: shutil._ntuple_diskusage(10**12, 10**12, 10**9 + 999)
    )
    refused = begin(deal, order, 1000)
    assert (refused.status_code, refused.json["code"]) == (503, "no_room")
    assert begin(deal, order, 999).status_code == 201


def test_R227_pieces_resume_where_they_broke_off(deal, small):
    order = deal.used()
    answer = begin(deal, order, len(small))
    at, video = answer.headers["Location"], answer.json["video"]
    assert at == f"{BASE}/videos/{video}/upload"
    assert deal.manager.head(at).headers["Upload-Offset"] == "0"
    first = patch(deal, at, 0, small[:1000])
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "1000")
    # A lost answer: the same piece again, one from too far on, and none of them is written.
    for wrong in (0, 999, 5000, len(small)):
        refused = patch(deal, at, wrong, small[:1000])
        assert (refused.status_code, refused.json["code"]) == (409, "offset"), wrong
    for header in ("", "-1", "1e3", "٣", "9" * 20):
        bad = deal.manager.patch(at, data=b"x", headers={"Upload-Offset": header.encode().decode("latin-1")})
        assert bad.status_code == 400, header
    head = deal.manager.head(at)
    assert (head.headers["Upload-Offset"], head.headers["Upload-Length"]) == ("1000", str(len(small)))
    # The page was loaded again: the same size goes on in the same place.
    again = begin(deal, order, len(small))
    assert (again.json["video"], again.headers["Upload-Offset"]) == (video, "1000")
    beyond = patch(deal, at, 1000, small[1000:] + b"more")
    assert (beyond.status_code, beyond.json["code"]) == (413, "too_large")
    assert patch(deal, at, 1000, small[1000:]).headers["Upload-Offset"] == str(len(small))
    assert state(deal, video) == ("uploaded", "")
    assert patch(deal, at, len(small), b"").json["code"] == "bad_transition"
    (path,) = deal.world.runtime.campaigns.house.files("group_buy").iterdir()
    assert path.read_bytes() == small
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_R227_another_size_is_another_upload(deal, small):
    order = deal.used()
    first = begin(deal, order, len(small)).json["video"]
    second = begin(deal, order, len(small) + 1).json["video"]
    assert second != first
    assert state(deal, first) == ("removed", "replaced")


def test_R227_a_process_that_dies_with_the_last_piece_loses_nothing(deal, small):
    order = deal.used()
    answer = begin(deal, order, len(small))
    video = answer.json["video"]
    # The bytes were synced, the store was not told.
    (deal.world.runtime.campaigns.house.files("group_buy") / f"{video}.part").write_bytes(small)
    assert deal.manager.head(answer.headers["Location"]).headers["Upload-Offset"] == str(len(small))
    assert state(deal, video) == ("uploaded", "")


def test_R227_the_type_is_sniffed_not_trusted(deal):
    order = deal.used()
    bad = b"#EXTM3U\nfile:///etc/passwd\n" + b" " * 200
    answer = begin(deal, order, len(bad))
    refused = patch(deal, answer.headers["Location"], 0, bad)
    assert (refused.status_code, refused.json["code"]) == (422, "not_a_video")
    # Byte by byte it comes no further.
    for at in range(len(bad)):
        if patch(deal, answer.headers["Location"], at, bad[at : at + 1]).status_code != 204:
            break
    assert at < 64
    assert state(deal, answer.json["video"])[0] == "uploading"


def test_R226_to_R229_from_upload_to_the_shops_page_and_back(deal, small):
    order = deal.used()
    video = uploaded(deal, small, order)
    assert settled(deal, video) == ("review", "")
    shown = deal.get(f"/videos/{video}").json
    assert (shown["path"], 1900 < shown["length_ms"] < 2300) == (None, True)
    assert files(deal) == [f"{video}.jpg", f"{video}.mp4", f"{video}.part"]
    # Only an operator decides.
    assert deal.post(f"/videos/{video}/approve").status_code == 403
    published = deal.post(f"/videos/{video}/approve", by=deal.operator)
    assert (published.json["state"], published.json["path"]) == ("published", f"/campaigns/group_buy/v/{video}")
    assert deal.post(f"/videos/{video}/approve", by=deal.operator).status_code == 200
    assert deal.get("").json["counts"]["videos_published"] == 1
    assert begin(deal, order, 100).json["code"] == "video_exists"
    # R229: with the answer every file is gone.
    assert deal.post(f"/videos/{video}/withdraw").json["state"] == "removed"
    assert files(deal) == []
    assert deal.post(f"/videos/{video}/withdraw").json["state"] == "removed"
    late = deal.post(f"/videos/{video}/approve", by=deal.operator)
    assert (late.status_code, late.json["code"]) == (409, "bad_transition")
    assert begin(deal, order, 100).status_code == 201
    told = [row["action"] for row in deal.world.all("SELECT action FROM audit WHERE object = :v ORDER BY seq", v=video)]
    assert told == ["video.published", "video.removed"]


def test_R228_a_cut_is_made_from_the_original_and_reviewed_again(deal, small):
    video = uploaded(deal, small)
    settled(deal, video)
    deal.post(f"/videos/{video}/approve", by=deal.operator)
    for body in (
        {"from_ms": -1},
        {"from_ms": 60_000},
        {"from_ms": 500, "to_ms": 900},
        {"from_ms": "0"},
        {"to_ms": 1.5},
    ):
        assert deal.post(f"/videos/{video}/cut", body, by=deal.operator).status_code == 422, body
    cut = deal.post(f"/videos/{video}/cut", {"from_ms": 500, "to_ms": 1500}, by=deal.operator)
    assert (cut.json["state"], cut.json["path"]) == ("uploaded", None)
    assert settled(deal, video) == ("review", "")
    assert 900 <= deal.get(f"/videos/{video}").json["length_ms"] <= 1300


def test_R227_what_ffmpeg_does_not_take_is_rejected_and_not_kept(deal, small):
    video = uploaded(deal, small[:40] + b"\x00" * 4000)
    assert settled(deal, video) == ("rejected", "not_a_video")
    deal.sweep()
    assert files(deal) == []


def test_R227_staff_reject_with_a_reason(deal, small):
    video = uploaded(deal, small)
    settled(deal, video)
    assert deal.post(f"/videos/{video}/reject", {"reason": "x" * 201}, by=deal.operator).status_code == 422
    rejected = deal.post(f"/videos/{video}/reject", {"reason": "看不清"}, by=deal.operator)
    assert (rejected.json["state"], rejected.json["reason"]) == ("rejected", "看不清")
    deal.sweep()
    assert files(deal) == [f"{video}.part"], "the original is kept, private, for thirty days"
    assert deal.post(f"/videos/{video}/cut", {}, by=deal.operator).json["code"] == "bad_transition"


def test_R228_the_original_goes_after_thirty_days(deal, small):
    video = uploaded(deal, small)
    settled(deal, video)
    deal.post(f"/videos/{video}/approve", by=deal.operator)
    deal.world.clock.move(days=29)
    deal.sweep()
    assert f"{video}.part" in files(deal)
    deal.world.clock.move(days=1, minutes=1)
    deal.sweep()
    deal.sweep()
    assert files(deal) == [f"{video}.jpg", f"{video}.mp4"]
    gone = deal.post(f"/videos/{video}/cut", {"from_ms": 0}, by=deal.operator)
    assert (gone.status_code, gone.json["code"]) == (409, "original_gone")


def test_R227_an_upload_that_nobody_finished_goes_after_a_day(deal, small):
    order = deal.used()
    answer = begin(deal, order, len(small))
    patch(deal, answer.headers["Location"], 0, small[:500])
    deal.world.clock.move(hours=24, minutes=1)
    deal.sweep()
    deal.sweep()
    assert files(deal) == []
    assert state(deal, answer.json["video"]) == ("removed", "unfinished")
    assert patch(deal, answer.headers["Location"], 500, small[500:]).json["code"] == "bad_transition"


def test_without_ffmpeg_it_waits_and_goes_on_once_it_is_there(deal, small, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(film, "find_tools", lambda: None)
        video = uploaded(deal, small)
        deal.sweep()
        assert state(deal, video) == ("uploaded", "no_ffmpeg")
        assert files(deal) == [f"{video}.part"]
    assert settled(deal, video) == ("review", "")


def test_R229_withdrawn_while_it_is_being_made(deal, small, monkeypatch):
    video = uploaded(deal, small)
    make = film.make

    def made_then_withdrawn(*arguments):
        facts = make(*arguments)
        assert deal.post(f"/videos/{video}/withdraw").json["state"] == "removed"
        return facts

    monkeypatch.setattr(film, "make", made_then_withdrawn)
    assert settled(deal, video) == ("removed", "withdrawn")
    # The film is finished all the same, and goes at once.
    for work in list(videos._works.values()):
        work.thread.join(60)
    deal.sweep()
    assert files(deal) == []


def test_a_worker_that_died_over_a_film_is_followed_by_another(deal, small, monkeypatch):
    video = uploaded(deal, small)
    deal.world.store.write(
        lambda tx: tx.run("UPDATE group_buy_videos SET state = 'processing' WHERE id = :v", {"v": video})
    )
    assert settled(deal, video) == ("review", "")


def test_two_workers_at_one_film_make_it_once(deal, small, monkeypatch):
    video = uploaded(deal, small)
    house, campaign = deal.world.runtime.campaigns.house, deal.world.runtime.campaigns.of_kind("group_buy")[0]
    made, make = [], film.make

    def counted(*arguments):
        made.append(1)
        # While this one is at it, another process looks: it finds the file held.
        again = videos._film(house, campaign, film.find_tools(), video, deal.world.clock())
        assert again == "video: another worker is at it"
        return make(*arguments)

    monkeypatch.setattr(film, "make", counted)
    assert settled(deal, video) == ("review", "")
    assert made == [1]


def test_R228_shortened_again_while_the_first_is_made(deal, small, monkeypatch):
    video = uploaded(deal, small)
    assert settled(deal, video) == ("review", "")
    # What a look that came too late left behind does not stand in the way of the next one.
    videos._works[video] = videos._Work()
    deal.post(f"/videos/{video}/cut", {"from_ms": 0, "to_ms": 1000}, by=deal.operator)
    assert settled(deal, video) == ("review", "")
    assert deal.get(f"/videos/{video}").json["length_ms"] < 1300
    assert video not in videos._works


def test_a_machine_in_trouble_is_told_to_the_outbox_and_tried_again(deal, small, monkeypatch):
    video = uploaded(deal, small)
    house, campaign = deal.world.runtime.campaigns.house, deal.world.runtime.campaigns.of_kind("group_buy")[0]

    def trouble(*_arguments):
        raise film.FilmTrouble("BrokenPipeError")

    with monkeypatch.context() as patched:
        patched.setattr(film, "look", trouble)
        told = videos.process(house, campaign, {"video": video}, deal.world.clock())
    assert told == "video: FilmTrouble"
    assert state(deal, video)[0] == "processing"
    assert settled(deal, video) == ("review", "")


def test_R072_a_video_of_another_merchant_is_not_there(deal, small):
    video = uploaded(deal, small)
    stranger = deal.world.client("manager", merchant="hotpot")
    assert stranger.get(f"{BASE}/videos/{video}").status_code == 404
    assert stranger.head(f"{BASE}/videos/{video}/upload").status_code == 404
    assert stranger.patch(f"{BASE}/videos/{video}/upload", data=b"x", headers={"Upload-Offset": "0"}).status_code == 404
    assert stranger.post(f"{BASE}/videos/{video}/withdraw", headers=keyed()).status_code == 404
    for name in ("nothing", "..%2F..%2Fmaster.key", "gv_" + "0" * 32):
        assert deal.manager.get(f"{BASE}/videos/{name}").status_code == 404
