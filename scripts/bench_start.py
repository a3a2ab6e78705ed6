#!/usr/bin/env python3
"""How long a tiny run takes from the start of the process to its end: each golden scenario to CSV.

    scripts/bench_start.py [--bin FILE] [--runs N] [--limit MS]

Prints median and least wall time of each scenario in milliseconds. Exit code: 1 if a median is beyond the
limit (50 ms), which is what a person takes for at once.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def command(binary, folder, out):
    params = json.loads((folder / "params.json").read_text())
    first, last = params["runs"][0], params["runs"][-1]
    return [
        binary, "run", "--source", folder / "parquet", "--org-id", params["schema"],
        "--provider-uuid", params["source_uuid"], "--from", first["start_date"], "--to", last["end_date"],
        "--lookups", folder, "--cluster-id", "c", "--cluster-alias", "c", "--sink", f"csv:{out}", "--log-level", "error",
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=ROOT / "target/release/ocp-rollup")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--limit", type=float, default=50.0)
    args = parser.parse_args()
    if not args.bin.exists():
        sys.exit(f"error: no program {args.bin}; cargo build --release makes it, or give --bin")
    beyond = 0
    with tempfile.TemporaryDirectory() as scratch:
        for folder in sorted(path.parent for path in ROOT.glob("tests/golden/*/params.json")):
            walls = []
            for _ in range(args.runs):
                started = time.perf_counter()
                subprocess.run(command(args.bin, folder, Path(scratch) / "rows.csv"), env={}, check=True, stdout=subprocess.DEVNULL)
                walls.append((time.perf_counter() - started) * 1000)
            median = statistics.median(walls)
            beyond += median > args.limit
            print(f"{folder.name:40} {median:7.1f} ms, least {min(walls):7.1f} ms{'  BEYOND' if median > args.limit else ''}")
    sys.exit(1 if beyond else 0)


main()
