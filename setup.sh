#!/bin/sh
# Makes .venv and what else `make run`, `make check` and `make test` need; quick when all is there.
#
#   setup.sh run      Python packages the appliance needs            (requirements.lock)
#   setup.sh check    and those of the tests and checks              (requirements-dev.lock)
#   setup.sh test     and the tests' system packages: a C compiler, a browser, PostgreSQL, ip and tc
#
# Debian packages are installed where we may (as root, or by sudo without a password); where we may not,
# the script names what is missing and the command that installs it. PYTHON chooses the interpreter, POSTGRESQL the
# folder in which PostgreSQL's versions lie.
set -eu
cd "$(dirname "$0")"

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

packages=''
# need PACKAGES WHAT THEY ARE FOR
need() {
    packages="$packages $1"
    shift
    say "missing: $*"
}

install_packages() {
    if [ -z "$packages" ]; then return; fi
    if ! command -v apt-get >/dev/null 2>&1; then
        die "install what Debian calls$packages with this system's package manager, then try again."
    elif [ "$(id -u)" = 0 ]; then
        apt='env'
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        apt='sudo -n env'
    else
        say "no right to install packages here. Install with"
        say "    sudo apt-get update && sudo apt-get install --no-install-recommends$packages"
        die "then try again."
    fi
    say "installing$packages"
    apt="$apt DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300"
    log=$(mktemp)
    # shellcheck disable=SC2086 # words, on purpose
    if ! { $apt update && $apt install --no-install-recommends $packages; } </dev/null >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        rm -f "$log"
        die "apt-get could not install$packages: its last words are above. Install them by hand, then try again."
    fi
    rm -f "$log"
    packages=''
}

# Prints the version of an interpreter that is new enough, else fails.
new_enough() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2]); sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}
makes_venvs() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# Sets python to an interpreter of 3.11 or later; needs the package that lets it make virtual environments.
find_python() {
    candidates=${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3}
    for python in $candidates; do
        if new_enough "$python" >/dev/null && makes_venvs "$python"; then return; fi
    done
    for python in $candidates; do
        python=$(command -v "$python") || continue
        version=$(new_enough "$python") || continue
        case $(readlink -f "$python") in
            /usr/bin/*) need "python$version-venv" "the module venv of $python" ;;
            *) die "$python lacks the modules venv or ensurepip. Name a whole Python by PYTHON=/path/to/python3." ;;
        esac
        return
    done
    for python in $candidates; do
        if command -v "$python" >/dev/null 2>&1; then
            die "$python is $("$python" --version 2>&1); Python 3.11 or later is needed. Name one by PYTHON=/path/to/python3."
        fi
    done
    python=/usr/bin/python3
    need 'python3 python3-venv' "Python 3.11 or later"
}

has_venv() { new_enough .venv/bin/python >/dev/null && .venv/bin/python -m pip --version >/dev/null 2>&1; }

# make_venv LOCK: .venv holds what LOCK pins, and this package, editable.
make_venv() {
    lock=$1
    wanted="$(cat "$lock" pyproject.toml setup.sh | sha256sum | cut -d' ' -f1) $(pwd -P)"
    # The version is in the stamp's name because a newer system leaves .venv with a Python but no packages.
    stamp=.venv/.installed-${lock%.lock}-$(new_enough .venv/bin/python || true)
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        install_packages
        return
    fi
    has_venv || find_python
    install_packages
    if ! has_venv; then
        version=$(new_enough "$python") || die "$python is $("$python" --version 2>&1); Python 3.11 or later is needed."
        say "making .venv with Python $version"
        "$python" -m venv --clear .venv
    fi
    say "installing what $lock pins"
    pip='.venv/bin/python -m pip --disable-pip-version-check --no-input install --quiet'
    $pip --require-hashes -r "$lock" || die "pip could not install $lock: its reason is above. Is there a network?"
    $pip --no-deps --no-build-isolation -e .
    printf '%s\n' "$wanted" >".venv/.installed-${lock%.lock}-$(new_enough .venv/bin/python)"
}

# Includes stdlib.h because gcc alone does not bring the C library's headers.
compiles() { printf '#include <stdlib.h>\nint main(void){return 0;}\n' | gcc -x c -o /dev/null - 2>/dev/null; }

# The tests start a server of their own, so its programs are all they need.
has_postgresql() {
    for initdb in "${POSTGRESQL:-/usr/lib/postgresql}"/*/bin/initdb; do
        if [ -x "$initdb" ]; then return; fi
    done
    return 1
}

case ${1:-} in
    run) make_venv requirements.lock ;;
    check) make_venv requirements-dev.lock ;;
    test)
        compiles || need 'gcc libc6-dev' 'a C compiler: the tests build a stand-in for the dongle with it'
        command -v chromium >/dev/null 2>&1 || need chromium 'a browser: the tests look at the live page with it'
        command -v tc >/dev/null 2>&1 || need iproute2 'ip and tc: the tests make a slow link between two hosts with them'
        has_postgresql || need postgresql 'PostgreSQL: the tests of the aggregator ask it everything, too'
        make_venv requirements-dev.lock
        ;;
    *) die 'say one of: run, check, test' ;;
esac
