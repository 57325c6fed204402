"""The story of a video: uploading → uploaded → processing → review → published | rejected | removed (R226–R229).

Files lie in the kind's private folder, named by the video's id: `.part` what the customer sent, `.mp4` and `.jpg` what
may be shown. The store says what stands; a file is never shown because it is there.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from campaigns.group_buy import film, tables, uploads
from gateway.contract.campaign import CampaignView
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx

PROCESS: Final = "process_video"
FORGET: Final = "forget_video"
ORIGINAL_KEPT: Final = timedelta(days=30)
UNFINISHED_KEPT: Final = timedelta(hours=24)
NO_FFMPEG: Final = "no_ffmpeg"
_WORTH_WAITING_S: Final = 2.0
"""A short film is done within a look; a longer one is looked at again."""
_LOOK_AGAIN: Final = timedelta(seconds=3)
_MOST_CUT_MS: Final = film.LONGEST_MS
_WITHDRAWABLE: Final = ("uploading", "uploaded", "processing", "review", "published")


@dataclass(frozen=True, slots=True)
class Paths:
    """Where a video's files are."""

    original: Path
    film: Path
    poster: Path


def paths(house: House, video: str) -> Paths:
    """Where the files of a video lie, there or not."""
    folder = house.files("group_buy")
    return Paths(folder / f"{video}.part", folder / f"{video}.mp4", folder / f"{video}.jpg")


# -- uploading --------------------------------------------------------------------------------------------------------


def begin(tx: Tx, house: House, order: Row, size: int, consent: object, now: datetime) -> Row:
    """A place for a video; the unfinished one again where its size is the same, so that a reload goes on.

    Raises Refused: 422 without consent, 409 `not_used`, `video_exists`, 413 `too_large`, 503 `no_room`.
    """
    if consent is not True:
        raise Refused("invalid", 422, fields={"consent": "must be given"})
    if size < 1:
        raise Refused("invalid", 422, fields={"size": "must be a whole number above 0"})
    if size > uploads.LARGEST:
        raise Refused("too_large", 413, most_bytes=uploads.LARGEST)
    tx.lock(f"group_buy:order:{order['id']}")
    if order["state"] != "used":
        raise Refused("not_used", 409)
    known = tables.video_of(tx, order["id"])
    if known is not None:
        if known["state"] != "uploading":
            raise Refused("video_exists", 409, video=known["id"], state=known["state"])
        if known["size"] == size:
            return known
        _drop(tx, known, "replaced", now)
    uploads.want_room(house.files("group_buy"), size)
    id_ = house.ids.new("gv", now)
    tables.add_video(tx, id_, order, size, now)
    return video(tx, order["campaign"], id_)


def video(tx: Tx, campaign: str, id_: str) -> Row:
    """A video of a campaign. Raises Refused 404."""
    row = tables.video(tx, id_)
    if row is None or row["campaign"] != campaign:
        raise Refused("not_found", 404)
    return row


def offset(house: House, row: Row) -> int:
    """How far an upload has come."""
    return uploads.offset(paths(house, row["id"]).original) if row["state"] == "uploading" else int(row["size"])


def came(house: House, campaign: CampaignView, row: Row, now: datetime) -> int:
    """`offset`, outside a transaction; one that came whole and was cut off at that moment goes on its way now."""
    here = offset(house, row)
    if row["state"] == "uploading" and here == row["size"]:
        _finish(house, campaign, row["id"], paths(house, row["id"]).original, now)
    return here


def put(house: House, campaign: CampaignView, id_: str, at: int, data: bytes, now: datetime) -> int:
    """A piece of a file, outside a transaction; how far it has come. With the last one it goes on its way.

    Raises Refused as `uploads.append`, 409 `bad_transition` where nothing is being uploaded, 404.
    """
    row = house.store.read(lambda tx: video(tx, campaign.slug, id_))
    if row["state"] != "uploading":
        raise Refused("bad_transition", 409, state=row["state"])
    here = paths(house, id_).original
    length = uploads.append(here, at, data, row["size"])
    if length == row["size"]:
        _finish(house, campaign, id_, here, now)
    return length


