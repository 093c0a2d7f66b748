"""The code that calls a model, ready to be pasted."""

from __future__ import annotations

import shlex

from blemish.console.models.code_snippets import SnippetTarget, snippets

TARGET = SnippetTarget(
    endpoint="https://blemish.example:8080", region="eu-west-1", project="plates", version="3"
)
HOSTILE = SnippetTarget(
    endpoint='https://"; touch x; "', region="$(touch x)", project="plates", version="3"
)


def test_every_piece_names_this_server_and_its_model() -> None:
    for tool, pieces in snippets(TARGET).items():
        for piece in pieces:
            assert "https://blemish.example:8080" in piece.code, tool
            assert "eu-west-1" in piece.code
            assert "plates" in piece.code


def test_what_a_browser_says_of_the_address_stays_text() -> None:
    tools = snippets(HOSTILE)

    compile(tools["Python (boto3)"][0].code, "snippet", "exec")
    for tool in ("AWS CLI", "curl"):
        for piece in tools[tool]:
            words = shlex.split(piece.code.replace("\\\n", ""))
            assert any(HOSTILE.endpoint in word for word in words)
            assert "touch" not in words
            assert "$(touch x)" in " ".join(words)
