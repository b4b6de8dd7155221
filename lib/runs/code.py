"""The code that made a run or a measurement, hashed; comments and docstrings don't change it."""

import ast
import functools
import sys
from pathlib import Path

from lib.parameters import ROOT, Config, hash_of


def code_of(kind: type[Config]) -> str:
    """8 hex digits: of the file that defines the configuration class `kind` and of all files that
    its `made_by` names, folders or files of lib. (A test compares these with what is imported.)"""
    return _hash(Path(sys.modules[kind.__module__].__file__), kind.made_by)


@functools.cache
def _hash(file: Path, made_by: tuple[str, ...]) -> str:
    files = {file.resolve()}
    for place in (ROOT / "lib" / name for name in made_by):
        files |= {place} if place.suffix else set(place.rglob("*.py"))
    return hash_of([[one.name, _plain(ast.parse(one.read_text()))] for one in sorted(files)])[:8]


def _plain(node):
    """A syntax tree as nested lists, without docstrings: the same in every version of Python."""
    if isinstance(node, list):
        return [_plain(one) for one in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = dict(ast.iter_fields(node))
    defines = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    if defines and ast.get_docstring(node, clean=False) is not None:
        fields["body"] = fields["body"][1:]
    filled = [[name, _plain(value)] for name, value in fields.items() if value not in (None, [])]
    return [type(node).__name__, *filled]
