"""Expressions that a user writes in the configuration: parsed, checked, and carried on as a tree.

Such a text (a segment's ``where``, a table's ``filter``, a column mapping) is somebody else's code
that runs inside the warehouse next to personal data. So nothing of it is ever spliced into SQL: it
is cut into tokens, parsed into a tree, and every node, function, cast and column name must be on a
list before SQL is written anew from that tree. Limits on length, nesting and size keep an
expression from becoming a bomb.

The check also knows the kinds of the columns. That catches ``rfm.group >= 3`` and ``orders_90d =
'many'`` when the configuration is read rather than when the warehouse stumbles over the first row,
and it makes the meaning the same on every engine: ``/`` always divides as floating point and is
NULL on zero, a whole-number cast rounds halves away from zero.

Names with a dot, such as ``rfm.group``, are columns whose name holds that dot. Tried and dropped:
treating the part before the dot as a table, which would have made every relation carry its models
as joins.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlglot import ErrorLevel, exp
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from connector.errors import ConfigError
from connector.warehouse.check import Checker
from connector.warehouse.grammar import Liftline, StatementError, expand, kind_of_type, write
from connector.warehouse.macros import Kind
from connector.warehouse.refusals import Refusal

HOUSE = "liftline"
"""Name of the house dialect itself: SQL with our functions still in it, to be put into a
statement."""

MAX_CHARACTERS = 4_000
MAX_TOKENS = 800
MAX_NESTING = 40

__all__ = ["HOUSE", "Expression", "ExpressionError", "parse_condition", "parse_expression"]


class ExpressionError(ConfigError):
    """An expression of the configuration is not allowed, with the place in its text.

    Attributes:
        what: What the expression is, such as ``segment big_recent: where``.
        problem: One sentence without the place.
        text: The expression as it was written.
        position: Offset of the offending character; None where no single place is to blame.
    """

    def __init__(
        self, *, what: str, problem: str, text: str, position: int | None, hint: str = ""
    ) -> None:
        shown = _excerpt(text, position)
        super().__init__(f"{what}: {problem}\n{shown}", hint=hint)
        self.what = what
        self.problem = problem
        self.text = text
        self.position = position

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression; immutable, and safe to write into a statement.

    Attributes:
        text: As the user wrote it.
        kind: What it yields.
        columns: Every column that it reads, by the name that the relation has.
        bare_columns: Those that it reads outside an aggregate.
        aggregates: Whether it holds an aggregate.
    """

    text: str
    kind: Kind
    columns: frozenset[str]
    bare_columns: frozenset[str]
    aggregates: bool
    _tree: exp.Expr = field(repr=False, compare=False)

    @property
    def is_boolean(self) -> bool:
        """Whether it is a condition (or may be one, where a column's type is not known)."""
        return self.kind in (Kind.BOOLEAN, Kind.ANY)

    @property
    def tree(self) -> exp.Expr:
        """A copy of the checked tree, in the house dialect."""
        return self._tree.copy()

    def sql(self, dialect: str = HOUSE) -> str:
        """The expression as SQL, columns quoted.

        Args:
            dialect: ``liftline`` keeps our functions, for a statement that
                :func:`connector.warehouse.render.render` or a warehouse turns into an engine's SQL;
                an engine's name writes that engine's SQL at once.

        Raises:
            StatementError: The engine has no equivalent of one of its functions.
        """
        if dialect == HOUSE:
            return self._tree.sql(dialect=Liftline, comments=False)
        return write(expand(self._tree, dialect), dialect)

    def __str__(self) -> str:
        return self.text


