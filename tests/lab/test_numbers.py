"""Numbers as the practice carrier takes them."""

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import CallRefused
from skypetrunk.lab.numbers import EMERGENCY, TEST_NUMBERS, Behaviour, behaviourOf, digitsOf


class NumberFormTests(SynchronousTestCase):
    """Skype Connect facts 6.1.2: C{+CC}, C{00CC} and C{CC}, never a national form."""

    def test_threeForms(self) -> None:
        """All three name the same number."""
        for called in ("+442079460001", "00442079460001", "442079460001"):
            self.assertEqual(digitsOf(called), "442079460001")

    def test_onlyTheFormsTaken(self) -> None:
        """A form that is switched off is an unknown number."""
        self.assertEqual(digitsOf("+442079460001", ["plus"]), "442079460001")
        for called in ("00442079460001", "442079460001"):
            refused = self.assertRaises(CallRefused, digitsOf, called, ["plus"])
            self.assertEqual(refused.status, 404)

    def test_others(self) -> None:
        """National and malformed numbers are refused with 404, short ones with 484."""
        for called, status in [
            ("02079460001", 404),
            ("", 404),
            ("alice", 404),
            ("+", 404),
            ("+44 20", 404),
            ("+4420", 484),
            ("1" * 16, 404),
            ("\u0661" * 8, 404),
        ]:
            self.assertEqual(self.assertRaises(CallRefused, digitsOf, called).status, status, called)

    def test_emergency(self) -> None:
        """Emergency numbers get 403, with and without a plus, and the reason names the rule."""
        for number in EMERGENCY:
            for called in (number, "+" + number):
                refused = self.assertRaises(CallRefused, digitsOf, called)
                self.assertEqual(refused.status, 403)
                self.assertIn("Emergency", str(refused))


class BehaviourTests(SynchronousTestCase):
    """What numbers do."""

    def test_everyBehaviourHasANumber(self) -> None:
        """Each behaviour can be dialled."""
        self.assertEqual(set(TEST_NUMBERS.values()), set(Behaviour))
        for digits, behaviour in TEST_NUMBERS.items():
            self.assertEqual(behaviourOf(digitsOf("+" + digits)), behaviour)

    def test_anyOther(self) -> None:
        """An ordinary number is answered."""
        self.assertEqual(behaviourOf("493012345678"), Behaviour.TONE)
