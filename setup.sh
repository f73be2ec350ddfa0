#!/bin/sh
# Makes .venv and what else `make run`, `make check` and `make test` need; quick when all is there.
#
#   setup.sh run      Python packages the appliance needs            (requirements.lock)
#   setup.sh check    and those of the tests and checks              (requirements-dev.lock)
#   setup.sh test     and the tests' system packages: a C compiler and a browser
#
# Debian packages are installed where we may (as root, or by sudo without a password); where we may not,
# the script names what is missing and the command that installs it. PYTHON chooses the interpreter.
set -eu
cd "$(dirname "$0")"

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# install_packages WHY PACKAGE...
install_packages() {
    why=$1
    shift
    if ! command -v apt-get >/dev/null 2>&1; then
        die "missing: $why. Install what Debian calls '$*' with this system's package manager, then try again."
    elif [ "$(id -u)" = 0 ]; then
        as_root='env'
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root='sudo -n env'
    else
        say "missing: $why, and no right to install packages here. Install with"
        say "    sudo apt-get update && sudo apt-get install --no-install-recommends $*"
        die "then try again."
    fi
    say "installing $* ($why)"
    log=$(mktemp)
    apt="$as_root DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300"
    if ! { $apt update && $apt install --no-install-recommends "$@"; } </dev/null >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        rm -f "$log"
        die "apt-get could not install $*: its last words are above. Install them by hand, then try again."
    fi
    rm -f "$log"
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
makes_venvs() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# Sets $python to an interpreter of 3.11 or later that can make virtual environments.
find_python() {
    candidates=${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3}
    for python in $candidates; do
        if new_enough "$python" && makes_venvs "$python"; then return; fi
    done
    for python in $candidates; do
        path=$(command -v "$python" || true)
        if [ -n "$path" ] && new_enough "$path"; then
            version=$(version_of "$path")
            case $(readlink -f "$path") in
                /usr/bin/*) install_packages "Python's venv module" "python$version-venv" ;;
                *) die "$path lacks the modules venv or ensurepip. Name a whole Python by PYTHON=/path/to/python3." ;;
            esac
            if makes_venvs "$path"; then python=$path; return; fi
            die "$path still cannot make virtual environments after installing python$version-venv."
        fi
    done
    for python in $candidates; do
        if command -v "$python" >/dev/null 2>&1; then
            die "$python is $("$python" --version 2>&1); Python 3.11 or later is needed. Name one by PYTHON=/path/to/python3."
        fi
    done
    install_packages "Python 3.11 or later" python3 python3-venv
    python=/usr/bin/python3
    new_enough "$python" || die "this system's $("$python" --version 2>&1) is too old: 3.11 or later is needed."
}

# make_venv LOCK: .venv holds what LOCK pins, and this package, editable.
make_venv() {
    lock=$1
    # The version is in the stamp's name because a newer system leaves .venv with a Python but no packages.
    stamp=.venv/.installed-${lock%.lock}-
    version=$(version_of .venv/bin/python || true)
    wanted="$(cat "$lock" pyproject.toml setup.sh | sha256sum | cut -d' ' -f1) $(pwd -P)"
    if [ -n "$version" ] && [ "$(cat "$stamp$version" 2>/dev/null)" = "$wanted" ]; then return; fi
    if ! new_enough .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        find_python
        say "making .venv with $python"
        "$python" -m venv --clear .venv
    fi
    say "installing what $lock pins"
    pip=".venv/bin/python -m pip --disable-pip-version-check --no-input install --quiet"
    $pip --require-hashes -r "$lock" || die "pip could not install $lock: its reason is above; is there a network?"
    $pip --no-deps --no-build-isolation -e .
    printf '%s\n' "$wanted" >"$stamp$(version_of .venv/bin/python)"
}

# Also the C library's headers: gcc alone does not bring them.
compiles() { printf '#include <stdlib.h>\nint main(void){return 0;}\n' | gcc -x c -o /dev/null - 2>/dev/null; }
browses() { command -v chromium >/dev/null 2>&1; }

system_packages() {
    why='' packages=''
    if ! compiles; then
        why='a C compiler (the tests build a stand-in for the dongle)' packages='gcc libc6-dev'
    fi
    if ! browses; then
        why="${why:+$why and }a browser (the tests look at the live page)" packages="${packages:+$packages }chromium"
    fi
    # shellcheck disable=SC2086 # names, one word each
    [ -z "$packages" ] || install_packages "$why" $packages
}

case ${1:-} in
    run) make_venv requirements.lock ;;
    check) make_venv requirements-dev.lock ;;
    test) system_packages && make_venv requirements-dev.lock ;;
    *) die "say one of: run, check, test" ;;
esac
