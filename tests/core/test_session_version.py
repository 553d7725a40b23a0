"""Tests of L{skypetrunk.core.session_version}: the o= line of what one leg writes."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.session_version import SessionVersion
from skypetrunk.wire.sdp import MediaDescription

ONE = (MediaDescription("audio", 6000, protocol="RTP/AVP", formats=("0",)),)
OTHER = (replace(ONE[0], port=6002),)


class SessionVersionTests(SynchronousTestCase):
    """RFC 3264 section 8."""

    def setUp(self) -> None:
        """A session of which nothing was written."""
        self.version = SessionVersion(77)

    def write(self, media: tuple[MediaDescription, ...]) -> str:
        """The version under which C{media} is written."""
        description = self.version.written(self.version.described("198.51.100.1", media))
        self.assertEqual((description.origin.sessionID, description.origin.address), ("77", "198.51.100.1"))
        self.assertEqual(description.media, media)
        self.assertIs(self.version.last, description)
        return description.origin.version

    def test_changes(self) -> None:
        """By one with each change, and only then."""
        versions = [self.write(media) for media in (ONE, ONE, OTHER, OTHER, ONE)]
        self.assertEqual(versions, ["1", "1", "2", "2", "3"])

    def test_notWritten(self) -> None:
        """What is only described, for another dialog, counts for nothing."""
        self.write(ONE)
        self.assertEqual(self.version.described("198.51.100.1", OTHER).origin.version, "1")
        self.assertEqual(self.write(ONE), "1")

    def test_closed(self) -> None:
        """What follows the end is new, though nothing is there to be compared with."""
        self.write(ONE)
        self.version.close()
        self.assertIsNone(self.version.last)
        self.assertEqual(self.write(OTHER), "2")
