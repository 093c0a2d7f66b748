"""A training on a Ray cluster, over the same pipe as `training_process`.

This process is the driver: it opens the frozen entries, sends them to a node, passes the progress
on, and seals the bundle. So no key reaches a node, and a cluster that is gone ends this process and
not the server. Ray ends the task on the node when this process ends.
"""

from __future__ import annotations

import argparse
import json

from blemish.runners.cluster.check_process import NO_RAY
from blemish.runners.cluster.unavailable import ClusterUnavailableError
from blemish.runners.training_process import TrainingRun, main


def on_cluster() -> TrainingRun:
    """Connect to the cluster that the command line names; return what runs a training there."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("address")
    parser.add_argument("resources", type=json.loads, help="by project; of others by ''")
    options = parser.parse_args()
    try:
        from blemish.runners.cluster.ray_driver import RayDriver

        return RayDriver(options.address, resources=options.resources).run
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        reason = NO_RAY
    except ClusterUnavailableError as error:
        reason = str(error)
    return lambda _spec, _progress: {"interrupted": reason}


IDLE_S = 60.0
"""How long a driver waits for another training; the server sends it none in the last half."""


if __name__ == "__main__":
    main(on_cluster, idle_s=IDLE_S)
