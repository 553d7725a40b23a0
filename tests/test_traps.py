"""
The traps L1 to L12 that makers of clients for TLS and SDES trunks fell into, and told of: each is a test of
its own, where it would bite.  This one sees that none is missing.
"""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase


class TrapTests(SynchronousTestCase):
    """The list of them."""

    def test_all(self) -> None:
        """Each trap has a test that is named after it, beside the layer that it belongs to."""
        tests = Path(__file__).parent
        named: dict[int, set[str]] = {}
        for path in tests.glob("*/test_*.py"):
            for number in re.findall(r"    def test_L(\d+)_", path.read_text("utf-8")):
                named.setdefault(int(number), set()).add(path.parent.name)
        self.assertEqual(sorted(named), list(range(1, 13)))
        self.assertEqual(named[1] | named[2] | named[11], {"media"})
        self.assertEqual(named[3] | named[5], {"net"})
        self.assertEqual(named[4], {"service"})
