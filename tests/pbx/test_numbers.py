"""Numbers of a country: emergency, and E.164."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.interfaces import INumberPlan
from skypetrunk.pbx.numbers import NumberPlan


class EmergencyTests(SynchronousTestCase):
    """L{NumberPlan.isEmergency}."""

    def test_provides(self) -> None:
        """It is a number plan."""
        self.assertTrue(verifyObject(INumberPlan, NumberPlan("GB")))

    def test_asDialled(self) -> None:
        """Each country has its own numbers, written in any way."""
        for country, numbers in {
            "GB": ("999", "112", "1 1 2", "9-9-9"),
            "US": ("911", "112"),
            "DE": ("110", "112"),
            "JP": ("110", "118", "119"),
            "FR": ("15", "17", "18", "112", "114"),
            "ES": ("112", "061", "091"),
            "AU": ("000",),
        }.items():
            plan = NumberPlan(country)
            for number in numbers:
                self.assertTrue(plan.isEmergency(number), (country, number))

    def test_behindOutsideLine(self) -> None:
        """
        With the outside-line prefix removed: 9911 in the US, 0110 in Germany, and 9999 in Britain;
        the library alone does not know these.
        """
        for country, prefix, number in (
            ("US", "9", "9911"),
            ("DE", "0", "0110"),
            ("DE", "0", "0112"),
            ("GB", "9", "9999"),
            ("GB", "9", "9 112"),
            ("GB", "*9", "*9999"),
        ):
            self.assertTrue(NumberPlan(country, prefix).isEmergency(number), (country, number))
            self.assertFalse(NumberPlan(country).isEmergency(number), (country, number))

    def test_international(self) -> None:
        """A PBX that writes every number with a plus or country code is understood."""
        self.assertTrue(NumberPlan("DE").isEmergency("+112"))
        self.assertTrue(NumberPlan("DE").isEmergency("+49112"))
        self.assertTrue(NumberPlan("US").isEmergency("+1911"))

        for country, numbers in (
            ("US", ("00911", "001911", "900911", "9001911", "011911", "0111911")),
            ("AU", ("00000", "0061000", "9001161000", "00112")),
            ("BR", ("00190", "0055190", "0015190")),
            ("JP", ("00110", "0081119", "010110")),
        ):
            for number in numbers:
                self.assertTrue(NumberPlan(country, "9").isEmergency(number), (country, number))
        self.assertFalse(NumberPlan("US", "9").isEmergency("00442079460018"))
        self.assertTrue(NumberPlan("DE").isEmergency("0049112"))
        self.assertTrue(NumberPlan("DE").isEmergency("49112"))
        self.assertTrue(NumberPlan("US").isEmergency("011911"))
        self.assertTrue(NumberPlan("US", "9").isEmergency("9+1911"))
        self.assertTrue(NumberPlan("US", "9").isEmergency("+19911"))

    def test_realNumbers(self) -> None:
        """What is a number of its own with the country code or a plus is none."""
        plan = NumberPlan("GB", "9", ["2079460018", "118"])
        self.assertTrue(plan.isEmergency("2079460018"))
        for number in ("+442079460018", "00442079460018", "9442079460018"):
            self.assertFalse(plan.isEmergency(number), number)
        self.assertTrue(plan.isEmergency("+44118"))

    def test_codes(self) -> None:
        """Behind a code that hides the caller, on either side of the outside-line prefix; nothing longer."""
        plan = NumberPlan("DE", "0")
        for number in ("*31#112", "0*31#112", "*31#0112", "*31*112#", "##31#+49112", "*67110"):
            self.assertTrue(plan.isEmergency(number), number)
        for number in ("***31##112", "*+49112", "*+112"):
            self.assertTrue(plan.isEmergency(number), number)
        self.assertTrue(NumberPlan("US", "9").isEmergency("*67911"))
        self.assertTrue(NumberPlan("US", "9").isEmergency("*829911"))
        # The outside line looks like a part of the code.
        for line, number in (
            ("*9", "*92999"),
            ("#", "#31999"),
            ("#", "##31999"),
            ("*9", "*9*67999"),
            ("*9", "*31#*9999"),
            ("*9", "*67**9999#"),
        ):
            self.assertTrue(NumberPlan("GB", line).isEmergency(number), number)
        for number in ("*61*112*15#", "*31#1125551234", "*31#", "*5112", "*31#31#112"):
            self.assertFalse(plan.isEmergency(number), number)

    def test_scripts(self) -> None:
        """Digits of any script, marks of what was copied, and the # that ends dialling."""
        plan = NumberPlan("DE")
        wide, arabic = "\uff11\uff11\uff12", "\u0661\u0661\u0662"
        for number in (wide, arabic, "\u202a112\u202c", "1\u2011 1\u20132", "112#"):
            self.assertTrue(plan.isEmergency(number), number)

    def test_list(self) -> None:
        """All numbers of a country, and those of the configuration."""
        self.assertEqual(NumberPlan("GB", "9", ["117"]).emergencyNumbers(), ("112", "117", "999"))
        self.assertEqual(NumberPlan("CN").emergencyNumbers(), ("110", "119", "120", "122"))

    def test_additional(self) -> None:
        """The configuration's own numbers count in the same forms."""
        plan = NumberPlan("GB", "9", ["5555"])
        self.assertTrue(plan.isEmergency("5555"))
        self.assertTrue(plan.isEmergency("95555"))
        self.assertFalse(NumberPlan("GB", "9").isEmergency("5555"))

    def test_ordinary(self) -> None:
        """Numbers that begin or end like one are ordinary, and so is everything that is no number."""
        plan = NumberPlan("US", "9")
        for number in ("9115551234", "15559110911", "911911", "11", "", "+", "9", "anonymous", "sos", "999"):
            self.assertFalse(plan.isEmergency(number), number)

    @settings(deadline=None)
    @given(st.text(max_size=40))
    def test_anything(self, called: str) -> None:
        """No text makes the plan raise."""
        plan = NumberPlan("GB", "9")
        self.assertIsInstance(plan.isEmergency(called), bool)
        self.assertIsInstance(plan.normalise(called), str)


