from __future__ import annotations

from pathlib import Path

import pytest

from blemish.edge.commands import run_command


@pytest.mark.parametrize(("command", "status"), [(["list"], 0), (["detect", "image.png"], 1)])
def test_a_command_without_a_component_says_how_to_install_one(
    command: list[str], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        run_command(["edge", *command, "--components", str(tmp_path)])

    output = capsys.readouterr()
    assert (raised.value.code, output.out) == (status, "")
    assert f"No component is installed in {tmp_path}. Install one: blemish edge" in output.err
