#!/usr/bin/env bash
# What loading PostgreSQL costs: psql with rows encoded beforehand, over one connection, against runs
# that read, aggregate and load, day by day and in bulk; alternating, medians and ratios.
#
#   scripts/bench_postgres.sh TREE [ROUNDS]
#
# TREE is what `ocp-rollup generate --out TREE` made, of one month. BINARY names the program, by
# default target/release/ocp-rollup. Needs Debian's PostgreSQL; the server runs in a temporary
# directory, as the user postgres where this is root.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$(realpath "${1:?say where the tree is}")
rounds=${2:-5}
binary=$(realpath "${BINARY:-target/release/ocp-rollup}")
programs=$(find /usr/lib/postgresql -maxdepth 2 -name bin | sort -V | tail -n 1)
port=${PORT:-54329}
table=org1234567.reporting_ocpusagelineitem_daily_summary
work=$(mktemp -d)
as_server=()
if [ "$(id -u)" = 0 ]; then
    chown postgres "$work"
    as_server=(setpriv --reuid=postgres --regid=postgres --init-groups)
fi
server() { (cd "$work" && "${as_server[@]}" "$programs/$1" -D "$work/data" "${@:2}" >>"$work/log" 2>&1); }
trap 'server pg_ctl stop -m immediate || true; rm -rf "$work"' EXIT
server initdb -U ocp -A trust -E UTF8 --locale=C.UTF-8 --no-sync
server pg_ctl -w start -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=512MB -c max_wal_size=4GB"

query() { psql -h 127.0.0.1 -p "$port" -U ocp -d postgres -qAt -v ON_ERROR_STOP=1 "$@"; }
query -c 'CREATE SCHEMA org1234567' -c 'SET search_path = org1234567' \
    -f tests/common/summary.sql -f tests/common/partitioned_tables.sql

sources=("$tree"/data/parquet/org1234567/OCP/pod_usage/source=*)
provider=${sources[0]##*source=}
month=$(find "${sources[0]}" -path '*year=*/month=*' -type d | sort | head -n 1)
year=${month#*year=}; year=${year%%/*}; month=${month##*month=}
first=$(printf '%04d-%02d-01' "$year" "$((10#$month))")
last=$(date -d "$first + 1 month - 1 day" +%F)
run() {
    DATABASE_SERVICE_HOST=127.0.0.1 DATABASE_SERVICE_PORT=$port DATABASE_NAME=postgres DATABASE_USER=ocp \
        PGSSLMODE=disable "$binary" run --source "$tree" --org-id org1234567 --provider-uuid "$provider" \
        --cluster-id c --cluster-alias a --report-period-id 1 --from "$first" --to "$last" \
        --lookups "$tree/lookups" --sink postgres --log-level warn "$@" >>"$work/runs" 2>&1
}
timed() { # name command...
    local name=$1 start end
    shift
    query -c "TRUNCATE $table" -c CHECKPOINT
    start=$(date +%s.%N)
    "$@"
    end=$(date +%s.%N)
    echo "$name $(echo "$end - $start" | bc)" | tee -a "$work/times"
}

run --bulk on
rows=$(query -c "SELECT count(*) FROM $table")
# What the program sends: the columns that it fills.
columns=$(query -c "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute a
    WHERE attrelid = '$table'::regclass AND attnum > 0 AND attname !~ '_cost|^cost_model|raw_|data_(in|out)'
       OR attrelid = '$table'::regclass AND attname = 'infrastructure_usage_cost'")
query -c "\\copy (SELECT $columns FROM $table ORDER BY usage_start) TO '$work/rows.bin' (FORMAT binary)"
echo "$rows rows, $(stat -c %s "$work/rows.bin") bytes, $(nproc) cores"
for _ in $(seq "$rounds"); do
    timed psql query -c "\\copy $table ($columns) FROM '$work/rows.bin' (FORMAT binary)"
    timed days-1 run --bulk off --connections 1
    timed days run --bulk off
    timed bulk run --bulk on
    invalid=$(query -c "SELECT count(*) FROM pg_index WHERE NOT indisvalid")
    [ "$invalid" = 0 ] && [ "$(query -c "SELECT count(*) FROM $table")" = "$rows" ]
done
sort -k1,1 -k2,2n "$work/times" | awk -v rows="$rows" '
    { times[$1, ++count[$1]] = $2 }
    END {
        for (name in count) { half = int((count[name] + 1) / 2); median[name] = times[name, half] }
        for (name in median)
            printf "%-7s median %6.2f s, %8.0f rows/s, %.2f x psql\n", name, median[name],
                rows / median[name], median["psql"] / median[name]
    }' | sort
