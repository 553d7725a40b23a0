"""C{skypetrunk init}: a configuration from a carrier profile, options, and a few questions."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Callable
from getpass import getpass
from pathlib import Path

from phonenumbers.shortnumberinfo import SUPPORTED_SHORT_REGIONS
from twisted.python import usage

from skypetrunk.errors import ConfigurationError
from skypetrunk.profiles import CarrierProfile, loadProfile, profileNames, readProfile
from skypetrunk.service.addresses import isHostName
from skypetrunk.service.config import LONGEST_SOCKET, loadConfiguration
from skypetrunk.service.options import CommandOptions
from skypetrunk.tools.template import Answers, Own, completeAddress, isSIPAddress, ownAddress, render

_LINE = 1024
"""Characters of standard input that are read as a password; a good one is shorter."""

_SOCKET = "skypetrunk.sock"
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


class Options(CommandOptions):
    """The command line."""

    synopsis = "[options]"
    longdesc = (
        "Writes a configuration with a comment on every key, and the password into a file of its own that "
        "only you can read. On a terminal it asks for what is missing; elsewhere it says which options are, "
        "and exits with 2. What it writes has passed skypetrunk check."
    )
    optParameters = [
        [
            "profile",
            "p",
            None,
            f"Carrier profile: {', '.join(profileNames())}, or a file. [default: generic]",
        ],
        ["name", None, None, "Name of the trunk, for logs and routes. [default: from the profile]"],
        [
            "domain",
            "d",
            None,
            "SIP domain of the carrier, which its certificate proves. [default: the profile's]",
        ],
        ["username", "u", None, "Account at the carrier."],
        [
            "password-file",
            None,
            None,
            "File that holds the password; - reads it from standard input and stores it.",
        ],
        ["password-env", None, None, "Environment variable that will hold the password."],
        ["password-credential", None, None, "Name of the systemd credential that will hold the password."],
        [
            "ca-file",
            None,
            None,
            "PEM file with the carrier's roots, instead of the profile's or the system's.",
        ],
        [
            "pbx",
            None,
            None,
            "Where calls from the carrier go: udp:ADDRESS:PORT or tcp:ADDRESS:PORT of the PBX.",
        ],
        [
            "listen",
            None,
            None,
            "Where the PBX sends its calls. [default: our address towards the PBX, port 5060]",
        ],
        ["media-address", None, None, "Our literal address for audio. [default: that of --listen]"],
        ["advertise", None, None, "Public address that carriers see, where NAT stands between."],
        ["country", None, None, "Two letters of the country where the PBX stands: its emergency numbers."],
        [
            "certificate",
            None,
            None,
            "PEM file with our certificate and its chain, for a carrier that asks for one.",
        ],
        ["key", None, None, "PEM file with its key."],
        ["inbound", None, None, "Where the carrier connects to us: tls:ADDRESS:PORT."],
        ["host-name", None, None, "Our host name, which that certificate proves, for carriers that call in."],
        ["outside-line", None, None, "What is dialled before an outside number, if the PBX leaves it in."],
        ["output", "o", "trunk.toml", "The file to write; the password goes beside it."],
    ]
    optFlags = [["force", "f", "Replace files that exist."]]

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.servers: list[str] = []
        self.allow: list[str] = []

    def opt_target(self, target: str) -> None:
        """ADDRESS:PORT of the carrier, instead of DNS; may be repeated."""
        self.targets.append(target)

    def opt_dns(self, server: str) -> None:
        """ADDRESS or ADDRESS:PORT of a name server, instead of the system's; may be repeated."""
        self.servers.append(server)

    def opt_allow(self, network: str) -> None:
        """Network from which the PBX may call; may be repeated. [default: the address in --pbx]"""
        self.allow.append(network)


