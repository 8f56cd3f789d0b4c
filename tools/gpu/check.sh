#!/usr/bin/env bash
# Checks and measures Pianola on a machine with a GPU, where there is no compiler of models, no network, and nothing
# but g++ (11 or later), cmake (3.22 or later) and python3; with nvcc, compute-sanitizer and PyTorch it does more.
# tools/gpu/prepare.sh made what it plays, build/gpu, where there is a compiler.
#
#     tools/gpu/check.sh [--quick] [--only PART,PART...] [--seconds N]
#
# Parts do not need each other (all but the first need the player), and each has its own limit of time; all of them
# end in under nine minutes. A summary comes last, and the exit code is 1 if a part has failed. What was found is
# written to $OUT (default: bench/results/<date>-gpu): report.md, report.json, check.log, and recorded timelines.
#
#     build        the player, of the runtime's sources
#     goldens      logits and tokens of every roll, launched both ways, against what they should be
#     determinism  the same bits 100 times
#     watchdog     a planted fault: workers that never signal
#     memcheck     compute-sanitizer, on a tiny model
#     racecheck    the same
#     bandwidth    how fast the memory is read and copied
#     bench        tokens: persistent, graph and PyTorch in turns
#     trace        when each worker did what, and what was predicted
#
# Without a GPU the emulator can stand in: PIANOLA_CUDA_DRIVER=.../libpianola-cuda.so (--quick is meant for it).
set -uo pipefail
cd "$(dirname "$0")/../.."
PARTS="build goldens determinism watchdog memcheck racecheck bandwidth bench trace"
PREPARED=${PREPARED:-build/gpu} BUILD=${BUILD:-build-gpu}
quick= only=$PARTS seconds=530
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=1 ;;
    --only) only=${2//,/ }; shift ;;
    --seconds) seconds=$2; shift ;;
    *) echo "error: $1: expected --quick, --only or --seconds" >&2; exit 2 ;;
  esac
  shift
done
OUT=${OUT:-bench/results/$(date +%F)-gpu}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$OUT"
: >"$OUT/check.log"
# A machine without a GPU is slower, and in no hurry.
slow=1
[ -z "$quick" ] || slow=4 seconds=$((4 * seconds))
deadline=$((SECONDS + seconds))
PLAY=$(realpath -m "$BUILD")/bin/pianola-play
repeats=100 most=1000000 rounds=6 tokens=64 context=256
[ -z "$quick" ] || repeats=3 most=12 rounds=2 tokens=3 context=4
export PIANOLA_CACHE=$WORK/cache
failed=0

has() { command -v "$1" >/dev/null; }
say() { echo "$*" | tee -a "$OUT/check.log"; }
note() { printf '%s\n' "$*" >"$WORK/note"; }
roll() { [ -f "$WORK/$1.roll" ] || gunzip -c "$PREPARED/$1.roll.gz" >"$WORK/$1.roll"; } # rolls/llama
# A real GPU, not the emulator: what is made for it alone is left out elsewhere.
real() { [ -z "${PIANOLA_CUDA_DRIVER:-}" ] && has nvidia-smi && nvidia-smi -L 2>/dev/null | grep -q GPU; }
SKIPPED=77

# Each part writes to standard output; the last note is shown in the summary.
part_build() {
  has cmake || { note "cmake is not installed"; return 1; }
  local jobs
  jobs=${JOBS:-$(nproc)}
  # Headers are not precompiled: for one program that takes longer than it spares.
  cmake -S . -B "$BUILD" -DCMAKE_BUILD_TYPE=$([ -n "$quick" ] && echo Debug || echo Release) -DCMAKE_C_COMPILER="${CC:-gcc}" -DCMAKE_CXX_COMPILER="${CXX:-g++}" \
    -DPIANOLA_HEADERS="$(realpath -m "$PREPARED")/headers" -DPIANOLA_BUILD_COMPILER=OFF -DPIANOLA_BUILD_EMULATOR=OFF \
    -DPIANOLA_BUILD_TEXT=OFF -DPIANOLA_BUILD_TESTS=OFF -DPIANOLA_PCH=OFF &&
    cmake --build "$BUILD" -j "$jobs" --target pianola-play &&
    note "$("${CXX:-g++}" --version | head -1)"
}

