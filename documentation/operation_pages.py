"""A page for each operation of the API: members, answer, errors, and an example."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.model import OperationModel, ServiceModel, Shape

OURS = "An operation of Blemish's own. "

Rows = Iterator[tuple[str, Shape, bool]]


def operation_pages(model: ServiceModel, examples: Mapping[str, Any]) -> dict[str, str]:
    """Return the pages by file name, with the list of all operations as README.md."""
    operations = [model.operation_model(name) for name in model.operation_names]
    pages = {f"{operation.name}.md": _page(operation, examples) for operation in operations}
    return pages | {"README.md": _overview(operations)}


def _overview(operations: list[OperationModel]) -> str:
    rows = "\n".join(
        f"| [{operation.name}]({operation.name}.md) | {_origin(operation)} "
        f"| {_first_sentence(operation.documentation.removeprefix(OURS))} |"
        for operation in sorted(operations, key=lambda operation: str(operation.name))
    )
    return f"""# The API

Each operation has a page with its members, its answer, its errors and an example. The examples were
recorded from a running server with the sample product of `blemish demo`. They show an image as
`(a JPEG file)`, and all times as the same time.

An SDK such as boto3 signs and sends the requests: [Clients](../../guide/clients.md) says how to
connect one. To call an operation of Blemish's own, install the
[additions](../../guide/additions.md) to the SDK's model.

| operation | of | what it does |
|---|---|---|
{rows}
"""


def _page(operation: OperationModel, examples: Mapping[str, Any]) -> str:
    errors = ", ".join(f"[{shape.name}](../../guide/errors.md)" for shape in operation.error_shapes)
    http = operation.http
    example = examples[operation.name]
    return f"""# {operation.name}

{operation.documentation}

`{http["method"]} {http["requestUri"]}`, answered with status {http.get("responseCode", 200)}.

## Request

{_table(operation.input_shape)}

## Answer

{_table(operation.output_shape)}

## Errors

{errors}

## Example

The request:

```json
{json.dumps(example["request"], indent=2)}
```

The answer:

```json
{json.dumps(example["answer"], indent=2)}
```
"""


def _table(shape: Shape | None) -> str:
    rows = [] if shape is None else list(_members(shape, ""))
    if not rows:
        return "It has no members."
    lines = [
        f"| `{name}` | {_type(member)} | {'yes' if required else ''} | {_meaning(member)} |"
        for name, member, required in rows
    ]
    return "\n".join(["| member | type | required | meaning |", "|---|---|---|---|", *lines])


def _members(shape: Any, prefix: str, above: tuple[str, ...] = ()) -> Rows:
    """Yield every member below a shape, with its path; a shape inside itself only once."""
    for name, member in shape.members.items():
        yield f"{prefix}{name}", member, name in shape.required_members
        path, below = f"{prefix}{name}", member
        while below.type_name == "list":
            path, below = f"{path}[]", below.member
        if below.type_name == "structure" and below.name not in above:
            yield from _members(below, f"{path}.", (*above, below.name))


def _type(shape: Any) -> str:
    if shape.type_name == "list":
        return f"list of {_type(shape.member)}"
    if enum := shape.metadata.get("enum"):
        return ", ".join(f"`{value}`" for value in enum)
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    unit = " characters" if shape.type_name == "string" else ""
    if least is None and most is None:
        return str(shape.type_name)
    limits = f"{least or 0} to {most}" if most is not None else f"at least {least}"
    return f"{shape.type_name}, {limits}{unit}"


def _meaning(shape: Any) -> str:
    return str(shape.documentation).replace("|", "\\|").replace("\n", " ")


def _origin(operation: OperationModel) -> str:
    return "Blemish" if operation.documentation.startswith(OURS) else "Lookout for Vision"


def _first_sentence(text: str) -> str:
    return text.split(". ", maxsplit=1)[0].rstrip(".") + "."
