"""A process of its own that appends to, or drains, a spool, and says each id once it is durable or handed out."""

import sys
from datetime import datetime, timezone
from pathlib import Path

from gateway.contract import RawNotification
from gateway.intake.spool import Record, Spool


def plain(data, _associated):
    return data


def main(deed, path, name, count):
    spool = Spool(Path(path), 1 << 20, plain, plain)
    print("ready", flush=True)
    if deed == "append":
        for number in range(int(count)):
            raw = RawNotification("POST", "", (), b"x" * (number % 300), datetime(2026, 11, 22, tzinfo=timezone.utc))
            spool.append(Record(f"{name}-{number}", "c", raw, None))
            print(f"{name}-{number}", flush=True)
    else:
        spool.drain(lambda record: print(record.delivery_id, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
