"""
Vendors' plugins: found by C{twisted.plugin.getPlugins}, chosen by name in the configuration.

Without a C{[[plugin]]} nothing is looked for.  With one, every doubt ends the start: a plugin that is not
there or cannot be imported, two of one name, one that fails or is not what it says.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from attrs import define, field
from twisted.application.service import IService
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.plugin import getPlugins
from twisted.python.failure import Failure
from zope.interface import Interface
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject

from skypetrunk.errors import ConfigurationError
from skypetrunk.interfaces import (
    IPBX,
    ICallPolicy,
    ICallRecordSink,
    ICheckedPlugin,
    IDialogObserver,
    IMediaTaps,
    INumberPlan,
    IPBXDialect,
    IVendorPlugin,
)
from skypetrunk.service.plugin_table import PluginConfiguration
from twisted import plugins as dropins

_JOINTS = (ICallPolicy, ICallRecordSink, IDialogObserver, INumberPlan, IPBXDialect, IPBX, IMediaTaps)


@define
class Vendors:
    """
    What the plugins of one trunk have made, by name, in the order of the configuration.

    @ivar numbers: of one plugin, or of none.
    """

    policies: dict[str, ICallPolicy] = field(factory=dict)
    sinks: dict[str, ICallRecordSink] = field(factory=dict)
    observers: dict[str, IDialogObserver] = field(factory=dict)
    numbers: dict[str, INumberPlan] = field(factory=dict)
    dialects: dict[str, IPBXDialect] = field(factory=dict)
    pbxes: dict[str, IPBX] = field(factory=dict)
    taps: dict[str, IMediaTaps] = field(factory=dict)
    services: dict[str, IService] = field(factory=dict)


def findPlugins(names: Sequence[str]) -> Mapping[str, IVendorPlugin]:
    """
    The plugins called so.

    @raise ConfigurationError: one is not there, or is there twice.
    """
    if not names:
        return {}
    broken: list[str] = []

    def observed(event: LogEvent) -> None:
        if isinstance(failure := event.get("log_failure") or event.get("failure"), Failure):
            broken.append(_cause(failure))

    # A dropin that cannot be imported is only logged by Twisted, and passed over.
    observe = cast(ILogObserver, observed)
    globalLogPublisher.addObserver(observe)
    try:
        found = [(_nameOf(plugin), plugin) for plugin in getPlugins(IVendorPlugin)]
    finally:
        globalLogPublisher.removeObserver(observe)
    problems = list(_shadowed())
    chosen: dict[str, IVendorPlugin] = {}
    for name in names:
        fitting = [plugin for known, plugin in found if known == name]
        if len(fitting) == 1:
            chosen[name] = fitting[0]
            continue
        if fitting:
            origins = " and ".join(sorted(type(plugin).__module__ for plugin in fitting))
            problems.append(f"plugin.{name}: there are {len(fitting)} of this name, in {origins}")
            continue
        known = ", ".join(sorted(known for known, _ in found)) or "none"
        why = "".join(f"; {cause}" for cause in broken)
        problems.append(f"plugin.{name}: there is no such plugin; installed: {known}{why}")
    if problems:
        raise ConfigurationError(tuple(problems))
    return chosen


def _nameOf(plugin: IVendorPlugin) -> str:
    """What C{plugin} is called.  One without a name, which anybody may have installed, harms no other."""
    name: object = getattr(plugin, "name", None)
    return name if isinstance(name, str) else f"one without a name in {type(plugin).__module__}"


def _cause(failure: Failure) -> str:
    """Which dropin could not be imported, in one line."""
    # A dropin that is no Python has no frame of its own.
    text = f"{getattr(failure.value, 'filename', '')}\n{failure.getTraceback()}"
    origin = re.findall(r"twisted[/\\]plugins[/\\](\w+)\.py", text)
    where = f"twisted/plugins/{origin[-1]}.py" if origin else "a module of twisted/plugins"
    return f"{where} cannot be imported: {type(failure.value).__name__}: {failure.getErrorMessage()}"


def _shadowed() -> Iterator[str]:
    """Of two dropins of one file name Twisted takes one, and says nothing."""
    seen: dict[str, Path] = {}
    for directory in dict.fromkeys(Path(each).resolve() for each in dropins.__path__):
        for path in sorted(directory.glob("*.py")):
            first = seen.setdefault(path.name, path)
            if first != path and first.read_bytes() != path.read_bytes():
                yield f"plugin: {first} and {path} have one name; Twisted would take one of them"


def checkChosen(vendors: Vendors, dialects: Mapping[str, str], pbxes: Mapping[str, str]) -> None:
    """
    Every plugin that a PBX names is what it is named for, and each that is nothing else is named.

    @param dialects: the plugins of the PBXes whose C{dialect} names one, by the name of the PBX.
    @param pbxes: those of the PBXes in this process.
    @raise ConfigurationError: which is not.
    """
    problems: list[str] = []
    kinds: tuple[tuple[str, type[Interface], Mapping[str, object], Mapping[str, str]], ...] = (
        ("dialect", IPBXDialect, vendors.dialects, dialects),
        ("plugin", IPBX, vendors.pbxes, pbxes),
    )
    for key, joint, known, chosen in kinds:
        problems += [
            f"pbx.{pbx}.{key}: the plugin {plugin} provides no {joint.__name__}"
            for pbx, plugin in chosen.items()
            if plugin not in known
        ]
        for name, made in known.items():
            others = any(other.providedBy(made) for other in _JOINTS if other is not joint)
            if not others and name not in chosen.values():
                problems.append(f'plugin.{name}: no pbx uses it; would be right: {key} = "{name}" in one')
    if problems:
        raise ConfigurationError(tuple(problems))


def createVendors(configured: Sequence[PluginConfiguration], reactor: Any, directory: Path) -> Vendors:
    """
    Find the plugins, and let each make what it is for.

    @raise ConfigurationError: with the name of the plugin.
    """
    found = findPlugins([each.name for each in configured])
    vendors = Vendors()
    for each in configured:
        name = each.name
        with _named(name):
            verifyObject(IVendorPlugin, found[name])
            made = found[name].create(reactor, each.settings, directory)
        _sort(vendors, name, made)
    return vendors


def checkSettings(configured: Sequence[PluginConfiguration], directory: Path) -> Collection[str]:
    """
    Find the plugins, and let each that can do so look at its settings; none makes anything.

    @return: the names of those that did.
    @raise ConfigurationError: every mistake, with the name of the plugin.
    """
    found = findPlugins([each.name for each in configured])
    looked: list[str] = []
    problems: list[str] = []
    for each in configured:
        plugin = found[each.name]
        try:
            with _named(each.name):
                verifyObject(IVendorPlugin, plugin)
                if ICheckedPlugin.providedBy(plugin):
                    looked.append(each.name)
                    verifyObject(ICheckedPlugin, plugin)
                    plugin.check(each.settings, directory)
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(tuple(problems))
    return looked


@contextmanager
def _named(name: str) -> Iterator[None]:
    """
    What a plugin does to us.

    @raise ConfigurationError: it has failed, with its name.
    """
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(tuple(f"plugin.{name}: {line}" for line in error.problems)) from error
    except Invalid as error:
        text = " ".join(str(error).split())
        raise ConfigurationError((f"plugin.{name}: {text}",)) from error
    except (Exception, SystemExit) as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigurationError((f"plugin.{name}: failed: {text}{_place(error)}",)) from error


def _place(error: BaseException) -> str:
    """Where in the plugin it failed, for who wrote it; where in Python itself says nothing to anybody."""
    python = os.path.dirname(os.__file__) + os.sep
    installed = (os.path.join(python, "site-packages"), os.path.join(python, "dist-packages"))
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == __file__:
            return ""
        if not frame.filename.startswith(python) or frame.filename.startswith(installed):
            return f" ({'/'.join(Path(frame.filename).parts[-2:])}, line {frame.lineno})"
    return ""


def _sort(vendors: Vendors, name: str, made: Any) -> None:
    provided = [joint for joint in _JOINTS if joint.providedBy(made)]
    if not provided:
        known = ", ".join(joint.__name__ for joint in _JOINTS)
        text = f"create returned {type(made).__name__}, which provides none of {known}"
        raise ConfigurationError((f"plugin.{name}: {text}",))
    for joint in provided:
        with _named(name):
            verifyObject(joint, made)
    if ICallPolicy.providedBy(made):
        vendors.policies[name] = made
    if ICallRecordSink.providedBy(made):
        vendors.sinks[name] = made
    if IDialogObserver.providedBy(made):
        vendors.observers[name] = made
    if INumberPlan.providedBy(made):
        if vendors.numbers:
            other = next(iter(vendors.numbers))
            raise ConfigurationError((f"plugin.{name}: {other} is a number plan already; there can be one",))
        vendors.numbers[name] = made
    if IPBXDialect.providedBy(made):
        vendors.dialects[name] = made
    if IPBX.providedBy(made):
        vendors.pbxes[name] = made
    if IMediaTaps.providedBy(made):
        vendors.taps[name] = made
    if IService.providedBy(made):
        vendors.services[name] = made


__all__ = ["Vendors", "checkChosen", "checkSettings", "createVendors", "findPlugins"]
