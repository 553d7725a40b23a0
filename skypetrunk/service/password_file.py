"""
A password that may change while the trunk runs: it is read from its file again whenever somebody asks for it
and the file is another one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.interfaces import ICredentials
from skypetrunk.profiles.tables import readFile
from skypetrunk.service.routing import Account
from skypetrunk.service.secrets import parseSecret
from skypetrunk.wire.secret import Secret

WATCH_SECONDS = 3.0
"""How often the file is looked at while the carrier refuses what it held."""


@implementer(ICredentials)
class FileAccount:
    """
    One account for every realm of its trunk, as L{skypetrunk.service.routing.Account}, with the password in a
    file.
    """

    _log = Logger()

    def __init__(self, username: str, path: Path, password: Secret) -> None:
        """
        @param password: what the file held when the configuration was read.
        """
        self._username = username
        self._path = path
        self._password = password
        self._seen: tuple[int, ...] | str = ()

    def find(self, realm: str) -> tuple[str, Secret] | None:
        """The account."""
        return self._username, self.current()

    def current(self) -> Secret:
        """The password.  While the file cannot be read, or is half written, the one before."""
        try:
            state = self._path.stat()
            # A file may be written twice within the resolution of its time: size and inode say more.
            seen: tuple[int, ...] | str = (state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino)
            if seen == self._seen:
                return self._password
            password = parseSecret(readFile(self._path))
        except (OSError, ValueError) as error:
            problem = error.strerror or "" if isinstance(error, OSError) else str(error)
            if problem != self._seen:
                self._seen = problem
                self._log.warn(
                    "{path}: {problem}; the password before is used", path=str(self._path), problem=problem
                )
            return self._password
        self._seen = seen
        if password != self._password:
            self._password = password
            self._log.info("{path}: there is another password", path=str(self._path))
        return self._password


class PasswordWatch:
    """Looks whether there is another password, as long as the carrier refuses the one that was tried."""

    def __init__(
        self, clock: IReactorTime, account: FileAccount | None, changed: Callable[[], None]
    ) -> None:
        """
        @param account: C{None}: its password stands in no file, and nothing is looked at.
        @param changed: told once for each L{begin}.
        """
        self._clock = clock
        self._account = account
        self._changed = changed
        self._refused: Secret | None = None
        self._timer: IDelayedCall | None = None

    def begin(self) -> None:
        """The carrier has refused the password."""
        self.stop()
        if self._account is None:
            return
        self._refused = self._account.current()
        self._timer = self._clock.callLater(WATCH_SECONDS, self._look)

    def stop(self) -> None:
        """It need not be looked any more."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _look(self) -> None:
        assert self._account is not None
        if self._account.current() == self._refused:
            self._timer = self._clock.callLater(WATCH_SECONDS, self._look)
        else:
            self._timer = None
            self._changed()


def watchedAccount(
    clock: IReactorTime,
    username: str,
    password: Secret | None,
    path: Path | None,
    changed: Callable[[], None],
) -> tuple[Account | FileAccount, PasswordWatch]:
    """
    The account of a trunk, and what looks after its file.

    @param path: where C{password} was read from, C{None} if not from a file of its own.
    """
    if path is None or password is None:
        return Account(username, password), PasswordWatch(clock, None, changed)
    account = FileAccount(username, path, password)
    return account, PasswordWatch(clock, account, changed)


__all__ = ["WATCH_SECONDS", "FileAccount", "PasswordWatch", "watchedAccount"]
