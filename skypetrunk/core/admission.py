"""The policy of plugins is asked: whatever goes wrong in it denies the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from skypetrunk.core.reaching import happened
from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import CallRequest, ICallPolicy

_log = Logger()


def askPolicy(policy: ICallPolicy, request: CallRequest) -> Deferred[None]:
    """Fires if C{policy} lets C{request} go on, at once or later; fails with L{CallRefused} alone."""

    def denied(failure: Failure) -> NoReturn:
        if isinstance(failure.value, CallRefused):
            raise failure.value
        # A policy that cannot say yes has said no.
        if isinstance(failure.value, CancelledError):
            raise CallRefused("the call policy does not answer", 500)
        _log.failure("{call}: the call policy failed", failure, call=request.call)
        raise CallRefused("the call policy failed", 500)

    admit: Callable[[CallRequest], Deferred[None]] = policy.admit  # type: ignore[assignment]
    admitted = maybeDeferred(admit, request)
    return admitted if happened(admitted) else admitted.addErrback(denied)


__all__ = ["askPolicy"]