class _Questions:
    """Asks on a terminal; elsewhere collects what would have been asked."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._terminal = sys.stdin.isatty() and sys.stdout.isatty()
        self.missing: list[str] = []

    def text(
        self, option: str, question: str, default: str = "", wrong: Callable[[str], str | None] | None = None
    ) -> str:
        """
        The value of C{option}, or what is answered; empty where nobody can be asked.

        @param wrong: what is wrong with an answer, which is asked for again then: whoever has typed the
            password twice should not begin anew.
        """
        given: str | None = self._options[option]
        if given is not None:
            return given
        if not self._terminal:
            if not default:
                self.missing.append(f"--{option}")
            return default
        while True:
            answer = input(f"{question}{f' [{default}]' if default else ''}: ").strip() or default
            problem = wrong(answer) if answer and wrong is not None else None
            if problem is not None:
                print(problem)
            elif answer:
                return answer

    def yes(self, question: str) -> bool:
        """Is C{question} answered with yes?"""
        return input(f"{question} [yes/no]: ").strip().lower() in ("y", "yes")

    def password(self, required: bool) -> str | None:
        """The password typed twice without an echo; C{None} where there is none, or nobody can be asked."""
        if not required and (not self._terminal or not self.yes("Has the account a password")):
            return None
        if not self._terminal:
            self.missing.append("--password-file (or --password-env, --password-credential)")
            return None
        while True:
            password = getpass("Password at the carrier (not shown): ")
            if password and password == getpass("The same again: "):
                return password
            print("These were not the same, or nothing.")


def main(options: Options) -> int:
    """
    Ask, check and write.

    @raise UsageError: something is missing or in the way, or nothing can be written there.
    @raise ConfigurationError: what was given makes no good configuration.
    """
    output = Path(options["output"])
    _replaceable(output, options["force"])
    if not output.absolute().parent.is_dir():
        raise usage.UsageError(f"there is no directory {output.absolute().parent}")
    questions = _Questions(options)
    try:
        answers, password = _collect(options, questions, output)
        _checkText(answers, password)
    except EOFError:
        print(file=sys.stderr)  # the question's own line is not ended
        raise usage.UsageError("no answer was given, nothing is written") from None
    except UnicodeError:
        text = "an answer is no text in this terminal's encoding, nothing is written"
        raise usage.UsageError(text) from None
    if questions.missing:
        raise usage.UsageError(f"missing: {', '.join(questions.missing)}")
    try:
        written = _write(answers, password, output, options["force"])
    except OSError as problem:
        raise usage.UsageError(f"{output} cannot be written: {problem.strerror}") from None
    print(f"Wrote {' and '.join(map(str, written))}.")
    if answers.profile.notice:
        print(f"Note: {answers.profile.notice}")
    print(f"Next: skypetrunk check {output}, then skypetrunk run --config {output}")
    return 0


def _replaceable(path: Path, force: bool) -> None:
    """
    May a file be written under this name?

    @raise UsageError: something is there, and C{--force} is not given or does not mean it: a device or a link
        would be replaced too, if the directory lets us.
    """
    if not os.path.lexists(path):
        return
    if not force:
        raise usage.UsageError(f"{path} exists; --force replaces it")
    if path.is_symlink() or not path.is_file():
        raise usage.UsageError(f"{path} is no file, but something else, which is not replaced")


def _checkText(answers: Answers, password: str | None) -> None:
    """@raise UnicodeError: something given in another encoding than the terminal's cannot be written."""
    f"{render(answers)}{password}".encode()


def _collect(options: Options, questions: _Questions, output: Path) -> tuple[Answers, str | None]:
    """Everything the file needs, and the password if it is ours to store."""
    directory = output.absolute().parent
    profiles = ", ".join(profileNames())
    name = questions.text("profile", f"Carrier profile ({profiles})", "generic", _wrongProfile)
    own = name.endswith(".toml")
    profile = _profile(name)
    domain = (
        options["domain"]
        or profile.domain
        or questions.text("domain", "SIP domain of the carrier", wrong=_wrongDomain)
    )
    username = questions.text("username", "Account at the carrier", "trunk" if profile.ownName else "")
    source, password = _password(options, questions, output, profile)
    asked = "SIP address of the PBX, as udp:192.0.2.5:5060"
    pbx = completeAddress(questions.text("pbx", asked, wrong=_wrongAddress))
    listen = ""
    if pbx:
        # Without a PBX nobody can say which of our addresses it sees; that it is missing was noted.
        wrong = None if options["pbx"] is None else _wrongAddress(options["pbx"])
        if wrong is not None:
            raise usage.UsageError(f"--pbx {wrong}")
        asked = "Where the PBX sends its calls"
        listen = completeAddress(questions.text("listen", asked, ownAddress(pbx), _wrongAddress))
    return Answers(
        profile=profile,
        profileName=_beside(directory, name) if own else name,
        trunk=options["name"] or ("carrier" if name == "generic" else profile.name),
        domain=domain,
        username=username,
        password=source,
        targets=options.targets,
        caFile=None if options["ca-file"] is None else _beside(directory, options["ca-file"]),
        own=_own(options, questions, directory, profile),
        pbx=pbx,
        listen=listen,
        allow=options.allow,
        mediaAddress=options["media-address"],
        advertise=options["advertise"],
        servers=options.servers,
        country=questions.text(
            "country", "Country where the PBX stands, two letters", wrong=_wrongCountry
        ).upper(),
        outsideLine=options["outside-line"],
        socket=_SOCKET if len(os.fsencode(directory / _SOCKET)) <= LONGEST_SOCKET else None,
    ), password


def _profile(name: str) -> CarrierProfile:
    return readProfile(Path(name)) if name.endswith(".toml") else loadProfile(name)


