"""
The instance of a trunk (RFC 5626 section 4.1): what a registrar knows it by, the same after each start,
so that a trunk finds what it left behind.
"""

from __future__ import annotations

import os
from pathlib import Path
from platform import node
from uuid import UUID, uuid5

#: Names of machines, configurations and trunks become UUIDs in here.
_NAMESPACE = UUID("7a6f1c0e-6a53-4e52-9d0b-0b1c5d2f8e11")

#: systemd's, and D-Bus's before it.
_MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def machineID() -> str:
    """What tells this machine from others; of two that are copies of each other at least the name differs."""
    for path in _MACHINE_IDS:
        try:
            return f"{path.read_text('ascii').strip()} {node()}"
        except (OSError, UnicodeDecodeError):
            pass
    return node()


def instanceURN(machine: str, configuration: Path, trunk: str, account: str) -> str:
    """
    C{urn:uuid:...}, lower case.  It tells nobody what it was made of.

    @param machine: see L{machineID}.
    @param configuration: the file, from wherever it is named; two processes on one machine have two.
    @param account: C{user@domain}.
    """
    name = "\n".join((machine, ascii(os.path.abspath(configuration)), trunk, account))
    return f"urn:uuid:{uuid5(_NAMESPACE, name)}"


__all__ = ["instanceURN", "machineID"]
