"""Take secrets and paths from the environment, so that the file can be shared and kept in git.

A secret stands in the file as the name of a variable only, ``"${HUBSPOT_TOKEN}"``; a literal one is
a problem, told without repeating it. Which keys hold secrets is known by their names, since
adapters bring options that are unknown here. Paths may be composed of variables. Everywhere else
``${...}`` is a problem, not silently a text; only a strategy's content is left alone, because
vendors have templates of their own. Every missing variable is told at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from connector.config.activation import Destination
from connector.config.document import Document
from connector.config.problems import KeyPath, Problem, is_secret, looks_secret
from connector.config.root import Config

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(slots=True)
class Resolver:
    """Puts variables in, and gathers what is wrong with them.

    Attributes:
        document: The file.
        environ: Variable -> value; an empty value counts as missing.
        problems: Literal secrets, missing variables, variables where none is read.
    """

    document: Document
    environ: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)

    def resolve(self, value: object, path: KeyPath = ()) -> Any:  # noqa: ANN401 - plain content
        """The value with its variables put in; what may be secret becomes ``SecretStr``.

        What has a problem keeps its text.
        """
        if isinstance(value, dict):
            if any(looks_secret(key) for key in value):
                self._note(path, "a key that looks like a secret")
            return {key: self.resolve(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item, (*path, i)) for i, item in enumerate(value)]
        if is_secret(path):
            return self._secret(value, path)
        if not isinstance(value, str):
            return value
        if looks_secret(value):
            hint = 'Keep it in an environment variable and write "${NAME}"; renew it if shared.'
            self._note(path, "something that looks like a secret", hint=hint)
            return value
        if path[0] not in Config.model_fields:
            return value
        if "${" not in value or (path[0] == "strategies" and "content" in path):
            return value
        return self._text(value, path)

    def _text(self, value: str, path: KeyPath) -> str | SecretStr:
        if not _reads_variables(path):
            self._note(path, "a variable (${...}) is not read here", allowed=_PLACES)
            return value
        if "${" in _VARIABLE.sub("", value):
            self._note(path, "a variable that is not written out", allowed='"${NAME}"')
            return value
        missing = [name for name in _VARIABLE.findall(value) if not self.environ.get(name)]
        for name in dict.fromkeys(missing):
            self._missing(name, path)
        if missing:
            return value
        text = _VARIABLE.sub(lambda match: self.environ[match[1]], value)
        return SecretStr(text) if path[0] == "destinations" else text

    def _secret(self, value: object, path: KeyPath) -> object:
        match = _VARIABLE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            names = [part for part in path if isinstance(part, str)]
            owner = "holdout" if names[0] == "holdouts" else names[1]
            example = re.sub(r"\W", "_", f"{owner}_{names[-1]}".upper())
            found = "a secret is written out (it is not repeated here)"
            if value is None:
                found = "found nothing, where a secret belongs"
            allowed = f'the name of an environment variable, such as "${{{example}}}"'
            self._note(path, found, allowed=allowed)
            return value
        if not self.environ.get(match[1]):
            self._missing(match[1], path)
            return value
        return SecretStr(self.environ[match[1]])

    def _missing(self, name: str, path: KeyPath) -> None:
        state = "is empty" if name in self.environ else "is not set"
        message = f"the environment variable {name} {state}"
        self._note(path, message, hint="Set it before the run.")

    def _note(self, path: KeyPath, message: str, *, allowed: str = "", hint: str = "") -> None:
        self.problems.append(self.document.problem(path, message, allowed=allowed, hint=hint))


_PLACES = "secrets and options of destinations, paths of sources, project.state, report.out"


def _reads_variables(path: KeyPath) -> bool:
    if path[0] == "destinations":
        return len(path) > 2 and path[2] not in Destination.model_fields
    where = (path[0], path[-1])
    return where in (("sources", "path"), ("project", "state"), ("report", "out"))
