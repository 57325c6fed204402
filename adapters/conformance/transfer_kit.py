"""What a wallet that sends money to customers has to hold besides, as a pytest class (R113, R114).

A test class inherits `TransferConformance` and fills the hooks; everything else is asked of any platform alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.contract.events import Payer
from gateway.contract.money import Fen
from gateway.contract.wallet import Call, CallFailed, CallUnknown, Reply, Transfer, Transfers, TransferStanding

_NONCE: Final = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"
_NO_NUMBERS: Final = ("", "../x", "a/b", "n?x=1", "号" * 6, "x" * 65, "n\n", " n", "a-b-c-d")
_SETTINGS: Final = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


class TransferConformance:
    """The tests; the hooks are told by `NotImplementedError`."""

    wallet: Any

    def keys(self) -> Any:
        """Keys that suffice for transfers."""
        raise NotImplementedError

    def signing_in_keys(self) -> Any:
        """Keys of the same platform that do not."""
        raise NotImplementedError

    def now(self) -> datetime:
        """When it is."""
        raise NotImplementedError

    def transfer(self) -> Transfer:
        """A transfer that the platform would take."""
        raise NotImplementedError

    def answers(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Reader (`transferred`, `transfer_queried`) → contents of right answers."""
        raise NotImplementedError

    def standings(self) -> Mapping[str, Sequence[TransferStanding]]:
        """The same, as they are to be read."""
        raise NotImplementedError

    def rightly_signed(self, reader: str, content: Mapping[str, Any]) -> Reply:
        """An answer with this content under the platform's key."""
        raise NotImplementedError

    def forged(self, reply: Reply) -> Iterable[Reply]:
        """The same answer, signed by nobody or by somebody else."""
        raise NotImplementedError

    def declining(self, reader: str, code: str) -> Reply:
        """The platform's no with its word for it."""
        raise NotImplementedError

    def refusals(self) -> Mapping[str, str]:
        """Word of a no to `transferred` → the fault that it stands for."""
        raise NotImplementedError

    def not_found(self) -> str:
        """The word of a question about a number that the platform does not know."""
        raise NotImplementedError

    # -- the tests --------------------------------------------------------------------------------------------------

    def read(self, reader: str, reply: Reply, keys: Any = None) -> TransferStanding:
        """What a reader makes of a reply."""
        standing: TransferStanding = getattr(self.wallet, reader)(keys or self.keys(), reply, self.now())
        return standing

    def test_it_sends_money_and_says_whether_it_can(self) -> None:
        """The seam is there, and keys that do not suffice are told apart."""
        assert isinstance(self.wallet, Transfers)
        assert self.wallet.can_transfer(self.keys())
        assert not self.wallet.can_transfer(self.signing_in_keys())
        assert 0 < self.wallet.least_fen(self.keys()) < self.wallet.most_fen(self.keys())

    def test_right_answers_are_read(self) -> None:
        """R113: every state that the platform names."""
        wanted = self.standings()
        for reader, contents in self.answers().items():
            found = [self.read(reader, self.rightly_signed(reader, content)) for content in contents]
            assert found == list(wanted[reader])

    def test_the_same_transfer_makes_the_same_body(self) -> None:
        """R114: sent again it is the same, whenever that is."""
        later = self.now().replace(year=self.now().year + 1)
        for moment in (self.now(), later):
            call = self.wallet.transfer(self.keys(), self.transfer(), moment, _NONCE)
            assert call.body == self.wallet.transfer(self.keys(), self.transfer(), self.now(), "other").body

    def test_what_no_platform_takes_is_not_sent(self) -> None:
        """Numbers that leave their place, amounts outside the bounds, another app's payee."""
        keys, right = self.keys(), self.transfer()
        payee = right.payee
        wrong = [replace(right, number=number) for number in _NO_NUMBERS]
        amounts = (0, -1, self.wallet.least_fen(keys) - 1, self.wallet.most_fen(keys) + 1, 1.5, True)
        wrong += [replace(right, amount_fen=Fen(amount)) for amount in amounts]  # type: ignore[arg-type]
        wrong += [
            replace(right, payee=Payer("another-app", payee.id_type, payee.value)),
            replace(right, payee=replace(payee, id_type="unionid")),
            replace(right, payee=replace(payee, value="")),
            replace(right, payee=replace(payee, value="a b")),
        ]
        for one in wrong:
            self._unfit(lambda one=one: self.wallet.transfer(keys, one, self.now(), _NONCE))  # type: ignore[misc]
        for number in _NO_NUMBERS:
            self._unfit(lambda n=number: self.wallet.query_transfer(keys, n, self.now(), _NONCE))  # type: ignore[misc]
        self._unfit(lambda: self.wallet.transfer(self.signing_in_keys(), right, self.now(), _NONCE))

    def test_strange_texts_are_made_to_fit(self) -> None:
        """A title is a merchant's: whatever he wrote, the money can be sent."""
        for text in ("", " ", "长" * 4000, "a/b=c&d", "\0\r\n\x7f", "\U0001f35c" * 99, '"\\'):
            call = self.wallet.transfer(
                self.keys(), replace(self.transfer(), title=text, remark=text), self.now(), _NONCE
            )
            call.body.decode("utf-8")

    def test_a_no_is_a_no_and_anything_else_is_unknown(self) -> None:
        """R114: only words that we know end a transfer; the rest is asked about."""
        for code, fault in self.refusals().items():
            found = self.read("transferred", self.declining("transferred", code))
            assert (found.state, found.fault, found.detail, found.handle) == ("failed", fault, code, "")
        assert self.read("transfer_queried", self.declining("transfer_queried", self.not_found())).state == "not_found"
        for reader in ("transferred", "transfer_queried"):
            for code in ("SYSTEM_ERROR", "FREQUENCY_LIMITED", "A_NEW_WORD", "", "x" * 500):
                with pytest.raises(CallUnknown):
                    self.read(reader, self.declining(reader, code))
            for status in (0, 301, 500, 502):
                with pytest.raises(CallUnknown):
                    self.read(reader, Reply(status, (), b"<html>"))

    def test_what_the_platform_did_not_sign_settles_nothing(self) -> None:
        """R114: a stranger's word neither ends a payout nor lets its money go."""
        for reader, contents in self.answers().items():
            for content in contents:
                for one in self.forged(self.rightly_signed(reader, content)):
                    with pytest.raises(CallUnknown):
                        self.read(reader, one)

    def test_whatever_is_signed_stays_in_the_family(self) -> None:
        """A platform may say anything; what is of no shape settles nothing."""
        value = st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.lists(st.none(), max_size=2)
        answers = {reader: contents[0] for reader, contents in self.answers().items()}
        keys = self.keys()

        @_SETTINGS
        @given(st.sampled_from(sorted(answers)), st.data())
        def check(reader: str, data: st.DataObject) -> None:
            right = answers[reader]
            name = data.draw(st.sampled_from(sorted(right)))
            try:
                found = self.read(reader, self.rightly_signed(reader, {**right, name: data.draw(value)}), keys)
            except CallUnknown:
                return
            assert isinstance(found, TransferStanding)
            assert found.state != "done" or right.get(name) is not None

        check()

    def _unfit(self, make: Callable[[], Call]) -> None:
        with pytest.raises(CallFailed) as caught:
            make()
        assert caught.value.code == "unfit"
