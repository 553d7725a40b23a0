"""From the command to a registered trunk, with the practice carrier on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bench.lab import Lab, Trunks, environment
from bench.table import Figure, Row, ratio

RUNS = 11

_IMPORTS = (
    "import twisted.scripts.twistd, twisted.internet.reactor, skypetrunk.service.trunk; print(flush=True)"
)


def measure() -> Figure:
    """Each start beside one of Python alone with the same modules, in turn."""
    whole, imports, cpu = [], [], []
    with Lab() as lab:
        with Trunks(lab) as trunk:  # the first one compiles, and fills the system's caches
            trunk.waitRegistered()
        for _ in range(RUNS):
            imports.append(_imported(lab.directory))
            with Trunks(lab) as trunk:
                whole.append(trunk.waitRegistered()[0] - trunk.begun)
                cpu.append(trunk.program.seconds())
    rows = (
        Row("Python and the modules, nothing done", tuple(imports), "s"),
        Row("until registered", tuple(whole), "s", ratio(whole, imports)),
        Row("CPU until registered", tuple(cpu), "s"),
    )
    return Figure(f"twistd -n skypetrunk: DNS, TLS, OCSP, challenged REGISTER; {RUNS} starts", "start", rows)


def _imported(directory: Path) -> float:
    """
    Seconds until Python has imported what the trunk imports; how it ends does not count.

    @param directory: to be in; in a checkout its source would be imported, which may not be compiled.
    """
    begun = time.monotonic()
    everything = {**os.environ, **environment()}
    command = [sys.executable, "-c", _IMPORTS]
    with subprocess.Popen(command, cwd=directory, env=everything, stdout=subprocess.PIPE) as python:
        assert python.stdout is not None
        python.stdout.readline()
        return time.monotonic() - begun
