"""Runs ocp-rollup and its peers by turns on the same line items, checks that they make the same rows, and
prints medians. Called by scripts/bench_peers.sh, which says what the flags mean."""

import argparse
import importlib.metadata
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent


class Contender(NamedTuple):
    name: str
    # None: ocp-rollup itself.
    script: str | None
    package: str | None
    # The rows it makes: those of pods, or all kinds (storage and unallocated too). Shares are of ocp-rollup
    # making the same kinds.
    kinds: str = "pods"


OURS = [Contender("ocp-rollup", None, None), Contender("ocp-rollup, all kinds", None, None, "all")]
PEERS = [
    Contender("DuckDB tuned", "duckdb_tuned.py", "duckdb"),
    Contender("DuckDB tuned, all kinds", "duckdb_all.py", "duckdb", "all"),
    Contender("DuckDB naive", "duckdb_naive.py", "duckdb"),
    Contender("Polars streaming", "polars_streaming.py", "polars"),
    Contender("DataFusion", "datafusion_tuned.py", "datafusion"),
    Contender("chdb", "chdb_tuned.py", "chdb"),
]
PANDAS = Contender("pandas", "pandas_plain.py", "pandas")


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--pandas-days", type=int, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--results", type=Path, required=True)
    return parser.parse_args()


class Tree:
    """A tree of one source in Koku's layout, and what lies in it."""

    def __init__(self, root):
        pods = sorted(root.glob("data/parquet/*/OCP/pod_usage/source=*"))
        if len(pods) != 1:
            sys.exit(f"error: {root} holds pod line items of {len(pods)} sources; the comparison takes exactly one")
        self.root = root
        self.org = pods[0].parts[-4]
        self.provider = pods[0].name.removeprefix("source=")
        found = apart("footers.py", *sorted(pods[0].glob("*/*/*.parquet")))
        self.rows, self.bytes, self.files = found["rows"], found["bytes"], found["files"]
        self.first, self.last = date.fromisoformat(found["first"]), date.fromisoformat(found["last"])


def apart(script, *words):
    """What a script says as JSON. This process stays small: what it forks inherits its peak of memory."""
    command = [sys.executable, HERE / script, *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"error: {script} failed with {done.returncode}")
    return json.loads(done.stdout)


class Bench:
    def __init__(self, args, tree, scratch):
        self.args, self.tree, self.scratch = args, tree, scratch
        # The same tree without claims: a missing folder means that there are no such rows.
        self.pods_only = scratch / "pods"
        (self.pods_only / "data/parquet" / tree.org / "OCP").mkdir(parents=True)
        for kind in ("pod_usage", "node_labels", "namespace_labels"):
            below = Path("data/parquet") / tree.org / "OCP" / kind
            (self.pods_only / below).symlink_to((tree.root / below).resolve())

    def command(self, contender, last, out):
        tree = self.tree
        if contender.script is None:
            source = tree.root if contender.kinds == "all" else self.pods_only
            return [
                self.args.bin, "run", "--source", source, "--org-id", tree.org, "--provider-uuid", tree.provider,
                "--cluster-id", "c", "--cluster-alias", "c", "--from", tree.first, "--to", last,
                "--lookups", tree.root / "lookups", "--sink", f"parquet:{out}", "--threads", self.args.threads,
                "--log-level", "warn",
            ]  # fmt: skip
        return [
            sys.executable, HERE / contender.script, "--source", tree.root, "--org", tree.org, "--provider", tree.provider,
            "--start", tree.first, "--end", last + timedelta(days=1), "--threads", self.args.threads, "--out", out,
        ]  # fmt: skip

    def run(self, contender, last):
        """Wall and CPU in seconds, peak of the resident set in MiB."""
        out = self.scratch / (re.sub(r"\W+", "-", contender.name) + ".parquet")
        out.unlink(missing_ok=True)
        command = [str(word) for word in self.command(contender, last, out)]
        # Settings of this shell are not those of the comparison.
        env = {k: v for k, v in os.environ.items() if not k.startswith(("OCP_ROLLUP_", "OCP_"))}
        with open(self.scratch / "log", "w+") as log:
            started = time.perf_counter()
            child = subprocess.Popen(command, stdout=log, stderr=log, env=env)
            # Not `wait`: this one also tells what the child and its own children used.
            _, status, used = os.wait4(child.pid, 0)
            wall = time.perf_counter() - started
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode != 0:
                log.seek(0)
                sys.exit(f"error: {contender.name} failed with {child.returncode}: {' '.join(command)}\n{log.read()[-4000:]}")
        cpu = used.ru_utime + used.ru_stime
        return {"wall_s": round(wall, 3), "cpu_s": round(cpu, 3), "rss_mib": round(used.ru_maxrss / 1024, 1)}, out

    def alternate(self, contenders, last):
        """Runs each in turn, as often as asked for; rows are checked in the first round."""
        runs = {contender: [] for contender in contenders}
        checks, first = {}, {}
        for round_ in range(self.args.runs):
            # Another one goes first in every round.
            at = round_ % len(contenders)
            for contender in contenders[at:] + contenders[:at]:
                used, out = self.run(contender, last)
                runs[contender].append(used)
                print(
                    f"  {round_ + 1}  {contender.name:24} {used['cpu_s']:8.2f} CPU s {used['wall_s']:8.2f} s "
                    f"{used['rss_mib']:8.0f} MiB",
                    file=sys.stderr,
                )
                if round_ == 0:
                    ours = first.setdefault(contender.kinds, out)
                    checks[contender] = check = apart("check.py", contender.kinds, ours, out)
                    if "different" in check:
                        sys.exit(
                            f"error: {contender.name} makes other rows than ocp-rollup: {check['different']}; "
                            f"both are in {self.scratch}"
                        )
        return [
            {"name": c.name, "kinds": c.kinds, **medians(runs[c]), "check": checks[c], "runs": runs[c]}
            for c in contenders
        ]


