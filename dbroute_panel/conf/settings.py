"""
The table of settings, and how they are read.

A value is validated the first time it is read, and kept until the settings change: some are read once a
request. The system checks report values that cannot be used; servers run no checks, so reading one logs it
once and uses the default.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Self, TypeVar, overload

from django.conf import settings
from django.core.signals import setting_changed

from dbroute_panel.conf import validators as valid
from dbroute_panel.conf.validators import Mistake, MistakeKind, Validator
from dbroute_panel.suggestions import did_you_mean

if TYPE_CHECKING:
    from django.http import HttpRequest

logger = logging.getLogger(__name__)

T = TypeVar("T")

DUMMY: Final = "django.db.backends.dummy"
"""The engine of a database that is ``{}`` in ``DATABASES``."""


class Setting(Generic[T]):
    """
    One key of ``DBROUTE_PANEL``, a descriptor of ``PanelSettings``.

    Args:
        default: The value as a project would set it; validated and resolved like one.
        usage: Completes "Use ..." in the hint of a mistake.
        validate: Yields the mistakes of a value.
        resolve: Turns a valid value into what is read.
        or_debug: Read None as ``settings.DEBUG``, as it is at that moment.
    """

    name: str

    def __init__(
        self,
        default: Any,
        usage: str,
        validate: Validator,
        resolve: Callable[[Any], Any] = lambda value: value,
        *,
        or_debug: bool = False,
    ) -> None:
        self.default = default
        self.usage = usage
        self.validate = validate
        self.resolve = resolve
        self.or_debug = or_debug

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: PanelSettings, owner: type) -> T: ...
    def __get__(self, instance: PanelSettings | None, owner: type) -> Any:
        if instance is None:
            return self
        value = instance.read(self)
        return settings.DEBUG if value is None and self.or_debug else value

    def mistakes(self, value: object) -> list[Mistake]:
        """Return what is wrong with ``value``; nothing if it can be used. Never raises."""
        try:
            return [self.mistake(*found) for found in self.validate(value)]
        except Exception as error:  # noqa: BLE001 - a dict, string or module of the user's can raise anything
            return [self.mistake(MistakeKind.VALUE, f"cannot be read: {type(error).__name__}")]

    def mistake(self, kind: MistakeKind, what: str, hint: str = "") -> Mistake:
        """Return the mistake ``what`` of this setting, as a sentence, with a hint."""
        return Mistake(kind, f"DBROUTE_PANEL[{self.name!r}] {what}.", hint or f"Use {self.usage}.")


class PanelSettings:
    """The settings of this package, by the names of the keys; ``override_settings`` works."""

    SHOULD_RECORD = Setting[Callable[["HttpRequest"], bool]](
        "dbroute_panel.recording.should_record",
        "a function (request) -> bool, or its dotted path",
        valid.function,
        valid.load,
    )
    """The function that decides whether the middleware records a request."""

    SAMPLE_RATE = Setting[float](
        0.0, "a number from 0.0 to 1.0", valid.number(int, float, least=0, most=1), float
    )
    """The share of requests recorded when ``DEBUG`` is off, from 0.0 to 1.0."""

    KEEP = Setting[Literal["all", "findings"]]("all", "'all' or 'findings'", valid.one_of("all", "findings"))
    """The traces to keep: all, or those with a finding of level warning or error."""

    RECORD_PARAMS = Setting[bool](
        None, "True, False, or None for settings.DEBUG", valid.instance_of(bool, type(None)), or_debug=True
    )
    """Whether parameter values are kept."""

    CALLSITES = Setting[bool](True, "True or False", valid.instance_of(bool))
    """Whether the file, line and function of the user's code are recorded."""

    USER_PACKAGES = Setting[tuple[str, ...]](
        [], "a list of names of packages, as ['shop']", valid.packages, tuple
    )
    """Packages of the user's code, beside those of the settings and of ``ROOT_URLCONF``."""

    FOLLOW_SESSIONS = Setting[bool](False, "True or False", valid.instance_of(bool))
    """Whether a request's reads are compared with what its session wrote in earlier requests."""

    MAX_EVENTS = Setting[int](10_000, "a whole number from 1", valid.number(int, least=1))
    """The number of events that a trace keeps; those beyond are counted."""

    MAX_TRACES = Setting[int](500, "a whole number from 1", valid.number(int, least=1))
    """The number of traces that the store keeps."""

    REPLICAS = Setting[dict[str, str]](
        {}, "a dict of aliases, as {'replica1': 'primary'}", valid.replicas, dict
    )
    """As set; ``replicas()`` also knows those that ``TEST["MIRROR"]`` names."""

    STORE = Setting[dict[str, Any]](
        {"BACKEND": "dbroute_panel.stores.SQLiteStore", "OPTIONS": {}},
        "a dict, as {'BACKEND': 'dbroute_panel.stores.SQLiteStore', 'OPTIONS': {}}",
        valid.store,
        lambda value: {"BACKEND": value["BACKEND"], "OPTIONS": dict(value.get("OPTIONS", {}))},
    )
    """``BACKEND``, a dotted path, and ``OPTIONS``, a dict. ``stores.get_store()`` makes the store."""

    OTLP_ENDPOINT = Setting[str | None](
        None, "a URL, as 'http://localhost:4318/v1/traces', or None", valid.endpoint
    )
    """The URL that every kept trace is sent to, or None."""

    SILENCED_FINDINGS = Setting[frozenset[str]](
        [], "a list of codes, as ['stale-read']", valid.strings, frozenset
    )
    """The codes of findings that are not reported."""

    FINDINGS = Setting[tuple[Callable[..., Any], ...]](
        [],
        "a list of dotted paths of functions that take a trace",
        valid.functions,
        lambda value: tuple(map(valid.load, value)),
    )
    """The project's own finding functions, imported."""

    SERVER_TIMING = Setting[bool](
        None, "True, False, or None for settings.DEBUG", valid.instance_of(bool, type(None)), or_debug=True
    )
    """Whether the response header is sent."""

    EDITOR_URL = Setting[str | None](
        None, "a URL with {file} and {line}, as 'vscode://file/{file}:{line}', or None", valid.editor_url
    )
    """A URL with ``{file}`` and ``{line}`` that opens the user's editor, or None."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Read every setting again, and log again what is wrong."""
        self._values: dict[str, Any] = {}
        self._logged: dict[str, object] = {}

    def read(self, setting: Setting[Any]) -> Any:
        """Return the resolved value of ``setting``, or its default where the value cannot be used."""
        try:
            return self._values[setting.name]
        except KeyError:
            value = self._values[setting.name] = self._resolve(setting)
            return value

    def _resolve(self, setting: Setting[Any]) -> Any:
        given = getattr(settings, "DBROUTE_PANEL", {})
        if not isinstance(given, dict):
            self._log("", next(all_mistakes(given)).message)
        elif setting.name in given:
            mistakes = setting.mistakes(given[setting.name])
            if not mistakes:
                return setting.resolve(given[setting.name])
            self._log(setting.name, mistakes[0].message)
        return setting.resolve(setting.default)

    def _log(self, name: str, message: str) -> None:
        # Several threads may read a key for the first time at once; setdefault lets one of them log.
        first = object()
        if self._logged.setdefault(name, first) is first:
            logger.error("%s The default is used instead. Run 'manage.py check' for more.", message)


