#!/usr/bin/env python3
"""A backfill on a Ray cluster: one task for each shard, each of which runs the same `ocp-rollup run`.

    backfill_ray.py --shards 16 --cpus 2 --memory 1GiB -- \\
        run --config config.yaml --from 2025-07-01 --to 2025-10-31

What follows `--` goes to the program as it is. A first task plans, so that shards have about as many rows; where
that fails they have about as many days. Ray chooses the nodes, keeps to the processors and memory that each task
asks for, and starts a task again whose node died; a shard can be run again, or twice at once, and leaves the same
rows. The program, its configuration file and its spill folder must be on every node under the same path;
environment variables of the database and the object store are handed on from here.

Exit code: 0 if every shard succeeded, else that of the first shard that failed; 1 if Ray gave a shard up; 2 if
planning finds usage or configuration to be wrong.
"""

import argparse
import collections
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

# Exit codes of ocp-rollup that another try may turn into success: database, interrupted, and killed.
PASSING = (4, 6, -signal.SIGKILL, 128 + signal.SIGKILL)
# A shard that Ray could not run to its end.
NOT_RUN = 1
# What the program reads from the environment.
HANDED_ON = ("OCP_ROLLUP_", "DATABASE_", "POSTGRES_", "PG", "S3_", "AWS_", "REQUESTED_BUCKET", "ORG_ID", "OCP_")
# Lines of a shard's log that are kept for the message if it fails.
KEPT_LINES = 20
# prctl(2)
PR_SET_PDEATHSIG = 1

UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def size(text):
    for unit, factor in UNITS.items():
        if text.endswith(unit):
            return int(float(text[: -len(unit)]) * factor)
    return int(text)


def arguments(argv):
    parser = argparse.ArgumentParser(
        description="Runs the shards of an ocp-rollup backfill on a Ray cluster.",
        epilog="Everything after -- are the arguments of ocp-rollup: `-- run --from … --to …`.",
    )
    parser.add_argument("--shards", type=int, required=True, help="parts to divide the (source, day) pairs into, by rows")
    parser.add_argument("--address", default=None, help="of the Ray cluster; the local one, or a new one, without it")
    parser.add_argument("--binary", default="ocp-rollup", help="the program on the nodes (%(default)s)")
    parser.add_argument("--cpus", type=float, default=1, help="processors of a task, and its threads (%(default)s)")
    parser.add_argument("--memory", type=size, default=size("512MiB"), help="memory of a task, and its limit (512MiB)")
    parser.add_argument("--retries", type=int, default=3, help="further tries of a shard (%(default)s)")
    own, rest = argv, []
    if "--" in argv:
        at = argv.index("--")
        own, rest = argv[:at], argv[at + 1 :]
    options = parser.parse_args(own)
    if rest[:1] != ["run"]:
        parser.error("the arguments of ocp-rollup are missing: `-- run --from … --to …`")
    if any(argument.startswith("--shard-") for argument in rest):
        parser.error("what shard a task does is said here, not by --shard-… after --")
    if options.shards < 1:
        parser.error("--shards must be at least 1")
    options.command = rest
    return options


class Passing(Exception):
    """A failure that another try may mend: (exit code, last lines of the log)."""


def die_with_parent():
    """A worker that Ray kills must not leave its program behind, at work on a shard that another node redoes."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def variables(options, environment):
    return {
        **os.environ,
        **environment,
        "OCP_ROLLUP_THREADS": str(max(1, int(options.cpus))),
        "OCP_ROLLUP_MEMORY_LIMIT": str(options.memory),
    }


def weigh(options, environment):
    """Plans the run. Returns (exit code, the rows of its days as --shard-weights takes them, the log).

    Once, and not by each shard: what is uploaded between the starts of two must not move a day to one that is done.
    """
    whole = {k: v for k, v in variables(options, environment).items() if not k.startswith("OCP_ROLLUP_SHARD_")}
    # Whether a day fits into a task's memory is for its shard to say.
    whole.update(OCP_ROLLUP_MEMORY_LIMIT="auto")
    done = subprocess.run(
        [options.binary, "plan", *options.command[1:], "--json"],
        env=whole,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        preexec_fn=die_with_parent,
    )
    if done.returncode != 0:
        return done.returncode, None, done.stderr
    return 0, json.dumps({"days": json.loads(done.stdout)["days"]}), done.stderr


def run_shard(index, weights, options, environment):
    """Runs one shard. Returns (index, exit code, seconds, last lines of the log)."""
    shard = variables(options, environment)
    shard.update(OCP_ROLLUP_SHARD_INDEX=str(index), OCP_ROLLUP_SHARD_COUNT=str(options.shards))
    if weights is None:
        return index, *run_program(options, shard)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(weights)
        file.flush()
        shard.update(OCP_ROLLUP_SHARD_WEIGHTS=file.name)
        return index, *run_program(options, shard)


def run_program(options, variables):
    """Runs the program. Returns (exit code, seconds, last lines of the log)."""
    start = time.monotonic()
    process = subprocess.Popen(
        [options.binary, *options.command],
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        preexec_fn=die_with_parent,
    )
    lines = collections.deque(process.stdout, maxlen=KEPT_LINES)
    code = process.wait()
    if code in PASSING:
        raise Passing(code if code >= 0 else 128 - code, "".join(lines))
    return code, time.monotonic() - start, "".join(lines)


def main(argv):
    options = arguments(argv)
    # Here, so that --help and a wrong flag need no Ray.
    import ray

    ray.init(address=options.address, log_to_driver=False)
    environment = {k: v for k, v in os.environ.items() if k.startswith(HANDED_ON)}
    needs = {"num_cpus": options.cpus, "memory": options.memory, "max_retries": options.retries}
    try:
        code, weights, log = ray.get(ray.remote(weigh).options(**needs).remote(options, environment))
    except ray.exceptions.RayError as error:
        code, weights, log = NOT_RUN, None, str(error)
    if code != 0:
        print(f"planning: exit code {code}\n{log}", file=sys.stderr, flush=True)
        if code == 2:
            ray.shutdown()
            return code
        print("shards have about as many days each, not as many rows", file=sys.stderr, flush=True)
    task = ray.remote(run_shard).options(**needs, retry_exceptions=[Passing])
    weights = ray.put(weights)
    pending = {task.remote(i, weights, options, environment): i for i in range(options.shards)}
    first_failure, done = None, 0
    while pending:
        (ready,), _ = ray.wait(list(pending), num_returns=1)
        index = pending.pop(ready)
        try:
            _, code, seconds, log = ray.get(ready)
        except ray.exceptions.RayError as error:
            seconds = None
            cause = getattr(error, "cause", None)
            # Without a cause Ray itself gave the shard up, most likely for want of a node.
            code, log = cause.args if isinstance(cause, Passing) else (NOT_RUN, str(error))
        done += 1
        took = "" if seconds is None else f" in {seconds:.1f} s"
        print(f"[{done}/{options.shards}] shard {index}: exit code {code}{took}", flush=True)
        if code != 0:
            print(log, file=sys.stderr, flush=True)
            first_failure = first_failure or code
            if code == 2:
                # Usage or configuration: the same in every shard.
                for waiting in pending:
                    ray.cancel(waiting, force=True)
                break
    ray.shutdown()
    return first_failure if first_failure is not None else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
