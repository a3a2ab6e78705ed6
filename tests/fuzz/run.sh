#!/usr/bin/env bash
# Fuzzes one target for some seconds: run.sh TARGET [SECONDS]. New inputs go to target/fuzz/TARGET; what crashes
# goes to tests/fuzz/artifacts/TARGET. Needs cargo-fuzz (cargo install --locked cargo-fuzz).
#
# No sanitizer: the program has no unsafe code of its own. Coverage is an unstable option of the compiler, which a stable one takes under RUSTC_BOOTSTRAP.
# copy_encoding needs a PostgreSQL: see targets/copy_encoding.rs. What is worth keeping of what was found goes to
# tests/fuzz/corpus/TARGET, a few dozen files, which every test run replays.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${1:?usage: run.sh TARGET [SECONDS]}
seconds=${2:-600}
found=${CARGO_TARGET_DIR:-target}/fuzz/$target
mkdir -p "$found"
RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none --fuzz-dir tests/fuzz "$target" "$found" "tests/fuzz/corpus/$target" -- \
    -max_total_time="$seconds" -max_len=65536 -timeout=30 -rss_limit_mb=2048 -print_final_stats=1