class ReadingsTests(SynchronousTestCase):
    """What a number that is none may come to."""

    def test_readings(self) -> None:
        """Digits behind the number, marks, a 0 behind the country code, prefixes of all kinds."""
        for country, outsideLine, number, wanted in (
            ("GB", "9", "0909879000012345", "+4490987900001234"),
            ("GB", "9", "9090987900001234567", "+44909879000012345"),
            ("GB", "", "+44(0)9098790000", "+449098790000"),
            ("GB", "", "+8-81-631-1000-0012-345", "+881631100000123"),
            ("GB", "", "0088163110000012345", "+881631100000123"),
            ("GB", "", "4490987900001234", "+4490987900001234"),
            ("US", "9", "91900555123499", "+1900555123499"),
            ("US", "", "01188163110000099", "+88163110000099"),
            ("US", "", "00881631100000", "+881631100000"),
            ("IT", "", "+39(0)3471234567", "+393471234567"),
            ("GB", "9", "9*679090987900001234567", "+44909879000012345"),
            ("GB", "", "*21*09098790000*11*20#", "+449098790000"),
            ("GB", "", "*+449098790000", "+449098790000"),
        ):
            found = NumberPlan(country, outsideLine).readings(number)
            prefix = wanted[:12]
            self.assertTrue(any(each.startswith(prefix) for each in found), (number, found))

    def test_valid(self) -> None:
        """What is a number means that one and nothing else."""
        plan = NumberPlan("GB", "9")
        for number in ("02079460018", "00442079460018", "+44 20 7946 0018"):
            self.assertEqual(plan.readings(number), {"+442079460018"})
        for number in ("035123456", "+39035123456", "0039035123456"):
            # Without the 0 it would be a mobile telephone.
            self.assertEqual(NumberPlan("IT").readings(number), {"+39035123456"})

    def test_short(self) -> None:
        """What is called within a town or at the carrier is not taken for another country's."""
        for country, numbers in (
            ("US", ("8761234", "411", "5351234")),
            ("GB", ("441234", "8811", "1471", "118118", "3531234")),
            ("DE", ("900123", "11833")),
        ):
            plan = NumberPlan(country)
            for number in numbers:
                self.assertEqual(plan.readings(number), {number}, country)
        self.assertEqual(NumberPlan("GB").readings("*21#"), frozenset())

    def test_anything(self) -> None:
        """It never fails, and takes no time."""
        for text in ("", "+", "a", "\u0660" * 5000, "+" * 5000, "0" * 100000, "*#", "\ud800"):
            self.assertIsInstance(NumberPlan("DE", "0").readings(text), frozenset)


class NormaliseTests(SynchronousTestCase):
    """L{NumberPlan.normalise}."""

    def test_forms(self) -> None:
        """National, international, with a plus, and behind the outside-line prefix."""
        plan = NumberPlan("GB", "9")
        for called in (
            "02079460018",
            "020 7946 0018",
            "00442079460018",
            "+442079460018",
            "+44 (20) 7946-0018",
            "902079460018",
            "900442079460018",
        ):
            self.assertEqual(plan.normalise(called), "+442079460018", called)

    def test_dialledFormFirst(self) -> None:
        """Behind the German 0 an international call stays one, and a national one is found."""
        plan = NumberPlan("DE", "0")
        self.assertEqual(plan.normalise("00442079460018"), "+442079460018")
        self.assertEqual(plan.normalise("000442079460018"), "+442079460018")
        self.assertEqual(plan.normalise("003021012345"), "+493021012345")

    def test_unchanged(self) -> None:
        """What is no number of the public network stays as it is."""
        plan = NumberPlan("GB", "9")
        for called in ("201", "alice", "*21#", "", "+", "+0044", "99051000000001", "1" * 40):
            self.assertEqual(plan.normalise(called), called)
