"""The kit for wallets: a subclass gives the wallet and one right reply for each reader; the tests come with it."""

from __future__ import annotations

import builtins
import logging
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.conformance.samples import SETTINGS
from adapters.conformance.wallet_hooks import READERS, WalletHooks
from gateway.contract.errors import BadConfig
from gateway.contract.events import Payer
from gateway.contract.money import Fen
from gateway.contract.wallet import Call, CallFailed, CallUnknown, Reply, SignInFailed, Wallet

_MONEY: Final = READERS[1:]
_NONCE: Final = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"
_OTHER_NONCE: Final = "C380BEC2BFD727A4B6845133519F3AD6"
_FAMILY: Final = (CallFailed, CallUnknown, SignInFailed)
_NO_NUMBERS: Final = (
    "",
    "a/../../b",
    "x\nhost: evil",
    "12345\n",
    "梧桐" * 4,
    "a b c d e f",
    "1" * 65,
    'a"b"c"d"',
    "a?b=c&d",
)
_NO_AMOUNTS: Final = (0, -1, True, 1.5, 10**13, "100", None)


class WalletConformance(WalletHooks):
    """The tests; see `WalletHooks` for what to write."""

    def test_it_is_a_wallet(self) -> None:
        """It fills the protocol, and these keys can pay."""
        assert isinstance(self.wallet, Wallet)
        assert self.wallet.slug in ("wechat", "alipay")
        assert self.wallet.can_pay(self.keys()) is True

    def test_right_replies_tell_what_they_say(self) -> None:
        """Each reader, under keys loaded anew."""
        expected = self.expected()
        assert set(self.replies()) == set(expected) == set(READERS)
        for reader, reply in self.replies().items():
            assert self.read(reader, reply) == expected[reader], reader

    # Replies that prove nothing.

    def test_a_reply_that_the_platform_did_not_sign_settles_nothing(self) -> None:
        """R044: neither done nor failed; whoever sits on the wire cannot say that an order was paid."""
        tried, keys = 0, self.keys()
        for reader, reply in self.replies().items():
            for forged in self.forged(reply):
                tried += 1
                with pytest.raises(SignInFailed if reader == "identity" else CallUnknown):
                    self.read(reader, forged, keys)
        assert tried

    def test_no_damage_tells_anything_else(self) -> None:
        """Any bit turned, any end cut off: the same, or unknown; never another word, and never "failed"."""
        keys, expected = self.keys(), self.expected()
        for reader, reply in self.replies().items():
            if not any(self.forged(reply)):
                continue
            outcomes = [self._same(reader, damaged, keys, expected[reader]) for damaged in _damaged(reply)]
            assert not all(outcomes) or not outcomes, reader

    def test_servers_errors_are_unknown_whatever_they_say(self) -> None:
        """§ no answer, 5xx, a page of a proxy, too many requests: nobody knows, so the same number is asked about."""
        bodies = [b"", b"<html>502</html>", b"{}", *(reply.body for reply in self.replies().values())]
        bodies += [self.declining(code).body for codes in self.final().values() for code in codes]
        keys = self.keys()
        for reader, right in self.replies().items():
            for status in (0, 500, 502, 503, 504, 599):
                for body in bodies:
                    with pytest.raises(SignInFailed if reader == "identity" else CallUnknown):
                        self.read(reader, replace(right, status=status, body=body), keys)

    def test_only_listed_codes_are_final(self) -> None:
        """A code that nobody has heard of may mean anything, so it ends nothing."""
        keys = self.keys()
        for reader, codes in self.final().items():
            for code in codes:
                with pytest.raises(CallFailed) as caught:
                    self.read(reader, self.declining(code), keys)
                assert caught.value.code == code
        for reader in _MONEY:
            for code in ("SYSTEM_ERROR", "ACQ.SYSTEM_ERROR", "FREQUENCY_LIMITED", "A_NEW_WORD", "", "x" * 500):
                with pytest.raises(CallUnknown):
                    self.read(reader, self.declining(code), keys)

    def test_random_replies_stay_in_the_family(self) -> None:
        """Whatever comes: an answer of the reader's kind, or one of the three errors."""
        keys, right, expected = self.keys(), self.replies(), self.expected()
        text = st.text(st.characters(max_codepoint=255), max_size=30)
        json_like = st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
        )

        def survives(reader: str, reply: Reply) -> None:
            try:
                found = self.read(reader, reply, keys)
            except SignInFailed:
                assert reader == "identity"
            except (CallFailed, CallUnknown):
                assert reader != "identity"
            else:
                assert type(found) is type(expected[reader])

        @SETTINGS
        @given(
            st.sampled_from(READERS),
            st.integers(0, 999),
            st.binary(max_size=200),
            st.integers(0, 2000),
            st.lists(st.tuples(text, text), max_size=4),
            json_like,
        )
        def check(
            reader: str, status: int, noise: bytes, place: int, headers: list[tuple[str, str]], value: object
        ) -> None:
            reply = right[reader]
            survives(reader, replace(reply, body=noise))
            survives(reader, replace(reply, status=status, body=noise))
            survives(reader, replace(reply, body=reply.body[:place] + noise + reply.body[place:]))
            survives(reader, replace(reply, headers=tuple(headers)))
            survives(reader, replace(reply, headers=(*reply.headers, *headers)))
            survives(reader, replace(reply, status=status, body=repr(value).encode(errors="replace")))

        check()

    def test_whatever_is_signed_stays_in_the_family(self) -> None:
        """R044: a platform may say anything; what is of no shape settles nothing, and raises nothing else."""
        keys, expected = self.keys(), self.expected()
        contents = {reader: dict(self.content(reader)) for reader in READERS}
        value = st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(["0", "\0", "1e2", "Y"]),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
        )

        @SETTINGS
        @given(st.sampled_from([reader for reader in READERS if contents[reader]]), st.data())
        def check(reader: str, data: st.DataObject) -> None:
            right = contents[reader]
            name = data.draw(st.sampled_from(sorted(right)))
            for told in ({**right, name: data.draw(value)}, {k: v for k, v in right.items() if k != name}):
                try:
                    found = self.read(reader, self.rightly_signed(reader, told), keys)
                except SignInFailed:
                    assert reader == "identity"
                except (CallFailed, CallUnknown):
                    assert reader != "identity"
                else:
                    assert type(found) is type(expected[reader])

        for reader, right in contents.items():
            if right:
                assert self.read(reader, self.rightly_signed(reader, right), keys) == expected[reader]
        check()

    def test_deep_and_huge_bodies_are_survived(self) -> None:
        """Brackets without end, a million of the same, numbers of a thousand digits."""
        bodies = (b"[" * 100_000, b'{"a":' * 50_000, b"\xff" * 1000, b'{"a":' + b"9" * 5000 + b"}", b'"', b'{"', b"{,}")
        keys = self.keys()
        for reader, right in self.replies().items():
            for body in bodies:
                for status in (200, 400):
                    with pytest.raises(_FAMILY):
                        self.read(reader, Reply(status, right.headers, body), keys)

    # Calls.

    def test_the_same_input_makes_the_same_call(self) -> None:
        """Under keys loaded anew as well; and what the call says does not hang on when it is said."""
        for make in self._makers():
            assert make(self.keys(), _NONCE) == make(self.keys(), _NONCE)
            assert make(self.keys(), _NONCE).body == make(self.keys(), _OTHER_NONCE).body

    def test_calls_go_where_the_endpoint_is(self) -> None:
        """All of them, and the browser too; without one they go to the platform over TLS."""
        wallet_table, keys_table = self.tables()
        here = self.wallet.load({**wallet_table, "endpoint": "http://127.0.0.1:8443/twin"}, keys_table)
        away = self.wallet.load({k: v for k, v in wallet_table.items() if k != "endpoint"}, keys_table)
        for make in self._makers():
            assert make(here, _NONCE).url.startswith("http://127.0.0.1:8443/twin/")
            assert make(away, _NONCE).url.startswith("https://")
            assert make(here, _NONCE).body == make(away, _NONCE).body
        assert self.wallet.authorize_url(here, "https://a/b", "s").startswith("http://127.0.0.1:8443/twin/")
        assert self.wallet.authorize_url(away, "https://a/b", "s").startswith("https://")

    def test_orders_that_no_platform_takes_are_not_sent(self) -> None:
        """R044: numbers that would leave their place in a path, amounts that are none, another app's payer."""
        keys, purchase, give_back = self.keys(), self.purchase(), self.give_back()
        stranger = Payer("another-app", purchase.payer.id_type, purchase.payer.value)
        wrong = [replace(purchase, out_trade_no=number) for number in _NO_NUMBERS]
        wrong += [replace(purchase, amount_fen=amount) for amount in _NO_AMOUNTS]  # type: ignore[arg-type]
        wrong += [
            replace(purchase, payer=stranger),
            replace(purchase, payer=replace(purchase.payer, id_type="unionid")),
        ]
        wrong += [replace(purchase, notify_url=url) for url in ("", "ftp://a/b", "/paid", "https://a/ b")]
        for one in wrong:
            self._unfit(lambda one=one: self.wallet.prepay(keys, one, self.now(), _NONCE))  # type: ignore[misc]
        backs = [replace(give_back, out_refund_no=number) for number in _NO_NUMBERS]
        backs += [replace(give_back, out_trade_no=number) for number in _NO_NUMBERS]
        backs += [replace(give_back, refund_fen=Fen(amount)) for amount in (0, -1, give_back.total_fen + 1)]
        for back in backs:
            self._unfit(lambda back=back: self.wallet.refund(keys, back, self.now(), _NONCE))  # type: ignore[misc]
        for number in _NO_NUMBERS:
            self._unfit(lambda number=number: self.wallet.query(keys, number, self.now(), _NONCE))  # type: ignore[misc]
            self._unfit(lambda number=number: self.wallet.close(keys, number, self.now(), _NONCE))  # type: ignore[misc]

    def test_long_and_strange_texts_are_made_to_fit(self) -> None:
        """A description is a merchant's: whatever he wrote, the order can be sent."""
        keys = self.keys()
        for text in ("", " ", "长" * 4000, "a/b=c&d", "\0\r\n\x7f", "\U0001f35c" * 99, '"\\'):
            call = self.wallet.prepay(
                keys, replace(self.purchase(), description=text, amount_fen=Fen(1)), self.now(), _NONCE
            )
            call.body.decode("utf-8")

    # Sign-in.

    def test_the_code_is_found_and_nothing_else(self) -> None:
        """R053: no code is a refusal of the customer's or the platform's; a strange one goes nowhere."""
        query, code = self.back()
        name = next(key for key, value in query.items() if value == code)
        assert self.wallet.code_of(self.keys(), query) == code
        wrong: list[dict[str, str]] = [{}, {k: v for k, v in query.items() if k != name}]
        wrong += [{**query, name: value} for value in ("", "a b", "x\n", "码", "x" * 5000)]
        for one in wrong:
            with pytest.raises(SignInFailed):
                self.wallet.code_of(self.keys(), one)

    def test_addresses_are_encoded_whole(self) -> None:
        """R053: what the redirect address holds does not get out of its parameter."""
        url = self.wallet.authorize_url(self.keys(), "https://shop.example/wallet/back?a=1&b=2#c", "state&scope=x")
        assert "https%3A%2F%2Fshop.example%2Fwallet%2Fback%3Fa%3D1%26b%3D2%23c" in url
        assert "state=state%26scope%3Dx" in url

    # Tables, secrets, I/O.

    def test_random_tables_raise_bad_config_only(self) -> None:
        """Tables of any shape give keys or BadConfig with paths, never another error."""
        right, keys_table = self.tables()
        scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
        value = st.recursive(
            scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
        )
        names = st.sampled_from(sorted({*right, *keys_table, "endpoint", "certificates"})) | st.text(max_size=8)
        table = st.dictionaries(names, value, max_size=4)

        @SETTINGS
        @given(table, table)
        def check(changed: dict[str, Any], changed_keys: dict[str, Any]) -> None:
            faults: list[tuple[str, str]] | None = None
            try:
                self.wallet.load({**right, **changed}, {**keys_table, **changed_keys})
            except BadConfig as error:
                faults = error.faults
            assert faults is None or (faults and all(isinstance(path, str) and message for path, message in faults))

        check()

    def test_unknown_names_and_an_empty_table_are_refused(self) -> None:
        """Every fault at once, each by its path."""
        wallet_table, keys_table = self.tables()
        with pytest.raises(BadConfig) as caught:
            self.wallet.load({**wallet_table, "first_stranger": "x", "second_stranger": "x"}, keys_table)
        assert {"first_stranger", "second_stranger"} <= {path for path, _ in caught.value.faults}
        with pytest.raises(BadConfig):
            self.wallet.load({}, {})

    def test_endpoints_that_are_none_are_refused(self) -> None:
        """A secret goes to this address, so it is one plain origin or nothing."""
        wallet_table, keys_table = self.tables()
        for endpoint in (
            "",
            "shop.example",
            "ftp://a",
            "https://",
            "https://u:p@a",
            "https://a?x",
            "https://a#x",
            "https://a b",
            7,
        ):
            with pytest.raises(BadConfig) as caught:
                self.wallet.load({**wallet_table, "endpoint": endpoint}, keys_table)
            assert [path for path, _ in caught.value.faults] == ["endpoint"]

    def test_nothing_secret_is_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        """R016: not in a repr, not in an error, not in a log; the customer's ids neither."""
        caplog.set_level(logging.DEBUG)
        keys, (_, code) = self.keys(), self.back()
        hidden = [*self.secrets(), code, self.purchase().payer.value]
        shown = [repr(keys), str(keys), repr(self.wallet), repr(self.purchase())]
        for make in self._makers():
            shown += [repr(make(keys, _NONCE)), str(make(keys, _NONCE))]
        for reader, reply in self.replies().items():
            shown += [repr(reply), repr(self.read(reader, reply, keys))]
            for spoiled in (*self.forged(reply), replace(reply, status=500), replace(reply, body=reply.body[:-9])):
                try:
                    self.read(reader, spoiled, keys)
                except _FAMILY as error:
                    shown += [str(error), repr(error), repr(error.args), repr(error.__cause__)]
        wallet_table, keys_table = self.tables()
        for name, value in wallet_table.items():
            with pytest.raises(BadConfig) as refused:
                self.wallet.load({**wallet_table, name: {"nested": value}, "stranger": value}, keys_table)
            shown.append(str(refused.value))
        shown.append(caplog.text)
        for secret in hidden:
            assert not any(secret in text for text in shown)

    def test_it_does_no_io(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No socket and no file is opened while calls are made and replies read."""
        keys, replies, expected = self.keys(), self.replies(), self.expected()
        makers = self._makers()

        def refuse(*_args: object, **_named: object) -> None:
            raise AssertionError("a wallet does no I/O")

        monkeypatch.setattr(socket, "socket", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        monkeypatch.setattr(builtins, "open", refuse)
        for make in makers:
            assert make(keys, _NONCE)
        for reader, reply in replies.items():
            assert self.read(reader, reply, keys) == expected[reader]

    def _makers(self) -> list[Callable[[Any, str], Call]]:
        wallet, now, purchase, back = self.wallet, self.now(), self.purchase(), self.give_back()
        return [
            lambda keys, nonce: wallet.exchange(keys, self.back()[1], now, nonce),
            lambda keys, nonce: wallet.prepay(keys, purchase, now, nonce),
            lambda keys, nonce: wallet.query(keys, purchase.out_trade_no, now, nonce),
            lambda keys, nonce: wallet.close(keys, purchase.out_trade_no, now, nonce),
            lambda keys, nonce: wallet.refund(keys, back, now, nonce),
            lambda keys, nonce: wallet.query_refund(keys, back, now, nonce),
        ]

    def _unfit(self, make: Callable[[], Call]) -> None:
        with pytest.raises(CallFailed) as caught:
            make()
        assert caught.value.code == "unfit"

    def _same(self, reader: str, reply: Reply, keys: Any, expected: object) -> bool:
        try:
            found = self.read(reader, reply, keys)
        except (CallUnknown, SignInFailed):
            return False
        assert found == expected, f"a damaged reply of {reader} tells something else: {found!r}"
        return True


def _damaged(reply: Reply) -> list[Reply]:
    """Each byte with one bit turned, and the body cut at each length."""
    body = reply.body
    turned = [body[:at] + bytes((body[at] ^ (1 << at % 7),)) + body[at + 1 :] for at in range(len(body))]
    return [replace(reply, body=one) for one in (*turned, *(body[:at] for at in range(len(body))))]