SETTINGS: Final[Mapping[str, Setting[Any]]] = {
    name: setting for name, setting in vars(PanelSettings).items() if isinstance(setting, Setting)
}

panel_settings = PanelSettings()


def all_mistakes(value: object) -> Iterator[Mistake]:
    """Yield everything that is wrong with the whole of ``settings.DBROUTE_PANEL``."""
    if not isinstance(value, dict):
        message = f"DBROUTE_PANEL is of type {type(value).__name__}."
        yield Mistake(MistakeKind.NO_DICT, message, "Make it a dict, as DBROUTE_PANEL = {'MAX_TRACES': 500}.")
        return
    for name in value:
        if name in SETTINGS:
            yield from SETTINGS[name].mistakes(value[name])
        else:
            message = f"DBROUTE_PANEL has no key {name!r}."
            yield Mistake(MistakeKind.UNKNOWN_KEY, message, did_you_mean(str(name), SETTINGS))


def replicas() -> dict[str, str]:
    """
    Return the primary of each replica, by alias: of ``REPLICAS`` and of every ``TEST["MIRROR"]``.

    A replica of a replica has the primary at the end of that chain. Reads ``settings.DATABASES``
    as it is now (aliases may be added at run time) and never ``connections``, which would be
    configured by it.
    """
    databases = settings.DATABASES
    replica_of = {
        alias: mirror
        for alias, database in databases.items()
        if (mirror := (database.get("TEST") or {}).get("MIRROR")) in databases
    }
    replica_of.update(panel_settings.REPLICAS)
    primaries = {alias: valid.find_primary(alias, replica_of) for alias in replica_of}
    return {alias: primary for alias, primary in primaries.items() if primary is not None}


def reset_on_change(*, setting: str, **kwargs: Any) -> None:
    """Reset; for ``DATABASES`` too, which decides whether ``REPLICAS`` is valid."""
    if setting in ("DBROUTE_PANEL", "DATABASES"):
        panel_settings.reset()


setting_changed.connect(reset_on_change, dispatch_uid="dbroute_panel.conf")
