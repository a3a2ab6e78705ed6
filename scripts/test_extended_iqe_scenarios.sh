#!/usr/bin/env bash
# The 18 golden scenarios end to end: Parquet through ocp-rollup into a PostgreSQL server that this
# script starts and stops, then compared there with the rows that Koku's own SQL wrote.
#
#   scripts/test_extended_iqe_scenarios.sh [SCENARIO]...
#
# Each runs four ways: streaming on and off, pods from the hourly and from the daily files. Lookups,
# report periods and cluster are looked up in the database, as in a Koku tenant.
#
# OCP_ROLLUP_BIN     the program; without it a release build is made
# SCENARIOS          the folder of the scenarios; tests/golden without it
#
# Exit code: 0 if all passed, else 1.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
source scripts/lib/postgres.sh

scenarios=${SCENARIOS:-tests/golden}
table=reporting_ocpusagelineitem_daily_summary

if [[ -z ${OCP_ROLLUP_BIN:-} ]]; then
    cargo build --release --quiet || exit 1
    OCP_ROLLUP_BIN=${CARGO_TARGET_DIR:-target}/release/ocp-rollup
fi
if [[ ! -x $OCP_ROLLUP_BIN ]]; then
    echo "error: OCP_ROLLUP_BIN is $OCP_ROLLUP_BIN, which is no program" >&2
    exit 1
fi
# Nothing of the caller's settings may reach the program.
for name in $(compgen -e); do
    case $name in
    OCP_ROLLUP_BIN) ;;
    OCP_* | S3_* | AWS_* | POSTGRES_* | DATABASE_* | PG* | ORG_ID | REQUESTED_BUCKET | RUST_LOG) unset "$name" ;;
    esac
done

postgres_start || exit 1
work=$POSTGRES_FOLDER/work
mkdir "$work" || exit 1

psql_() { "$POSTGRES_BIN/psql" -XAtq -v ON_ERROR_STOP=1 "$@"; }

