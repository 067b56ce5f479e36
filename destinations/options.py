"""Reads a destination's options strictly; says what is wrong in terms of the configuration.

Some keys are common to every destination and belong to the engine (who may be sent, what happens on
leaving); an adapter takes those it needs and lets the others pass. Any other key that it does not
know is a mistake in the file. Values are never repeated in a message: one of them is a token.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, ValidationError

from connector.domain import Rate
from connector.errors import ConfigError
from destinations.http import is_loopback

COMMON_KEYS = frozenset(
    {
        "type",
        "requires",
        "match_on",
        "create_missing",
        "membership",
        "properties",
        "on_leave",
        "send_scores_to_holdouts",
        "recheck_missing_after",
        "reconcile_every",
        "rate_limit",
    }
)
"""Keys that the engine validates and uses."""


class Options(BaseModel):
    """Base of an adapter's options: strict, frozen, silent about values."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


_STRETCH = re.compile(r"per_([1-9]\d{0,5})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

OptionsT = TypeVar("OptionsT", bound=Options)


def _secure_url(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if not url.host or not (
        url.scheme == "https" or (url.scheme == "http" and is_loopback(url.host))
    ):
        raise ValueError("must be an https URL (http only to this machine)")
    if url.userinfo:
        raise ValueError("must not hold a user name or password")
    return text


def _header_safe(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be non-empty ASCII without spaces or line breaks")
    return secret


def _stretches(limits: Mapping[str, int]) -> Mapping[str, int]:
    for key, requests in limits.items():
        if not _STRETCH.fullmatch(key) or requests < 1:
            raise ValueError("must be requests in a stretch of time, such as {per_10s: 190}")
    return limits


def rates_of(limits: Mapping[str, int]) -> tuple[Rate, ...]:
    """``{per_10s: 190, per_1d: 250000}`` as rates."""
    matches = ((_STRETCH.fullmatch(key), requests) for key, requests in limits.items())
    return tuple(Rate(n, float(int(m[1]) * _SECONDS[m[2]])) for m, n in matches if m)


RateLimits = Annotated[Mapping[str, int], AfterValidator(_stretches)]
"""The common key ``rate_limit``; see :func:`rates_of`."""

SecureUrl = Annotated[str, AfterValidator(_secure_url)]
"""An https URL; http is allowed to the machine itself, for a sandbox."""

Token = Annotated[SecretStr, AfterValidator(_header_safe)]
"""A secret that can stand in an HTTP header."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that proposes the nearest known word, or lists them all."""
    words = sorted(known)
    near = difflib.get_close_matches(word, words, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(words)}."


def read_options(model: type[OptionsT], name: str, options: Mapping[str, Any]) -> OptionsT:
    """Validate ``options`` of the destination ``name``.

    Raises:
        ConfigError: A key is unknown, missing or of the wrong kind.
    """
    own = set(model.model_fields)
    for key in options:
        if key not in own | COMMON_KEYS:
            raise ConfigError(
                f"destinations.{name}.{key}: unknown key.",
                hint=did_you_mean(key, own | COMMON_KEYS),
            )
    try:
        return model.model_validate({key: _plain(options[key]) for key in options if key in own})
    except ValidationError as error:
        problems = [
            f"destinations.{name}.{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    raise ConfigError("; ".join(problems) + ".")


def _plain(value: object) -> object:
    """Nested mappings and sequences as dict and list, whatever the configuration holds."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value
