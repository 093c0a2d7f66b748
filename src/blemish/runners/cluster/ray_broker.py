"""The broker of hosted models on a Ray cluster: one actor for each inference unit.

The server opens the sealed bundles, so no key reaches this process or a node. Actors belong to this
process: Ray ends them with it, however it ends.
"""

from __future__ import annotations

import argparse
import asyncio
from functools import partial

from blemish.runners.cluster.check_process import NO_RAY
from blemish.runners.cluster.hosting_broker import HostingBroker, ServerLink
from blemish.runners.cluster.unavailable import ClusterUnavailableError
from blemish.runners.cluster.unit_room import room_text


def run_broker() -> None:
    """Host models on the cluster that the command line names, until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("address")
    parser.add_argument("--cpus", type=float, required=True)
    parser.add_argument("--gpus", type=float, required=True)
    parser.add_argument("--providers", required=True, help="separated by commas")
    options = parser.parse_args()
    link = ServerLink()
    try:
        from blemish.runners.cluster.connection import connect, free_resources
        from blemish.runners.cluster.ray_actors import RayActor, stored_files

        connect(options.address)
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        link.send("away", {"reason": NO_RAY})
        return
    except ClusterUnavailableError as error:
        link.send("away", {"reason": str(error)})
        return
    resources = {"num_cpus": options.cpus, "num_gpus": options.gpus}
    loading = {
        "threads": max(1, int(options.cpus)),
        "providers": options.providers.split(","),
        "shared_arena": True,
    }
    start = partial(RayActor, resources=resources, loading=loading)
    unit = {"CPU": options.cpus, "GPU": options.gpus}
    broker = HostingBroker(
        link, start=start, store=stored_files, room=lambda: room_text(unit, *free_resources())
    )
    asyncio.run(broker.run())


if __name__ == "__main__":
    run_broker()
