"""The tests of what a kind says of itself: its settings, its tables, its names, its README."""

from __future__ import annotations

import inspect
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.conformance.furnished import Furnished, MakeStage
from campaigns.conformance.stage import tables
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import CampaignKind, ConsolePage, Page
from gateway.contract.errors import BadConfig
from gateway.contract.money import Fen
from gateway.store import migrate_store

FEW: Final = settings(
    max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
)
_SLUG: Final = re.compile(r"[a-z][a-z0-9_]{1,30}")
_PATH: Final = re.compile(r"(/(<[a-z_]+>|[a-z-]+))+")
_CREATED: Final = re.compile(
    r"CREATE (?:TABLE|(?:UNIQUE )?INDEX) (?:IF NOT EXISTS )?([A-Za-z0-9_]+)(?: ON ([A-Za-z0-9_]+))?", re.IGNORECASE
)
_OTHERS: Final = re.compile(
    r"\b(?:ALTER TABLE|UPDATE|INSERT INTO|DELETE FROM|DROP TABLE) ([A-Za-z0-9_]+)", re.IGNORECASE
)


class SurfaceContract(Furnished):
    """Inherited by `CampaignContract`."""

    # -- its names ----------------------------------------------------------------------------------------------------

    def test_it_is_a_kind(self) -> None:
        """It fills the protocol, under a name that an apply file and a table may bear."""
        assert isinstance(self.kind, CampaignKind)
        assert _SLUG.fullmatch(self.kind.slug)

    def test_routes_are_well_formed_and_told_apart(self) -> None:
        """Each route has a path of plain parts, a documented handler, and no other route answers the same call."""
        calls = [(route.method, re.sub("<[^>]+>", "<>", route.path)) for route in self.kind.routes]
        assert len(calls) == len(set(calls))
        for route in self.kind.routes:
            assert _PATH.fullmatch(route.path), route.path
            assert route.path not in {"", "/state"}, "the host answers there"
            assert callable(route.handler)
            assert route.raw or route.most_bytes <= 1024 * 1024
            names = re.findall("<([a-z_]+)>", route.path)
            assert len(names) == len(set(names))

    def test_deeds_and_sweeps_can_be_called(self) -> None:
        """What the worker is given is callable, by names that an outbox row may bear."""
        for topic, deed in self.kind.deeds.items():
            assert _SLUG.fullmatch(topic), topic
            assert callable(deed)
        for sweep in self.kind.sweeps:
            assert len(inspect.signature(sweep).parameters) == len(("tx", "house", "campaign", "now", "most"))

    def test_pages_are_well_formed(self) -> None:
        """Pages have paths of their own and a folder in which their templates lie."""
        pages = self.kind.pages
        if pages is None:
            return
        assert pages.title
        assert (pages.folder / "templates" / self.kind.slug).is_dir()
        every: list[Page | ConsolePage] = [*pages.customer, *pages.console]
        for page in every:
            assert page.path == "" or page.path.startswith("/"), page.path
            assert page.methods
        for one in pages.customer:
            assert not one.path.startswith(("/admin", "/api", "/notify", "/static", "/c/")), one.path
        assert len({one.path for one in pages.customer}) == len(pages.customer)
        assert len({one.path for one in pages.console}) == len(pages.console)

    # -- its settings -------------------------------------------------------------------------------------------------

    def test_right_settings_load_and_fit_the_catalogue(self, make_stage: MakeStage) -> None:
        """The table loads the same twice, and an apply of it finds no fault."""
        assert self.kind.load_settings(self.settings()) == self.kind.load_settings(self.settings())
        make_stage()

    def test_wrong_settings_are_refused_with_the_key(self, make_stage: MakeStage) -> None:
        """Each table that the subclass lists: refused by an apply, and the fault stands at its key."""
        stage = make_stage(state="draft")
        wrong = list(self.bad_settings())
        assert wrong, "a kind without a wrong table checks nothing"
        for table, key in wrong:
            with pytest.raises(BadConfig) as refused:
                stage.apply(self.table({**self.shared(), "state": "draft"}, table))
            paths = [path for path, _ in refused.value.faults]
            wanted = f"campaign.trial.{key}"
            assert any(path == wanted or path.startswith(f"{wanted}.") for path in paths), (key, paths)

    def test_random_settings_raise_bad_config_only(self) -> None:
        """A table of any shape gives settings, or BadConfig with paths that are its own; never another error."""
        right = self.settings()
        scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
        value = st.recursive(
            scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
        )
        name = st.sampled_from(sorted(right)) | st.text(max_size=8) if right else st.text(max_size=8)

        @FEW
        @given(st.dictionaries(name, value, max_size=4))
        def check(changed: dict[str, Any]) -> None:
            faults: list[tuple[str, str]] | None = None
            try:
                self.kind.load_settings({**right, **changed})
            except BadConfig as error:
                faults = error.faults
            assert faults is None or (faults and all(isinstance(path, str) and words for path, words in faults))

        check()

    def test_unknown_keys_are_refused(self) -> None:
        """A name misspelt is told, and not left to its default."""
        with pytest.raises(BadConfig) as refused:
            self.kind.load_settings({**self.settings(), "stranger_of_the_kit": 1})
        assert any("stranger_of_the_kit" in path for path, _ in refused.value.faults)

    def test_funding_is_whole(self) -> None:
        """What must be reserved is a number of fen, 0 or more."""
        view = CampaignView(
            slug="trial",
            kind=self.kind.slug,
            circle="lane",
            merchants=frozenset(),
            state="draft",
            version=1,
            starts_at=datetime(2026, 11, 1, tzinfo=timezone.utc),
            ends_at=None,
            budget_fen=Fen(1_000_000),
            budget_fen_per_day=Fen(0),
            settings=self.kind.load_settings(self.settings()),
        )
        needed = self.kind.funding(view)
        assert type(needed) is int
        assert needed >= 0

    # -- its tables ---------------------------------------------------------------------------------------------------

    def test_tables_bear_its_name(self) -> None:
        """R245: its migrations make and change tables named `<slug>_…` and no other; each step has its own name."""
        names = [name for name, _ in self.kind.migrations]
        assert len(names) == len(set(names))
        for name, statements in self.kind.migrations:
            for statement in statements:
                made = [one for pair in _CREATED.findall(statement) for one in pair if one]
                touched = made + _OTHERS.findall(statement)
                assert touched, f"{name}: a statement that makes nothing"
                assert all(one.startswith(f"{self.kind.slug}_") for one in touched), (name, touched)

    def test_migrations_run_twice(self, tmp_path: Path, database: str) -> None:
        """R244: on an empty store and again on what came of it, where nothing is left to do."""
        kinds = {self.kind.slug: self.kind.migrations}
        migrate_store(database, tmp_path, kinds)
        assert migrate_store(database, tmp_path, kinds) == []

    def test_every_table_is_there(self, any_stage: Any) -> None:
        """R244: what the migrations name exists on either database."""
        wanted = {
            name
            for _, statements in self.kind.migrations
            for one in statements
            for name, on in _CREATED.findall(one)
            if not on
        }
        assert wanted <= set(any_stage.store.read(tables))

    # -- its README ---------------------------------------------------------------------------------------------------

    def test_a_readme_tells_the_rule(self) -> None:
        """Beside the module: words for a shop's owner, its keys, and the worked sum as it is computed."""
        module = inspect.getmodule(type(self.kind))
        assert module is not None
        assert module.__file__ is not None
        readme = Path(module.__file__).with_name("README.md")
        text = readme.read_text(encoding="utf-8")
        assert text.startswith("# ")
        for key in self.settings():
            assert f"`{key}`" in text or f"{key} =" in text, f"the README does not name {key}"
        for part in self.worked_sum:
            assert part in text, part
