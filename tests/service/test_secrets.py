"""Where passwords come from, and that they are never told."""

from __future__ import annotations

from skypetrunk.wire.secret import Secret
from tests.service.configurations import MARKER, SHORT, ConfigurationTestCase

_FILE = 'password_file = "skype.secret"'


class PasswordTests(ConfigurationTestCase):
    """The four keys of a trunk's password."""

    def password(self, key: str, environ: dict[str, str] | None = None) -> Secret | None:
        """The password of a configuration with C{key} in place of the file."""
        configuration, warnings = self.load(SHORT.replace(_FILE, key), environ)
        self.assertEqual(warnings, ())
        return configuration.trunks[0].password

    def test_file(self) -> None:
        """Beside the configuration, or at a path; line end and byte order mark are no part of it."""
        self.assertEqual(self.password(_FILE), Secret(MARKER))
        self.write("other", "\ufeff with blanks \r\n")
        path = self.directory / "other"
        self.assertEqual(self.password(f'password_file = "{path}"'), Secret(" with blanks "))

    def test_environment(self) -> None:
        """A variable."""
        found = self.password('password_env = "TRUNK_PASSWORD"', {"TRUNK_PASSWORD": MARKER})
        self.assertEqual(found, Secret(MARKER))

    def test_credential(self) -> None:
        """systemd's credentials directory."""
        found = self.password(
            'password_credential = "skype.secret"', {"CREDENTIALS_DIRECTORY": str(self.directory)}
        )
        self.assertEqual(found, Secret(MARKER))

    def test_inPlace(self) -> None:
        """In the file itself without a warning, while nobody else can read it."""
        self.assertEqual(self.password(f'password = "{MARKER}"'), Secret(MARKER))

    def test_warnings(self) -> None:
        """Files that everybody can read are warned of, without what is in them."""
        text = SHORT.replace(_FILE, f'password = "{MARKER}"')
        _, warnings = self.load(text, mode=0o644)
        self.assertEqual(
            warnings,
            (
                f"{self.directory / 'trunk.toml'}: trunk.carrier.password: stands in a file that "
                "everybody on this "
                "machine can read; chmod 600, or use password_file",
            ),
        )
        _, warnings = self.load(SHORT, mode=0o644)
        self.assertEqual(warnings, ())
        path = self.write("skype.secret", MARKER, 0o644)
        _, warnings = self.load(SHORT)
        self.assertEqual(
            warnings,
            (
                f"{self.directory / 'trunk.toml'}: trunk.carrier.password_file: {path} can be read by "
                "everybody "
                "on this machine; chmod 600",
            ),
        )

    def test_none(self) -> None:
        """A carrier that registers needs one."""
        self.assertProblem(
            _FILE,
            "",
            'trunk.carrier.password_file: is missing; would be right: password_file = "trunk.secret" or '
            'password_env = "TRUNK_PASSWORD" or password_credential = "trunk"',
            base=SHORT,
        )

    def test_two(self) -> None:
        """Two of them would leave open which one counts."""
        self.assertProblem(
            _FILE,
            f'{_FILE}\npassword = "{MARKER}"',
            "trunk.carrier.password: stands beside password_file; would be right: one of password_file, "
            "password_env, password_credential, password",
            base=SHORT,
        )

    def test_files(self) -> None:
        """Files that are missing, empty, or something else."""
        self.write("empty", "\n")
        self.write("several", f"{MARKER}\n{MARKER}\n")
        self.write("binary", b"\xff\x00" + MARKER.encode())
        self.write("long", "x" * 513)
        self.write("tab", f"{MARKER}\tx")
        for name, wrong, right in (
            ("none", "cannot be read: No such file or directory", "a file that holds the password"),
            (".", "cannot be read: Is a directory", "a file that holds the password"),
            ("/dev/zero", "cannot be read: File too large", "a file that holds the password"),
            ("empty", "is empty", "the password, on one line"),
            ("several", "holds more than one line of text", "the password, on one line"),
            ("binary", "is not UTF-8 text", "the password, on one line"),
            ("tab", "holds a character that cannot be typed", "the password, on one line"),
            ("long", "holds more than one line of text", "the password, on one line"),
        ):
            shown = str(self.directory) if name == "." else name
            self.assertProblem(
                "skype.secret",
                name,
                f"trunk.carrier.password_file: {shown} {wrong}; would be right: {right}",
                base=SHORT,
            )

    def test_environmentProblems(self) -> None:
        """A variable that is not set; the password itself in its place, which is not shown."""
        self.assertProblem(
            _FILE,
            'password_env = "TRUNK_PASSWORD"',
            "trunk.carrier.password_env: TRUNK_PASSWORD is not set in the environment; would be right: "
            "the variable's name",
            base=SHORT,
        )
        self.assertProblem(
            _FILE,
            f'password_env = "{MARKER}"',
            "trunk.carrier.password_env: is no name in capitals; "
            'would be right: password_env = "TRUNK_PASSWORD"',
            base=SHORT,
        )

    def test_credentialProblems(self) -> None:
        """No directory given; a name that leaves it."""
        self.assertProblem(
            _FILE,
            'password_credential = "trunk"',
            "trunk.carrier.password_credential: CREDENTIALS_DIRECTORY is not set; would be right: "
            "LoadCredential=trunk:/path in the systemd unit",
            base=SHORT,
        )
        self.assertProblem(
            _FILE,
            'password_credential = "../trunk"',
            "trunk.carrier.password_credential: is no credential's name; would be right: "
            'password_credential = "trunk"',
            base=SHORT,
        )

    def test_wrongTypes(self) -> None:
        """A password of digits without quotes is not told either."""
        problems = self.problems(SHORT.replace(_FILE, "password = 4711471147114711"))
        self.assertEqual(
            problems,
            ["trunk.carrier.password: is a whole number; would be right: a text, or better password_file"],
        )
