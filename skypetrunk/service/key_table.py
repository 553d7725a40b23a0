"""How a trunk agrees SRTP keys: C{keys} and C{mikey_key_file} of its C{[trunk.media]}."""

from __future__ import annotations

import re
from pathlib import Path

from skypetrunk.core.mikey import MIKEY_KEYS, PROTOCOLS
from skypetrunk.core.mikey_messages import LEAST_KEY
from skypetrunk.core.protection import OPPORTUNISTIC, REQUIRED
from skypetrunk.profiles import CarrierProfile
from skypetrunk.profiles.tables import Table
from skypetrunk.service.secrets import readSecretFile
from skypetrunk.wire.secret import Secret

FILE = "mikey_key_file"

_isKey = re.compile(rf"(?:[0-9A-Fa-f]{{2}}){{{LEAST_KEY},}}").fullmatch


def readKeys(
    table: Table, directory: Path, profile: CarrierProfile, srtp: str
) -> tuple[str, Secret | None]:
    """
    The protocol, and the pre-shared key of MIKEY in hexadecimal digits, C{None} where there is none.

    @param table: C{[trunk.media]}; what is wrong is noted in its problems.
    @param directory: where relative paths start.
    @param srtp: one of L{skypetrunk.core.protection.MODES}.
    """
    keys = table.choice("keys", PROTOCOLS, profile.keys)
    name = table.text(FILE, f'{FILE} = "trunk.mikey"')
    if keys != MIKEY_KEYS:
        if name is not None:
            table.wrong(FILE, f'is there, but keys is "{keys}"', f'keys = "{MIKEY_KEYS}"')
        return keys, None
    if srtp == OPPORTUNISTIC:
        # RFC 8643 knows other protocols only: a message that was changed on its way would end in clear.
        table.wrong("keys", f'is "{keys}", but srtp is "{srtp}"', f'srtp = "{REQUIRED}"')
    if profile.mediasec:
        table.wrong("keys", f'is "{keys}", but {profile.title} is told of SDES', f'keys = "{PROTOCOLS[0]}"')
    if name is None:
        return keys, None
    path = directory / name
    key = readSecretFile(table, FILE, path)
    if key is None or _isKey(key.reveal()):
        return keys, key
    right = f"{2 * LEAST_KEY} hexadecimal digits or more, as of openssl rand -hex {LEAST_KEY}"
    table.wrong(FILE, f"{path} holds no key", right)
    return keys, None


__all__ = ["readKeys"]
