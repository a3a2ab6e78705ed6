#!/usr/bin/env bash
# Usage that a YAML file asks for, made by koku-nise as CSV, converted and rolled up: the totals must be those of
# the YAML file. Each file below tests/data/nise/ is a scenario; the files to run may be given instead.
#
# One line a scenario: `ok NAME` or `FAILED NAME`. Exit code: 0 all ok, 1 one failed, 77 koku-nise could not be
# installed.
#
# OCP_ROLLUP_BIN  the program; target/debug/ocp-rollup without it
# NISE_VENV       a virtual environment to use, or to make; target/nise-venv without it
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

program=${OCP_ROLLUP_BIN:-${CARGO_TARGET_DIR:-target}/debug/ocp-rollup}
venv=${NISE_VENV:-${CARGO_TARGET_DIR:-target}/nise-venv}
version=5.4.4
provider=6f637072-6f6c-4c75-9073-6e6973650001
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

skip() {
    echo "SKIPPED: $1" >&2
    exit 77
}

make_venv() {
    if [[ ! -x $venv/bin/nise ]]; then
        command -v python3 >/dev/null || skip "there is no python3"
        rm -rf "$venv"
        python3 -m venv "$venv" >"$work/venv.log" 2>&1 || {
            rm -rf "$venv"
            skip "python3 cannot make a virtual environment (python3-venv)"
        }
        "$venv/bin/pip" --quiet --disable-pip-version-check --retries 1 --timeout 20 \
            install "koku-nise==$version" >>"$work/venv.log" 2>&1 || {
            rm -rf "$venv"
            tail -n 3 "$work/venv.log" >&2
            skip "pip cannot install koku-nise $version"
        }
    fi
    # Reached from the folder of a scenario.
    venv=$(cd "$venv" && pwd)
}

scenario() {
    local yaml=$1 folder=$2 from to
    mkdir -p "$folder/csv" "$folder/lookups" || return 1
    (cd "$folder/csv" && "$venv/bin/nise" report ocp --static-report-file "$yaml" \
        --ocp-cluster-id nise-cluster -w) >"$folder/nise.log" 2>&1 || {
        tail -n 5 "$folder/nise.log" >&2
        return 1
    }
    "$program" convert --log-level error --input "$folder/csv" --out "$folder/tree" --org-id org1234567 \
        --provider-uuid "$provider" >"$folder/convert.log" || return 1
    read -r from to < <("$venv/bin/python" scripts/lib/nise_totals.py days "$yaml") || return 1
    "$venv/bin/python" scripts/lib/nise_totals.py lookups "$yaml" "$folder/lookups" || return 1
    local grain
    for grain in hourly daily; do
        "$program" run --log-level error --source "$folder/tree" --org-id org1234567 \
            --provider-uuid "$provider" --from "$from" --to "$to" --lookups "$folder/lookups" \
            --pod-source "$grain" --sink "csv:$folder/$grain.csv" >"$folder/run.log" || return 1
        "$venv/bin/python" scripts/lib/nise_totals.py compare "$yaml" "$folder/$grain.csv" || return 1
    done
}

[[ -x $program ]] || { echo "error: there is no $program: cargo build, or set OCP_ROLLUP_BIN" >&2; exit 1; }
program=$(realpath "$program")
make_venv
[[ $# -gt 0 ]] || set -- tests/data/nise/*.yml
failed=0
for yaml in "$@"; do
    name=$(basename "$yaml" .yml)
    if scenario "$(realpath "$yaml")" "$work/$name"; then
        echo "ok $name"
    else
        echo "FAILED $name"
        failed=1
    fi
done
exit $failed