def medians(runs):
    return {unit: round(statistics.median(run[unit] for run in runs), 3) for unit in ("cpu_s", "wall_s", "rss_mib")}


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def table(results):
    """Medians, and what share ocp-rollup takes of each peer's that makes the same kinds of rows."""
    lines = [f"{'':24} {'CPU s':>8} {'wall s':>8} {'MiB':>8}   ocp-rollup: CPU   wall  memory"]
    ours = {}
    for result in results:
        line = f"{result['name']:24} {result['cpu_s']:8.2f} {result['wall_s']:8.2f} {result['rss_mib']:8.0f}"
        base = ours.setdefault(result["kinds"], result)
        if result is not base:
            share = [base[unit] / result[unit] for unit in ("cpu_s", "wall_s", "rss_mib")]
            line += "            " + " ".join(f"{s:6.2f}" for s in share)
        lines.append(line)
    return "\n".join(lines)


def main():
    args = arguments()
    tree = Tree(args.data)
    wanted = [word.strip().lower() for word in args.only.split(",") if word.strip()]
    asked = [peer for peer in PEERS if not wanted or any(word in peer.name.lower() for word in wanted)]
    missing = sorted({peer.package for peer in asked if version(peer.package) is None})
    for package in missing:
        print(f"note: {package} is not installed here and is left out", file=sys.stderr)
    contenders = OURS + [peer for peer in asked if peer.package not in missing]
    print(
        f"{tree.rows} pod line items of {tree.first} to {tree.last}, {tree.files} files, {tree.bytes / 2**20:.0f} MiB; "
        f"{args.threads} threads, {args.runs} runs each, by turns",
        file=sys.stderr,
    )
    scratch = Path(tempfile.mkdtemp(prefix="ocp-rollup-peers-"))
    bench = Bench(args, tree, scratch)
    # All of them find the files in the page cache.
    for file in tree.root.glob("data/parquet/*/OCP/*/**/*.parquet"):
        file.read_bytes()
    load = os.getloadavg()[0]
    results = bench.alternate(contenders, tree.last)
    print(table(results))
    document = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {"processor": processor(), "processors": os.cpu_count(), "kernel": platform.release(), "load_before": round(load, 2)},
        "versions": {package: version(package) for package in sorted({peer.package for peer in asked})} | {"python": platform.python_version()},
        "ocp_rollup": subprocess.run([args.bin, "--version"], capture_output=True, text=True, check=True).stdout.strip(),
        "threads": args.threads,
        "input": {"pod_rows": tree.rows, "files": tree.files, "bytes": tree.bytes, "first": str(tree.first), "last": str(tree.last)},
        "results": results,
    }
    if args.pandas_days > 0 and (not wanted or "pandas" in wanted):
        last = min(tree.first + timedelta(days=args.pandas_days - 1), tree.last)
        print(f"\n{tree.first} to {last} only", file=sys.stderr)
        few = bench.alternate([OURS[0], PANDAS], last)
        print(f"\n{tree.first} to {last} only\n{table(few)}")
        document["pandas"] = {"version": version("pandas"), "last": str(last), "results": few}
    folder = args.results / f"{date.today()}-{re.sub(r'[^a-z0-9]+', '-', processor().lower()).strip('-')}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "peers.json").write_text(json.dumps(document, indent=1) + "\n")
    print(f"\nraw results: {folder / 'peers.json'}", file=sys.stderr)
    shutil.rmtree(scratch)


main()
