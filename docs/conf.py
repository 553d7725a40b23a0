"""Sphinx: C{python -m sphinx -n -W docs docs/_build}; skypetrunk has to be installed or in the path."""

import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

_HERE = Path(__file__).parent
for _path in (_HERE, _HERE.parent):
    if str(_path) not in sys.path:
        sys.path.append(str(_path))

import machines  # noqa: E402
import switches  # noqa: E402

from skypetrunk import __version__  # noqa: E402

project = "skypetrunk"
author = "The skypetrunk authors"
copyright = author
version = release = __version__
exclude_patterns = ["_build", "api"]
html_theme = "alabaster"
html_theme_options = {"description": "A secure SIP trunk for IP-PBXes", "page_width": "1000px"}
highlight_language = "none"


class StateMachines(Directive):
    """C{.. state-machines::} stands for the tables of L{machines}."""

    def run(self) -> list[nodes.Node]:
        """Parse them where the directive stands."""
        lines = list(machines.tables())
        self.state_machine.insert_input(StringList(lines, "docs/machines.py"), "docs/machines.py")
        return []


class LabSwitches(Directive):
    """C{.. lab-switches::} stands for the list of L{switches}."""

    def run(self) -> list[nodes.Node]:
        """Parse it where the directive stands."""
        lines = list(switches.paragraphs())
        self.state_machine.insert_input(StringList(lines, "docs/switches.py"), "docs/switches.py")
        return []


def setup(app):  # type: ignore[no-untyped-def]
    """Sphinx calls this."""
    app.add_directive("state-machines", StateMachines)
    app.add_directive("lab-switches", LabSwitches)
    return {"parallel_read_safe": True}
