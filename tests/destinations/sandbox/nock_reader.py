"""Reads nock fixture files (recorded HTTP exchanges written as JavaScript) without a JavaScript
engine.

A fixture is a sequence of call chains, ``nock(base, options).post(path,
body).query({...}).reply(status, body, headers)``, whose arguments are literals only. The reader
accepts exactly that grammar and refuses anything else, so a construct that it does not understand
can never pass as an exchange that was compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|//[^\n]*)
    | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<name>[A-Za-z_$][A-Za-z0-9_$]*)
    | (?P<mark>[{}\[\](),:;.=])
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_WORDS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True)
class Exchange:
    """One recorded request and its answer.

    Attributes:
        base: Scheme, host and port as recorded.
        method: Upper case.
        path: Without the query.
        request: Decoded JSON body, or None.
        query: Query parameters.
        status: HTTP status of the answer.
        response: Decoded JSON body, or "" for none.
        headers: Answer headers, lower-case names.
    """

    base: str
    method: str
    path: str
    request: Any
    query: dict[str, str]
    status: int
    response: Any
    headers: dict[str, str] = field(repr=False)


class NockSyntaxError(ValueError):
    """The text is not the literal-only grammar of a recorded fixture."""


def read(path: Path) -> list[Exchange]:
    """All exchanges of the file, in recorded order."""
    return [_exchange(chain) for chain in _Parser(path.read_text(encoding="utf-8")).chains()]


def _exchange(chain: list[tuple[str, list[Any]]]) -> Exchange:
    calls = dict(chain)
    unknown = set(calls) - {
        "nock",
        "get",
        "post",
        "put",
        "patch",
        "delete",
        "query",
        "once",
        "reply",
    }
    methods = [name for name in calls if name in {"get", "post", "put", "patch", "delete"}]
    if unknown or len(methods) != 1 or len(calls) != len(chain):
        raise NockSyntaxError(f"chain of calls {[name for name, _ in chain]}")
    request = calls[methods[0]]
    status, response, raw_headers = calls["reply"]
    pairs = zip(raw_headers[::2], raw_headers[1::2], strict=True)
    return Exchange(
        base=calls["nock"][0],
        method=methods[0].upper(),
        path=request[0],
        request=request[1] if len(request) > 1 else None,
        query=calls.get("query", [{}])[0],
        status=status,
        response=response,
        headers={name.lower(): value for name, value in pairs},
    )


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def chains(self) -> Iterator[list[tuple[str, list[Any]]]]:
        while self._at < len(self._tokens):
            if self._peek() == ("name", "const"):
                while self._next() != ("mark", ";"):
                    pass
                continue
            chain = []
            while True:
                kind, name = self._next()
                if kind != "name":
                    raise NockSyntaxError(f"expected a call, found {name!r}")
                self._expect("(")
                chain.append((name, self._items(")")))
                end = self._next()
                if end == ("mark", ";"):
                    break
                if end != ("mark", "."):
                    raise NockSyntaxError(f"expected . or ;, found {end[1]!r}")
            yield chain

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at]

    def _next(self) -> tuple[str, str]:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _expect(self, mark: str) -> None:
        if self._next() != ("mark", mark):
            raise NockSyntaxError(f"expected {mark!r}")

    def _items(self, end: str) -> list[Any]:
        values = []
        while self._peek() != ("mark", end):
            values.append(self._value())
            if self._peek() != ("mark", end):
                self._expect(",")
        self._next()
        return values

    def _value(self) -> Any:
        kind, text = self._next()
        if kind == "string":
            return _unescape(text)
        if kind == "number":
            return float(text) if re.search(r"[.eE]", text) else int(text)
        if kind == "name" and text in _WORDS:
            return _WORDS[text]
        if text == "[":
            return self._items("]")
        if text == "{":
            return self._object()
        raise NockSyntaxError(f"not a literal: {text!r}")

    def _object(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._peek() != ("mark", "}"):
            kind, text = self._next()
            if kind not in {"name", "string"}:
                raise NockSyntaxError(f"not a key: {text!r}")
            key = _unescape(text) if kind == "string" else text
            if key in found:
                raise NockSyntaxError(f"key {key!r} twice")
            self._expect(":")
            found[key] = self._value()
            if self._peek() != ("mark", "}"):
                self._expect(",")
        self._next()
        return found


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NockSyntaxError(f"unexpected {text[at : at + 20]!r} at character {at}")
        at = match.end()
        if match.lastgroup != "space":
            yield str(match.lastgroup), match.group()


def _unescape(literal: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match.group(1)
        if code[0] in "ux" and len(code) > 1:
            return chr(int(code[1:], 16))
        return _SIMPLE.get(code, code)

    return _ESCAPE.sub(one, literal[1:-1])
