"""Videos on the disk: what bytes are, and ffmpeg, which makes of them what may be shown (R227, R228).

A file is opened by the one demuxer its first bytes ask for, and no protocol but `file` is let in: a playlist, a list of
other files or an address never gets as far as being read. Nothing of a shell; each run has an end.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

Kind = Literal["mp4", "mov", "webm"]

LONGEST_MS: Final = 60_000
_TOLERANCE_MS: Final = 500
"""Frames and sound end at their own times; a film of a minute may be a few frames longer."""
LARGEST_SIDE: Final = 8192
_PROBE_S: Final = 30
_WORK_S: Final = 600
_HEAD: Final = 4096

_DEMUXERS: Final[dict[Kind, str]] = {"mp4": "mov", "mov": "mov", "webm": "matroska"}
_MP4_BRANDS: Final = (
    b"isom",
    b"iso2",
    b"iso4",
    b"iso5",
    b"iso6",
    b"mp41",
    b"mp42",
    b"avc1",
    b"M4V ",
    b"MSNV",
    b"3gp",
    b"dash",
    b"mmp4",
)


class BadFilm(Exception):
    """The file may not be shown. `reason` is a stable word."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class FilmTrouble(Exception):
    """The machine did not do its part: worth trying again."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Where the programs are."""

    ffmpeg: str
    ffprobe: str
    nice: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a film is. `length_ms` None where its container does not say."""

    length_ms: int | None
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Cut:
    """What is kept of a film, from its beginning; `to_ms` None to its end."""

    from_ms: int = 0
    to_ms: int | None = None


def sniff(head: bytes) -> Kind | None:
    """What the first bytes say: ISO media by `ftyp` (ISO/IEC 14496-12, 4.3), or EBML with `webm` (RFC 9559).

    QuickTime files may lack `ftyp` and begin with another atom (QuickTime File Format, "Movie atoms").
    """
    if len(head) < 12:  # noqa: PLR2004 - a box's size, its type, its brand
        return None
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand == b"qt  ":
            return "mov"
        return "mp4" if brand.startswith(_MP4_BRANDS) else None
    if head[4:8] in {b"moov", b"wide"}:
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3" and b"webm" in head[:64]:
        return "webm"
    return None


def sniff_file(path: Path) -> Kind | None:
    """What a file's first bytes say."""
    with path.open("rb") as file:
        return sniff(file.read(_HEAD))


def find_tools() -> Tools | None:
    """The programs on the PATH; None where one of them is missing."""
    ffmpeg, ffprobe, nice = shutil.which("ffmpeg"), shutil.which("ffprobe"), shutil.which("nice")
    if ffmpeg is None or ffprobe is None:
        return None
    return Tools(ffmpeg, ffprobe, (nice, "-n", "15") if nice is not None else ())


def look(tools: Tools, path: Path, kind: Kind) -> Facts:
    """What a file holds. Raises BadFilm `not_a_video`, `too_long`, `too_large_picture`; FilmTrouble."""
    done = _run(
        [
            tools.ffprobe, "-v", "error", "-protocol_whitelist", "file", "-f", _DEMUXERS[kind],
            "-show_entries", "format=duration:stream=codec_type,width,height:stream_disposition=attached_pic",
            "-of", "json", f"file:{path}",
        ],
        path.parent, _PROBE_S,
    )  # fmt: skip
    if done.returncode != 0:
        raise BadFilm("not_a_video")
    facts = _facts(done.stdout)
    if facts is None:
        raise BadFilm("not_a_video")
    if max(facts.width, facts.height) > LARGEST_SIDE:
        raise BadFilm("too_large_picture")
    if facts.length_ms is not None and facts.length_ms > LONGEST_MS + _TOLERANCE_MS:
        raise BadFilm("too_long")
    return facts


def _facts(text: bytes) -> Facts | None:
    try:
        said: dict[str, Any] = json.loads(text)
        pictures = [
            stream
            for stream in said.get("streams", [])
            if stream.get("codec_type") == "video" and not stream.get("disposition", {}).get("attached_pic")
        ]
        if not pictures:
            return None
        width, height = int(pictures[0]["width"]), int(pictures[0]["height"])
        length = said.get("format", {}).get("duration")
        length_ms = round(float(length) * 1000) if length is not None else None
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    return Facts(length_ms, width, height) if width > 0 and height > 0 else None


