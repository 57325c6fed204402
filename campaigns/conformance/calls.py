"""The tests of a kind's calls: who may make them, what is refused, and that a call is made once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.conformance.furnished import Furnished
from campaigns.conformance.stage import Answer, Stage
from gateway.contract.campaign_kind import Role, Route

_RANKS: Final[tuple[Role, ...]] = ("clerk", "manager", "operator", "admin")
_FEW: Final = settings(
    max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
)
_REFUSALS: Final = frozenset({400, 403, 404, 405, 409, 410, 412, 413, 415, 422, 429})
_UNSENT: Final = frozenset({"HEAD"})
"""Methods whose answers have no body to look at."""

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def filled(path: str, part: str = "nothing") -> str:
    """A route's path with a name in each of its places."""
    return re.sub("<[^>]+>", part, path)


def is_refusal(answer: Answer, method: str = "POST") -> bool:
    """Whether an answer declines in the API's shape: a code, a message, a request id."""
    if answer.status not in _REFUSALS and answer.status != 401:  # noqa: PLR2004 - nobody signed in
        return False
    return method in _UNSENT or (
        isinstance(answer.body, Mapping) and {"code", "message", "request_id"} <= set(answer.body)
    )


class CallsContract(Furnished):
    """Inherited by `CampaignContract`."""

    def example(self, route: Route) -> dict[str, Any]:
        """A body of the right shape, with somebody in it where the route wants a person."""
        body = dict(self.bodies().get(f"{route.method} {route.path}", {}))
        if route.person == "needed" and not {"person", "openid"} & set(body):
            body |= {"openid": "kit-guest", "channel": "noodles-pay"}
        return body

    def ask(self, stage: Stage, route: Route, body: Any, **more: Any) -> Answer:
        """Call a route with a name that nothing has in each place of its path."""
        sent = b"kit" if route.raw and not isinstance(body, bytes) else body
        return stage.call(route.method, filled(route.path), None if route.method in {"GET", "HEAD"} else sent, **more)

    def test_nobody_calls_without_a_token(self, stage: Stage) -> None:
        """R072: 401, in the API's shape, and nothing is written."""
        before = stage.dump()
        for route in self.kind.routes:
            answer = self.ask(stage, route, self.example(route), role="")
            assert answer.status == 401, route.path  # noqa: PLR2004
            assert is_refusal(answer, route.method)
        assert _kept(stage.dump()) == _kept(before)

    def test_a_lower_role_is_refused(self, stage: Stage) -> None:
        """R072: whoever is below the route's role: 403, and nothing is written."""
        for role in _RANKS:
            stage.token(role)
        before = stage.dump()
        for route in self.kind.routes:
            for role in _RANKS[: _RANKS.index(route.role)]:
                answer = self.ask(stage, route, self.example(route), role=role)
                assert answer.status == 403, (route.path, role)  # noqa: PLR2004
                assert is_refusal(answer, route.method)
        assert _kept(stage.dump()) == _kept(before)

    def test_another_circles_staff_find_nothing(self, stage: Stage) -> None:
        """R072: 404 for a manager and an operator of another circle, whether the campaign is there or not."""
        for role in ("manager", "operator"):
            stage.token(role, "tea")
        before = stage.dump()
        for route in self.kind.routes:
            for role in ("manager", "operator"):
                if _RANKS.index(role) < _RANKS.index(route.role):
                    continue
                answer = self.ask(stage, route, self.example(route), role=role, merchant="tea")
                assert answer.status == 404, (route.path, role)  # noqa: PLR2004
        assert _kept(stage.dump()) == _kept(before)

    def test_what_is_not_there_is_refused(self, stage: Stage) -> None:
        """A name in the path that nothing bears is never answered as if it were there."""
        for route in self.kind.routes:
            if "<" not in route.path:
                continue
            answer = self.ask(stage, route, self.example(route))
            assert is_refusal(answer, route.method), (route.path, answer)

    def test_a_post_without_its_key_is_refused(self, stage: Stage) -> None:
        """400 `idempotency_key_required`, and nothing is written."""
        stage.token("operator")
        before = stage.dump()
        for route in self.kind.routes:
            if route.method == "POST":
                answer = self.ask(stage, route, self.example(route), key="")
                assert (answer.status, answer.body["code"]) == (400, "idempotency_key_required"), route.path
        assert _kept(stage.dump()) == _kept(before)

    def test_one_key_is_one_call(self, stage: Stage) -> None:
        """The same key and body: the same answer, nothing written twice. Another body: 409."""
        for route in self.kind.routes:
            if route.method != "POST" or route.raw:
                continue
            body, key = self.example(route), f"once-{route.path}".replace("/", "-").replace("<", "").replace(">", "")
            first = self.ask(stage, route, body, key=key)
            before = stage.dump()
            again = self.ask(stage, route, body, key=key)
            assert (again.status, _less_the_request(again.body)) == (first.status, _less_the_request(first.body))
            assert _kept(stage.dump()) == _kept(before), route.path
            if first.status < 400:  # noqa: PLR2004 - what was done, not what was declined
                other = self.ask(stage, route, {**body, "kit": "another body"}, key=key)
                assert (other.status, other.body["code"]) == (409, "idempotency_key_reused"), route.path

    def test_bodies_of_no_shape_are_refused(self, stage: Stage) -> None:
        """Not an object, not JSON, too large, not UTF-8: refused in the API's shape."""
        for route in self.kind.routes:
            if route.raw or route.method in {"GET", "HEAD"}:
                continue
            for body in (b"", b"\xff\xfe", b"[", b"[]", b"null", b'"text"', b"[" * 5000, b"{" + b" " * 70_000 + b"}"):
                headers = {"Content-Type": "application/json"}
                answer = stage.call(route.method, filled(route.path), body, headers=headers)
                # An empty body may pass for an empty object.
                assert is_refusal(answer) or (not body and answer.status < 300), (route.path, body[:9], answer)  # noqa: PLR2004

    def test_spoiled_bodies_never_break_in(self, stage: Stage) -> None:
        """Any value in any place of a right body, and of the path: answered or refused, never a fault of ours.

        What was refused has written nothing.
        """
        for route in self.kind.routes:
            if not route.raw and route.method not in {"GET", "HEAD"}:
                self._spoil(stage, route)

    def _spoil(self, stage: Stage, route: Route) -> None:
        right = self.example(route)
        names = st.sampled_from(sorted(right)) | st.text(max_size=8) if right else st.text(max_size=8)
        # Names in the path are those that no router refuses by itself.
        part = st.from_regex(r"[A-Za-z0-9_~.-]{1,40}", fullmatch=True).filter(lambda text: text.strip("."))

        @_FEW
        @given(st.dictionaries(names, values, max_size=3), part)
        def check(changed: dict[str, Any], name: str) -> None:
            before = stage.dump()
            answer = stage.call(route.method, filled(route.path, name), {**right, **changed})
            if answer.status >= 400:  # noqa: PLR2004 - declined
                assert is_refusal(answer), (route.path, answer)
                assert _kept(stage.dump()) == _kept(before), (route.path, changed, answer)

        check()

    def test_the_campaign_tells_its_figures(self, stage: Stage) -> None:
        """`GET` of the campaign: state, version, budget, and whole numbers of the kind's own."""
        answer = stage.call("GET", "", wants=200)
        assert answer.body["id"] == "trial"
        assert answer.body["kind"] == self.kind.slug
        assert answer.body["state"] == "live"
        assert set(answer.body["budget"]) >= {"total_fen", "reserved_fen", "consumed_fen"}
        assert all(type(count) is int and count >= 0 for count in answer.body["counts"].values())


def _less_the_request(body: Any) -> Any:
    return {name: value for name, value in body.items() if name != "request_id"} if isinstance(body, dict) else body


def _kept(dump: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """What a refused call must leave as it was; tries may be counted, refusals noted, persons made known."""
    passing = {"counters", "idempotency", "audit", "persons", "identities", "tokens"}
    return {name: rows for name, rows in dump.items() if name not in passing}
