"""Numbers and times in a page's words: pure, for both languages (`zh-CN`, `en`)."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import Final

from gateway.contract.clock import BEIJING, from_text
from gateway.contract.money import yuan_of_fen

ENGLISH: Final = "en"
CHINESE: Final = "zh-CN"

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TEN_THOUSAND: Final = 10_000
_FINE_BELOW: Final = 10
_FINE_ABOVE: Final = 99
_WHOLE: Final = 100


def money(fen: int) -> str:
    """Fen → `¥12.80`, `¥1,234.50`, `−¥3.00` (with a true minus sign)."""
    whole, _, cents = yuan_of_fen(abs(fen)).partition(".")
    return f"{'−' if fen < 0 else ''}¥{int(whole):,}.{cents}"


def percent_off(percent: int, language: str) -> str:
    """What a percentage off is called: 15 → `8.5 折`, in English `15% off`."""
    if language == ENGLISH:
        return f"{percent}% off"
    tenths, rest = divmod(_WHOLE - percent, 10)
    return f"{tenths}.{rest} 折" if rest else f"{tenths} 折"


def share(part: int, whole: int) -> str:
    """`part` of `whole` in percent: whole numbers, one decimal under 10 % and between 99 and 100; a dash of nothing."""
    if whole <= 0:
        return "—"
    percent = 100 * part / whole
    fine = 0 < percent < _FINE_BELOW or _FINE_ABOVE < percent < _WHOLE
    # Rounded down, so that 99.96 % is never shown as all of it.
    return f"{int(percent * 10) / 10:.1f}%" if fine else f"{int(percent)}%"


def count(number: int, language: str) -> str:
    """A count for a tile: exact up to 9,999, then `1.2万` or `12k`."""
    if number < _TEN_THOUSAND:
        return f"{number:,}"
    if language == ENGLISH:
        return f"{number // 1000}k"
    return f"{number // 1000 / 10:.1f}万"


def moment(at: datetime, zone: tzinfo, now: datetime, language: str) -> str:
    """A time on the shop's clock: today `14:05`, this year `11-22 14:05`, else with the year."""
    local, today = at.astimezone(zone), now.astimezone(zone)
    clock = f"{local:%H:%M}"
    if local.date() == today.date():
        return clock
    if language == ENGLISH:
        day = f"{local.day} {_MONTHS[local.month - 1]}"
        return f"{day} {clock}" if local.year == today.year else f"{day} {local.year} {clock}"
    return f"{local:%m-%d} {clock}" if local.year == today.year else f"{local:%Y-%m-%d} {clock}"


def last_minute(end: datetime) -> datetime:
    """The last moment at which something that ends at `end` still holds, to be shown to the minute."""
    return end - timedelta(seconds=1)


def zone_name(zone: tzinfo, now: datetime, language: str) -> str:
    """How a page names its zone: `北京时间 (UTC+8)`, `Beijing (UTC+8)`, else the zone's own name."""
    minutes = offset_minutes(zone, now)
    sign, whole, rest = "-" if minutes < 0 else "+", *divmod(abs(minutes), 60)
    utc = f"UTC{sign}{whole}" + (f":{rest:02d}" if rest else "")
    if zone is BEIJING:
        return f"Beijing ({utc})" if language == ENGLISH else f"北京时间 ({utc})"
    return f"{getattr(zone, 'key', None) or utc} ({utc})"


def offset_minutes(zone: tzinfo, now: datetime) -> int:
    """How far the zone's clocks are ahead of UTC at `now`."""
    return int((zone.utcoffset(now) or timedelta()).total_seconds()) // 60


def as_time(value: datetime | str) -> datetime:
    """A time of the store's text or a datetime as an aware datetime."""
    return from_text(value) if isinstance(value, str) else value
