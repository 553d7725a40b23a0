"""Every form that a secret could leak in, and where it did."""

from __future__ import annotations

import base64
import gc
import hashlib
import json
import urllib.parse
from collections.abc import Iterable, Mapping


def formsOf(secret: bytes) -> set[bytes]:
    """
    As it is, in hex, in URL forms, escaped as Python and JSON do, and in base64 at each of the three
    places that it may begin in; an SRTP master key with salt (30 octets) also each alone.
    """
    parts = [secret, secret[:16], secret[16:]] if len(secret) == 30 else [secret]
    forms = set()
    for part in parts:
        forms |= {part, part.hex().encode(), part.hex(" ").encode(), part.hex(":").encode()}
        forms |= {repr(part)[2:-1].encode(), repr(list(part)).encode()}
        forms |= {urllib.parse.quote(part, safe=safe).encode() for safe in ("", "/", "+/=&")}
        forms.add(urllib.parse.quote_plus(part).encode())
        try:
            text = part.decode()
        except UnicodeDecodeError:
            pass
        else:
            forms |= {repr(text)[1:-1].encode(), json.dumps(text)[1:-1].encode(), text.encode("utf-16-le")}
        for before in range(3):
            whole = base64.b64encode(bytes(before) + part)
            # Only the characters whose six bits are all the secret's.
            own = whole[-(-before * 8 // 6) : (before + len(part)) * 8 // 6]
            forms |= {own, own.translate(bytes.maketrans(b"+/", b"-_"))}
    return {form.lower() for form in forms}


def passwordForms(username: str, realm: str, password: str) -> set[bytes]:
    """Of a password, and of the hashes that are as good as it (RFC 7616 section 5.13)."""
    forms = formsOf(password.encode())
    for algorithm in ("md5", "sha256"):
        digest = hashlib.new(algorithm, f"{username}:{realm}:{password}".encode()).digest()
        forms |= formsOf(digest)
    return forms


def leaks(forms: Iterable[bytes], outputs: Mapping[str, bytes]) -> list[str]:
    """Where one of C{forms} stands: the output's name and what comes before."""
    found = []
    for name, output in outputs.items():
        lowered = output.lower()
        for form in forms:
            where = lowered.find(form)
            if where >= 0:
                found.append(f"{name}: {output[max(0, where - 60) : where]!r}...")
    return found


def representations(package: str) -> dict[str, bytes]:
    """The repr and str of each live object whose class C{package} has, by kind and number."""
    found = {}
    for number, each in enumerate(gc.get_objects()):
        kind = type(each)
        if str(getattr(kind, "__module__", "")).startswith(package):
            name = f"{kind.__module__}.{kind.__qualname__} {number}"
            found[name] = f"{each!r} {each!s}".encode("utf-8", "backslashreplace")
    return found
