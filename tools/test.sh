#!/usr/bin/env bash
# Every test, from a bare Debian 12: installs what is missing, builds, and runs lit and GoogleTest. The
# last line counts both.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/build.sh --test
exec python3 tools/run_tests.py build
