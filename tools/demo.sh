#!/usr/bin/env bash
# From a bare Debian 12 to an answer: installs what is missing, builds, compiles the bundled model for
# this CPU, asks it a question, and prints the answer and the speed. Running it again asks at once.
#   tools/demo.sh ["What is a violin?"]
set -euo pipefail
cd "$(dirname "$0")/.."

tools/build.sh pianola
question="${1:-What is a piano?}"
roll=build/pocket-dictionary.roll
if [ ! -f "$roll" ] || [ build/bin/pianola -nt "$roll" ]; then
  echo "demo: compiling models/pocket-dictionary into $roll"
  build/bin/pianola compile models/pocket-dictionary -o "$roll"
fi
echo "demo: $question"
echo
build/bin/pianola run "$roll" --chat --temp 0 -p "$question"
