#!/usr/bin/env python3
"""Compares two saved baselines of the benches and fails where the second is worse than it may be.

    cargo bench --bench parts -- --save-baseline before
    cargo bench --bench peak_bytes -- --save-baseline before
    (change something)
    cargo bench --bench parts -- --save-baseline after
    cargo bench --bench peak_bytes -- --save-baseline after
    scripts/bench_compare.py before after

Limits: a part may take 20 % more time by its median, the sums and labels, on which every row depends,
10 %; peak bytes may grow by 10 %. A part whose time is noise (both confidence intervals overlap) never
fails. A bench of `before` that is missing in `after` is an error.

--target DIR    the target folder (target)
Exit code: 0 within the limits, 1 beyond one, 2 a baseline is missing.
"""

import argparse
import json
import sys
from pathlib import Path

TIME = 1.20
HOT = 1.10
HOT_GROUPS = ("labels", "sums", "groups")
BYTES = 1.10


def times(target, name):
    """Median and its confidence interval in nanoseconds, by bench."""
    found = {}
    for file in sorted(target.glob(f"criterion/*/*/{name}/estimates.json")):
        median = json.loads(file.read_text())["median"]
        interval = median["confidence_interval"]
        bench = "/".join(file.parts[-4:-2])
        found[bench] = (median["point_estimate"], interval["lower_bound"], interval["upper_bound"])
    return found


def peaks(target, name):
    file = target / "bench-peak" / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else {}


def shown(ns):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.2f} {unit}"
    return f"{ns:.1f} ns"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--target", type=Path, default=Path(__file__).resolve().parent.parent / "target")
    args = parser.parse_args()
    beyond, missing = 0, []
    old, new = times(args.target, args.before), times(args.target, args.after)
    for bench, (was, low, high) in old.items():
        if bench not in new:
            missing.append(bench)
            continue
        now, now_low, now_high = new[bench]
        limit = HOT if bench.split("/")[0] in HOT_GROUPS else TIME
        noise = now_low <= high and low <= now_high
        bad = now / was > limit and not noise
        beyond += bad
        verdict = f"WORSE than {limit:.2f}" if bad else "noise" if noise else "ok"
        print(f"{bench:34} {shown(was):>12} {shown(now):>12} {now / was:6.2f}x  {verdict}")
    old_peaks, new_peaks = peaks(args.target, args.before), peaks(args.target, args.after)
    for case, was in old_peaks.items():
        if case not in new_peaks:
            missing.append(case)
            continue
        now = new_peaks[case]
        bad = now / was > BYTES
        beyond += bad
        verdict = f"WORSE than {BYTES:.2f}" if bad else "ok"
        print(f"{case:34} {was / 2**20:8.1f} MiB {now / 2**20:8.1f} MiB {now / was:6.2f}x  {verdict}")
    if not old and not old_peaks:
        print(f"error: no baseline {args.before} below {args.target}; save it by cargo bench, see --help", file=sys.stderr)
        return 2
    if missing:
        print(f"error: {args.after} lacks {', '.join(missing)}; run the same benches for both", file=sys.stderr)
        return 2
    return 1 if beyond else 0


sys.exit(main())
