"""How many files the process may have open: each call takes four sockets, and systems begin with 1024."""

from __future__ import annotations

import resource
from contextlib import suppress


def allowOpenFiles() -> int:
    """
    Raise the limit to what the administrator allows (the hard limit): the lower one is for programs that use
    C{select}.

    @return: the limit that holds.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # Some systems have no bound here, but do not take that for an answer.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


__all__ = ["allowOpenFiles"]
