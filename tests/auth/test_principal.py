"""Roles and their scope: what is not allowed is denied (R072)."""

import pytest

from gateway.auth.principal import ROLES, Principal, check_scope
from gateway.contract import Refused

MAY = {
    "admin": {"admin", "operator", "manager", "clerk"},
    "operator": {"operator", "manager", "clerk"},
    "manager": {"manager", "clerk"},
    "clerk": {"clerk"},
    "integrator": {"integrator"},
    "owner": set(),
    "": set(),
}


def who(role, circle=None, merchant=None):
    return Principal("someone", "api", role, circle, merchant, "tk_1")


@pytest.mark.parametrize("role", MAY)
@pytest.mark.parametrize("wanted", ROLES)
def test_R072_each_may_what_the_next_may_and_an_integrator_stands_apart(role, wanted):
    assert who(role).may(wanted) == (wanted in MAY[role])


@pytest.mark.parametrize(
    ("principal", "seen"),
    [
        (who("admin"), {"hotpot", "sweets", "noodles"}),
        (who("operator"), {"hotpot", "sweets", "noodles"}),
        (who("operator", circle="riverside"), {"hotpot", "sweets"}),
        (who("operator", circle="gone"), set()),
        (who("manager", merchant="hotpot"), {"hotpot"}),
        (who("clerk", merchant="noodles"), {"noodles"}),
        (who("clerk", merchant="gone"), set()),
        (who("manager"), set()),
        (who("clerk"), set()),
        (who("integrator"), {"hotpot", "sweets", "noodles"}),
        (who("integrator", merchant="sweets"), {"sweets"}),
        (who("integrator", circle="hillside", merchant="sweets"), set()),
        (who("owner"), set()),
    ],
)
def test_R072_a_scope_is_the_same_object_by_object_and_as_a_set(world, principal, seen):
    directory = world.runtime.directory()
    merchants = directory.catalog.merchants
    assert {slug for slug in merchants if principal.sees(merchants[slug].circle, slug)} == seen
    scope = principal.merchants(directory)
    assert (set(merchants) if scope is None else scope) == seen


@pytest.mark.parametrize(
    ("principal", "circles"),
    [
        (who("admin"), None),
        (who("operator"), None),
        (who("operator", circle="riverside"), {"riverside"}),
        (who("manager", merchant="noodles"), {"hillside"}),
        (who("manager", merchant="gone"), set()),
        (who("owner"), set()),
    ],
)
def test_R072_circles_in_scope(world, principal, circles):
    assert principal.circles(world.runtime.directory()) == circles


@pytest.mark.parametrize(
    ("role", "circle", "merchant"),
    [
        ("admin", "riverside", None),
        ("admin", None, "hotpot"),
        ("operator", None, "hotpot"),
        ("operator", "riverside", "hotpot"),
        ("manager", None, None),
        ("manager", "riverside", None),
        ("manager", "riverside", "hotpot"),
        ("clerk", None, ""),
        ("clerk", "riverside", "hotpot"),
        ("owner", None, None),
        ("", None, None),
        ("Admin", None, None),
    ],
)
def test_R072_a_role_takes_only_the_scope_that_it_has(role, circle, merchant):
    with pytest.raises(Refused) as refused:
        check_scope(role, circle, merchant)
    assert (refused.value.code, refused.value.status) == ("bad_scope", 422)


@pytest.mark.parametrize(
    ("role", "circle", "merchant"),
    [
        ("admin", None, None),
        ("operator", None, None),
        ("operator", "riverside", None),
        ("manager", None, "hotpot"),
        ("clerk", "", "hotpot"),
        ("integrator", None, None),
        ("integrator", "riverside", "hotpot"),
    ],
)
def test_R072_scopes_that_hold(role, circle, merchant):
    assert check_scope(role, circle, merchant) is None