def _finish(house: House, campaign: CampaignView, id_: str, here: Path, now: datetime) -> None:
    kind = film.sniff_file(here)

    def write(tx: Tx) -> None:
        if kind is None:
            _reject_unseen(tx, house, campaign, id_, "not_a_video", now)
        elif tables.move_video(tx, id_, ("uploading",), "uploaded", now, kind=kind, uploaded_at=to_text(now)):
            house.owe(tx, campaign, PROCESS, id_, {"video": id_}, now)

    house.store.write(write)


# -- processing (the worker) ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Work:
    """A film being made beside the worker's passes, which must not wait for it."""

    thread: threading.Thread | None = None
    trouble: str | None = None


_works: Final[dict[str, _Work]] = {}
_works_lock: Final = threading.Lock()
_one_at_a_time: Final = threading.Semaphore(1)


def process(house: House, campaign: CampaignView, payload: Mapping[str, Any], now: datetime) -> str | None:
    """Make what may be shown of an upload (a deed): begun beside the worker, looked at again until it is done.

    A worker that dies leaves the video `processing`; whoever looks next finds nobody at it and begins anew.
    """
    id_ = str(payload["video"])
    if not _to_make(house, id_):
        _done_with(id_)
        return None
    tools = film.find_tools()
    if tools is None:
        house.store.write(lambda tx: tables.explain_video(tx, id_, ("uploaded", "processing"), NO_FFMPEG))
        return None
    work = _begun(house, campaign, tools, id_, now)
    if work.thread is not None:
        work.thread.join(_WORTH_WAITING_S)
    if _done_with(id_) and work.trouble is not None:
        return work.trouble
    if _to_make(house, id_):
        # Still at it, or shortened anew since it was begun.
        house.store.write(
            lambda tx: house.owe(tx, campaign, PROCESS, id_, {"video": id_}, now, due_at=now + _LOOK_AGAIN)
        )
    return None


def _to_make(house: House, id_: str) -> bool:
    row = house.store.read(lambda tx: tables.video(tx, id_))
    return row is not None and row["state"] in {"uploaded", "processing"}


def _done_with(id_: str) -> bool:
    """Whether nobody of this process is at it; what is over is forgotten."""
    with _works_lock:
        work = _works.get(id_)
        if work is not None and work.thread is not None and work.thread.is_alive():
            return False
        _works.pop(id_, None)
        return True


def _begun(house: House, campaign: CampaignView, tools: film.Tools, id_: str, now: datetime) -> _Work:
    with _works_lock:
        known = _works.get(id_)
        if known is not None:
            return known
        work = _works[id_] = _Work()
        work.thread = threading.Thread(
            target=_work, args=(work, house, campaign, tools, id_, now), name=f"film-{id_}", daemon=True
        )
        work.thread.start()
        return work


def _work(work: _Work, house: House, campaign: CampaignView, tools: film.Tools, id_: str, now: datetime) -> None:
    with _one_at_a_time:
        try:
            work.trouble = _film(house, campaign, tools, id_, now)
        except Exception as failure:  # noqa: BLE001 - told to the outbox, which tries again
            work.trouble = f"video: {type(failure).__name__}"


