#!/usr/bin/env bash
# Install uv if it is missing and sync the lock. Where PIP_FIND_LINKS offers a CPU wheel of the locked
# torch, that wheel is used and the CUDA packages (3 GB) are skipped; elsewhere this is plain `uv sync`.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v uv >/dev/null 2>&1; then
  python3 -m pip install --quiet --user uv 2>/dev/null || python3 -m pip install --quiet uv
  PATH="$(python3 -m site --user-base)/bin:$PATH"
fi

torch_version=$(awk '/^name = "torch"$/ {getline; gsub(/[^0-9.]/, ""); print; exit}' uv.lock)
cpu_wheel=""
for folder in ${PIP_FIND_LINKS:-}; do
  if compgen -G "${folder#file://}/torch-${torch_version}+cpu-*.whl" >/dev/null; then cpu_wheel=${folder#file://}; fi
done

if [ -z "$cpu_wheel" ]; then
  uv sync --frozen
else
  # The skip list comes from the lock itself, so that a new CUDA package needs no edit here.
  mapfile -t skip < <(awk -F'"' '/^name = "(torch|triton|nvidia-.*|cuda-.*)"$/ {print "--no-install-package=" $2}' uv.lock)
  uv sync --frozen --inexact "${skip[@]}"
  uv pip install --quiet --find-links "$cpu_wheel" --no-deps "torch==${torch_version}+cpu"
fi
uv pip check
