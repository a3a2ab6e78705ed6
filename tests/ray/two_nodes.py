"""A backfill on a Ray cluster of two nodes, of which one dies while it is at work.

    two_nodes.py MARKS [backfill_ray.py's arguments]

Every shard that begins leaves a file in MARKS (the program given is a wrapper that sees to it). As soon as both nodes
are at work, the second is killed. Exit code: that of the backfill.
"""

import importlib.util
import pathlib
import sys
import threading
import time

from ray.cluster_utils import Cluster

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "backfill_ray.py"
NODE = {"num_cpus": 1, "memory": 2 << 30, "object_store_memory": 80 << 20, "include_dashboard": False}
# A node's own start takes seconds; a test machine's load may make that many.
PATIENCE = 120


def main(marks, arguments):
    spec = importlib.util.spec_from_file_location("backfill_ray", SCRIPT)
    backfill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(backfill)

    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    second = cluster.add_node(**NODE)
    cluster.wait_for_nodes()

    def kill_second():
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and len(list(marks.iterdir())) < 2:
            time.sleep(0.05)
        begun = sorted(mark.name for mark in marks.iterdir())
        cluster.remove_node(second, allow_graceful=False)
        print(f"killed a node after these had begun: {' '.join(begun)}", flush=True)

    killer = threading.Thread(target=kill_second)
    killer.start()
    code = backfill.main(["--address", cluster.address, *arguments])
    killer.join()
    cluster.shutdown()
    return code


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), sys.argv[2:]))