# prepare FOLDER: an empty tenant with the scenario's lookups and report periods. Sets schema, source,
# from, to and wanted (rows: Pod, Storage, unallocated).
prepare() {
    local folder=$1 params
    params=$(<"$folder/params.json")
    schema=$(psql_ -v p="$params" <<<"SELECT :'p'::jsonb ->> 'schema'") &&
        psql_ -c "DROP SCHEMA IF EXISTS \"$schema\" CASCADE" -c "CREATE SCHEMA \"$schema\"" 2>"$work/drop" ||
        { cat "$work/drop" >&2; return 1; }
    export PGOPTIONS="-c search_path=$schema -c client_min_messages=warning"
    psql_ -f tests/common/summary.sql -f tests/common/partitioned_tables.sql >/dev/null || return 1
    local lookup
    for lookup in reporting_enabledtagkeys=enabled_tag_keys \
        reporting_ocp_cost_category_namespace=cost_category_namespace reporting_ocp_nodes=nodes; do
        local file=$folder/${lookup#*=}.csv
        psql_ -c "COPY ${lookup%=*} ($(head -n 1 "$file")) FROM STDIN (FORMAT csv, HEADER, NULL '\\N')" \
            <"$file" || return 1
    done
    psql_ -v p="$params" <<'SQL' >"$work/facts" || return 1
INSERT INTO reporting_ocpusagereportperiod
    (id, cluster_id, cluster_alias, provider_id, report_period_start, report_period_end)
SELECT (run ->> 'report_period_id')::int, p ->> 'cluster_id', p ->> 'cluster_alias',
    (p ->> 'source_uuid')::uuid, month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC'
FROM (SELECT :'p'::jsonb) AS given (p), jsonb_array_elements(p -> 'runs') AS run,
    date_trunc('month', (run ->> 'start_date')::timestamp) AS month;
SELECT p ->> 'source_uuid', p #>> '{runs,0,start_date}', p #>> '{runs,-1,end_date}',
    p #>> '{expected_rows,Pod}', p #>> '{expected_rows,Storage}', p #>> '{expected_rows,unallocated}'
FROM (SELECT :'p'::jsonb) AS given (p);
SQL
    local pods storage unallocated
    IFS='|' read -r source from to pods storage unallocated <"$work/facts"
    wanted="$pods|$storage|$unallocated"
}

# one_way FOLDER FLAG...: runs and compares. Sets equal (values) and largest (difference).
one_way() {
    local folder=$1 rows
    shift
    psql_ -c "TRUNCATE $table" || return 1
    if ! "$OCP_ROLLUP_BIN" run --source "$folder/parquet" --org-id "$schema" --provider-uuid "$source" \
        --from "$from" --to "$to" --log-level warn "$@" >"$work/run" 2>&1; then
        echo "  run $*: failed" && sed 's/^/    /' "$work/run" && return 1
    fi
    rows=$(psql_ -c "SELECT count(*) FILTER (WHERE data_source = 'Pod' AND NOT unallocated),
        count(*) FILTER (WHERE data_source = 'Storage'), count(*) FILTER (WHERE unallocated)
        FROM $table, coalesce(namespace LIKE '% unallocated', false) AS unallocated") || return 1
    if [[ $rows != "$wanted" ]]; then
        echo "  run $*: Pod|Storage|Unallocated rows are $rows, not $wanted" && return 1
    fi
    if ! "$OCP_ROLLUP_BIN" verify postgres "csv:$folder/expected.csv" --schema "$schema" --log-level warn \
        --json >"$work/report" 2>"$work/error"; then
        echo "  run $*: the rows differ"
        "$OCP_ROLLUP_BIN" verify postgres "csv:$folder/expected.csv" --schema "$schema" --log-level warn \
            --max-rows 3 2>&1 | sed -n '/^Differing rows/,$ s/^/    /p'
        return 1
    fi
    psql_ -v p="$(<"$work/report")" <<'SQL' >"$work/facts" || return 1
SELECT (p ->> 'equal_rows')::bigint * jsonb_array_length(p -> 'columns'),
    coalesce((p ->> 'largest_relative_difference')::float8, 0),
    (p ->> 'equal')::boolean AND jsonb_array_length(p -> 'only_right') = 0
FROM (SELECT :'p'::jsonb) AS given (p);
SQL
    local whole
    IFS='|' read -r equal largest whole <"$work/facts"
    if [[ $whole != t ]]; then
        echo "  run $*: verify did not compare every column" && return 1
    fi
}

names=("$@")
if [[ $# -eq 0 ]]; then
    for folder in "$scenarios"/*/; do
        [[ -f $folder/params.json ]] && names+=("$(basename "$folder")")
    done
    if [[ ${#names[@]} -ne 18 ]]; then
        echo "error: $scenarios holds ${#names[@]} scenarios, not 18" >&2
        exit 1
    fi
fi

failed=()
for name in "${names[@]}"; do
    folder=$scenarios/$name
    passed=0 values=0 most=0
    : >"$work/messages"
    if [[ ! -f $folder/params.json ]]; then
        echo "  there is no $folder/params.json" >"$work/messages"
    elif prepare "$folder" 2>>"$work/messages"; then
        for streaming in on off; do
            for pods in hourly daily; do
                if one_way "$folder" --streaming "$streaming" --pod-source "$pods" >>"$work/messages" 2>&1; then
                    passed=$((passed + 1)) values=$((values + equal))
                    most=$(printf '%s\n' "$most" "$largest" | sort -g | tail -n 1)
                fi
            done
        done
    fi
    if [[ $passed -eq 4 ]]; then
        IFS='|' read -r pods storage unallocated <<<"$wanted"
        printf 'ok     %-34s Pod %3d  Storage %3d  Unallocated %3d   %6d checks passed   largest relative difference %s\n' \
            "$name" "$pods" "$storage" "$unallocated" "$values" "$most"
    else
        failed+=("$name")
        printf 'FAILED %-34s %d of 4 ways passed\n' "$name" "$passed"
        cat "$work/messages"
    fi
done

if [[ ${#failed[@]} -gt 0 ]]; then
    echo "${#failed[@]} of ${#names[@]} FAILED: ${failed[*]}"
    exit 1
fi
echo "ALL ${#names[@]} PASSED"
