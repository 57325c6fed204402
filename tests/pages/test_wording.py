"""Numbers and times as pages write them."""

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from gateway.contract.clock import BEIJING
from gateway.web.pages import wording

NOW = datetime(2026, 11, 22, 6, 5, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("fen", "text"),
    [
        (0, "¥0.00"),
        (1280, "¥12.80"),
        (123450, "¥1,234.50"),
        (-300, "−¥3.00"),
        (5, "¥0.05"),
        (100_000_000_00, "¥100,000,000.00"),
    ],
)
def test_money(fen, text):
    assert wording.money(fen) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (1, 1, "100%"),
        (0, 5, "0%"),
        (23, 100, "23%"),
        (1, 2, "50%"),
        (999, 1000, "99.9%"),
        (99_996, 100_000, "99.9%"),
        (99, 100, "99%"),
        (15, 1000, "1.5%"),
        (1, 100_000, "0.0%"),
        (0, 0, "—"),
        (3, 0, "—"),
    ],
)
def test_share(part, whole, text):
    assert wording.share(part, whole) == text


@pytest.mark.parametrize(
    ("number", "chinese", "english"),
    [
        (0, "0", "0"),
        (9999, "9,999", "9,999"),
        (10_000, "1.0万", "10k"),
        (12_345, "1.2万", "12k"),
        (1_999_999, "199.9万", "1999k"),
    ],
)
def test_count(number, chinese, english):
    assert wording.count(number, "zh-CN") == chinese
    assert wording.count(number, "en") == english


@pytest.mark.parametrize(
    ("percent", "chinese"), [(15, "8.5 折"), (20, "8 折"), (5, "9.5 折"), (50, "5 折"), (99, "0.1 折")]
)
def test_percent_off(percent, chinese):
    assert wording.percent_off(percent, "zh-CN") == chinese
    assert wording.percent_off(percent, "en") == f"{percent}% off"


@pytest.mark.parametrize(
    ("at", "chinese", "english"),
    [
        (NOW, "14:05", "14:05"),
        (NOW - timedelta(hours=14, minutes=5), "00:00", "00:00"),
        (NOW - timedelta(hours=14, minutes=6), "11-21 23:59", "21 Nov 23:59"),
        (NOW + timedelta(days=7), "11-29 14:05", "29 Nov 14:05"),
        (NOW + timedelta(days=60), "2027-01-21 14:05", "21 Jan 2027 14:05"),
    ],
)
def test_moment(at, chinese, english):
    assert wording.moment(at, BEIJING, NOW, "zh-CN") == chinese
    assert wording.moment(at, BEIJING, NOW, "en") == english


def test_the_last_minute_before_midnight_is_that_days():
    end = datetime(2026, 11, 29, 16, tzinfo=timezone.utc)
    assert wording.moment(wording.last_minute(end), BEIJING, NOW, "zh-CN") == "11-29 23:59"


def test_zones():
    assert wording.zone_name(BEIJING, NOW, "zh-CN") == "北京时间 (UTC+8)"
    assert wording.zone_name(BEIJING, NOW, "en") == "Beijing (UTC+8)"
    kolkata = ZoneInfo("Asia/Kolkata")
    assert wording.zone_name(kolkata, NOW, "en") == "Asia/Kolkata (UTC+5:30)"
    assert wording.zone_name(ZoneInfo("America/New_York"), NOW, "en") == "America/New_York (UTC-5)"
    assert wording.offset_minutes(kolkata, NOW) == 330