def _film(house: House, campaign: CampaignView, tools: film.Tools, id_: str, now: datetime) -> str | None:
    where = paths(house, id_)
    try:
        with where.original.open("rb") as original:
            try:
                fcntl.flock(original, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return "video: another worker is at it"
            return _settle(house, campaign, tools, id_, where, now)
    except FileNotFoundError:
        house.store.write(lambda tx: _reject_unseen(tx, house, campaign, id_, "lost", now))
        return None


def _settle(
    house: House, campaign: CampaignView, tools: film.Tools, id_: str, where: Paths, now: datetime
) -> str | None:
    froms = ("uploaded", "processing")
    if not house.store.write(lambda tx: tables.move_video(tx, id_, froms, "processing", now, reason="")):
        return None
    row = house.store.read(lambda tx: video(tx, campaign.slug, id_))
    try:
        facts = _make(house, campaign, tools, row, where)
    except film.BadFilm as bad:
        reason = bad.reason
        house.store.write(lambda tx: _reject_unseen(tx, house, campaign, id_, reason, now))
        return None
    except (film.FilmTrouble, OSError) as trouble:
        return f"video: {type(trouble).__name__}"

    def reviewed(tx: Tx) -> bool:
        return tables.move_video(
            tx,
            id_,
            ("processing",),
            "review",
            now,
            processed_at=to_text(now),
            length_ms=facts.length_ms,
            width=facts.width,
            height=facts.height,
        )

    if not house.store.write(reviewed):
        # Withdrawn or rejected while it was being made.
        where.film.unlink(missing_ok=True)
        where.poster.unlink(missing_ok=True)
    return None


def _make(house: House, campaign: CampaignView, tools: film.Tools, row: Row, where: Paths) -> film.Facts:
    film.look(tools, where.original, row["kind"])
    merchant = house.catalogue().merchant(row["merchant"])
    caption = merchant.name if campaign.settings.caption and merchant is not None else ""
    cut_to = film.Cut(row["cut_from_ms"] or 0, row["cut_to_ms"])
    facts = film.make(tools, where.original, row["kind"], where.film, cut_to, caption)
    film.poster(tools, where.film, where.poster)
    return facts


def _reject_unseen(tx: Tx, house: House, campaign: CampaignView, id_: str, reason: str, now: datetime) -> None:
    """What can't be shown is not kept either."""
    froms = ("uploading", "uploaded", "processing")
    if tables.move_video(tx, id_, froms, "rejected", now, reason=reason, has_original=0):
        house.owe(tx, campaign, FORGET, id_, {"video": id_}, now)


def process_again(tx: Tx, house: House, campaign: CampaignView, now: datetime, most: int) -> int:
    """Uploads that waited for ffmpeg, once it is there."""
    rows = tables.waiting_videos(tx, campaign.slug, NO_FFMPEG, most)
    if not rows or film.find_tools() is None:
        return 0
    for row in rows:
        if tables.explain_video(tx, row["id"], ("uploaded", "processing"), ""):
            house.owe(tx, campaign, PROCESS, row["id"], {"video": row["id"]}, now)
    return len(rows)


# -- deciding ---------------------------------------------------------------------------------------------------------


def approve(tx: Tx, house: House, campaign: CampaignView, id_: str, who: str, now: datetime) -> Row:
    """From review to the shop's page; the same again changes nothing. Raises Refused 409 `bad_transition`, 404."""
    return _decide(tx, house, campaign, id_, "published", "", who, now)


def reject(tx: Tx, house: House, campaign: CampaignView, id_: str, reason: str, who: str, now: datetime) -> Row:
    """Not shown, or no longer; its public files go. Raises Refused 409 `bad_transition`, 404."""
    row = _decide(tx, house, campaign, id_, "rejected", reason, who, now)
    house.owe(tx, campaign, FORGET, id_, {"video": id_}, now)
    return row


def _decide(
    tx: Tx, house: House, campaign: CampaignView, id_: str, to: str, reason: str, who: str, now: datetime
) -> Row:
    row = video(tx, campaign.slug, id_)
    if row["state"] == to:
        return row
    froms = ("review",) if to == "published" else ("review", "published", "uploaded")
    if not tables.move_video(tx, id_, froms, to, now, reason=reason, decided_at=to_text(now), decided_by=who):
        raise Refused("bad_transition", 409, state=video(tx, campaign.slug, id_)["state"])
    house.audit(tx, who, f"video.{to}", id_, row["state"], to, now)
    return video(tx, campaign.slug, id_)


def cut(
    tx: Tx, house: House, campaign: CampaignView, id_: str, from_ms: int, to_ms: int | None, who: str, now: datetime
) -> Row:
    """Make it anew from the original, with another beginning and end (修改, R228).

    Raises Refused 409 `bad_transition` (not in review or published), `original_gone`; 422 for times that are none.
    """
    row = video(tx, campaign.slug, id_)
    fields = {}
    if not 0 <= from_ms < _MOST_CUT_MS:
        fields["from"] = "must lie within the video"
    if to_ms is not None and not from_ms + 1000 <= to_ms <= _MOST_CUT_MS + 1000:
        fields["to"] = "must be at least a second after the beginning"
    if fields:
        raise Refused("invalid", 422, fields=fields)
    if not row["has_original"]:
        raise Refused("original_gone", 409)
    froms = ("review", "published", "uploaded")
    if not tables.move_video(tx, id_, froms, "uploaded", now, cut_from_ms=from_ms, cut_to_ms=to_ms, reason=""):
        raise Refused("bad_transition", 409, state=row["state"])
    house.owe(tx, campaign, PROCESS, id_, {"video": id_}, now)
    house.audit(tx, who, "video.cut", id_, row["state"], "uploaded", now)
    return video(tx, campaign.slug, id_)


def withdraw(house: House, campaign: CampaignView, id_: str, who: str, now: datetime) -> Row:
    """The customer takes it back (R229), outside a transaction: every file is gone before this returns."""

    def write(tx: Tx) -> Row:
        row = video(tx, campaign.slug, id_)
        if tables.move_video(tx, id_, _WITHDRAWABLE, "removed", now, reason="withdrawn", has_original=0):
            house.audit(tx, who, "video.removed", id_, row["state"], "removed", now)
        elif row["state"] not in {"removed", "rejected"}:
            raise Refused("bad_transition", 409, state=row["state"])
        return video(tx, campaign.slug, id_)

    row = house.store.write(write)
    _unlink(paths(house, id_))
    return row


# -- forgetting -------------------------------------------------------------------------------------------------------


def expire(tx: Tx, house: House, campaign: CampaignView, now: datetime, most: int) -> int:
    """Originals after their thirty days, and uploads that nobody finished."""
    done = 0
    for row in tables.unfinished_videos(tx, campaign.slug, now - UNFINISHED_KEPT, most):
        _drop(tx, row, "unfinished", now)
        house.owe(tx, campaign, FORGET, row["id"], {"video": row["id"]}, now)
        done += 1
    for row in tables.old_originals(tx, campaign.slug, now - ORIGINAL_KEPT, most):
        if tables.drop_original(tx, row["id"]):
            house.owe(tx, campaign, FORGET, row["id"], {"video": row["id"]}, now)
            done += 1
    return done


def _drop(tx: Tx, row: Row, reason: str, now: datetime) -> None:
    tables.move_video(tx, row["id"], ("uploading",), "removed", now, reason=reason, has_original=0)


def forget(house: House, campaign: CampaignView, payload: Mapping[str, Any], now: datetime) -> str | None:
    """Take the files away that may not be there any more (a deed: again and again changes nothing)."""
    del now
    id_ = str(payload["video"])
    row = house.store.read(lambda tx: tables.video(tx, id_))
    if row is None or row["campaign"] != campaign.slug:
        return None
    where = paths(house, id_)
    try:
        if not row["has_original"]:
            where.original.unlink(missing_ok=True)
        if row["state"] in {"rejected", "removed"}:
            where.film.unlink(missing_ok=True)
            where.poster.unlink(missing_ok=True)
    except OSError as trouble:
        return f"video: {type(trouble).__name__}"
    return None


def forget_film(tx: Tx, house: House, row: Row, now: datetime) -> bool:
    """A film of somebody who wants to be forgotten: its files go before anything is committed, whatever follows.

    The deed looks once more, for a film that is being made this moment; whether there was anything to take.
    """
    moved = tables.move_video(tx, row["id"], _WITHDRAWABLE, "removed", now, reason="withdrawn", has_original=0)
    gone = tables.drop_original(tx, row["id"]) or moved
    campaign = house.campaign(tx, row["campaign"], now) if gone else None
    if campaign is not None:
        house.owe(tx, campaign, FORGET, row["id"], {"video": row["id"]}, now)
    _unlink(paths(house, row["id"]))
    return gone


def _unlink(where: Paths) -> None:
    for path in (where.film, where.poster, where.original):
        path.unlink(missing_ok=True)


# -- showing ----------------------------------------------------------------------------------------------------------


def shown(house: House, id_: str) -> tuple[Row, Paths]:
    """A published video and its files. Raises Refused 404."""
    row = house.store.read(lambda tx: tables.video(tx, id_))
    if row is None or row["state"] != "published":
        raise Refused("not_found", 404)
    return row, paths(house, id_)


def of_shop(tx: Tx, shop: str, before: str, most: int) -> Sequence[Row]:
    """The published videos of a shop, newest first."""
    return tables.shop_videos(tx, shop, before, most)
