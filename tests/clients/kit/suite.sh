# Shared by the client suites: the server's address, the installation of a client, and the required
# programs. Sourced, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
export JOBCAST=${JOBCAST:-$root/target/debug/jobcast}
if [ ! -x "$JOBCAST" ]; then
    (cd "$root" && cargo build --locked --bin jobcast)
fi

need() {
    command -v "$1" >/dev/null || { echo "$1 is missing: install $2" >&2; exit 1; }
}

# Copies the suite $1 and the kit to target/clients, and installs the packages of its
# package-lock.json.
node_suite() {
    need node "Node 18.19 or newer"
    need npm "npm"
    work=$root/target/clients/$1
    mkdir -p "$work"
    cp "$root/tests/clients/$1"/* "$work"
    mkdir -p "$work/kit"
    cp "$root/tests/clients/kit"/*.mjs "$work/kit"
    cd "$work"
    if ! cmp -s package-lock.json node_modules/.installed; then
        npm ci --no-audit --no-fund --loglevel=error
        cp package-lock.json node_modules/.installed
    fi
}

# The same for Python: a virtual environment with the packages of requirements.txt.
python_suite() {
    need python3 "Python 3.9 or newer"
    work=$root/target/clients/$1
    mkdir -p "$work"
    cp "$root/tests/clients/$1"/* "$work"
    cp "$root/tests/clients/kit"/*.py "$work"
    cd "$work"
    if ! cmp -s requirements.txt venv/.installed; then
        rm -rf venv
        python3 -m venv venv || { echo "the module venv is missing: install python3-venv" >&2; exit 1; }
        venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
        cp requirements.txt venv/.installed
    fi
    python=$work/venv/bin/python
}