def _wrongProfile(name: str) -> str | None:
    try:
        _profile(name)
    except ConfigurationError as error:
        return str(error)
    return None


def _wrongDomain(text: str) -> str | None:
    right = "the name that the carrier's certificate proves, without sip: and port"
    return None if isHostName(text) else f'"{text}" is no domain name; would be right: {right}'


def _wrongAddress(text: str) -> str | None:
    right = "udp:192.0.2.5:5060"
    return None if isSIPAddress(completeAddress(text)) else f'"{text}" is no address; would be right: {right}'


def _wrongCountry(text: str) -> str | None:
    return None if text.upper() in SUPPORTED_SHORT_REGIONS else f'"{text}" is no country; would be right: GB'


def _own(options: Options, questions: _Questions, directory: Path, profile: CarrierProfile) -> Own | None:
    """What the carrier knows us by beside the account, if it wants any of that or it was given."""
    names = ("certificate", "key", "inbound", "host-name")
    inbound = profile.ownName or options["inbound"] is not None
    if not (inbound or profile.clientCertificate or any(options[name] for name in names)):
        return None
    certificate = questions.text("certificate", "PEM file with our certificate")
    key = questions.text("key", "PEM file with its key")
    listen = name = roots = None
    if inbound:
        listen = questions.text("inbound", "Where the carrier connects to us, as tls:192.0.2.1:5061")
        name = questions.text("host-name", "Our host name, which the certificate proves")
        if options["ca-file"] is None and profile.caFile is None:
            roots = systemBundle()
            if roots is None:
                questions.missing.append("--ca-file (the system has no bundle of roots)")
    return Own(_beside(directory, certificate), _beside(directory, key), listen, name, roots)


def systemBundle() -> str | None:
    """The file with the system's roots, if it has them in one."""
    found = (ssl.get_default_verify_paths().cafile, *_BUNDLES)
    return next((path for path in found if path is not None and os.path.isfile(path)), None)


def _beside(directory: Path, path: str) -> str:
    """C{path}, which starts where we are, as it is written in a file in C{directory}."""
    return path if os.path.isabs(path) else os.path.relpath(os.path.abspath(path), directory)


def _password(
    options: Options, questions: _Questions, output: Path, profile: CarrierProfile
) -> tuple[tuple[str, str] | None, str | None]:
    """
    Where the password will be.

    @return: key and value for the file, and the password itself if it is ours to store.
    """
    given = [key for key in ("password-file", "password-env", "password-credential") if options[key]]
    if len(given) > 1:
        raise usage.UsageError(f"--{given[1]} stands beside --{given[0]}; one of them is enough")
    stored = ("password_file", f"{output.stem}.secret")
    if not given:
        if profile.clientCertificate and not profile.register:
            return None, None
        typed = questions.password(required=profile.register)
        return (stored, typed) if profile.register or typed is not None else (None, None)
    value = options[given[0]]
    if given[0] == "password-file":
        if value == "-":
            return stored, sys.stdin.readline(_LINE).rstrip("\r\n")
        value = _beside(output.absolute().parent, value)
    return (given[0].replace("-", "_"), value), None


def _private(path: Path, content: str) -> None:
    """Write a file that only its owner can read, from its first moment on."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)


def _write(answers: Answers, password: str | None, output: Path, force: bool) -> list[Path]:
    """
    Write new files, check them as they stand, and only then give them their names.

    @return: what was written.
    """
    secret = output.with_name(f"{output.stem}.secret")
    if password is not None:
        _replaceable(secret, force)
    trial, trialSecret = (path.with_name(f".{path.name}.new") for path in (output, secret))
    environ = dict(os.environ)
    try:
        tried = answers
        if password is not None:
            _private(trialSecret, password + "\n")
            tried = answers.withPassword("password_file", trialSecret.name)
        elif answers.password is not None and answers.password[0] != "password_file":
            # It will be there when the trunk runs.
            tried = answers.withPassword("password_env", "SKYPETRUNK_INIT")
            environ["SKYPETRUNK_INIT"] = "-"
        trial.write_text(render(tried), encoding="utf-8")
        try:
            _, warnings = loadConfiguration(trial, environ)
        except ConfigurationError as error:
            problems = tuple(
                problem.replace(str(trial), str(output), 1).replace(trialSecret.name, secret.name)
                for problem in error.problems
            )
            raise ConfigurationError(problems) from None
        for warning in warnings:
            print(f"warning: {warning.replace(str(trial), str(output), 1)}", file=sys.stderr)
        trial.write_text(render(answers), encoding="utf-8")
        if password is not None:
            trialSecret.replace(secret)
        trial.replace(output)
    finally:
        trial.unlink(missing_ok=True)
        trialSecret.unlink(missing_ok=True)
    return [output, secret] if password is not None else [output]
