#!/usr/bin/env bash
# How much the tests run: every line and branch of the Python package, the lines of `wire`. Fails below the gates.
# `coverage.sh python ARGS...` and `coverage.sh wire` measure one of them; ARGS are pytest's.
set -euo pipefail
cd "$(dirname "$0")/.."

measure_python() {
    mkdir -p target/coverage
    rm -f target/coverage/data*
    # The tests mostly wait for servers: more of them than there are cores can run side by side.
    python -m coverage run -m pytest -q -n $(($(nproc) * 2)) "$@"
    python -m coverage combine -q
    local report
    if ! report=$(python -m coverage report --fail-under=100); then
        # Each line by name, so that the closing lines of `make test` tell them too.
        grep -E ' +[0-9]+% ' <<<"$report" | sed -E 's/^.*site-packages\//coverage: python: /; /^TOTAL/d'
        echo "coverage: python: FAILED: these lines or branches are not run"
        return 1
    fi
    echo "coverage: python: every line and branch is run"
}

# The compiler counts and llvm's tools read it: they come with the toolchain as the component llvm-tools, and have to be
# of its version.
measure_wire() {
    if ! command -v cargo >/dev/null; then
        echo "coverage: wire: not measured: no cargo on PATH"
        return 0
    fi
    local tools objects work=$PWD/target/coverage/wire
    tools=${LLVM_TOOLS:-$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin}
    if [ ! -x "$tools/llvm-cov" ] || [ ! -x "$tools/llvm-profdata" ]; then
        echo "coverage: wire: not measured: the Rust toolchain has no llvm-cov (rustup component add llvm-tools)"
        return 0
    fi
    rm -rf "$work" && mkdir -p "$work"
    # The same random cases each time, so that a line is not run by luck.
    RUSTC_WORKSPACE_WRAPPER=$PWD/scripts/instrumented.sh LLVM_PROFILE_FILE=$work/%p-%m.profraw PROPTEST_RNG_SEED=1 \
        cargo test --package sunsocket-wire --lib --tests --locked --quiet --message-format=json >"$work/build" ||
        { cat "$work/build"; return 1; }
    python scripts/wire_coverage.py objects "$work/build" >"$work/objects"
    mapfile -t objects <"$work/objects"
    "$tools/llvm-profdata" merge --sparse "$work"/*.profraw -o "$work/counts"
    "$tools/llvm-cov" export --format=lcov --instr-profile "$work/counts" "${objects[@]/#/--object=}" >"$work/lcov"
    python scripts/wire_coverage.py report "$work/lcov"
}

case ${1:-all} in
python) measure_python "${@:2}" ;;
wire) measure_wire ;;
all)
    measure_python
    measure_wire
    ;;
*) echo "coverage: $1 is neither python nor wire"; exit 2 ;;
esac
