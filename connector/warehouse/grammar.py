"""The grammar of the house dialect: DuckDB's, with the functions of our own list only.

sqlglot's DuckDB parser knows hundreds of functions, some under several names, some without
parentheses, some with a syntax of their own. This one knows the few of :data:`CORE_FUNCTIONS`,
whose meaning sqlglot carries to every engine unchanged; any other call stays an ``Anonymous`` node,
and those are allowed only when :mod:`connector.warehouse.macros` lists them. :func:`expand` then
replaces each by the engine's own expression.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar

from sqlglot import ErrorLevel, exp, parse_one
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError
from sqlglot.parsers.duckdb import DuckDBParser

from connector.errors import LiftlineError
from connector.warehouse.macros import CONSTANTS, ENGINES, MACROS, Kind, Macro, find, signatures

CORE_FUNCTIONS = (
    "COALESCE",
    "COUNT",
    "DENSE_RANK",
    "FIRST_VALUE",
    "GREATEST",
    "LAG",
    "LAST_VALUE",
    "LEAD",
    "LEAST",
    "MAX",
    "MIN",
    "NULLIF",
    "RANK",
    "ROW_NUMBER",
    "SUM",
)
"""Calls that sqlglot itself understands and renders alike for every engine."""

MAX_NODES = 20_000
"""Largest expression after macros are replaced; some repeat an argument, so nesting multiplies."""


class StatementError(LiftlineError):
    """A statement of our own leaves the dialect, or an engine cannot express it: a bug."""


class Liftline(DuckDB):
    """The house dialect, as sqlglot sees it."""

    class Parser(DuckDBParser):
        """DuckDB's parser without its function lists."""

        FUNCTIONS: ClassVar[dict[str, Callable[..., Any]]] = {
            name: DuckDBParser.FUNCTIONS[name] for name in CORE_FUNCTIONS
        }
        FUNCTION_PARSERS: ClassVar[dict[str, Callable[..., Any]]] = {
            name: DuckDBParser.FUNCTION_PARSERS[name] for name in ("CAST", "TRY_CAST")
        }
        NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {}
        NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Callable[..., Any]]] = {
            "CASE": DuckDBParser.NO_PAREN_FUNCTION_PARSERS["CASE"]
        }


@lru_cache(maxsize=1024)
def _template(name: str, n_arguments: int, engine: str) -> exp.Expr:
    """The parsed template of a macro for an engine.

    Raises:
        StatementError: The engine has no exact equivalent.
    """
    macro = MACROS[name, n_arguments]
    text = macro.sql.get(engine, macro.sql.get("any"))
    if text is None:
        raise StatementError(
            f"{macro.name}() has no exact equivalent on {engine}.",
            hint="Compute it in a step before, or use another engine.",
        )
    return parse_one(text, dialect=engine if engine in macro.sql else "duckdb")


_SIMPLE = (exp.Column, exp.Literal, exp.Paren, exp.Boolean, exp.Null)


def _stands_alone(node: exp.Expr) -> bool:
    """Whether a node needs no parentheses wherever it is put."""
    # sqlglot counts some operators among functions: AND, OR, the JSON arrows.
    return isinstance(node, _SIMPLE) or (
        isinstance(node, exp.Func) and not isinstance(node, (exp.Binary, exp.Connector))
    )


def _operand(node: exp.Expr) -> exp.Expr:
    """A copy that may stand anywhere in a template."""
    copy = node.copy()
    return copy if _stands_alone(copy) else exp.Paren(this=copy)


def _apply(macro: Macro, arguments: list[exp.Expr], engine: str) -> exp.Expr:
    """A macro's template with its arguments in place."""
    root = exp.Paren(this=_template(macro.name, len(macro.parameters), engine).copy())
    for column in list(root.find_all(exp.Column)):
        if column.table or isinstance(column.parent, exp.Dot):
            # A name with a schema, such as pg_temp.folding, is the template's own.
            continue
        if column.name in CONSTANTS:
            column.replace(exp.Literal.string(CONSTANTS[column.name]))
        else:
            column.replace(_operand(arguments[int(column.name[1:]) - 1]))
    inner = root.this
    assert isinstance(inner, exp.Expr)  # noqa: S101 - a Paren always holds an expression
    return inner if _stands_alone(inner) else root


