"""Names, sizes and layers that CONTRIBUTING.md asks for, as far as a machine can see them."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "blemish"
MODULES = sorted(
    ".".join(path.relative_to(SOURCES).with_suffix("").parts)
    for path in SOURCES.rglob("*.py")
    if "migrations" not in path.parts
)
PACKAGES = [module.removesuffix(".__init__") for module in MODULES if module.endswith("__init__")]

BANNED_WORDS = frozenset(
    [
        "told",
        "its",
        "whose",
        "kept",
        "found",
        "seen",
        "each",
        "chosen",
        "asked",
        "reach",
        "judged",
        "given",
        "made",
        "begun",
        "here",
        "who",
        "piece",
        "place",
        "picture",
        "pictures",
    ]
)
"""Pronouns, participles without a noun, and words that are not the field's."""

NAMES_OF_THE_API = frozenset({"ResourceNotFoundError", "connection_made"})

MOST_LINES_OF_MODULES = 400
MOST_LINES_OF_FUNCTIONS = 50


@cache
def tree(module: str) -> ast.Module:
    """Return the syntax tree of a module, named below `blemish`."""
    return ast.parse(path_of(module).read_text())


def path_of(module: str) -> Path:
    return SOURCES.joinpath(*module.split(".")).with_suffix(".py")


def identifiers(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node gives to something."""
    match node:
        case (
            ast.Name(id=name, ctx=ast.Store())
            | ast.Attribute(attr=name, ctx=ast.Store())
            | ast.arg(arg=name)
            | ast.FunctionDef(name=name)
            | ast.AsyncFunctionDef(name=name)
            | ast.ClassDef(name=name)
            | ast.alias(asname=str(name))
            | ast.ExceptHandler(name=str(name))
            | ast.MatchAs(name=str(name))
            | ast.MatchStar(name=str(name))
            | ast.MatchMapping(rest=str(name))
        ):
            yield name


def words(name: str) -> set[str]:
    """Return the words of a name in snake_case, CamelCase or capitals."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def functions(module: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def shared_names(*kinds: type[ast.stmt]) -> set[str]:
    """Return the public names of these kinds that several modules define."""
    modules = defaultdict(set)
    for module in MODULES:
        for node in tree(module).body:
            if isinstance(node, kinds) and not (name := next(identifiers(node))).startswith("_"):
                modules[name].add(module)
    return {name for name, definers in modules.items() if len(definers) > 1}


def test_identifiers_have_no_banned_words() -> None:
    banned = {
        f"{module}: {name}"
        for module in MODULES
        for node in ast.walk(tree(module))
        for name in identifiers(node)
        if words(name) & BANNED_WORDS and name not in NAMES_OF_THE_API
    }

    assert banned == set()


def test_public_classes_have_names_of_their_own() -> None:
    assert shared_names(ast.ClassDef) == set()


def test_public_functions_have_names_of_their_own() -> None:
    assert shared_names(ast.FunctionDef, ast.AsyncFunctionDef) == set()


def test_modules_are_short() -> None:
    lines = {module: len(path_of(module).read_text().splitlines()) for module in MODULES}

    assert {name: count for name, count in lines.items() if count > MOST_LINES_OF_MODULES} == {}


def test_functions_are_short() -> None:
    lines = {
        f"{module}.{function.name}": (function.end_lineno or 0) - function.lineno + 1
        for module in MODULES
        for function in functions(module)
    }

    too_long = {name: count for name, count in lines.items() if count > MOST_LINES_OF_FUNCTIONS}
    assert too_long == {}


def test_every_module_is_in_a_layer() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")

    in_layers = set(re.findall(r"blemish\.(\w+)", " ".join(layers)))

    assert {module.split(".")[0] for module in MODULES} - {"__init__"} == in_layers


def test_the_map_names_every_package() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text.split("## Where things are\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]

    named = [name for row in rows for name in re.findall(r"`([\w.]+)`", row)]

    packages = [package for package in PACKAGES if package != "__init__"]
    assert sorted(named) == sorted([*packages, "logs", "settings"])
