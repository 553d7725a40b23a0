"""Tests of L{skypetrunk.service.open_files}."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase

import skypetrunk
from skypetrunk.service.open_files import allowOpenFiles
from tests.service.configurations import SHORT

_PROGRAM = """\
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512))
from skypetrunk.service.tap import Options, makeService
options = Options()
options.parseOptions(["--config", sys.argv[1]])
try:
    makeService(options)
except SystemExit:
    pass  # the address is of no machine
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


class AllowTests(SynchronousTestCase):
    """L{allowOpenFiles}."""

    def test_raised(self) -> None:
        """The lower limit becomes the higher one; once there it stays."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(200, soft), hard))
        for _ in range(2):
            self.assertEqual(allowOpenFiles(), hard)


class ServiceTests(TestCase):
    """The trunk does so."""

    async def test_made(self) -> None:
        """A service that is made has room for calls."""
        path = Path(self.mktemp())
        path.mkdir()
        (path / "skype.secret").write_text("hunter2")
        (path / "skype.secret").chmod(0o600)
        (path / "trunk.toml").write_text(SHORT)
        environ = {**os.environ, "PYTHONPATH": str(Path(skypetrunk.__file__).parent.parent)}
        out, err, status = await getProcessOutputAndValue(
            sys.executable, ["-c", _PROGRAM, str(path / "trunk.toml")], environ
        )
        self.assertEqual((out, status), (b"(512, 512)\n", 0), err)
