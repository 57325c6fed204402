"""Whom somebody may manage (R072): every role against every scope, written out."""

import pytest

from gateway.auth import Principal
from gateway.auth.grants import Scope, may_give, may_see, scopes_to_give

WHO = {
    "admin": Principal("a", "session", "admin", None, None, ""),
    "operator": Principal("o", "session", "operator", None, None, ""),
    "riverside": Principal("r", "session", "operator", "riverside", None, ""),
    "hotpot": Principal("m", "session", "manager", None, "hotpot", ""),
    "clerk": Principal("c", "session", "clerk", None, "hotpot", ""),
    "integrator": Principal("i", "api", "integrator", None, None, ""),
}
SCOPES = {
    "admin": Scope("admin"),
    "operator": Scope("operator"),
    "riverside": Scope("operator", "riverside"),
    "hillside": Scope("operator", "hillside"),
    "manager-hotpot": Scope("manager", None, "hotpot"),
    "manager-noodles": Scope("manager", None, "noodles"),
    "clerk-hotpot": Scope("clerk", None, "hotpot"),
    "clerk-sweets": Scope("clerk", None, "sweets"),
    "clerk-noodles": Scope("clerk", None, "noodles"),
    "program": Scope("integrator"),
    "program-riverside": Scope("integrator", "riverside"),
}
PLACES = {"manager-hotpot", "clerk-hotpot", "clerk-sweets"}
GIVES = {
    "admin": set(SCOPES),
    "operator": set(SCOPES) - {"admin", "operator"},
    "riverside": {*PLACES, "program-riverside"},
    "hotpot": {"clerk-hotpot"},
    "clerk": set(),
    "integrator": set(),
}
SEES = {
    "admin": set(SCOPES),
    "operator": set(SCOPES) - {"admin", "program", "program-riverside"},
    "riverside": {*PLACES, "riverside"},
    "hotpot": {"manager-hotpot", "clerk-hotpot"},
    "clerk": {"clerk-hotpot"},
    "integrator": set(),
}


@pytest.mark.parametrize("name", WHO)
def test_R072_who_may_give_what(world, name):
    directory = world.runtime.directory()
    assert {key for key, scope in SCOPES.items() if may_give(WHO[name], scope, directory)} == GIVES[name]


@pytest.mark.parametrize("name", WHO)
def test_R072_who_sees_whom(world, name):
    directory = world.runtime.directory()
    assert {key for key, scope in SCOPES.items() if may_see(WHO[name], scope, directory)} == SEES[name]


@pytest.mark.parametrize("name", WHO)
@pytest.mark.parametrize(
    "scope",
    [Scope("emperor"), Scope("clerk"), Scope("clerk", None, "nobody"), Scope("operator", "nowhere"), Scope("manager")],
)
def test_a_scope_of_nothing_is_given_by_nobody(world, name, scope):
    assert not may_give(WHO[name], scope, world.runtime.directory())


def test_what_is_offered_is_what_may_be_given(world):
    directory = world.runtime.directory()
    for who in WHO.values():
        for programs in (False, True):
            for scope in scopes_to_give(who, directory, programs=programs):
                assert may_give(who, scope, directory)
    assert Scope("integrator") not in scopes_to_give(WHO["admin"], directory)
    assert Scope("integrator") in scopes_to_give(WHO["admin"], directory, programs=True)
