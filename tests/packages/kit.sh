# Shared by the parts: the stripped binary, the tools in their environment, and a job from its
# submission to its end. Sourced, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$root/target/packages
tools=$work/tools
mkdir -p "$work"
JOBCAST=${JOBCAST:-$root/target/debug/jobcast}
if [ ! -x "$JOBCAST" ]; then
    (cd "$root" && cargo build --locked --bin jobcast)
fi

need() {
    command -v "$1" >/dev/null || { echo "$1 is missing: install $2" >&2; exit 1; }
}
need curl curl
need python3 "Python 3.11 or newer"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed" >&2; exit 1; }
need strip binutils

fail() {
    echo "FAIL $*" >&2
    exit 1
}

# A directory that is removed at the end, with the processes of `children`.
scratch=$(mktemp -d)
children=()
finish() {
    status=$?
    [ ${#children[@]} -eq 0 ] || kill -9 "${children[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$scratch"
    exit "$status"
}
trap finish EXIT

# The binary as it is packed: without the debug information of a development build.
program=$work/jobcast
if [ "$(cat "$program.of" 2>/dev/null)" != "$JOBCAST $(stat -c '%s %Y' "$JOBCAST")" ]; then
    strip -o "$program" "$JOBCAST"
    echo "$JOBCAST $(stat -c '%s %Y' "$JOBCAST")" > "$program.of"
fi
version=$(sed -n '/^\[workspace.package\]/,/^version/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")

# The tools of requirements.txt, in an environment that all parts share.
python_tools() {
    local wanted=$root/tests/packages/requirements.txt
    if ! cmp -s "$wanted" "$tools/.installed"; then
        rm -rf "$tools"
        python3 -m venv "$tools" || fail "the module venv is missing: install python3-venv"
        "$tools/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
        cp "$wanted" "$tools/.installed"
    fi
}

# Checks a configuration as a container reads it, without a start.
configuration() {
    local variables=(JOBCAST_LISTEN=0.0.0.0:8080 JOBCAST_OPERATIONS_LISTEN=0.0.0.0:9090 JOBCAST_STOP_DELAY=5s)
    ! grep -q '^\[aws\]' "$1" || variables+=(JOBCAST_SECRET=0123456789abcdef0123456789abcdef)
    env "${variables[@]}" "$program" config --config "$1" > "$scratch/config" 2>&1 ||
        fail "$1: $(cat "$scratch/config")"
}

# Waits until the file $1 has a line that matches $2, at most 60 seconds, while the process $3 runs.
seen() {
    for _ in $(seq 600); do
        ! grep -q -- "$2" "$1" || return 0
        kill -0 "$3" 2>/dev/null || break
        sleep 0.1
    done
    fail "no $2 in time: $(cat "$1")"
}

# Runs the server by the words of $@, submits a job and sees its end, and stops the server by the
# signal of $SIGNAL, by default TERM.
journey() {
    local home=$scratch/home url process
    mkdir -p "$home/state-machines"
    echo '{"StartAt": "Greet", "States": {"Greet": {"Type": "Pass", "End": true}}}' \
        > "$home/state-machines/greet.asl.json"
    (cd "$home" && exec "$@" serve --listen 127.0.0.1:0 --log warn) > "$scratch/server.log" 2>&1 &
    process=$!
    children+=("$process")
    seen "$scratch/server.log" '^listening on ' "$process"
    url=$(sed -n 's/^listening on //p' "$scratch/server.log")
    "$@" submit greet --url "$url" --input '{"name": "Ada"}' --watch > "$scratch/watch.log" ||
        fail "the job did not succeed: $(cat "$scratch/watch.log")"
    kill -"${SIGNAL:-TERM}" "$process"
    wait "$process" || fail "the server ended with $?: $(cat "$scratch/server.log")"
    rm -rf "$home"
}
