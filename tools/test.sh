#!/usr/bin/env bash
# Every test, from a bare Debian 12: installs what is missing, builds, and runs lit and GoogleTest; then
# the runtime again under AddressSanitizer with UndefinedBehaviorSanitizer, and under ThreadSanitizer.
# The last line counts them all.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/build.sh --test
# Without a network the tests of the server by this client are left out, and lit says so.
if [ ! -x build/clients/bin/python ]; then
  python3 -m venv build/clients.new && build/clients.new/bin/pip install -q openai &&
    mv build/clients.new build/clients || echo "build: the package openai could not be installed"
fi
for preset in runtime-asan runtime-tsan; do
  build=build-${preset#runtime-}
  echo "build: compiling the runtime ($preset, $build)"
  [ -f "$build/build.ninja" ] || cmake --preset "$preset" >/dev/null
  ninja -C "$build" --quiet
done
exec python3 tools/run_tests.py build build-asan build-tsan
