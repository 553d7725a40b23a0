"""
The layers: every import points down, and none installs a reactor.

printable, values, errors and interfaces < wire < core < net | media | pbx | profiles < service < lab < tools;
C{testing} may import all and is imported by none.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import skypetrunk

ROOT = Path(skypetrunk.__file__).parent

LAYERS: tuple[tuple[str, ...], ...] = (
    ("", "printable", "values", "errors", "interfaces"),
    ("wire",),
    ("core",),
    ("net", "media", "pbx", "profiles"),
    ("service",),
    ("lab",),
    ("tools",),
    ("testing",),
)
"""From the ground up; those of one line stand side by side.  The empty name is the package itself."""

RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names}

FORBIDDEN_IN_CORE = {
    "asyncio",
    "datetime",
    "os",
    "select",
    "selectors",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
}
"""What would do I/O or read a clock."""


@dataclass(frozen=True)
class Import:
    """
    One import statement's one module.

    @ivar source: the module it stands in, as C{core.dialog}; without C{skypetrunk}.
    @ivar target: the absolute name of what is imported.
    @ivar line: where.
    @ivar typing: it stands below C{if TYPE_CHECKING}.
    """

    source: str
    target: str
    line: int
    typing: bool

    def __str__(self) -> str:
        return f"{self.source or '__init__'} line {self.line} imports {self.target}"

    @property
    def layer(self) -> str:
        """The layer that imports."""
        return self.source.split(".")[0]

    @property
    def targetLayer(self) -> str | None:
        """The layer that is imported; C{None} for other packages."""
        head, *rest = self.target.split(".")
        if head != "skypetrunk":
            return None
        return rest[0] if rest and rest[0] in RANKS else ""


def importsOf(text: str, source: str) -> Iterator[Import]:
    """Every import in C{text}, also inside functions, where it is only later."""
    tree = ast.parse(text)
    typing: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            typing.update(inner for statement in node.body for inner in ast.walk(statement))
    package = ("skypetrunk." + source).rstrip(".").split(".")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(source, alias.name, node.lineno, node in typing)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                # What is imported may be a module (from skypetrunk import wire) or a value: with its
                # name behind the origin both show their layer.
                yield Import(source, f"{origin}.{alias.name}", node.lineno, node in typing)


def allImports() -> Iterator[Import]:
    """Every import of the package."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        source = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield from importsOf(path.read_text("utf-8"), source)


def isWrong(found: Import) -> bool:
    """Does C{found} point up or to the side?"""
    target = found.targetLayer
    if target is None or target == found.layer:
        return False
    if found.layer in ("errors", "interfaces"):
        # They are annotated with the values that cross the joints, and need none of them to run.
        return not (found.typing and target == "wire") and RANKS[target] > 0
    return RANKS[target] >= RANKS[found.layer] and RANKS[target] > 0


class LayerTests(SynchronousTestCase):
    """The package as it stands."""

    def test_known(self) -> None:
        """Every module belongs to a layer, and there are some."""
        names = {
            path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
        }
        self.assertEqual({"" if name == "__init__" else name for name in names}, set(RANKS))
        self.assertGreater(len(list(allImports())), 100)

    def test_downwards(self) -> None:
        """No import points up, or to a layer beside."""
        self.assertEqual([str(found) for found in allImports() if isWrong(found)], [])

    def test_wireIsPure(self) -> None:
        """wire uses the standard library, itself, the errors and what makes values."""
        wrong = [
            str(found)
            for found in allImports()
            if found.layer == "wire"
            and found.targetLayer not in ("wire", "errors", "values")
            and found.target.split(".")[0] not in sys.stdlib_module_names
        ]
        self.assertEqual(wrong, [])

    def test_coreDoesNothingByItself(self) -> None:
        """core (and wire) does no I/O and reads no clock."""
        wrong = [
            str(found)
            for found in allImports()
            if found.layer in ("wire", "core") and found.target.split(".")[0] in FORBIDDEN_IN_CORE
        ]
        self.assertEqual(wrong, [])

    def test_noReactor(self) -> None:
        """Importing any module, or the plugin, installs no reactor: that is the operator's choice."""
        modules = ["skypetrunk"]
        for path in sorted(ROOT.rglob("*.py")):
            parts = path.relative_to(ROOT.parent).with_suffix("").parts
            modules.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
        program = (
            "import importlib, sys\n"
            "for name in sys.argv[1:]:\n"
            "    importlib.import_module(name)\n"
            "    if 'twisted.internet.reactor' in sys.modules: sys.exit(name + ' installs a reactor')\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, *modules, "twisted.plugins.skypetrunk_plugin"],
            env={**os.environ, "PYTHONPATH": str(ROOT.parent)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(done.returncode, 0, done.stderr)


class ReaderTests(SynchronousTestCase):
    """The test's own reader finds what it looks for."""

    def wrong(self, source: str, text: str) -> list[bool]:
        """For each import of C{text} in C{source}: is it wrong?"""
        return [isWrong(found) for found in importsOf(text, source)]

    def test_up(self) -> None:
        """Each way to write an import that points up, to the side, or from a function."""
        for source, text in (
            ("wire.uri", "from skypetrunk.core.dialog import Dialog"),
            ("wire.uri", "from skypetrunk import core"),
            ("wire.uri", "import skypetrunk.core.dialog"),
            ("wire.uri", "from ..core import dialog"),
            ("core.x", "def f():\n  import skypetrunk.net"),
            ("net.tls", "from skypetrunk.media import srtp"),
            ("media.srtp", "from skypetrunk.profiles import loadProfile"),
            ("lab.carrier", "from skypetrunk.tools import main"),
            ("tools.main", "import skypetrunk.testing"),
            ("errors", "import skypetrunk.wire"),
            ("errors", "if TYPE_CHECKING:\n  import skypetrunk.core"),
            ("interfaces", "import skypetrunk.wire.uri"),
            ("interfaces", "if TYPE_CHECKING:\n  import skypetrunk.core.dialog"),
            ("core.x", "if TYPE_CHECKING:\n  import skypetrunk.service.config"),
        ):
            self.assertEqual(self.wrong(source, text), [True], text)

    def test_down(self) -> None:
        """What may be."""
        for source, text in (
            ("wire.uri", "from skypetrunk.wire.grammar import Parameters"),
            ("wire.uri", "from .grammar import Parameters"),
            ("wire.uri", "from skypetrunk.errors import MalformedMessage"),
            ("core.dialog", "from skypetrunk.wire import uri"),
            ("core.dialog", "import skypetrunk.interfaces"),
            ("core.dialog", "from skypetrunk import __version__"),
            ("service.trunk", "import skypetrunk.net.tls"),
            ("tools.demo", "from skypetrunk.lab import carrier"),
            ("testing", "from skypetrunk.tools import main"),
            ("interfaces", "if TYPE_CHECKING:\n  import skypetrunk.wire.uri"),
            ("core.dialog", "import attrs"),
        ):
            self.assertEqual(self.wrong(source, text), [False], text)
