"""No control of the console shows a text that is not said in the language of the visitor."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

CONSOLE = Path(__file__).parents[4] / "src" / "blemish" / "console"

SHOWING = (
    "text heading link frame empty dialog dialog_buttons confirm ask_by_name pill PillContent",
    "draw_table_panel forbid labelled button label input select number textarea checkbox switch",
    "tooltip notify",
)
"""Functions of ours and of the framework that show the texts they get."""

NOT_SHOWN = ("classes", "tag", "type", "value", "section", "project", "icon", "color")

NAMES = frozenset({"Blemish", "AUROC", "F1", "IoU", "ID", "AWS CLI", "Shift", "Enter"})
"""What is called so in every language."""

SCRIPT_TEXT = re.compile(
    r">\s*([A-Z][a-z]+(?: [\w ,.']+)?)\s*<|(?<!:)aria-label=\"([A-Z][^\"{]+)\""
)
"""A text of a template that stands between tags, or names an element, without say()."""


def literals(node: ast.expr) -> Iterator[str]:
    """Yield the texts that an argument may be; those given to `say` are not among them."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            yield "".join(str(part.value) for part in values if isinstance(part, ast.Constant))
        case ast.IfExp(body=body, orelse=orelse):
            yield from literals(body)
            yield from literals(orelse)
        case ast.BoolOp(values=values) | ast.Tuple(elts=values) | ast.List(elts=values):
            for value in values:
                yield from literals(value)


def is_text(text: str) -> bool:
    return text not in NAMES and bool(re.search(r"[A-Z][a-z]{2}|[a-z]{2} [a-z]", text))


def untranslated(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        if name not in " ".join(SHOWING).split() or ast.unparse(node).startswith("ui.element"):
            continue
        shown = [keyword.value for keyword in node.keywords if keyword.arg not in NOT_SHOWN]
        for argument in [*node.args, *shown]:
            is_code = any(
                keyword.arg == "tag" and ast.unparse(keyword.value) == "'code'"
                for keyword in node.keywords
            )
            for text in literals(argument):
                if is_text(text) and not text.startswith("/") and not is_code:
                    yield f"{path.relative_to(CONSOLE)}:{node.lineno}: {text}"


def test_controls_show_texts_in_the_language_of_the_visitor() -> None:
    assert [text for path in CONSOLE.rglob("*.py") for text in untranslated(path)] == []


def test_scripts_and_documents_show_texts_in_the_language_of_the_visitor() -> None:
    texts = [
        f"{path.relative_to(CONSOLE)}: {text}"
        for path in CONSOLE.rglob("*")
        if path.suffix in {".js", ".jinja"}
        for match in SCRIPT_TEXT.finditer(path.read_text())
        if (text := match[1] or match[2]) not in NAMES
    ]

    assert texts == []