def parse_expression(
    text: str,
    *,
    columns: Mapping[str, str] | Collection[str],
    what: str,
    allow_aggregates: bool = False,
) -> Expression:
    """Parse and check one expression of the configuration.

    Args:
        text: The expression, such as ``monetary_365d >= 300 and rfm.group <> 'champions'``.
        columns: The columns it may read: name -> SQL type, or only their names (then kinds are not
            checked).
        what: What the expression is, for messages; the caller adds file and line.
        allow_aggregates: Whether ``sum(x)`` and its like may stand in it.

    Returns:
        The checked expression.

    Raises:
        ExpressionError: It does not parse, or something in it is not allowed; the message shows
            where.
    """
    try:
        tokens = _tokens(text)
        tree = _parse(tokens, text)
        kinds = (
            {name: kind_of_type(sql_type) for name, sql_type in columns.items()}
            if isinstance(columns, Mapping)
            else dict.fromkeys(columns, Kind.ANY)
        )
        checker = Checker(kinds, allow_aggregates=allow_aggregates)
        checked, kind = checker.check(tree)
        expression = Expression(
            text=text,
            kind=kind,
            columns=frozenset(checker.columns),
            bare_columns=frozenset(checker.bare_columns),
            aggregates=checker.aggregates,
            _tree=checked,
        )
        # Writing it once finds what only shows when functions are replaced, such as a size that
        # explodes.
        expression.sql("duckdb")
    except Refusal as refusal:
        raise ExpressionError(
            what=what,
            problem=refusal.problem,
            text=text,
            position=refusal.position,
            hint=refusal.hint,
        ) from None
    except StatementError as problem:
        raise ExpressionError(
            what=what, problem=problem.message, text=text, position=None, hint=problem.hint
        ) from None
    except RecursionError:
        raise ExpressionError(
            what=what, problem="the expression is nested too deeply.", text=text, position=None
        ) from None
    return expression


def parse_condition(
    text: str, *, columns: Mapping[str, str] | Collection[str], what: str
) -> Expression:
    """Parse an expression that must be true or false of one row.

    Args:
        text: The condition.
        columns: As for :func:`parse_expression`.
        what: As for :func:`parse_expression`.

    Raises:
        ExpressionError: As for :func:`parse_expression`, or it yields something else than true or
            false.
    """
    expression = parse_expression(text, columns=columns, what=what)
    if not expression.is_boolean:
        raise ExpressionError(
            what=what,
            problem=f"a condition must be true or false, and this is {expression.kind}.",
            text=text,
            position=0,
            hint="Compare it with something, such as `>= 1`.",
        )
    return expression


# ---------------------------------------------------------------- text to tokens

_REFUSED_TOKENS: dict[TokenType, str] = {
    TokenType.SEMICOLON: "a semicolon is not allowed: one expression, no statements.",
    TokenType.PARAMETER: "parameters are not allowed.",
    TokenType.PLACEHOLDER: "placeholders are not allowed.",
    TokenType.COLON: "a colon is not allowed.",
    TokenType.COLON_EQ: "named arguments are not allowed.",
    TokenType.L_BRACKET: "square brackets are not allowed.",
    TokenType.L_BRACE: "braces are not allowed.",
    TokenType.ARROW: "arrows (lambdas, JSON paths) are not allowed; use json_text(column, 'key').",
    TokenType.DARROW: "JSON arrows are not allowed; use json_text(column, 'key').",
    TokenType.FARROW: "named arguments are not allowed.",
    TokenType.OVER: "window functions (OVER) are not allowed.",
    TokenType.SELECT: "a query is not allowed inside an expression.",
    TokenType.WITH: "a query is not allowed inside an expression.",
    TokenType.EXISTS: "a query is not allowed inside an expression.",
    TokenType.HINT: "comments are not allowed.",
    TokenType.HEREDOC_STRING: "dollar-quoted text is not allowed; use single quotes.",
    TokenType.RAW_STRING: "raw text is not allowed; use plain single quotes.",
    TokenType.BYTE_STRING: "text with escapes (e'...') is not allowed; use plain single quotes.",
    TokenType.HEX_STRING: "hexadecimal literals are not allowed.",
    TokenType.BIT_STRING: "bit literals are not allowed.",
    TokenType.NATIONAL_STRING: "national text is not allowed; use plain single quotes.",
    TokenType.UNICODE_STRING: "text with escapes is not allowed; use plain single quotes.",
    TokenType.INTERVAL: "intervals are not allowed; use add_days(time, n) or days_between(a, b).",
    TokenType.DSTAR: "** is not allowed; multiply, or use exp() and ln().",
    TokenType.CARET: "^ is not allowed; multiply, or use exp() and ln().",
    TokenType.DIV: "// is not allowed; write floor(a / b).",
    TokenType.GLOB: "GLOB is not allowed; use LIKE.",
    TokenType.SIMILAR_TO: "SIMILAR TO is not allowed; use regexp_matches(text, 'pattern').",
    TokenType.RLIKE: "this operator is not allowed; use regexp_matches(text, 'pattern').",
    TokenType.COLLATE: "COLLATE is not allowed; use lower().",
}

_NUMBER = re.compile(r"(\d{1,38}(\.\d{0,38})?|\.\d{1,38})([eE][+-]?\d{1,3})?")


