#!/usr/bin/env bash
# Compiles a fuzz target and runs it, on what the tests make of the stand-in mirror: fuzz.sh TARGET SECONDS
set -euo pipefail
target=$1 seconds=$2
corpus=target/tmp/corpus/$target
.github/scripts/as-root.sh cargo xtask test -- --test mirror corpus
mkdir -p "fuzz/corpus/$target" "$corpus"
cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "$corpus" -- "-max_total_time=$seconds" -rss_limit_mb=2048
