"""Tests of L{skypetrunk.wire.secret}."""

from __future__ import annotations

import copy
import pickle

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.wire.secret import Secret


class SecretTests(SynchronousTestCase):
    """L{Secret} shows nothing and still compares."""

    def test_reveal(self) -> None:
        """The text comes out of C{reveal} alone."""
        self.assertEqual(Secret("mÄrker\udcff").reveal(), "mÄrker\udcff")

    def test_hidden(self) -> None:
        """No way of printing shows it, in a container neither."""
        secret = Secret("marker")
        shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>30}", f"{secret:>30}", f"{[secret]}"]
        shown += ["%s %r" % (secret, secret), "{0} {0!s}".format(secret)]  # noqa: UP031, UP030, UP032
        for text in shown:
            self.assertIn("<hidden>", text)
            self.assertNotIn("marker", text)

    def test_equal(self) -> None:
        """Equal texts are equal; nothing else is, also not the text itself."""
        self.assertEqual(Secret("ä\udcff"), Secret("ä\udcff"))
        self.assertNotEqual(Secret("marker"), Secret("markeR"))
        self.assertNotEqual(Secret("marker"), "marker")

    def test_notCopiedOut(self) -> None:
        """It is neither pickled nor copied nor hashed, and the refusals do not show it."""
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy, hash):
            error = self.assertRaises(TypeError, attempt, Secret("marker"))
            self.assertNotIn("marker", str(error))

    def test_noAttributes(self) -> None:
        """There is no C{__dict__} that a debugger's or logger's dump would show."""
        self.assertFalse(hasattr(Secret("marker"), "__dict__"))
