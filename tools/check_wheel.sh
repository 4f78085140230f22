#!/bin/sh
# Install the built wheel into an empty environment and use it there, far from the source tree.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
echo "Wheel: build"
"$root/.venv/bin/python" -m build --wheel --no-isolation --outdir "$work" "$root" >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
echo "Wheel: install into an empty environment"
"$root/.venv/bin/python" -m venv "$work/env"
"$work/env/bin/python" -m pip install -q --disable-pip-version-check -c "$root/constraints.txt" "$work"/modoptic-*.whl
cd "$work"
export MODOPTIC_HOME="$work/home" NUMBA_CACHE_DIR="$work/numba"
echo "Wheel: --help, shoot, develop"
"$work/env/bin/modoptic" --help >/dev/null
"$work/env/bin/modoptic" shoot --aperture 2 --focus 2.4 --scene motorcycle --size finder -o photo.dng
"$work/env/bin/modoptic" develop photo.dng
test -s photo.dng && test -s photo.jpg
echo "Wheel: good"
