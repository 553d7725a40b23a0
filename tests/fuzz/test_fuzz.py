"""
What needs no coverage-guided fuzzer: every seed, seeded mutations of them, and the time that hostile input
takes.  C{make fuzz} looks further.
"""

from __future__ import annotations

from random import Random
from time import process_time

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.hostile import hostile, plain
from tests.fuzz.targets import TARGETS, folders, seeds

MUTATIONS = 600
"""For each target: about a second for all."""

SIZE = 65536

MULTIPLE = 30
"""
Hostile octets take so much longer than plain ones of the same size, at most.  Seen are up to 15 times, as
they are more lines, values or escapes; anything quadratic would take thousands.
"""


class Mutator:
    """Changes octets, with what matters in SIP more often than chance would; always in the same way."""

    WORDS = (b"\r\n", b"\r\n ", b"\r\n\r\n", b'"', b"\\", b"<", b">", b";", b",", b":", b"=", b"%", b"\xff")

    def __init__(self, pool: list[bytes]) -> None:
        self._random = Random(4475)
        self._pool = pool

    def next(self) -> bytes:
        """One more input."""
        random = self._random
        data = bytearray(random.choice(self._pool))
        for _ in range(random.randint(1, 6)):
            at = random.randrange(len(data) + 1)
            end = min(at + random.choice((1, 2, 4, 16, 64)), len(data))
            match random.randrange(6):
                case 0:
                    del data[at:end]
                case 1:
                    data[at:at] = random.choice(self.WORDS) * random.choice((1, 1, 2, 40))
                case 2:
                    data[at:at] = data[at:end]
                case 3:
                    data[at:end] = random.randbytes(end - at)
                case 4:
                    other = random.choice(self._pool)
                    begin = random.randrange(len(other) + 1)
                    data[at:end] = other[begin : begin + 64]
                case 5 if at < len(data):
                    data[at] ^= 1 << random.randrange(8)
        return bytes(data)


class FuzzTests(SynchronousTestCase):
    """All targets."""

    def test_seeds(self) -> None:
        """Every seed passes, and each target has some."""
        for name, target in TARGETS.items():
            self.assertGreater(len(seeds(name)), 5, name)
            self.assertTrue(all(folder.is_dir() for folder in folders(name)))
            for seed in seeds(name):
                target(seed)

    def test_mutations(self) -> None:
        """No change of a seed makes a target fail."""
        for name, target in TARGETS.items():
            mutator = Mutator(seeds(name))
            for number in range(MUTATIONS):
                data = mutator.next()
                try:
                    target(data)
                except Exception as problem:
                    raise AssertionError(f"{name}, number {number}: {data!r}") from problem

    def test_mutator(self) -> None:
        """It makes the same inputs each time, and many different ones."""
        pool = seeds("message")
        one, other = Mutator(pool), Mutator(pool)
        made = [one.next() for _ in range(200)]
        self.assertEqual(made, [other.next() for _ in range(200)])
        self.assertGreater(len(set(made)), 190)

    def test_time(self) -> None:
        """64 KiB of anything take at most a fixed multiple of 64 KiB of what an honest peer would send."""

        def seconds(data: bytes) -> float:
            begun = process_time()
            TARGETS[name](data)
            return process_time() - begun

        for name in TARGETS:
            # Less than a clock can be trusted with is no measure of anything.
            bound = MULTIPLE * max(*(seconds(plain(name, SIZE)) for _ in range(3)), 0.001)
            for data in hostile(name, SIZE):
                # Another process may have taken the first measure's time.
                if seconds(data) > bound:
                    self.assertLess(min(seconds(data) for _ in range(3)), bound, (name, data[:100]))
