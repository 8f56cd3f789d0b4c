#!/usr/bin/env bash
# Builds Release into build/, installing first what is missing. demo.sh and test.sh start with it.
#   tools/build.sh [--test] [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."

setup=()
options=(-DPIANOLA_BUILD_TESTS=OFF)
if [ "${1:-}" = --test ]; then
  setup=(--test)
  options=(-DPIANOLA_BUILD_TESTS=ON)
  shift
fi
tools/setup.sh "${setup[@]}"
# What is configured stays so: the demo does not undo what the tests asked for.
if [ ! -f build/build.ninja ] || { [ ${#setup[@]} -gt 0 ] && ! grep -q 'PIANOLA_BUILD_TESTS:BOOL=ON' build/CMakeCache.txt; }; then
  echo "build: configuring build/"
  cmake --preset release "${options[@]}" >build.log 2>&1 || { cat build.log; exit 1; }
  rm -f build.log
fi
echo "build: compiling (Release, build/bin)"
ninja -C build --quiet "$@"
