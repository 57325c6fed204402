"""How the kit's tests come by a house with the campaign in it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from campaigns.conformance.hooks import EMBEDDED, CampaignHooks, Step
from campaigns.conformance.listening import Listening
from campaigns.conformance.stage import Stage, campaign_text

MakeStage = Callable[..., Stage]


class Furnished(CampaignHooks):
    """The fixtures; inherited by every part of the kit."""

    @pytest.fixture
    def make_stage(self, tmp_path: Path) -> Iterator[MakeStage]:
        """`make_stage(database=…, **shared)`: another house each time, the campaign in it as `shared` says."""
        made: list[Stage] = []
        numbers = itertools.count(1)

        def make(database: str = EMBEDDED, **shared: Any) -> Stage:
            text = self.catalog() + "\n" + self.table({**self.shared(), **shared})
            stage = Stage(tmp_path / f"house-{next(numbers)}", Listening(self.kind), text, database)
            made.append(stage)
            return stage

        yield make
        for stage in made:
            stage.close()

    @pytest.fixture
    def stage(self, make_stage: MakeStage) -> Stage:
        """A house over SQLite, its campaign live and prepared."""
        stage = make_stage()
        self.prepare(stage)
        return stage

    @pytest.fixture
    def any_stage(self, make_stage: MakeStage, database: str) -> Stage:
        """The same over the store that `database` names."""
        stage = make_stage(database)
        self.prepare(stage)
        return stage

    def table(self, shared: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> str:
        """The campaign under test as an apply file has it."""
        return campaign_text(self.kind.slug, self.settings() if settings is None else settings, shared)

    def play(self, stage: Stage, steps: Iterator[Step] | tuple[Step, ...] | list[Step]) -> None:
        """The steps one after the other."""
        for step in steps:
            step(stage)
