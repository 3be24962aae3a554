#!/usr/bin/env bash
# An environment in directory $1 with the Label Studio that the tests marked `service` start.
# It is one of its own: its pins conflict with the toolkit's.
set -euo pipefail
environment="$1"
[ -e "$environment/complete" ] && exit 0
rm -rf "$environment"
"${PYTHON:-python3}" -m venv "$environment"
"$environment/bin/pip" --quiet --disable-pip-version-check install label-studio==1.23.2
touch "$environment/complete"
