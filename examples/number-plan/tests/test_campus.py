"""The plan by itself, and in a real trunk."""

from __future__ import annotations

from pathlib import Path

from skypetrunk_campus import CampusNumbers, campusNumbers
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import ConfigurationError
from skypetrunk.interfaces import ICheckedPlugin, IVendorPlugin
from skypetrunk.lab.calls import Phase
from skypetrunk.testing import NumberPlanConformance
from skypetrunk.testing.stage import TONE, Stage


class CampusNumbersTests(NumberPlanConformance, SynchronousTestCase):
    """What is an extension, and what is not."""

    emergency = ("5555", "+442079465555")

    def makePlan(self) -> CampusNumbers:
        """The campus."""
        return campusNumbers({"range": "+44207946", "gate": "5555"})

    def test_extensions(self) -> None:
        """Four digits, as a keypad has them, and nothing else."""
        plan = self.makePlan()
        self.assertEqual(plan.normalise("0002"), TONE)
        for number in ("002", "00002", "00a2", "\u0660\u0660\u0660\u0662", TONE):
            self.assertEqual(plan.normalise(number), number)

    def test_settings(self) -> None:
        """Every mistake at once."""
        with self.assertRaises(ConfigurationError) as caught:
            campusNumbers({"range": "44", "x": 1})
        self.assertEqual(len(caught.exception.problems), 3)

    def test_check(self) -> None:
        """C{skypetrunk check} asks the plugin, which makes nothing for it."""
        [plugin] = [each for each in getPlugins(IVendorPlugin) if each.name == "campus"]
        self.assertTrue(verifyObject(ICheckedPlugin, plugin))
        directory = Path(self.mktemp())
        directory.mkdir()
        plugin.check({"range": "+44207946", "gate": "5555"}, directory)
        self.assertRaises(ConfigurationError, plugin.check, {"x": 1}, directory)


class TrunkTests(TestCase):
    """Found by the trunk, and used by it."""

    timeout = 30

    async def test_gateHouse(self) -> None:
        """The gate house goes back to the PBX, as do the country's emergency numbers; others go their way."""
        from twisted.internet import reactor

        settings = 'settings = { range = "+44207946", gate = "5555" }'
        stage = Stage(reactor, ["[[plugin]]", 'name = "campus"', settings])
        self.addCleanup(stage.close)
        await stage.start()
        for number in ("5555", "+442079465555", "999"):
            self.assertEqual((await stage.dial(number)).status, 503, number)
        self.assertEqual(stage.trunk.manager.emergencies, 3)
        call = await stage.dial(TONE)
        self.assertIs(call.phase, Phase.ANSWERED)
        call.hangUp()
        await stage.idle()
