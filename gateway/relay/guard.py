"""Which addresses the gateway may talk to (R012): the public internet over https, and what the operator lists.

Both times are covered: the URL when it is applied, and every address its name resolves to when it is used. The
connection then goes to the very address that was vetted, so a name that changes its mind in between changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.relay.errors import RelayFailed
from gateway.relay.names import Names, Patience
from gateway.relay.target import Address, BadUpstream, Target, parse_url

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# IANA IPv4 special-purpose address registry (RFC 6890), all that is not globally reachable, and multicast (RFC 5771).
# Written out, since `ipaddress.is_global` differs between Python versions.
_NOT_GLOBAL_4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network; Linux takes 0.0.0.0 for the loopback
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; cloud metadata at some providers
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local; cloud metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays, withdrawn
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",  # reserved, and the broadcast address
    )
)
# IPv6 global unicast is 2000::/3 (RFC 4291); everything else is refused unread. Exceptions inside it:
_GLOBAL_6: Final = ipaddress.IPv6Network("2000::/3")
_NOT_GLOBAL_6: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # IETF protocol assignments: Teredo, ORCHID, benchmarking
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address in disguise, and its relays are gone
        "3fff::/20",
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Pinned:
    """An address that passed the guard: connect to this and to nothing else."""

    address: str
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET or AF_INET6."""
        return socket.AF_INET6 if ":" in self.address else socket.AF_INET


class Guard:
    """Vets addresses. `allow`: networks that an upstream may be in though not global (`[relay] allow`).

    `names` looks names up; a table in tests. Safe between threads.
    """

    def __init__(self, allow: Iterable[str | Network] = (), names: Names | None = None) -> None:
        self._allow = tuple(ipaddress.ip_network(network) for network in allow)
        self._names = names or Names()

    def admits(self, address: Address, *, secure: bool) -> bool:
        """Whether `address` may be talked to; `secure` says whether over TLS. Plain http only inside `allow`."""
        if isinstance(address, ipaddress.IPv6Address):
            if address.scope_id is not None:
                return False
            if address.ipv4_mapped is not None:
                address = address.ipv4_mapped
        if any(address in network for network in self._allow):
            return True
        return secure and _is_global(address)

    def check_literal(self, url: str) -> Target:
        """What can be judged when a URL is applied, without the network; its parts.

        Raises BadUpstream: what `parse_url` refuses, a refused literal address, plain http to a public one. A name
        passes here, since what it resolves to is judged at every use.
        """
        target = parse_url(url)
        address = target.literal
        if address is None or self.admits(address, secure=target.secure):
            return target
        if not target.secure and self.admits(address, secure=True):
            raise BadUpstream("plain_http", "http only where the address lies in [relay] allow; here https")
        raise BadUpstream("address", "the address is not a public one and not in [relay] allow")

    def resolve(self, target: Target, patience: Patience) -> tuple[Pinned, ...]:
        """The vetted addresses of a target, in the resolver's order, at least one.

        Every address the name has must pass: one bad among good is an attempt, not a spare. `patience` gives the
        seconds left. Raises RelayFailed: `forbidden_address`, `refused` (no such name), `timeout`.
        """
        texts = [target.host] if target.literal is not None else self._names.addresses(target.host, patience)
        pinned = []
        for text in texts:
            try:
                address = ipaddress.ip_address(text)
            except ValueError as fault:
                raise RelayFailed("forbidden_address", "the resolver gave no address") from fault
            if not self.admits(address, secure=target.secure):
                raise RelayFailed("forbidden_address", f"{target.host} leads to {address}")
            if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
                address = address.ipv4_mapped
            pinned.append(Pinned(str(address), target.port))
        if not pinned:
            raise RelayFailed("refused", f"{target.host} has no address")
        return tuple(pinned)


def _is_global(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_GLOBAL_4)
    if address in _NAT64:
        return _is_global(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _GLOBAL_6 and not any(address in network for network in _NOT_GLOBAL_6)
