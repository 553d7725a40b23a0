"""Peers as processes: started, waited for, ended by their own id, their output kept."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

TEMPLATES = Path(__file__).parent / "templates"


class PeerFailed(AssertionError):
    """A peer is missing, did not start, or ended when it should not have."""


def waitUntil(condition: Callable[[], object], seconds: float, what: str, pause: float = 0.02) -> None:
    """
    Wait until C{condition} is true, asking every C{pause} seconds.

    @raise AssertionError: it was not within C{seconds}.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(pause)


def program(name: str) -> str:
    """The path of a peer's program.  One that is not installed is a failure, never a skip."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")
    if found is None:
        raise PeerFailed(f"{name} is not installed: see CONTRIBUTING for the packages of the interop tests")
    return found


def render(template: str, target: Path, values: Mapping[str, object]) -> None:
    """Write C{template} to C{target}, each C{@@NAME@@} replaced; one without a value is an error."""
    text = (TEMPLATES / template).read_text()
    for name, value in values.items():
        text = text.replace(f"@@{name}@@", str(value))
    rest = [line for line in text.splitlines() if "@@" in line]
    if rest:
        raise ValueError(f"{template}: no value for {rest}")
    target.write_text(text)


class Peer:
    """
    One process.

    @ivar name: for its log and for messages; unique within a test.
    @ivar scratch: the test's directory.
    @ivar log: where its standard output and standard error go.
    """

    def __init__(self, scratch: Path, name: str) -> None:
        self.scratch = scratch
        self.name = name
        self.log = scratch / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._files: list[IO[bytes]] = []

    def start(self) -> None:
        """Start it and wait until it can be used."""
        raise NotImplementedError

    def launch(
        self,
        arguments: Sequence[str],
        *,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
        output: Path | None = None,
        input: bool = False,
    ) -> None:
        """
        Start the process.

        @param output: where standard output goes when it is not the log's.
        @param input: give it a standard input that stays open and silent.
        """
        log = self.log.open("ab")
        self._files.append(log)
        stdout = log
        if output is not None:
            stdout = output.open("ab")
            self._files.append(stdout)
        self._process = subprocess.Popen(
            list(arguments),
            cwd=directory or self.scratch,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE if input else subprocess.DEVNULL,
            stdout=stdout,
            stderr=log,
            start_new_session=True,  # a group of its own, so that its children can be ended with it
        )
        atexit.register(self._kill)

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    def running(self) -> bool:
        """Has it been started and not yet ended?"""
        return self._process is not None and self._process.poll() is None

    def waitFor(
        self, condition: Callable[[], object], seconds: float, what: str, pause: float = 0.02
    ) -> None:
        """L{waitUntil}, but fail at once when the process ends meanwhile."""

        def check() -> bool:
            if condition():
                return True
            if not self.running():
                raise PeerFailed(f"{self.name} ended before: {what}\n{self.tail()}")
            return False

        waitUntil(check, seconds, f"{self.name}: {what}", pause)

    def waitEnded(self, seconds: float) -> int:
        """
        Wait until it ends by itself.

        @return: its exit status; negative for a signal.
        """
        assert self._process is not None
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {seconds:g} s\n{self.tail()}") from None
        self._closed()
        return status

    def stop(self, seconds: float = 5.0) -> int | None:
        """End it: TERM, and KILL after C{seconds}.  Harmless when it has ended or never started."""
        if self._process is None:
            return None
        if self.running():
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._kill()
        self._closed()
        return self._process.returncode

    def _kill(self) -> None:
        # The group is this process's own (start_new_session), so nobody else can be hit.
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(5)

    def _closed(self) -> None:
        assert self._process is not None
        atexit.unregister(self._kill)
        if self._process.stdin is not None:
            self._process.stdin.close()
        for file in self._files:
            file.close()
        self._files.clear()

    def text(self) -> str:
        """The log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self, lines: int = 40) -> str:
        """The end of the log, for failure messages."""
        return "\n".join([f"--- {self.log.name}", *self.text().splitlines()[-lines:]])
