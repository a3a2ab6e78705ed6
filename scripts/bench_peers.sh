#!/usr/bin/env bash
# ocp-rollup against DuckDB, Polars, DataFusion, ClickHouse (chdb) and pandas: the same line items, the same pod
# rows, checked, by turns on this machine. Prints medians of CPU (user and system, children included), wall time and
# peak resident set, and keeps the single runs in benches/results/DATE-PROCESSOR/peers.json.
#
#   --data DIR          folder that holds data/ and lookups/ of one source; made by `ocp-rollup generate` if absent
#   --rows N            hourly pod rows to make where there is none (10000000)
#   --runs N            runs of each (5)
#   --threads N         threads of each (2)
#   --pandas-days N     days that pandas and ocp-rollup also roll up by themselves, about a million rows (3); 0 for none
#   --only NAME,...     only these peers, e.g. `duckdb,polars`
#   --bin FILE          the program (built if not given)
#   --results DIR       where single runs are kept (benches/results)
#   --venv DIR          the Python environment (target/bench-venv)
#
# Needs python3 with venv, and PyPI the first time. chdb is left out where it cannot be installed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

data='' rows=10000000 runs=5 threads=2 pandas_days=3 only='' bin='' results=$root/benches/results venv=$root/target/bench-venv
while [[ $# -gt 0 ]]; do
    case $1 in
    -h | --help)
        sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
        exit 0
        ;;
    --data | --rows | --runs | --threads | --pandas-days | --only | --bin | --results | --venv)
        [[ $# -ge 2 ]] || { echo "error: $1 needs a value; see --help" >&2; exit 2; }
        name=${1#--}
        printf -v "${name//-/_}" %s "$2"
        shift 2
        ;;
    *)
        echo "error: unknown flag $1; see --help" >&2
        exit 2
        ;;
    esac
done
for number in "$rows" "$runs" "$threads"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || { echo "error: $number is no number of rows, runs or threads" >&2; exit 2; }
done
[[ $pandas_days =~ ^[0-9]+$ ]] || { echo "error: --pandas-days $pandas_days is no number" >&2; exit 2; }

if [[ -z $bin ]]; then
    (cd "$root" && cargo build --release --quiet)
    bin=${CARGO_TARGET_DIR:-$root/target}/release/ocp-rollup
fi
[[ -x $bin ]] || { echo "error: no program $bin; give --bin or leave it out" >&2; exit 2; }

if [[ ! -x $venv/bin/python ]]; then
    python3 -m venv "$venv"
fi
if ! cmp -s "$root/scripts/bench/requirements.txt" "$venv/installed.txt"; then
    "$venv/bin/pip" install --quiet --requirement "$root/scripts/bench/requirements.txt"
    "$venv/bin/pip" install --quiet chdb==4.4.0 || echo "note: chdb does not install here" >&2
    cp "$root/scripts/bench/requirements.txt" "$venv/installed.txt"
fi

data=${data:-${TMPDIR:-/tmp}/ocp-rollup-peers-$rows}
if [[ ! -d $data/data ]]; then
    # 250 nodes make about 338 thousand rows a day; more rows than a month of them need a larger cluster.
    days=$(((rows + 337999) / 338000))
    nodes=250
    if [[ $days -gt 30 ]]; then
        nodes=$(((rows + 40559) / 40560))
        days=30
    fi
    echo "making $data: $days days of $nodes nodes" >&2
    "$bin" generate --out "$data" --days "$days" --nodes "$nodes" --no-daily >&2
fi

exec "$venv/bin/python" "$root/scripts/bench/peers.py" --bin "$bin" --data "$data" --runs "$runs" --threads "$threads" \
    --pandas-days "$pandas_days" --only "$only" --results "$results"
