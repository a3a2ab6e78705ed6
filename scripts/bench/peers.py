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

HERE = Path(__file__).resolve().parent
ALL_KINDS = "ocp-rollup, all kinds"
OURS = "ocp-rollup"
PANDAS = "pandas"
# Name, script, package.
PEERS = [
    ("DuckDB tuned", "duckdb_tuned.py", "duckdb"),
    ("DuckDB naive", "duckdb_naive.py", "duckdb"),
    ("Polars streaming", "polars_streaming.py", "polars"),
    ("DataFusion", "datafusion_tuned.py", "datafusion"),
    ("chdb", "chdb_tuned.py", "chdb"),
]


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

    def command(self, name, script, last, out):
        tree = self.tree
        if script is None:
            source = tree.root if name == ALL_KINDS else self.pods_only
            return [
                self.args.bin, "run", "--source", source, "--org-id", tree.org, "--provider-uuid", tree.provider,
                "--cluster-id", "c", "--cluster-alias", "c", "--from", tree.first, "--to", last,
                "--lookups", tree.root / "lookups", "--sink", f"parquet:{out}", "--threads", self.args.threads,
                "--log-level", "warn",
            ]  # fmt: skip
        return [
            sys.executable, HERE / script, "--source", tree.root, "--org", tree.org, "--provider", tree.provider,
            "--start", tree.first, "--end", last + timedelta(days=1), "--threads", self.args.threads, "--out", out,
        ]  # fmt: skip

    def run(self, name, script, last):
        """Wall and CPU in seconds, peak of the resident set in MiB."""
        out = self.scratch / (re.sub(r"\W+", "-", name) + ".parquet")
        out.unlink(missing_ok=True)
        command = [str(word) for word in self.command(name, script, last, out)]
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
                sys.exit(f"error: {name} failed with {child.returncode}: {' '.join(command)}\n{log.read()[-4000:]}")
        cpu = used.ru_utime + used.ru_stime
        return {"wall_s": round(wall, 3), "cpu_s": round(cpu, 3), "rss_mib": round(used.ru_maxrss / 1024, 1)}, out

    def alternate(self, contenders, last):
        """Runs each in turn, as often as asked for; rows are checked in the first round."""
        runs = {name: [] for name, _ in contenders}
        checks = {}
        ours = None
        for round_ in range(self.args.runs):
            # Another one goes first in every round.
            turn = contenders if round_ == 0 else contenders[round_ % len(contenders):] + contenders[: round_ % len(contenders)]
            for name, script in turn:
                used, out = self.run(name, script, last)
                runs[name].append(used)
                print(f"  {round_ + 1}  {name:24} {used['cpu_s']:8.2f} CPU s {used['wall_s']:8.2f} s {used['rss_mib']:8.0f} MiB", file=sys.stderr)
                if round_ > 0:
                    continue
                ours = ours or out
                checks[name] = apart("check.py", ours, out)
                if "different" in checks[name]:
                    sys.exit(
                        f"error: {name} makes other rows than {contenders[0][0]}: {checks[name]['different']}; "
                        f"both are in {self.scratch}"
                    )
        return [{"name": name, **medians(runs[name]), "check": checks[name], "runs": runs[name]} for name, _ in contenders]


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


def table(results, ours):
    """Medians, and what share ocp-rollup takes of each."""
    lines = [f"{'':24} {'CPU s':>8} {'wall s':>8} {'MiB':>8}   ocp-rollup: CPU   wall  memory"]
    for result in results:
        line = f"{result['name']:24} {result['cpu_s']:8.2f} {result['wall_s']:8.2f} {result['rss_mib']:8.0f}"
        if result is not ours:
            share = [ours[unit] / result[unit] for unit in ("cpu_s", "wall_s", "rss_mib")]
            line += "            " + " ".join(f"{s:6.2f}" for s in share)
        lines.append(line)
    return "\n".join(lines)


def main():
    args = arguments()
    tree = Tree(args.data)
    wanted = [word.strip().lower() for word in args.only.split(",") if word.strip()]
    asked = [peer for peer in PEERS if not wanted or any(word in peer[0].lower() for word in wanted)]
    missing = sorted({package for _, _, package in asked if version(package) is None})
    for package in missing:
        print(f"note: {package} is not installed here and is left out", file=sys.stderr)
    contenders = [(OURS, None), (ALL_KINDS, None)]
    contenders += [(name, script) for name, script, package in asked if package not in missing]
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
    print(table(results, results[0]))
    document = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {"processor": processor(), "processors": os.cpu_count(), "kernel": platform.release(), "load_before": round(load, 2)},
        "versions": {package: version(package) for _, _, package in asked} | {"python": platform.python_version()},
        "ocp_rollup": subprocess.run([args.bin, "--version"], capture_output=True, text=True, check=True).stdout.strip(),
        "threads": args.threads,
        "input": {"pod_rows": tree.rows, "files": tree.files, "bytes": tree.bytes, "first": str(tree.first), "last": str(tree.last)},
        "results": results,
    }
    if args.pandas_days > 0 and (not wanted or "pandas" in wanted):
        last = min(tree.first + timedelta(days=args.pandas_days - 1), tree.last)
        print(f"\n{tree.first} to {last} only", file=sys.stderr)
        few = bench.alternate([(OURS, None), (PANDAS, "pandas_plain.py")], last)
        print(f"\n{tree.first} to {last} only\n{table(few, few[0])}")
        document["pandas"] = {"version": version("pandas"), "last": str(last), "results": few}
    folder = args.results / f"{date.today()}-{re.sub(r'[^a-z0-9]+', '-', processor().lower()).strip('-')}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "peers.json").write_text(json.dumps(document, indent=1) + "\n")
    print(f"\nraw results: {folder / 'peers.json'}", file=sys.stderr)
    shutil.rmtree(scratch)


main()
