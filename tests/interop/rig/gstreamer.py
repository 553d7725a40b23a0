"""
MIKEY messages as GStreamer reads and writes them: its library for SDP, called in a process of its own, as it
may hang.

As a program it takes one JSON object from its standard input, and gives one back.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_size_t, c_uint, c_uint8, c_uint16, c_uint32
from ctypes import c_void_p as Pointer
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parent.parent.parent.parent
_SECONDS = 20

_KEMAC, _RAND, _POLICY, _KEY_DATA = 1, 11, 10, 20


def readMessage(octets: bytes) -> dict[str, Any]:
    """
    What it reads in a message.

    @return: C{type}, C{verify}, C{bundle}, C{sessions} (policy, SSRC, ROC), C{payloads} (types), C{keys}
        (type and octets), C{caps} (what it would protect with), and C{written}, the message written again.
    @raise AssertionError: it does not take the message.
    """
    return _asked({"read": octets.hex()})


def writeMessage(ssrc: int, key: bytes, random: bytes) -> bytes:
    """A message with two crypto sessions, the first of that SSRC, and one TEK generation key."""
    return bytes.fromhex(_asked({"ssrc": ssrc, "key": key.hex(), "random": random.hex()})["message"])


def fromCaps(caps: str) -> bytes:
    """The message that it makes for an SRTP stream."""
    return bytes.fromhex(_asked({"caps": caps})["message"])


def _asked(question: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="st-") as scratch:
        # It would look for plugins, and write down in the home directory what it has found: into a new file
        # that takes the place of the one that is named, whatever that is.
        without = {"GST_PLUGIN_SYSTEM_PATH": scratch, "GST_REGISTRY": f"{scratch}/registry"}
        done = subprocess.run(
            [sys.executable, "-m", "tests.interop.rig.gstreamer"],
            cwd=_ROOT,
            env={**os.environ, **without, "GST_REGISTRY_FORK": "no"},
            input=json.dumps(question),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    if done.returncode:
        raise AssertionError(f"GStreamer: {done.stdout}{done.stderr}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


class _Object(Structure):
    _fields_ = (
        ("type", c_size_t),
        ("references", c_int),
        ("lock", c_int),
        ("flags", c_uint),
        ("functions", Pointer * 3),
        ("private", c_uint),
        ("pointer", Pointer),
    )


class _Payload(Structure):
    _fields_ = (("object", _Object), ("type", c_int), ("length", c_uint))


class _Message(Structure):
    _fields_ = (
        ("object", _Object),
        ("version", c_uint8),
        ("type", c_int),
        ("verify", c_int),
        ("prf", c_int),
        ("bundle", c_uint32),
    )


class _Session(Structure):
    _fields_ = (("policy", c_uint8), ("ssrc", c_uint32), ("roc", c_uint32))


class _KeyData(Structure):
    _fields_ = (("payload", _Payload), ("type", c_int), ("length", c_uint16), ("key", Pointer))


class _Library:
    """The functions that are used."""

    def __init__(self) -> None:
        self._sdp = ctypes.CDLL("libgstsdp-1.0.so.0")
        self._core = ctypes.CDLL("libgstreamer-1.0.so.0")
        self._glib = ctypes.CDLL("libglib-2.0.so.0")
        self._core.gst_init.argtypes = [Pointer, Pointer]
        self._core.gst_init(None, None)
        self._core.gst_caps_from_string.argtypes = [c_char_p]
        self._core.gst_caps_from_string.restype = Pointer
        self._core.gst_caps_to_string.argtypes = [Pointer]
        self._core.gst_caps_to_string.restype = c_char_p
        self._glib.g_bytes_get_data.argtypes = [Pointer, Pointer]
        self._glib.g_bytes_get_data.restype = Pointer

    def call(self, name: str, result: Any, *arguments: Any) -> Any:
        """One of libgstsdp's functions; whole numbers are C{int} unless they are given as something else."""
        function = getattr(self._sdp, f"gst_mikey_{name}")
        function.restype = result
        return function(*arguments)

    def caps(self, text: str) -> Any:
        """Caps of that text."""
        return Pointer(self._core.gst_caps_from_string(text.encode()))

    def text(self, caps: Any) -> str:
        """The text of caps."""
        text: bytes = self._core.gst_caps_to_string(caps)
        return text.decode()

    def octets(self, message: Any) -> bytes:
        """A message as octets."""
        made = Pointer(self.call("message_to_bytes", Pointer, message, None, None))
        length = c_size_t()
        data = self._glib.g_bytes_get_data(made, byref(length))
        return ctypes.string_at(data, length.value)

    def read(self, octets: bytes) -> dict[str, Any]:
        """See L{readMessage}."""
        size = c_size_t(len(octets))
        found = self.call("message_new_from_data", POINTER(_Message), octets, size, None, None)
        assert found, "it is refused"
        count = self.call("message_get_n_cs", c_uint, found)
        sessions = [
            self.call("message_get_cs_srtp", POINTER(_Session), found, each).contents for each in range(count)
        ]
        count = self.call("message_get_n_payloads", c_uint, found)
        payloads = [
            self.call("message_get_payload", POINTER(_Payload), found, each) for each in range(count)
        ]
        keys = []
        for payload in payloads:
            if payload.contents.type == _KEMAC:
                for each in range(self.call("payload_kemac_get_n_sub", c_uint, payload)):
                    key = self.call("payload_kemac_get_sub", POINTER(_KeyData), payload, each).contents
                    keys.append((key.type, ctypes.string_at(key.key, key.length).hex()))
        caps = self.caps("application/x-srtp")
        assert self.call("message_to_caps", c_int, found, caps), "it makes no caps"
        return {
            "type": found.contents.type,
            "verify": bool(found.contents.verify),
            "bundle": found.contents.bundle,
            "sessions": [(each.policy, each.ssrc, each.roc) for each in sessions],
            "payloads": [each.contents.type for each in payloads],
            "keys": keys,
            "caps": self.text(caps),
            "written": self.octets(found).hex(),
        }

    def write(self, ssrc: int, key: bytes, random: bytes) -> bytes:
        """See L{writeMessage}."""
        message = Pointer(self.call("message_new", Pointer))
        self.call("message_set_info", c_int, message, 1, 0, 0, 0, c_uint32(0x12345678), 0)
        for each in (ssrc, 0):
            self.call("message_add_cs_srtp", c_int, message, 0, c_uint32(each), 0)
        self.call("message_add_t_now_ntp_utc", c_int, message)
        self.call("message_add_rand", c_int, message, len(random), random)
        policy = Pointer(self.call("payload_new", Pointer, _POLICY))
        self.call("payload_sp_set", c_int, policy, 0, 0)
        for kind, value in ((0, 1), (1, 16), (2, 1), (11, 4)):
            self.call("payload_sp_add_param", c_int, policy, kind, 1, bytes((value,)))
        self.call("message_add_payload", c_int, message, policy)
        data = Pointer(self.call("payload_new", Pointer, _KEY_DATA))
        self.call("payload_key_data_set_key", c_int, data, 0, len(key), key)
        transport = Pointer(self.call("payload_new", Pointer, _KEMAC))
        self.call("payload_kemac_set", c_int, transport, 0, 0)
        self.call("payload_kemac_add_sub", c_int, transport, data)
        self.call("message_add_payload", c_int, message, transport)
        return self.octets(message)


def main() -> None:
    """Answer one question."""
    question = json.loads(sys.stdin.read())
    library = _Library()
    match question:
        case {"read": octets}:
            answer = library.read(bytes.fromhex(octets))
        case {"caps": caps}:
            message = Pointer(library.call("message_new_from_caps", Pointer, library.caps(caps)))
            answer = {"message": library.octets(message).hex()}
        case {"ssrc": ssrc, "key": key, "random": random}:
            octets = library.write(ssrc, bytes.fromhex(key), bytes.fromhex(random))
            answer = {"message": octets.hex()}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
