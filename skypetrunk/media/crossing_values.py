"""
Values as they cross to a media worker and back: JSON, and nothing but the classes named here.

Pickles would do more than that: a worker reads packets that anybody may send, and what comes back from it is
no code.  The keys of calls are in there in clear.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from skypetrunk.interfaces import (
    DeclaredKeys,
    DirectionStatistics,
    LegStatistics,
    MediaAddress,
    MediaHost,
    MediaPath,
    MediaWay,
)
from skypetrunk.media.heard import Heard
from skypetrunk.media.keeping import Opening
from skypetrunk.wire.sdes import InlineKey, MasterKey

_CLASSES: Mapping[str, type[Any]] = {
    each.__name__: each
    for each in (
        DeclaredKeys,
        DirectionStatistics,
        Heard,
        InlineKey,
        LegStatistics,
        MasterKey,
        MediaAddress,
        MediaHost,
        MediaPath,
        MediaWay,
        Opening,
    )
}


def packed(value: object) -> bytes:
    """
    C{value}: one of the classes, bytes, a network, a tuple or a mapping of such, or what JSON has.

    @raise TypeError: it is none of them.
    """
    return json.dumps(_plain(value), separators=(",", ":")).encode("ascii")


def unpacked(data: bytes) -> Any:
    """
    The reverse of L{packed}; sequences are tuples.

    @raise ValueError: it is not what L{packed} makes.
    """
    try:
        return _value(json.loads(data))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a value of ours: {error}") from None


def _plain(value: Any) -> object:
    kind = type(value)
    if kind.__name__ in _CLASSES and _CLASSES[kind.__name__] is kind:
        return {"class": kind.__name__, "of": [_plain(getattr(value, each.name)) for each in fields(kind)]}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, (IPv4Network, IPv6Network)):
        return {"network": str(value)}
    if isinstance(value, Mapping):
        return {"pairs": [[_plain(key), _plain(each)] for key, each in value.items()]}
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a {kind.__name__} does not cross")


def _value(plain: Any) -> Any:
    if isinstance(plain, list):
        return tuple(map(_value, plain))
    if not isinstance(plain, dict):
        return plain
    if "class" in plain:
        return _CLASSES[plain["class"]](*map(_value, plain["of"]))
    if "bytes" in plain:
        return bytes.fromhex(plain["bytes"])
    if "network" in plain:
        return ip_network(plain["network"])
    return {_value(key): _value(each) for key, each in plain["pairs"]}


__all__ = ["packed", "unpacked"]
