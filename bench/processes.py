"""The programs that are measured: starting them, and what the kernel says they used (Linux: F</proc>)."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

LOWEST, HIGHEST = 10000, 32000
"""Ports are taken below those that the kernel gives away by itself."""

_given: set[int] = set()


class Missing(Exception):
    """A program to compare with is not here; the text says how to get it."""


class Failed(Exception):
    """A program did not do what was to be measured."""


def find(name: str, howToGet: str) -> str:
    """
    The path of a program: beside this Python, or on the path.

    @raise Missing: it is in neither place.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise Missing(f"{name} is not installed: {howToGet}")
    return found


def privateMemory(process: int) -> int:
    """Octets that are a process's own: what would be free if it ended."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return (sizes["Private_Clean"] + sizes["Private_Dirty"]) * 1024


def takePorts(address: str, count: int = 1) -> int:
    """The first, even, of C{count} ports in a row that are free for UDP and TCP; never given twice."""
    for _ in range(500):
        first = random.randrange(LOWEST, HIGHEST - count) & ~1
        wanted = range(first, first + count)
        if _given.isdisjoint(wanted) and all(_isFree(address, port) for port in wanted):
            _given.update(wanted)
            return first
    raise Failed(f"no {count} free ports at {address}")


def _isFree(address: str, port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as trial:
            try:
                trial.bind((address, port))
            except OSError:
                return False
    return True


class Program:
    """One process, and its log file."""

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        name: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """
        @param directory: its working directory, where C{name.log} takes what it writes.
        """
        self.name = name
        self.log = directory / f"{name}.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=directory,
                env=None if environment is None else {**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def written(self) -> str:
        """What it has written so far."""
        return self.log.read_text("utf-8", "replace")

    def waitUntil(self, ready: Callable[[], bool], seconds: float, pause: float = 0.02) -> None:
        """
        Wait until it is, asking every C{pause} seconds.

        @raise Failed: it has ended, or is not within C{seconds}.
        """
        end = time.monotonic() + seconds
        while not ready():
            status = self._process.poll()
            if status is not None or time.monotonic() > end:
                reason = f"not within {seconds:g} s" if status is None else f"ended with status {status}"
                raise Failed(f"{self.name}: {reason}:\n{self.written()[-2000:]}")
            time.sleep(pause)

    @property
    def children(self) -> list[int]:
        """Processes that it has started, and that run."""
        pid = self._process.pid
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def seconds(self, child: int | None = None) -> float:
        """CPU seconds used so far by all its threads, in user and kernel; or by those of a child."""
        tasks = Path(f"/proc/{child or self._process.pid}/task")
        try:
            # Nanoseconds; a thread that has ended is forgotten, but none of these programs ends any.
            used = sum(int((each / "schedstat").read_text().split()[0]) for each in tasks.iterdir())
        except OSError:
            # A kernel without scheduler statistics.  The second field is a name, and may have spaces.
            stat = (tasks.parent / "stat").read_text().rpartition(")")[2].split()
            return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
        return used / 1e9

    def waited(self, child: int | None = None) -> float:
        """Seconds in which its threads could have run, but other programs had the cores; 0 where unknown."""
        tasks = Path(f"/proc/{child or self._process.pid}/task")
        try:
            return sum(int((each / "schedstat").read_text().split()[1]) for each in tasks.iterdir()) / 1e9
        except OSError:
            return 0.0

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def memory(self) -> int:
        """Octets that are its own: what would be free if it ended."""
        return privateMemory(self._process.pid)

    def stop(self) -> None:
        """SIGTERM, and after a while SIGKILL."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(8)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
