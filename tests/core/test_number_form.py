"""Tests of L{skypetrunk.core.number_form}."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.number_form import FORMS, readNumber, writeNumber
from skypetrunk.pbx.numbers import NumberPlan

PLAN = NumberPlan("GB", "9")


class FormTests(SynchronousTestCase):
    """Numbers as a neighbour wants and writes them."""

    def test_write(self) -> None:
        """A national, international or outside number in each form; an extension and a name as they are."""
        for dialled in ("02079460018", "+442079460018", "00442079460018", "902079460018"):
            self.assertEqual(
                [writeNumber(dialled, form, PLAN) for form in FORMS],
                [dialled, "+442079460018", "00442079460018", "442079460018"],
            )
        for dialled in ("201", "alice", "anonymous", ""):
            self.assertEqual({writeNumber(dialled, form, PLAN) for form in FORMS}, {dialled})

    def test_read(self) -> None:
        """What the carrier writes, with a plus; what has another form is left alone."""
        for number, form, wanted in (
            ("442079460018", "bare", "+442079460018"),
            ("00442079460018", "00", "+442079460018"),
            ("+442079460018", "plus", "+442079460018"),
            ("+442079460018", "bare", "+442079460018"),
            ("442079460018", "00", "442079460018"),
            ("442079460018", "as-dialled", "442079460018"),
            ("02079460018", "bare", "02079460018"),
            ("112", "bare", "112"),
            ("1" * 16, "bare", "1" * 16),
            ("00112", "00", "00112"),
            ("account", "bare", "account"),
        ):
            self.assertEqual(readNumber(number, form), wanted)

    @settings(deadline=None)
    @given(st.sampled_from(FORMS), st.integers(10**8, 10**10 - 1))
    def test_roundTrip(self, form: str, number: int) -> None:
        """What was written for a carrier is read from it as the same number."""
        e164 = f"+49{number}"
        self.assertEqual(readNumber(writeNumber(e164, form, PLAN), form), e164)
