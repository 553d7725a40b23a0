"""Tests of L{skypetrunk.service.key_table}: what is said of the agreement of keys before any call."""

from __future__ import annotations

from skypetrunk.tools.check import summary
from tests.service.configurations import SHORT, ConfigurationTestCase

KEY = "00112233445566778899aabbccddeeFF"


class KeyTableTests(ConfigurationTestCase):
    """C{keys} and C{mikey_key_file}."""

    def text(self, *lines: str, profile: str = "generic") -> str:
        """A configuration with these lines in C{[trunk.media]}."""
        table = "\n".join(["[trunk.media]", *lines])
        return SHORT.replace("[[pbx]]", f"{table}\n[[pbx]]", 1).replace('"generic"', f'"{profile}"')

    def line(self, text: str) -> str:
        """What C{skypetrunk check} says of the trunk."""
        configuration, _ = self.load(text)
        (line,) = [line for line in summary(configuration) if line.startswith("trunk ")]
        self.assertNotIn(KEY, repr(configuration))
        return line

    def test_default(self) -> None:
        """SDES, of which nothing is said; a profile may say otherwise, and the trunk again."""
        media = self.load(SHORT)[0].trunks[0].media
        self.assertEqual((media.keys, media.mikeyKey), ("sdes", None))
        self.assertNotIn("MIKEY", self.line(SHORT))
        self.write("own.toml", 'title = "Own"\nkeys = "mikey"\n')
        self.assertIn("keys by MIKEY in clear", self.line(self.text(profile="own.toml")))
        self.assertNotIn("MIKEY", self.line(self.text('keys = "sdes"', profile="own.toml")))

    def test_key(self) -> None:
        """The key stands in a file, which nobody else should be able to read."""
        text = self.text('keys = "mikey"', 'mikey_key_file = "trunk.mikey"')
        self.write("trunk.mikey", f"{KEY}\n")
        configuration, warnings = self.load(text)
        key = configuration.trunks[0].media.mikeyKey
        assert key is not None
        self.assertEqual((key.reveal(), warnings), (KEY, ()))
        self.assertIn("keys by MIKEY with a pre-shared key", self.line(text))
        self.write("trunk.mikey", f"{KEY}\n", 0o644)
        (warning,) = self.load(text)[1]
        self.assertIn("trunk.carrier.media.mikey_key_file: ", warning)
        self.assertIn("can be read by everybody", warning)

    def test_wrong(self) -> None:
        """What is no key is told, and not shown; a key without MIKEY is a mistake."""
        text = self.text('keys = "mikey"', 'mikey_key_file = "trunk.mikey"')
        for content in (KEY[2:], KEY + "0", "x" * 32, f"0x{KEY}"):
            self.write("trunk.mikey", content)
            (problem,) = self.problems(text)
            self.assertIn("media.mikey_key_file: trunk.mikey holds no key; would be right: 32 hex", problem)
            self.assertNotIn(content, problem)
        (problem,) = self.problems(self.text('keys = "mikey"', 'mikey_key_file = "none"'))
        self.assertIn("none cannot be read", problem)
        (problem,) = self.problems(self.text('mikey_key_file = "trunk.mikey"'))
        self.assertIn('mikey_key_file: is there, but keys is "sdes"', problem)
        (problem,) = self.problems(self.text('keys = "dtls"'))
        self.assertIn('trunk.carrier.media.keys: is "dtls"; would be right: sdes or mikey', problem)

    def test_opportunistic(self) -> None:
        """A message that somebody spoilt must not end in clear: MIKEY is for SRTP that is required."""
        (problem,) = self.problems(self.text('keys = "mikey"', 'srtp = "opportunistic"'))
        wanted = 'media.keys: is "mikey", but srtp is "opportunistic"; would be right: srtp = "required"'
        self.assertIn(wanted, problem)

    def test_mediasec(self) -> None:
        """A carrier that is told of SDES in REGISTER is not offered something else."""
        self.write("own.toml", 'title = "Own"\nmediasec = true\n')
        (problem,) = self.problems(self.text('keys = "mikey"', profile="own.toml"))
        self.assertIn('media.keys: is "mikey", but Own is told of SDES', problem)
