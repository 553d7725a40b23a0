"""
Where the compiled helper is found, F<native/settled.c>: there where a compiler was when skypetrunk was
installed.  L{skypetrunk.media.settled} says what it does.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from skypetrunk.media.poller import BATCH, REST
from skypetrunk.media.srtp import DATAGRAM_LIMIT, InPlaceGuard, Probe
from skypetrunk.media.statistics import JUMP
from skypetrunk.media.stream import MAX_TIMESTAMP_STEP, REORDERING


class Helper(NamedTuple):
    """The binding."""

    ffi: Any
    lib: Any


@cache
def findHelper() -> Helper | None:
    """
    The helper, if it was built and does what is expected of it: its limits are ours, and it can call what
    pylibsrtp calls.  C{None}: Python does it all.
    """
    try:
        module = import_module("skypetrunk.media._settled")
        helper = Helper(module.ffi, module.lib)
        return helper if _works(helper) else None
    except Exception:
        # Whatever has become of it, or of pylibsrtp's binding: it is not needed.
        return None


def _works(helper: Helper) -> bool:
    ffi, lib = helper
    limits = (lib.SETTLED_LIMIT, lib.SETTLED_BATCH, lib.SETTLED_RECENT, lib.SETTLED_STEP, lib.SETTLED_JUMP)
    if limits != (DATAGRAM_LIMIT, BATCH, REORDERING, MAX_TIMESTAMP_STEP, JUMP):
        return False
    if lib.SETTLED_REST != round(REST * 1e9):
        return False
    probe = Probe()
    for outbound, before, after in (
        (True, probe.plain, probe.protected),
        (False, probe.protected, probe.plain),
    ):
        guard = InPlaceGuard(probe.suite, probe, outbound)  # type: ignore[arg-type]
        function, context = guard.addresses
        packet, length = ffi.new("char[]", 2 * len(probe.protected)), ffi.new("int *", len(before))
        ffi.buffer(packet)[: len(before)] = before
        transform = ffi.cast("settled_transform", function)
        if transform(ffi.cast("void *", context), packet, length) or ffi.buffer(packet)[: length[0]] != after:
            return False
    return True