def _tokens(text: str) -> list[Token]:
    """Cut the text into tokens and refuse what no expression needs, before a parser sees it."""
    if not text.strip():
        raise Refusal("the expression is empty.", None)
    if len(text) > MAX_CHARACTERS:
        raise Refusal(
            f"the expression has {len(text):,} characters; {MAX_CHARACTERS:,} are allowed.", None
        )
    for position, character in enumerate(text):
        if (
            unicodedata.category(character) in ("Cc", "Cs", "Cn", "Co")
            and character not in "\t\n\r"
        ):
            raise Refusal(f"the character U+{ord(character):04X} is not allowed.", position)
    try:
        tokens = Liftline().tokenize(text)
    except TokenError:
        raise Refusal(
            "the text cannot be read: a quote is not closed?",
            None,
            "Double a quote inside text: 'it''s'.",
        ) from None
    if not tokens:
        raise Refusal("comments are not allowed.", 0)
    if len(tokens) > MAX_TOKENS:
        raise Refusal(
            f"the expression has {len(tokens):,} words; {MAX_TOKENS:,} are allowed.", None
        )
    depth, end, result = 0, 0, []
    for index, token in enumerate(tokens):
        _refuse_odd_characters(text[end : token.start], end)
        if token.token_type not in (TokenType.STRING, TokenType.IDENTIFIER):
            _refuse_odd_characters(text[token.start : token.end + 1], token.start)
        end = token.end + 1
        if token.comments:
            raise Refusal("comments are not allowed.", token.start)
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if depth > MAX_NESTING:
            raise Refusal(f"parentheses are nested deeper than {MAX_NESTING}.", token.start)
        result.append(_checked_token(token, text, tokens[index - 1] if index else None))
    return result


def _checked_token(token: Token, text: str, before: Token | None) -> Token:
    """The token, as a plain name after a dot: ``rfm.group`` is a column though GROUP is a word."""
    written = text[token.start : token.end + 1]
    after_dot = before is not None and before.token_type == TokenType.DOT
    if after_dot and token.token_type != TokenType.NUMBER and re.fullmatch(r"\w+", written):
        return Token(TokenType.VAR, token.text, token.line, token.col, token.start, token.end)
    if token.token_type in _REFUSED_TOKENS:
        raise Refusal(_REFUSED_TOKENS[token.token_type], token.start)
    if token.token_type == TokenType.NUMBER and not _NUMBER.fullmatch(written):
        raise Refusal(
            "this number is written in a way that is not allowed, or is too long.", token.start
        )
    return token


def _refuse_odd_characters(text: str, start: int) -> None:
    """Invisible characters and look-alike blanks are allowed inside quotes only."""
    for offset, character in enumerate(text):
        category = unicodedata.category(character)
        if category == "Cf" or (category in ("Zs", "Zl", "Zp") and character != " "):
            name = unicodedata.name(character, "unnamed").lower()
            raise Refusal(
                f"an invisible or unusual blank (U+{ord(character):04X}, {name}) is not allowed.",
                start + offset,
            )


def _parse(tokens: list[Token], text: str) -> exp.Expr:
    """The tree of one scalar expression."""
    try:
        parsed = Liftline.Parser(error_level=ErrorLevel.IMMEDIATE, dialect=Liftline()).parse_into(
            exp.Condition, tokens, text
        )
    except ParseError as problem:
        detail = problem.errors[0] if problem.errors else {}
        position = _offset(text, detail.get("line"), detail.get("col"))
        raise Refusal("this cannot be read as an expression here.", position) from None
    match parsed:
        case [exp.Expr() as tree]:
            return tree
        case _:
            raise Refusal("exactly one expression is expected.", None)


def _offset(text: str, line: int | None, column: int | None) -> int | None:
    """Offset of sqlglot's line and column: the end of the last token that it looked at."""
    if line is None or column is None:
        return None
    lines = text.splitlines(keepends=True)
    return min(sum(map(len, lines[: line - 1])) + max(column - 1, 0), max(len(text) - 1, 0))


def _excerpt(text: str, position: int | None) -> str:
    """The line of the text that holds the position, with a caret below it."""
    if position is None:
        line = " ".join(text.split())
        return "    " + (line if len(line) <= 100 else line[:97] + "...")
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : end if end >= 0 else len(text)]
    column = position - start
    if len(line) > 100:
        cut = max(0, min(column - 50, len(line) - 100))
        line, column = line[cut : cut + 100], column - cut
    line = "".join(c if c.isprintable() else " " for c in line)
    return f"    {line}\n    {' ' * column}^"