def _rewrite(node: exp.Expr, engine: str) -> exp.Expr | None:
    """What replaces one node on an engine; None: it stays."""
    if isinstance(node, exp.Anonymous):
        macro = find(node.name, len(node.expressions))
        if macro is None:
            raise StatementError(unknown_call(node.name, len(node.expressions)))
        replacement = _apply(macro, node.expressions, engine)
        if isinstance(node.parent, exp.Window) and not isinstance(replacement, exp.AggFunc):
            raise StatementError(f"{node.name.lower()}() cannot take an OVER clause.")
        return replacement
    if isinstance(node, exp.Div):
        macro = find("safe_divide", 2)
        assert macro is not None  # noqa: S101 - listed above
        return _apply(macro, [node.left, node.right], engine)
    if isinstance(node, exp.Mod):
        right = node.right.copy()
        if not isinstance(right, exp.Literal) or right.this == "0":
            right = exp.Nullif(this=right, expression=exp.Literal.number(0))
        return exp.Paren(this=exp.Mod(this=_operand(node.left), expression=right))
    if isinstance(node, exp.Literal) and node.is_string and engine == "postgres":
        # It takes a bare constant there for a mistake.
        bare = isinstance(node.parent, (exp.Group, exp.Ordered))
        return exp.cast(node.copy(), "TEXT") if bare else None
    if isinstance(node, exp.ILike) and engine == "postgres":
        # Its own ILIKE goes by the collation, which knows ASCII letters only.
        lower = find("lower", 1)
        assert lower is not None  # noqa: S101 - listed above
        small, pattern = (_apply(lower, [side], engine) for side in (node.this, node.expression))
        return exp.Like(this=small, expression=pattern)
    if isinstance(node, exp.Cast) and engine == "postgres" and node.is_type("DOUBLE"):
        # It makes no number of TRUE; which column holds such is not to be seen from here.
        if isinstance(node.this, exp.Column):
            call = exp.Anonymous(this="house_double", expressions=[node.this.copy()])
            return exp.Dot(this=exp.to_identifier("pg_temp"), expression=call)
        return None
    if (
        isinstance(node, exp.Cast)
        and engine == "spark"
        and node.is_type(*exp.DataType.INTEGER_TYPES)
    ):
        return _whole(node)
    if isinstance(node, (exp.Greatest, exp.Least)) and engine == "bigquery":
        # BigQuery answers NULL as soon as one argument is NULL; all others ignore it.
        result: exp.Expr = node.this
        for other in node.expressions:
            result = type(node)(
                this=exp.Coalesce(this=result.copy(), expressions=[other.copy()]),
                expressions=[exp.Coalesce(this=other.copy(), expressions=[result.copy()])],
            )
        return result
    return None


def _whole(cast: exp.Cast) -> exp.Expr | None:
    """A conversion to a whole number on Spark, which would cut off where all others round."""
    value = cast.this
    if isinstance(value, (exp.Literal, exp.Null, exp.Count)):
        return None
    # Halves of decimals go away from zero, those of floating point to the even number.
    text = "CASE WHEN typeof(v) LIKE 'decimal%' THEN ROUND(v, 0) ELSE BROUND(v, 0) END"
    rounded = parse_one(text, dialect="spark")
    for column in list(rounded.find_all(exp.Column)):
        column.replace(_operand(value))
    return exp.Cast(this=rounded, to=cast.to.copy())


def expand(tree: exp.Expr, engine: str) -> exp.Expr:
    """Replace the house dialect's functions and operators by an engine's own.

    Args:
        tree: A parsed house-dialect tree; it is left untouched.
        engine: One of :data:`connector.warehouse.macros.ENGINES`.

    Returns:
        A tree to be written in the engine's dialect.

    Raises:
        StatementError: Unknown function, no equivalent on the engine, or too large once replaced.
    """
    if engine not in ENGINES:
        raise StatementError(f"Unknown engine {engine!r}.", hint=f"Known: {', '.join(ENGINES)}.")
    root = exp.Paren(this=tree.copy())
    if engine == "bigquery":
        # Its column names may not hold a dot, quoted or not: rfm.group is rfm__group there.
        for identifier in root.find_all(exp.Identifier):
            identifier.set("this", identifier.name.replace(".", "__"))
    size = sum(1 for _ in root.walk())
    # Deepest first, so that arguments are done before they are copied into a template.
    for node in reversed(list(root.walk(bfs=True))):
        replacement = _rewrite(node, engine)
        if replacement is not None:
            size += sum(1 for _ in replacement.walk())
            if size > MAX_NODES:
                raise StatementError("The expression becomes too large.", hint="Nest fewer calls.")
            node.replace(replacement)
    result = root.this
    assert isinstance(result, exp.Expr)  # noqa: S101 - a Paren always holds an expression
    return result.pop()


def write(tree: exp.Expr, engine: str) -> str:
    """An expanded tree as SQL text of an engine.

    Raises:
        StatementError: The engine cannot express it.
    """
    try:
        return tree.sql(dialect=engine, unsupported_level=ErrorLevel.RAISE, comments=False)
    except SqlglotError as problem:
        raise StatementError(f"{engine} cannot express a statement: {problem}") from problem


def unknown_call(name: str, n_arguments: int) -> str:
    """What to say of a call that is not in the dialect."""
    known = signatures(name)
    if known:
        return (
            f"{name.lower()}() does not take {n_arguments} argument(s): write {' or '.join(known)}."
        )
    return f"The function {name.lower()}() is not part of the dialect."


def kind_of_type(sql_type: str) -> Kind:
    """The kind of a SQL type, such as NUMBER for ``DECIMAL(18, 2)``; ANY for none of ours."""
    head = sql_type.upper().split("(")[0].strip()
    if head in {"VARCHAR", "TEXT", "CHAR", "STRING", "UUID", "BPCHAR"} or head.startswith("ENUM"):
        return Kind.TEXT
    if head in {"BOOLEAN", "BOOL", "LOGICAL"}:
        return Kind.BOOLEAN
    if head.startswith(("TIMESTAMP", "DATETIME")) or head == "DATE":
        return Kind.TIME
    if head.endswith("INT") or head in {
        "INTEGER", "UINTEGER", "DECIMAL", "NUMERIC", "DOUBLE", "FLOAT", "REAL", "DOUBLE PRECISION",
        "INT2", "INT4", "INT8", "FLOAT4", "FLOAT8", "FLOAT64", "INT64",
    }:  # fmt: skip
        return Kind.NUMBER
    return Kind.ANY