def make(tools: Tools, source: Path, kind: Kind, target: Path, cut: Cut, caption: str = "") -> Facts:
    """Write to `target` what may be shown: H.264 and AAC of at most 720 lines, streamable, and nothing beside.

    All metadata (GPS, device, times), chapters, subtitles and data streams stay behind; a phone's turn is applied to
    the picture. `caption` is written into a corner. Returns what came out. Raises BadFilm, FilmTrouble.
    """
    # Whoever makes this film is alone at it; what an earlier run left is written over.
    half = target.with_suffix(".half")
    # One length over what is allowed: a container that lies about its length is found out by what comes out.
    most_ms = LONGEST_MS + 2 * _TOLERANCE_MS
    wanted = most_ms if cut.to_ms is None else min(most_ms, cut.to_ms - cut.from_ms)
    words = half.with_suffix(".caption")
    try:
        if caption:
            words.write_text(caption, encoding="utf-8")
        done = _run(
            [
                *tools.nice, tools.ffmpeg, "-nostdin", "-hide_banner", "-v", "error", "-y",
                "-protocol_whitelist", "file", "-f", _DEMUXERS[kind],
                "-ss", _seconds(cut.from_ms), "-t", _seconds(wanted), "-i", f"file:{source}",
                "-map", "0:V:0", "-map", "0:a:0?", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1",
                "-vf", _picture(words if caption else None),
                "-c:v", "libx264", "-profile:v", "main", "-pix_fmt", "yuv420p", "-preset", "veryfast", "-crf", "25",
                "-maxrate", "3M", "-bufsize", "6M", "-fpsmax", "30", "-threads", "2",
                "-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "44100",
                "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact",
                "-movflags", "+faststart", "-f", "mp4", f"file:{half}",
            ],
            target.parent, _WORK_S,
        )  # fmt: skip
        if done.returncode != 0 or not half.exists() or not half.stat().st_size:
            raise BadFilm("not_a_video")
        facts = look(tools, half, "mp4")
        half.chmod(0o600)
        half.replace(target)
    finally:
        half.unlink(missing_ok=True)
        words.unlink(missing_ok=True)
    return facts


def _picture(caption: Path | None) -> str:
    wide, high = "min(iw\\,if(gte(iw\\,ih)\\,1280\\,720))", "min(ih\\,if(gte(iw\\,ih)\\,720\\,1280))"
    scale = f"scale=w='{wide}':h='{high}':force_original_aspect_ratio=decrease:force_divisible_by=2,setsar=1"
    if caption is None:
        return scale
    # The words come from a file whose name is ours: nothing of them is read as a filter.
    return (
        f"{scale},drawtext=textfile='{caption.name}':expansion=none:fontcolor=white:fontsize=h/24:"
        "box=1:boxcolor=black@0.5:boxborderw=6:x=w-tw-16:y=h-th-16"
    )


def poster(tools: Tools, film: Path, target: Path) -> None:
    """One picture of a film of ours, as JPEG without metadata. Raises BadFilm, FilmTrouble."""
    half = target.with_suffix(".half.jpg")
    try:
        done = _run(
            [
                *tools.nice, tools.ffmpeg, "-nostdin", "-hide_banner", "-v", "error", "-y",
                "-protocol_whitelist", "file", "-f", "mov", "-i", f"file:{film}",
                "-map", "0:V:0", "-map_metadata", "-1", "-frames:v", "1",
                "-vf", "scale=w='min(iw\\,480)':h=-2", "-q:v", "5", "-fflags", "+bitexact", "-flags:v", "+bitexact",
                "-f", "image2", "-update", "1", f"file:{half}",
            ],
            target.parent, _PROBE_S,
        )  # fmt: skip
        if done.returncode != 0 or not half.exists():
            raise BadFilm("not_a_video")
        half.chmod(0o600)
        half.replace(target)
    finally:
        half.unlink(missing_ok=True)


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"


def _run(command: list[str], folder: Path, most_s: int) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 - a list of ours, the names in it are ours
            command,
            cwd=folder,
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=most_s,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        # A file that keeps the machine busy that long is not one to try again.
        raise BadFilm("too_hard") from late
    except OSError as trouble:
        raise FilmTrouble(type(trouble).__name__) from trouble
