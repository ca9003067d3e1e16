"""The docstrings of one Python file or stub, read without running any of it, and the names that it passes on.

Knows syntax trees; nothing of packages as a whole, of questions or of rows.
"""

import ast
import inspect
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

What = Literal["module", "class", "function", "method"]

_SIGNATURE = re.compile(r"\A[\w.]+\([^\n]*(?:\n[^\n]*)*?\)\n--\n\s*")  # how compiled objects write theirs
_BLOCKS = (ast.If, ast.Try, ast.With)


@dataclass(frozen=True)
class Docstring:
    """`name`: within its module, such as Module.train; "" for the module. `text`: dedented; may be empty.

    `module`: where the object lives when that is not the file's own.
    """

    name: str
    what: What
    text: str
    line: int
    module: str | None = None


@dataclass(frozen=True)
class Imported:
    """`from module import name`, where the name stays. `module`: with its leading dots; `name`: may be *."""

    module: str
    name: str


@dataclass(frozen=True)
class FileDocs:
    """`listed`: what stands in __all__, None without one.

    `problem`: why the file could not be read.
    """

    docstrings: list[Docstring] = field(default_factory=list)
    imported: list[Imported] = field(default_factory=list)
    listed: list[str] | None = None
    problem: str | None = None


def read_file(path: Path) -> FileDocs:
    """Never raises for what stands in the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of foreign code's escapes
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError) as error:
        return FileDocs(problem=f"it is no Python: {error}")
    statements = list(_statements(tree.body))
    module = _docstring(tree, "", "module")
    found = [*([module] if module else []), *_of_body(statements, "")]
    return FileDocs(found, _imported(statements), _listed(statements))


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Those of a module or class, also within if, try and with."""
    for node in body:
        if isinstance(node, _BLOCKS):
            yield from _statements(node.body)
            for handler in getattr(node, "handlers", ()):
                yield from _statements(handler.body)
            yield from _statements(getattr(node, "orelse", ()))
            yield from _statements(getattr(node, "finalbody", ()))
        else:
            yield node


def _of_body(statements: Sequence[ast.stmt], prefix: str) -> Iterator[Docstring]:
    for node in statements:
        if isinstance(node, ast.ClassDef):
            yield from filter(None, [_docstring(node, f"{prefix}{node.name}", "class")])
            yield from _of_body(list(_statements(node.body)), f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from filter(None, [_docstring(node, f"{prefix}{node.name}", "method" if prefix else "function")])
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield from _added(node.value)


def _docstring(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str, what: What
) -> Docstring | None:
    text = ast.get_docstring(node)
    return None if text is None else Docstring(name, what, text, node.body[0].lineno)


def _added(call: ast.Call) -> Iterator[Docstring]:
    """NumPy's add_newdoc(module, name, text, or (attribute, text), or a list of those), for compiled objects."""
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if called != "add_newdoc" or len(call.args) != 3:
        return
    try:
        module, name, docs = (ast.literal_eval(argument) for argument in call.args)
    except (ValueError, TypeError, RecursionError):  # made when the code runs
        return
    for each in docs if isinstance(docs, list) else [docs]:
        match each:
            case str(text) | (str(text),):
                whole = str(name)
            case (str(attribute), str(text)):
                whole = f"{name}.{attribute}"
            case _:
                continue
        what: What = "method" if "." in whole else "function"
        yield Docstring(whole, what, _SIGNATURE.sub("", inspect.cleandoc(text)), call.lineno, str(module))


def _imported(statements: Sequence[ast.stmt]) -> list[Imported]:
    return [
        Imported("." * node.level + (node.module or ""), alias.name)
        for node in statements
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname in (None, alias.name)
    ]


def _listed(statements: Sequence[ast.stmt]) -> list[str] | None:
    """The texts in every list that __all__ is given; what is computed is passed over."""
    given = [
        node.value
        for node in statements
        if (isinstance(node, ast.Assign) and any(_is_all(target) for target in node.targets))
        or (isinstance(node, ast.AnnAssign | ast.AugAssign) and _is_all(node.target))
    ]
    lists = [node.elts for node in given if isinstance(node, ast.List | ast.Tuple)]
    names = [each.value for elements in lists for each in elements if isinstance(each, ast.Constant)]
    return [str(name) for name in names] if lists else None


def _is_all(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id == "__all__"
