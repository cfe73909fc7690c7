#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Make the environment that every make target runs in: bootstrap.sh PYTHON VENV. Says one line, or one error with its cure.
set -eu
python=$1
venv=$2

fail() {
    echo "make: $1" >&2
    exit 1
}

command -v "$python" >/dev/null 2>&1 ||
    fail "there is no '$python': install Python 3.10 to 3.13, or name one: make PYTHON=python3.12"
"$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' ||
    fail "'$python' is $("$python" -V 2>&1), and 3.10 to 3.13 is needed: name one: make PYTHON=python3.12"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "'$python' comes without venv: install it (Debian and Ubuntu: apt-get install python3-venv), then run make again"

# An environment that was moved, or whose Python is gone, cannot be repaired.
if [ -f "$venv/pyvenv.cfg" ] && ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$venv"
fi
if [ -d "$venv" ]; then
    echo "Bringing $venv up to date with requirements/dev.txt and pyproject.toml."
else
    echo "Setting up $venv for $("$python" -V 2>&1), once; this takes a minute or two."
    "$python" -m venv "$venv"
fi

pip() {
    "$venv/bin/python" -m pip "$@" --quiet --no-input --disable-pip-version-check
}
# moto has 1,400 modules, and the tests import 70 of them: those compile themselves, which saves five seconds here.
{ pip install --no-deps --no-compile "$(grep '^moto==' requirements/dev.txt)" && pip install --no-deps -r requirements/dev.txt; } ||
    fail "the packages of requirements/dev.txt could not be installed (pip's message is above): see to it, then run make again"
pip install --no-deps --editable . ||
    fail "the project itself could not be installed (pip's message is above): see to it, then run make again"
