"""A training on a Ray cluster, over the same pipe as `training_process`.

This process is the driver: it opens the frozen entries, sends them to a node, passes the progress
on, and seals the bundle. So no key reaches a node, and a cluster that is gone ends this process and
not the server. Ray ends the task on the node when this process ends.
"""

from __future__ import annotations

import argparse

from blemish.runners.training_process import TrainingRun, main


def on_cluster() -> TrainingRun:
    """Connect to the cluster that the command line names; return what runs a training there."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("address")
    parser.add_argument("--cpus", type=float, required=True)
    parser.add_argument("--gpus", type=float, required=True)
    parser.add_argument("--memory-bytes", type=int, required=True)
    options = parser.parse_args()
    resources = {
        "num_cpus": options.cpus,
        "num_gpus": options.gpus,
        "memory": options.memory_bytes,
    }
    from blemish.runners.cluster.ray_driver import RayDriver

    try:
        return RayDriver(options.address, resources=resources).run
    except (ConnectionError, RuntimeError) as error:
        reason = f"the Ray cluster at {options.address} cannot be used: {error}"
        return lambda _spec, _progress: {"interrupted": reason}


if __name__ == "__main__":
    main(on_cluster)
