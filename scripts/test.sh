#!/usr/bin/env bash
# All checks of the project, from a clean clone on a Debian with Rust: format, lints, tests, the 18 golden
# scenarios in PostgreSQL, documentation, dependencies. Stops at the first step that fails.
#
# Packages that are missing are installed by apt-get, as root or through sudo. The last line counts tests and
# scenarios: `N passed, M failed, K skipped`. Exit code: 0 only if every step passed.
#
# TEST_TIMEOUT    seconds after which a hanging run is ended; 3600 without it
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

limit=${TEST_TIMEOUT:-3600}
passed=0 failed=0 skipped=0
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

finish() {
    echo "took ${SECONDS} s"
    echo "$passed passed, $failed failed, $skipped skipped"
    exit "$1"
}

fail() {
    echo "FAILED: $1" >&2
    # A step that counts nothing has failed all the same.
    [[ $failed -gt 0 ]] || failed=1
    finish 1
}

# step NAME COMMAND...: runs it within what is left of the time; its output also goes to the log.
step() {
    local name=$1 left=$((limit - SECONDS)) code
    shift
    [[ $left -gt 0 ]] || fail "$name: no time left of $limit s (TEST_TIMEOUT)"
    printf '\n== %s\n' "$name"
    timeout --kill-after=10 "$left" "$@" 2>&1 | tee "$log"
    code=${PIPESTATUS[0]}
    [[ $code -ne 124 && $code -ne 137 ]] || echo "ended after $limit s in all (TEST_TIMEOUT)"
    return "$code"
}

as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "packages are missing; install them as root: ${missing[*]}"
    fi
}

install_packages() {
    missing=()
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
    # Some crates build the C code that they bring along.
    command -v cc >/dev/null || missing+=(build-essential)
    # A virtual environment for the tools that come from PyPI.
    python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
    # Looks at the report of a run.
    command -v chromium >/dev/null || missing+=(chromium)
    if [[ ${#missing[@]} -eq 0 ]]; then
        return
    fi
    echo "installing ${missing[*]}"
    as_root apt-get -qq update >"$log" 2>&1 &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
            "${missing[@]}" >>"$log" 2>&1 || { cat "$log"; fail "apt-get cannot install ${missing[*]}"; }
}

# Adds up what the test binaries say of themselves.
count_tests() {
    local line
    while read -r line; do
        [[ $line =~ ([0-9]+)\ passed\;\ ([0-9]+)\ failed\;\ ([0-9]+)\ ignored ]] || continue
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        skipped=$((skipped + BASH_REMATCH[3]))
    done < <(grep '^test result: ' "$log")
}

command -v cargo >/dev/null || fail "there is no cargo: install Rust (rustup.rs), see rust-version in Cargo.toml"
for component in fmt clippy; do
    cargo $component --version >/dev/null 2>&1 ||
        fail "there is no cargo $component: rustup component add rustfmt clippy"
done
install_packages

step "format" cargo fmt --check || fail "the format: run cargo fmt"
step "lints" cargo clippy --quiet --locked --all-targets --all-features -- -D warnings || fail "cargo clippy"

step "tests" cargo test --quiet --locked --all-features --no-fail-fast
code=$?
count_tests
[[ $code -eq 0 && $failed -eq 0 && $passed -gt 0 ]] || fail "cargo test"

step "golden scenarios in PostgreSQL" env OCP_ROLLUP_BIN="${CARGO_TARGET_DIR:-target}/debug/ocp-rollup" \
    scripts/test_extended_iqe_scenarios.sh
code=$?
passed=$((passed + $(grep -c '^ok ' "$log")))
failed=$((failed + $(grep -c '^FAILED ' "$log")))
[[ $code -eq 0 ]] || fail "scripts/test_extended_iqe_scenarios.sh"

step "manifests" scripts/validate_manifests.sh || fail "scripts/validate_manifests.sh"

step "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --no-deps --all-features ||
    fail "cargo doc"

if command -v cargo-deny >/dev/null; then
    step "dependencies" cargo deny --log-level error check bans licenses sources || fail "cargo deny"
    # The database of advisories is fetched from the network, which may not be there.
    if ! step "advisories" cargo deny --log-level error check advisories; then
        grep -q 'failed to fetch advisory database' "$log" || fail "cargo deny: advisories"
        printf '\n!! ADVISORIES WERE NOT CHECKED: their database cannot be fetched from here. See docs/security.md\n'
    fi
else
    printf '\n== dependencies\nSKIPPED: cargo-deny is not installed (cargo install --locked cargo-deny)\n'
fi

echo
finish 0
