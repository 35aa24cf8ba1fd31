#!/usr/bin/env bash
# Replays the corpus of every fuzz target, then fuzzes each for SECONDS (default 60). Stable Rust: the coverage that
# libFuzzer follows is a pass of LLVM that rustc can be told to run. KEEP=1 adds what reached new code to the kept
# corpus.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${SECONDS_EACH:-60}
targets=${TARGETS:-handshake frames sending closing tunnels}
command -v cargo >/dev/null || { echo "fuzz: cargo is needed and was not found"; exit 1; }
target=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
cargo build --quiet --release --locked --manifest-path fuzz/Cargo.toml --target "$target" --target-dir target/fuzz
for name in $targets; do
    binary=target/fuzz/$target/release/$name
    kept=fuzz/corpus/$name
    work=target/fuzz/corpus/$name
    mkdir -p "$work" target/fuzz/findings
    "$binary" -runs=0 "$kept" >target/fuzz/$name.log 2>&1 || { cat "target/fuzz/$name.log"; echo "fuzz: $name: the corpus FAILED"; exit 1; }
    echo "fuzz: $name: the corpus of $(find "$kept" -type f | wc -l) inputs passed"
    if [ "$seconds" -gt 0 ]; then
        "$binary" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
            -artifact_prefix=target/fuzz/findings/ "$work" "$kept" >"target/fuzz/$name.log" 2>&1 ||
            { tail -40 "target/fuzz/$name.log"; echo "fuzz: $name FAILED; the input is in target/fuzz/findings"; exit 1; }
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "target/fuzz/$name.log")
        echo "fuzz: $name: $runs runs in $seconds s, nothing found"
        if [ -n "${KEEP:-}" ]; then
            "$binary" -max_len=8192 -set_cover_merge=1 "$kept" "$work" >>"target/fuzz/$name.log" 2>&1
        fi
    fi
done
