from __future__ import annotations

import sys

import pytest

from blemish.runners.cluster.versions import (
    MISSING,
    call_on_node,
    installed_versions,
    version_problem,
)

SERVER = {"Python": "3.12.1", "Ray": "2.60.0", "Blemish": "0.5.0"}


def test_the_same_versions_are_no_problem() -> None:
    assert version_problem(SERVER, expected=SERVER, where="The node a") is None
    assert version_problem({}, expected=SERVER, where="The node a") is None


def test_other_versions_are_named_with_what_to_install() -> None:
    installed = SERVER | {"Ray": "2.54.0", "Blemish": MISSING}

    problem = version_problem(installed, expected=SERVER, where="The node a")

    assert problem == (
        "The node a has Ray 2.54.0 and no Blemish; the server has Ray 2.60.0 and Blemish 0.5.0. "
        "Install there, in Python 3.12.1: pip install 'blemish[ray]==0.5.0' 'ray==2.60.0'"
    )


def test_a_node_calls_the_function_only_if_it_has_the_versions_of_the_server() -> None:
    module = "blemish.domain.attempts"

    assert call_on_node(installed_versions(), module, "pause_after", 2).total_seconds() == 2
    with pytest.raises(ImportError, match=r"the server has Python 2\.7\. Install"):
        call_on_node(installed_versions() | {"Python": "2.7"}, module, "pause_after", 2)


def test_the_versions_of_this_process_are_those_of_python_and_the_packages() -> None:
    versions = installed_versions()

    assert sys.version.startswith(versions["Python"])
    assert versions["Blemish"] != MISSING
