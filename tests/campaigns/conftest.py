"""Worlds that know one small campaign kind and no other."""

from __future__ import annotations

import pytest

from tests.support.tally import Tally
from tests.support.world import CATALOG, World


@pytest.fixture
def tally():
    return Tally()


@pytest.fixture
def worlds(tmp_path, tally):
    made = []

    def make(*tables, sandbox=True, **more):
        made.append(
            World(
                tmp_path / str(len(made)), sandbox=sandbox, catalog=CATALOG + "\n".join(tables), kinds=[tally], **more
            )
        )
        return made[-1]

    yield make
    for world in made:
        world.close()
