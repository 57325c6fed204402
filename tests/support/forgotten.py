"""What must be nowhere once a person was forgotten: in no column of any table, and not in clear in the home's files."""

from __future__ import annotations

from gateway import privacy


def forget(world, person):
    """As the page, the console and the command do it."""
    runtime = world.runtime
    runtime.directory()
    return privacy.forget(world.store, person, "tests", world.clock(), runtime.campaigns.forget)


def copy_of(world, person):
    """What the person himself is told is kept."""
    world.runtime.directory()
    return world.store.read(lambda tx: privacy.copy_for(tx, person, world.runtime.campaigns.copy_for))


def found_in(world, tables, *needles):
    """Where one of these bytes or texts stands in these tables."""
    wanted = [needle.encode() if isinstance(needle, str) else bytes(needle) for needle in needles]
    assert all(wanted), "nothing is everywhere"
    return [
        (table, column)
        for table in tables
        for row in world.all(f"SELECT * FROM {table}")
        for column in row.keys()
        if any(needle in _octets(row[column]) for needle in wanted)
    ]


def in_clear(world, text):
    """The files of the home in which a text stands as it is."""
    files = [path for path in world.home.root.rglob("*") if path.is_file()]
    return [path.name for path in files if text.encode() in path.read_bytes()]


def _octets(value):
    return value.encode() if isinstance(value, str) else bytes(value) if isinstance(value, bytes | memoryview) else b""
