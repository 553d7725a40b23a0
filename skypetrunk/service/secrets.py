"""
Where a trunk's password comes from: a file, the environment, systemd's credentials directory,
or the configuration itself.

No value read here ever stands in a message; neither does what was written in a place where
a password may have been pasted by mistake.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from skypetrunk.profiles.tables import Table, readFile
from skypetrunk.wire.secret import Secret

KEYS = ("password_file", "password_env", "password_credential", "password")
"""Where a password may come from; one of them."""

# RFC 3261 sets no bound; no carrier gives longer ones, and a wrong file (a certificate) usually is longer.
_LONGEST = 512

_EXAMPLES = {
    "password_file": 'password_file = "trunk.secret"',
    "password_env": 'password_env = "TRUNK_PASSWORD"',
    "password_credential": 'password_credential = "trunk"',
}


class PasswordSource(NamedTuple):
    """
    A password, and where it came from.

    @ivar path: the file that holds it, C{None} where it stands in none of its own.
    """

    secret: Secret | None
    path: Path | None


def readPasswordSource(
    table: Table, directory: Path, environ: Mapping[str, str], fileIsPublic: bool, *, required: bool
) -> PasswordSource:
    """
    The password of the trunk C{table}, and the file that it was read from.

    @param directory: where relative paths start.
    @param fileIsPublic: the configuration file can be read by everybody.
    @return: without a secret where there is none, or where it was wrong, which is noted in the table's
        problems.
    """
    values = {key: table.text(key, _EXAMPLES.get(key, "a text, or better password_file")) for key in KEYS}
    given = [key for key in KEYS if key in table]
    if not given:
        if required:
            table.wrong("password_file", "is missing", " or ".join(_EXAMPLES.values()))
        return PasswordSource(None, None)
    if len(given) > 1:
        table.wrong(given[1], f"stands beside {given[0]}", f"one of {', '.join(KEYS)}")
        return PasswordSource(None, None)
    key = given[0]
    value = values[key]
    if value is None:
        return PasswordSource(None, None)
    match key:
        case "password_file":
            path = directory / value
            return PasswordSource(readSecretFile(table, key, path), path)
        case "password_env":
            return PasswordSource(_fromEnvironment(table, value, environ), None)
        case "password_credential":
            return _fromCredentials(table, value, environ)
    if fileIsPublic:
        text = "stands in a file that everybody on this machine can read; chmod 600, or use password_file"
        table.problems.warn(table.key(key), text)
    return PasswordSource(Secret(value), None)


def readSecretFile(table: Table, key: str, path: Path) -> Secret | None:
    """
    The one line that C{path} holds, without its line end.

    @param key: the key that named it, for messages.
    """
    try:
        mode = path.stat().st_mode
        content = readFile(path)
    except OSError as error:
        table.wrong(key, f"{path} cannot be read: {error.strerror}", "a file that holds the password")
        return None
    if mode & stat.S_IROTH:
        table.problems.warn(table.key(key), f"{path} can be read by everybody on this machine; chmod 600")
    return _clean(table, key, content, str(path))


def parseSecret(content: bytes) -> Secret:
    """
    The one line in C{content}, without its line end.

    @raise ValueError: what it is instead.
    """
    try:
        # Windows' editors put a byte order mark before it.
        text = content.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    if not text:
        raise ValueError("is empty")
    if "\n" in text or len(text) > _LONGEST:
        raise ValueError("holds more than one line of text")
    if not text.isprintable():
        raise ValueError("holds a character that cannot be typed")
    return Secret(text)


def _clean(table: Table, key: str, content: bytes, shown: str) -> Secret | None:
    try:
        return parseSecret(content)
    except ValueError as error:
        table.wrong(key, f"{shown} {error}", "the password, on one line")
        return None


def _fromEnvironment(table: Table, name: str, environ: Mapping[str, str]) -> Secret | None:
    # Anything else may be the password itself, put there by mistake.
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
        table.wrong("password_env", "is no name in capitals", _EXAMPLES["password_env"])
        return None
    if name not in environ:
        table.wrong("password_env", f"{name} is not set in the environment", "the variable's name")
        return None
    return _clean(table, "password_env", environ[name].encode("utf-8", "surrogateescape"), name)


def _fromCredentials(table: Table, name: str, environ: Mapping[str, str]) -> PasswordSource:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name) or name.startswith("."):
        table.wrong("password_credential", "is no credential's name", _EXAMPLES["password_credential"])
        return PasswordSource(None, None)
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        table.wrong(
            "password_credential",
            "CREDENTIALS_DIRECTORY is not set",
            f"LoadCredential={name}:/path in the systemd unit",
        )
        return PasswordSource(None, None)
    path = Path(directory) / name
    return PasswordSource(readSecretFile(table, "password_credential", path), path)
