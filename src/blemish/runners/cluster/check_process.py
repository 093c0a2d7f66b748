"""The check of a Ray cluster: a process that asks each node for its versions.

It prints one JSON object with `problem`, a text or null. A process of its own may import Ray, and
ends when it pleases Ray.
"""

from __future__ import annotations

import json
import os
import sys

NO_RAY = (
    "BLEMISH_RAY_ADDRESS is set, but Ray is not installed here. Install it: "
    "pip install 'blemish[ray]'"
)


def problem_of(address: str) -> str | None:
    """Return what is wrong with a cluster, or None."""
    try:
        from blemish.runners.cluster.connection import connect, node_problems
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        return NO_RAY
    from blemish.runners.cluster.unavailable import ClusterUnavailableError

    try:
        connect(address)
    except ClusterUnavailableError as error:
        return str(error)
    return " ".join(node_problems()) or None


def print_check() -> None:
    """Check the cluster that the command line names."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries print too
    json.dump({"problem": problem_of(sys.argv[1])}, output)
    output.close()


if __name__ == "__main__":
    print_check()
