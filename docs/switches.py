"""
The switches of the lab as text: read from its table, so that it cannot be out of date.

C{python docs/switches.py} prints them in reStructuredText; C{conf.py} puts them into the page on the lab.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from skypetrunk.lab.switches import SWITCHES


def paragraphs() -> Iterator[str]:
    """The lines of a definition list."""
    for switch in SWITCHES:
        wanted = (
            "" if switch.values and "," not in switch.kind.wanted else f"{switch.kind.wanted}; "
        )
        yield f"``{switch.name}``"
        yield from _wrapped(
            f"{wanted}{'default' if wanted else 'Default'} ``{switch.default}``.  {switch.words}"
        )
        yield ""
        if switch.values:
            yield from (f"    * ``{name}``: {words}" for name, words in switch.values.items())
            yield ""


def _wrapped(text: str) -> Iterator[str]:
    yield from textwrap.wrap(text, 110, initial_indent="    ", subsequent_indent="    ")


if __name__ == "__main__":
    print("\n".join(paragraphs()))
