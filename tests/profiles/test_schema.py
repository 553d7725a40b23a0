"""The JSON Schema of profiles, for editors and other programs, says what the reader takes, and no more."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk import profiles
from skypetrunk.errors import ConfigurationError
from skypetrunk.profiles import CarrierProfile, profileNames, readProfile

HERE = Path(profiles.__file__).parent
SCHEMA = json.loads((HERE / "schema.json").read_text("utf-8"))
KEYS: dict[str, dict[str, Any]] = SCHEMA["properties"]

COMPANY = {"anonymous": 'caller_header = "remote-party-id"', "min_se": "session_expires = 86400"}
"""What some keys need beside them."""

_TYPES = {"string": str, "integer": int, "boolean": bool, "array": list}


def mistakes(value: object, schema: dict[str, Any]) -> Iterator[str]:
    """What is wrong with C{value}, as far as these schemas say anything."""
    if "anyOf" in schema:
        if all(list(mistakes(value, each)) for each in schema["anyOf"]):
            yield f"{value!r} is none of {schema['anyOf']}"
        return
    if "enum" in schema:
        if value not in schema["enum"]:
            yield f"{value!r} is none of {schema['enum']}"
        return
    if type(value) is not _TYPES[schema["type"]]:
        yield f"{value!r} is no {schema['type']}"
    elif isinstance(value, str) and len(value) < schema.get("minLength", 0):
        yield "an empty text"
    elif isinstance(value, list):
        for each in value:
            yield from mistakes(each, schema["items"])
        if len(value) < schema.get("minItems", 0):
            yield "an empty list"
        if schema.get("uniqueItems") and len(set(value)) < len(value):
            yield "something twice"
    elif isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{value} is out of range"


class SchemaTests(SynchronousTestCase):
    """Compared with L{readProfile}."""

    def read(self, text: str, title: str = 'title = "A"') -> CarrierProfile:
        """The profile that C{text} is."""
        path = Path(self.mktemp())
        path.write_text(f"{title}\n{text}\n")
        return readProfile(path, "mine.toml")

    def takes(self, key: str, value: object) -> bool:
        """Does the reader take it?"""
        try:
            line = f"{key} = {json.dumps(value)}"
            self.read(COMPANY.get(key, ""), line if key == "title" else f'title = "A"\n{line}')
        except ConfigurationError:
            return False
        return True

    def test_keys(self) -> None:
        """The same keys, and only the title is required."""
        with self.assertRaises(ConfigurationError) as caught:
            self.read("zzzzzzzz = 1")
        (problem,) = caught.exception.problems
        known = re.split(" or ", problem.partition("would be right: ")[2])
        self.assertEqual(sorted(known), sorted(KEYS))
        self.assertEqual((SCHEMA["required"], SCHEMA["additionalProperties"]), (["title"], False))

    def test_defaults(self) -> None:
        """What is said to be the default is: written down it changes nothing."""
        plain = self.read("")
        defaults = {key: each["default"] for key, each in KEYS.items() if "default" in each}
        written = [f"{key} = {json.dumps(value)}" for key, value in defaults.items()]
        self.assertGreater(len(written), 25)
        self.assertEqual(evolve(self.read("\n".join(written)), name=plain.name), plain)

    def test_values(self) -> None:
        """Each word is taken and no other, each number up to its bounds and none beyond, each type."""
        for key, schema in KEYS.items():
            values: list[object] = [*schema.get("enum", ()), "zzzzzzzz", 7, 1.5, True, [], [7], {}]
            if schema.get("type") == "integer":
                low, high = schema["minimum"], schema["maximum"]
                values += [low, high, low - 1, high + 1]
            if key == "suites":
                values += [[each] for each in schema["items"]["enum"]] + [["AES_CM_128_HMAC_SHA1_80"] * 2]
            if key == "codecs":
                values += [[each] for each in schema["items"]["enum"]] + [["PCMA"] * 2, ["cn"]]
            if key == "failover":
                values += [[each] for each in (407, 408, 409, 480, 499, 500, 599, 600)]
            for value in values:
                said = not list(mistakes(value, schema))
                if said and key in ("ca_file", "servers", "target_names", "uri_parameters") and value:
                    continue  # files and the syntax of names are the reader's alone
                self.assertEqual(self.takes(key, value), said, f"{key} = {value!r}")

    def test_packaged(self) -> None:
        """Every profile of the package is one by the schema, which it names."""
        for name in profileNames():
            text = (HERE / f"{name}.toml").read_text("utf-8")
            self.assertTrue(text.startswith("#:schema schema.json\n"), name)
            for key, value in tomllib.loads(text).items():
                self.assertEqual(list(mistakes(value, KEYS[key])), [], f"{name}: {key}")
