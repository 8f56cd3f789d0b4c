#!/usr/bin/env bash
# Installs what Pianola is built from, all of it Debian 12 packages. Safe to run again: it does
# nothing where nothing is missing.
#   tools/setup.sh          what building and running needs
#   tools/setup.sh --test   also what the tests need
set -euo pipefail

build=(clang-19 lld-19 llvm-19-dev libmlir-19-dev mlir-19-tools cmake ninja-build ccache
       nlohmann-json3-dev libcli11-dev libpcre2-dev libutf8proc-dev libxxhash-dev libboost1.81-dev pkg-config python3)
test=(llvm-19-tools clang-format-19 libclang-rt-19-dev libgtest-dev dpkg-dev file curl
      python3-pip python3-setuptools python3-venv python3-wheel chromium)

wanted=("${build[@]}")
[ "${1:-}" != --test ] || wanted+=("${test[@]}")

missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
    missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "setup: every package is here already"
  exit 0
fi

echo "setup: installing ${missing[*]}"
sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo)
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
echo "setup: done"
