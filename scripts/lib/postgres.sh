# A PostgreSQL server in a temporary folder, reached through a socket in that folder; sourced.
#
# postgres_start sets PGHOST, PGUSER, PGDATABASE for psql and the DATABASE_* names for ocp-rollup, and
# has the server stopped and its folder removed when the shell ends, however it ends.

# The programs of the newest version that is installed.
postgres_programs() {
    local newest
    newest=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    if [[ ! -x $newest/initdb ]]; then
        echo "error: no PostgreSQL server below /usr/lib/postgresql: apt-get install postgresql" >&2
        return 1
    fi
    echo "$newest"
}

# PostgreSQL refuses to run as root: then it runs as the user that its package made.
postgres_as_server_user() {
    if [[ $EUID -eq 0 ]]; then
        (cd "$POSTGRES_FOLDER" && runuser -u postgres -- "$@")
    else
        (cd "$POSTGRES_FOLDER" && "$@")
    fi
}

postgres_start() {
    POSTGRES_BIN=$(postgres_programs) || return 1
    POSTGRES_FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/ocp-rollup-pg.XXXXXX")
    trap postgres_stop EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    [[ $EUID -eq 0 ]] && chown postgres: "$POSTGRES_FOLDER"
    # Nobody else can enter the folder, so the socket needs no password.
    if ! postgres_as_server_user "$POSTGRES_BIN/initdb" -D "$POSTGRES_FOLDER/data" -U ocp -A trust \
        -E UTF8 --locale=C.UTF-8 --no-sync >"$POSTGRES_FOLDER/start.log" 2>&1 ||
        ! postgres_as_server_user "$POSTGRES_BIN/pg_ctl" -D "$POSTGRES_FOLDER/data" -w -t 60 \
            -l "$POSTGRES_FOLDER/data/server.log" -o "-c listen_addresses= \
            -c unix_socket_directories='$POSTGRES_FOLDER' -c fsync=off -c full_page_writes=off \
            -c synchronous_commit=off -c shared_buffers=32MB" start >>"$POSTGRES_FOLDER/start.log" 2>&1
    then
        echo "error: PostgreSQL does not start:" >&2
        cat "$POSTGRES_FOLDER/start.log" "$POSTGRES_FOLDER/data/server.log" >&2 2>/dev/null
        return 1
    fi
    export PGHOST=$POSTGRES_FOLDER PGPORT=5432 PGUSER=ocp PGDATABASE=postgres PGSSLMODE=disable
    export DATABASE_SERVICE_HOST=$PGHOST DATABASE_SERVICE_PORT=$PGPORT
    export DATABASE_USER=$PGUSER DATABASE_NAME=$PGDATABASE DATABASE_PASSWORD=unused
}

postgres_stop() {
    local code=$?
    trap - EXIT
    if [[ -f $POSTGRES_FOLDER/data/postmaster.pid ]]; then
        postgres_as_server_user "$POSTGRES_BIN/pg_ctl" -D "$POSTGRES_FOLDER/data" -m immediate -w stop \
            >/dev/null 2>&1 || echo "warning: PostgreSQL in $POSTGRES_FOLDER did not stop" >&2
    fi
    rm -rf "$POSTGRES_FOLDER"
    exit "$code"
}
