"""R227, R228: what a file is, and what ffmpeg makes of it; with real clips, good and bad."""

import shutil
import subprocess

import pytest

from campaigns.group_buy import film
from tests.support.databases import missing


@pytest.fixture(scope="session")
def tools():
    found = film.find_tools()
    if found is None:
        missing("ffmpeg is not installed")
    return found


def ffmpeg(*arguments):
    subprocess.run([shutil.which("ffmpeg"), "-v", "error", "-y", *map(str, arguments)], check=True, timeout=60)


def clip(path, *, seconds=2, size="640x360", more=()):
    """A clip with a moving picture and a tone."""
    sound = ("-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}")
    codecs = ("-c:v", "libvpx", "-c:a", "libvorbis") if path.suffix == ".webm" else ("-c:v", "libx264", "-c:a", "aac")
    picture = ("-f", "lavfi", "-i", f"testsrc=duration={seconds}:size={size}:rate=10")
    ffmpeg(*picture, *sound, *codecs, "-pix_fmt", "yuv420p", "-preset", "ultrafast", *more, path)
    return path


def tags_of(path):
    done = subprocess.run(
        [shutil.which("ffprobe"), "-v", "error", "-show_entries", "format_tags:stream_tags:chapter_tags", path],
        capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    return done.stdout.decode()


@pytest.mark.parametrize(("name", "kind"), [("a.mp4", "mp4"), ("a.mov", "mov"), ("a.webm", "webm")])
def test_R227_real_files_are_known_by_their_bytes_and_made_anew(tools, tmp_path, name, kind):
    source = clip(tmp_path / name)
    assert film.sniff_file(source) == kind
    facts = film.make(tools, source, kind, tmp_path / "out.mp4", film.Cut())
    assert (facts.width, facts.height) == (640, 360)
    assert 1900 <= facts.length_ms <= 2300
    film.poster(tools, tmp_path / "out.mp4", tmp_path / "out.jpg")
    assert (tmp_path / "out.jpg").read_bytes()[:3] == b"\xff\xd8\xff"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "out.mp4", "out.jpg"])
    assert (tmp_path / "out.mp4").stat().st_mode & 0o777 == 0o600
    # Streamable: the index stands before the data.
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_R228_place_device_and_time_stay_behind(tools, tmp_path):
    tags = ("-metadata", "location=+31.2304+121.4737/", "-metadata", "title=canary-title", "-metadata",
            "creation_time=2026-11-22T04:05:06Z", "-metadata", "make=canary-phone", "-movflags", "use_metadata_tags",
            "-metadata:s:v:0", "handler_name=canary-handler")  # fmt: skip
    source = clip(tmp_path / "phone.mp4", more=tags)
    before = tags_of(source)
    assert "31.2304" in before
    assert "canary-phone" in before
    film.make(tools, source, "mp4", tmp_path / "out.mp4", film.Cut())
    film.poster(tools, tmp_path / "out.mp4", tmp_path / "out.jpg")
    after = tags_of(tmp_path / "out.mp4")
    for canary in ("31.2304", "canary", "creation_time", "Lavf", "location"):
        assert canary not in after, canary
    for made in ("out.mp4", "out.jpg"):
        data = (tmp_path / made).read_bytes()
        assert b"31.2304" not in data
        assert b"canary" not in data


@pytest.mark.parametrize(
    ("size", "made"), [("1920x1080", (1280, 720)), ("1080x1920", (720, 1280)), ("321x241", (320, 240))]
)
def test_R228_the_picture_is_made_to_fit(tools, tmp_path, size, made):
    source = clip(tmp_path / "a.mp4", seconds=1, size=size, more=("-pix_fmt", "yuv444p"))
    facts = film.make(tools, source, "mp4", tmp_path / "out.mp4", film.Cut())
    assert (facts.width, facts.height) == made


def test_R228_a_cut_and_a_caption(tools, tmp_path):
    source = clip(tmp_path / "a.mp4", seconds=4)
    facts = film.make(tools, source, "mp4", tmp_path / "out.mp4", film.Cut(1000, 2500), "老陈面馆 100% '; drawtext=\\")
    assert 1400 <= facts.length_ms <= 1800


def test_R227_over_a_minute_is_refused(tools, tmp_path):
    long = clip(tmp_path / "long.mp4", seconds=62, size="64x36")
    with pytest.raises(film.BadFilm) as refused:
        film.look(tools, long, "mp4")
    assert refused.value.reason == "too_long"


