#!/usr/bin/env bash
# The README's two set-up lines, each in a fresh clone, a fresh virtual environment and an empty home.
set -euo pipefail
here=$(git rev-parse --show-toplevel)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for line in 'pip install -e . && rapport demo' 'pip install -e ".[dev]" && poe check'; do
  rm -rf "$work"/* && mkdir "$work/home"
  git clone -q "$here" "$work/clone"
  python3.11 -m venv "$work/venv"
  echo "== $line"
  (
    cd "$work/clone"
    export HOME="$work/home" PATH="$work/venv/bin:$PATH"
    # The same wheel as PyTorch's CPU index; without it Linux gets the CUDA build.
    pip install -q torch==2.13.0
    eval "$line"
  )
done
