#!/usr/bin/env bash
# Everything that has to hold. Prints the closing lines of all runners at the end and fails if one failed.
set -uo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
closing=()
# The tests mostly wait for servers: more of them than there are cores can run side by side.
jobs=$(($(nproc) * 2))

# run NAME PATTERN COMMAND...: shows the command's output and keeps the lines that match for the end.
run() {
    local name=$1 pattern=$2
    shift 2
    echo "== $name"
    if ! "$@" 2>&1 | tee "$log"; then
        status=1
        closing+=("$name: FAILED")
    fi
    while IFS= read -r line; do closing+=("$name: $line"); done < <(grep -E "$pattern" "$log")
}

# fill INTERPRETER VENV: makes a virtual environment that has what the tests need, and the wheel.
fill() {
    local interpreter=$1 venv=$2
    if [ ! -e "$venv/.ready" ] || [ requirements-dev.txt -nt "$venv/.ready" ]; then
        "$interpreter" -m venv "$venv" &&
            "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt &&
            touch "$venv/.ready" || return
    fi
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps dist/*.whl
}

# find_interpreter VERSION: prints an interpreter of that version that is here.
find_interpreter() {
    local found
    # What is on PATH may be pyenv's stand-in for an interpreter that is not switched on.
    for found in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if "$found" -c 'import venv' 2>/dev/null; then
            echo "$found"
            return
        fi
    done
}

# The same wheel is tested on the other interpreters that are here. Their environments are made while the rest goes on:
# that is mostly waiting.
declare -A filling
for version in ${OTHERS:-}; do
    interpreter=$(find_interpreter "$version")
    if [ -n "$interpreter" ]; then
        fill "$interpreter" ".venv-$version" &
        filling[$version]=$!
    fi
done

run lint '^lint: ' scripts/lint.sh
if command -v cargo >/dev/null; then
    run fuzz '^fuzz: ' env SECONDS_EACH="${FUZZ_SECONDS:-5}" scripts/fuzz.sh
    run rust '^test result: .* [1-9][0-9]* passed|^test result: FAILED' cargo test --workspace --locked --quiet
else
    closing+=("fuzz, rust: no cargo on PATH, not run")
fi
run coverage '^coverage: wire: ([0-9]|FAILED|not measured)' scripts/coverage.sh wire
run "python $(python -c 'import platform; print(platform.python_version())')" \
    '^=* *[0-9]+ (passed|failed|error)|^coverage: python: |^counts: ' scripts/coverage.sh python

run "semantics over wss" '^=* *[0-9]+ (passed|failed|error)' python -m pytest -q -n $jobs tests/semantics --wss

for version in ${OTHERS:-}; do
    venv=.venv-$version
    if [ -z "${filling[$version]:-}" ]; then
        closing+=("python $version: not found, not tested")
    elif wait "${filling[$version]}"; then
        run "python $version" '^=* *[0-9]+ (passed|failed|error)' \
            env PATH="$PWD/$venv/bin:$PATH" "$venv/bin/python" -m pytest -q -n $jobs
    else
        status=1
        closing+=("python $version: FAILED: $venv could not be made, or the wheel not be installed into it")
    fi
done

echo "== closing lines"
printf '%s\n' "${closing[@]}"
exit "$status"
