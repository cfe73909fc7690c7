#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Everything about the sources that needs no run: check.sh VENV. Each check runs, also when one before it has failed.
set -u
venv=$1
failed=

"$venv/bin/ruff" format --check --quiet --output-format concise . || failed="$failed format (make fix mends it)"
"$venv/bin/ruff" check --quiet --output-format concise . || failed="$failed lint"
"$venv/bin/oxlint" --config scripts/oxlint.json --deny-warnings --format unix flame_jupyter scripts/site >"$venv/.oxlint" 2>&1 || {
    cat "$venv/.oxlint"
    failed="$failed JavaScript"
}
"$venv/bin/mypy" --no-error-summary || failed="$failed types"
arrows=$("$venv/bin/lint-imports" --no-logo 2>&1) || {
    echo "$arrows"
    failed="$failed imports"
}
"$venv/bin/python" -m scripts.check_docs_links || failed="$failed links"
"$venv/bin/python" -m scripts.make_api_reference --check || failed="$failed API reference"
"$venv/bin/python" -m scripts.make_wire --check || failed="$failed messages"

if [ -n "$failed" ]; then
    echo "make check: failed:$failed" >&2
    exit 1
fi
echo "make check: format, lint, types, imports, links, the API reference and the messages are in order"