part_goldens() {
  local count=0 bad=0 name launch
  for expected in "$PREPARED"/expected/*.safetensors; do
    name=$(basename "$expected" .safetensors)
    roll "rolls/$name"
    for launch in persistent graph; do
      count=$((count + 1))
      timeout --foreground 60 "$PLAY" verify "$WORK/rolls/$name.roll" "$expected" --launch $launch --most $most >"$WORK/line" ||
        bad=$((bad + 1))
      cat "$WORK/line"
      sed "s/^{/{\"launch\":\"$launch\",/" "$WORK/line" >>"$WORK/verify.jsonl"
    done
  done
  note "$((count - bad)) of $count"
  [ $count -gt 0 ] && [ $bad -eq 0 ]
}

part_determinism() {
  local names=llama bad=0 launch name
  [ ! -f "$PREPARED/rolls/pocket-dictionary.roll.gz" ] || names="llama pocket-dictionary"
  for name in $names; do
    roll "rolls/$name"
    for launch in persistent graph; do
      "$PLAY" verify "$WORK/rolls/$name.roll" "$PREPARED/expected/$name.safetensors" --launch $launch --most $most \
        --repeat $repeats || bad=$((bad + 1))
    done
  done
  note "$repeats runs of $names"
  [ $bad -eq 0 ]
}

part_watchdog() {
  roll rolls/llama
  "$PLAY" plant "$WORK/rolls/llama.roll" -o "$WORK/planted.roll" || return 1
  if "$PLAY" verify "$WORK/planted.roll" "$PREPARED/expected/llama.safetensors" --watchdog 0.5 2>"$WORK/said"; then
    note "workers that never signal were not noticed"
    return 1
  fi
  cat "$WORK/said"
  note "$(grep -o 'watchdog: worker.*' "$WORK/said")"
  grep -q 'watchdog: worker [0-9]* has waited 0.5.* for event' "$WORK/said" || return 1
  # The next one plays as if nothing had been.
  "$PLAY" verify "$WORK/rolls/llama.roll" "$PREPARED/expected/llama.safetensors" --most 12
}

sanitize() {
  real && has compute-sanitizer || { note "no compute-sanitizer, or no GPU"; return $SKIPPED; }
  roll rolls/llama
  compute-sanitizer --tool "$1" --error-exitcode 86 "${@:2}" "$PLAY" verify "$WORK/rolls/llama.roll" \
    "$PREPARED/expected/llama.safetensors" --most 12 --watchdog 100 >"$WORK/said" 2>&1
  local status=$?
  tail -n 60 "$WORK/said"
  note "$(grep -o 'ERROR SUMMARY.*\|RACECHECK SUMMARY.*' "$WORK/said" | tail -1)"
  return $status
}
part_memcheck() { sanitize memcheck; }
part_racecheck() { sanitize racecheck --racecheck-report analysis; }

part_bandwidth() {
  real && has nvcc || { note "no nvcc, or no GPU"; return $SKIPPED; }
  nvcc -O3 -std=c++17 -arch=native tools/gpu/bandwidth.cu -o "$WORK/bandwidth" && "$WORK/bandwidth" >"$WORK/bandwidth.json" ||
    return 1
  cat "$WORK/bandwidth.json"
  note "$(cat "$WORK/bandwidth.json")"
}

part_bench() {
  local bad=0 name torch= config without= models=("$PREPARED"/bench/*.roll.gz) left
  if real && python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then torch=1; else without=", no PyTorch"; fi
  for at in "${!models[@]}"; do
    name=$(basename "${models[$at]}" .roll.gz)
    roll "bench/$name"
    config=$PREPARED/bench/$name.json
    [ -n "$torch" ] && [ -e "$config" ] || config=
    left=$(((part_end - SECONDS) / (${#models[@]} - at)))
    python3 tools/gpu/bench.py "$PLAY" "$WORK/bench/$name.roll" -o "$WORK/bench.jsonl" --seconds $left \
      ${config:+--config "$config"} --rounds $rounds --tokens $tokens --context $context ||
      bad=$((bad + 1))
  done
  note "${#models[@]} models, $rounds rounds of $tokens tokens$without"
  [ $bad -eq 0 ]
}

part_trace() {
  local bad=0 name
  for name in "$PREPARED"/bench/*.roll.gz; do
    name=$(basename "$name" .roll.gz)
    roll "bench/$name"
    "$PLAY" trace "$WORK/bench/$name.roll" --context $context --html "$OUT/$name.html" \
      --stages "$WORK/$name.stages.json" || bad=$((bad + 1))
  done
  note "timelines in $OUT/*.html"
  [ $bad -eq 0 ]
}

# Most that each part may take, in seconds.
budget() {
  case $1 in
    build) echo 120 ;;
    goldens) echo 80 ;;
    determinism) echo 60 ;;
    watchdog) echo 20 ;;
    memcheck | racecheck) echo 50 ;;
    bandwidth) echo 30 ;;
    bench) echo 240 ;;
    trace) echo 60 ;;
  esac
}

# run PART: in a process of its own group, which a part that takes too long is ended with.
run() {
  local name=$1 limit status began=$SECONDS
  limit=$((slow * $(budget "$name")))
  [ $((deadline - SECONDS)) -ge "$limit" ] || limit=$((deadline - SECONDS))
  rm -f "$WORK/note"
  if [ "$limit" -lt 2 ]; then
    note "no time was left"
    status=124
  elif [ "$name" != build ] && [ "$name" != bandwidth ] && [ ! -x "$PLAY" ]; then
    note "there is no player"
    status=1
  else
    set -m
    (
      part_end=$((SECONDS + limit - 2))
      "part_$name"
    ) >"$WORK/log" 2>&1 &
    local child=$!
    set +m
    (
      sleep "$limit" &&
        touch "$WORK/late" &&
        kill -TERM -$child
    ) 2>/dev/null &
    local timer=$!
    wait $child
    status=$?
    pkill -P $timer 2>/dev/null || kill $timer 2>/dev/null
    wait $timer 2>/dev/null
    if [ -e "$WORK/late" ]; then
      rm "$WORK/late"
      status=124
      note "was ended after $limit s"
    fi
    { echo "== $name"; cat "$WORK/log"; } >>"$OUT/check.log"
  fi
  local verdict=ok text
  case $status in 0) ;; $SKIPPED) verdict=skipped ;; *) verdict=FAILED failed=1 ;; esac
  text=$(tail -n 1 "$WORK/note" 2>/dev/null)
  if [ $verdict = FAILED ]; then tail -n 15 "$WORK/log" 2>/dev/null | sed 's/^/    /'; fi
  say "$(printf '%-12s %-8s %3d s  %s' "$name" $verdict $((SECONDS - began)) "$text")"
  printf '%s\t%s\t%s\t%s\n' "$name" $verdict $((SECONDS - began)) "$text" >>"$WORK/parts.tsv"
}

[ -d "$PREPARED/rolls" ] || { echo "error: $PREPARED/rolls is not there: tools/gpu/prepare.sh makes it" >&2; exit 1; }
mkdir -p "$WORK/rolls" "$WORK/bench"
if real; then nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,memory.total --format=csv,noheader >"$WORK/gpu"; fi
say "$(cat "$WORK/gpu" 2>/dev/null || echo "no GPU: ${PIANOLA_CUDA_DRIVER:-nvidia-smi finds none}")"
for part in $PARTS; do
  case " $only " in *" $part "*) run $part ;; esac
done
if ! python3 tools/gpu/report.py "$WORK" "$OUT" | tee -a "$OUT/check.log"; then failed=1; fi
exit $failed