def test_R227_a_container_that_says_no_length_is_measured_by_what_comes_out(tools, tmp_path):
    live = tmp_path / "live.webm"
    # As a browser's recorder writes it: never finished, so without a duration.
    clip(live, seconds=63, size="64x36", more=("-live", "1", "-f", "webm"))
    assert film.look(tools, live, "webm").length_ms is None
    with pytest.raises(film.BadFilm) as refused:
        film.make(tools, live, "webm", tmp_path / "out.mp4", film.Cut())
    assert refused.value.reason == "too_long"
    assert not (tmp_path / "out.mp4").exists()
    assert not list(tmp_path.glob("*.half*"))


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/passwd\n"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><image href='http://127.0.0.1/'/></svg>" + b" " * 64


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x00" * 11, PLAYLIST, CONCAT, SVG, b"GIF89a" + b"\x00" * 64, b"\xff\xd8\xff\xe0" + b"\x00" * 64,
        b"\x89PNG\r\n\x1a\n" + b"\x00" * 64, b"RIFF\x00\x00\x00\x00AVI LIST" + b"\x00" * 64, b"MZ" + b"\x00" * 64,
        b"\x00\x00\x00\x18ftypheic" + b"\x00" * 64, b"\x00\x00\x00\x18ftypM4A " + b"\x00" * 64,
        b"\x1a\x45\xdf\xa3" + b"matroska" + b"\x00" * 64, b"<?xml version='1.0'?><MPD/>" + b" " * 64, b"%PDF-1.7" + b" " * 64,
        b"[playlist]\nFile1=http://127.0.0.1/\n" + b" " * 64,
    ],
)  # fmt: skip
def test_R227_what_is_no_video_by_its_first_bytes(data):
    assert film.sniff(data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 4000,
        b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + PLAYLIST,
        b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + CONCAT,
        b"\x00\x00\x00\x18ftypqt  " + b"\xff" * 4000,
    ],
)
def test_R227_a_right_beginning_does_not_open_the_rest(tools, tmp_path, data):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(data)
    kind = film.sniff_file(bad)
    assert kind is not None
    with pytest.raises(film.BadFilm) as refused:
        film.look(tools, bad, kind)
    assert refused.value.reason == "not_a_video"
    with pytest.raises(film.BadFilm):
        film.make(tools, bad, kind, tmp_path / "out.mp4", film.Cut())
    assert not (tmp_path / "out.mp4").exists()


def test_R227_sound_alone_and_half_a_file_are_no_video(tools, tmp_path):
    sound = tmp_path / "sound.mp4"
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", sound)
    whole = clip(tmp_path / "whole.mp4").read_bytes()
    half = tmp_path / "half.mp4"
    half.write_bytes(whole[: len(whole) // 2])
    for path in (sound, half):
        with pytest.raises(film.BadFilm):
            film.look(tools, path, "mp4")


def test_R227_a_file_that_points_at_another_brings_nothing_of_it(tools, tmp_path):
    # A QuickTime file may name another file or address as the place of its data ("data reference").
    other = clip(tmp_path / "other.mov", seconds=1)
    data = bytearray(other.read_bytes())
    at = data.index(b"dref")
    # The first reference: not "in this very file" but an alias.
    flags = data.index(b"url ", at) + 4
    data[flags - 4 : flags] = b"alis"
    data[flags : flags + 4] = b"\x00\x00\x00\x00"
    pointing = tmp_path / "pointing.mov"
    pointing.write_bytes(bytes(data))
    try:
        film.make(tools, pointing, "mov", tmp_path / "out.mp4", film.Cut())
    except film.BadFilm as refused:
        assert refused.reason == "not_a_video"
        assert not (tmp_path / "out.mp4").exists()
    assert not list(tmp_path.glob("*.half*"))


def test_R227_a_program_that_hangs_is_ended(tools, tmp_path, monkeypatch):
    monkeypatch.setattr(film, "_PROBE_S", 0.2)
    slow = tmp_path / "ffprobe"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o700)
    source = tmp_path / "a.mp4"
    source.write_bytes(b"x")
    with pytest.raises(film.BadFilm) as refused:
        film.look(film.Tools(tools.ffmpeg, str(slow), ()), source, "mp4")
    assert refused.value.reason == "too_hard"


def test_a_machine_without_the_program_is_told_apart_from_a_bad_film(tmp_path):
    gone = film.Tools(str(tmp_path / "none"), str(tmp_path / "none"), ())
    with pytest.raises(film.FilmTrouble):
        film.look(gone, tmp_path / "a.mp4", "mp4")
