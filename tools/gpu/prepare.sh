#!/usr/bin/env bash
# Compiles what tools/gpu/check.sh plays, into a folder that travels with the tree (build/gpu, some 35 MB):
#
#     headers/    the headers that the player is built with
#     rolls/      the goldens and the bundled model, compiled for the GPU
#     expected/   what they should say
#     bench/      models of the table, whose weights are made up where they are played
#
#     tools/gpu/prepare.sh [--target GPU] [--workers N] [--quick] [--build DIRECTORY] [OUTPUT]
#
# --quick: one golden, and a model of its shape to measure, for a machine that has an emulator only.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
target=h200 build=$source/build output= quick= workers=()
while [ $# -gt 0 ]; do
  case $1 in
    --target) target=$2; shift ;;
    --workers) workers=(--workers "$2"); shift ;;
    --build) build=$2; shift ;;
    --quick) quick=1 ;;
    -*) echo "error: $1: expected --target, --workers, --build or --quick" >&2; exit 2 ;;
    *) output=$1 ;;
  esac
  shift
done
output=${output:-$source/build/gpu}
pianola=$build/bin/pianola
[ -x "$pianola" ] || { echo "error: $pianola is not there: build it first (tools/build.sh)" >&2; exit 1; }

rm -rf "$output"
mkdir -p "$output"/{headers,rolls,expected,bench}
include=/usr/include
for header in nlohmann CLI xxhash.h; do
  [ -e "$include/$header" ] || { echo "error: $include/$header is not there (tools/setup.sh installs it)" >&2; exit 1; }
  cp -r "$include/$header" "$output/headers/"
done

# compile MODEL ROLL OPTION...
compile() {
  local model=$1 roll=$2
  shift 2
  "$pianola" compile "$model" --target "$target" "${workers[@]}" "$@" -o "$roll" 2>"$output/log" ||
    { cat "$output/log" >&2; exit 1; }
  gzip -f "$roll"
}

goldens=("$source"/test/golden/*/)
[ -z "$quick" ] || goldens=("$source/test/golden/llama/")
for golden in "${goldens[@]}"; do
  name=$(basename "$golden")
  compile "$golden" "$output/rolls/$name.roll"
  cp "$golden/golden.safetensors" "$output/expected/$name.safetensors"
done

if [ -n "$quick" ]; then
  compile "$source/test/golden/llama" "$output/bench/tiny.roll" --weights-from-seed 1 --weights-at-load
else
  compile "$source/models/pocket-dictionary" "$output/rolls/pocket-dictionary.roll"
  python3 "$here/expect.py" "$pianola" "$source/models/pocket-dictionary" \
    "$output/expected/pocket-dictionary.safetensors"
  for model in llama-3.2-1b qwen3-0.6b qwen3-8b; do
    compile "$source/bench/$model" "$output/bench/$model.roll" --weights-from-seed 1 --weights-at-load -c 4096
    cp "$source/bench/$model/config.json" "$output/bench/$model.json"
  done
  # Of the same shape in few bits; PyTorch has nothing to play beside them.
  for model in llama-3.2-1b qwen3-8b; do
    compile "$source/bench/$model" "$output/bench/$model-int4.roll" --weights int4 --weights-from-seed 1 \
      --weights-at-load -c 4096
  done
fi
rm -f "$output/log"
du -sh "$output" | cut -f1 | sed "s|\$|  $output|"
