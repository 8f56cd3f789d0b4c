#!/usr/bin/env bash
# Renews docs/reference from TableGen, after a build.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p docs/reference
for dialect in encoding:Encoding transformer:Transformer tile:Tile schedule:Schedule; do
  cp "build/dialects/${dialect%:*}/${dialect#*:}.md" "docs/reference/${dialect%:*}.md"
done
cp build/passes/Passes.md docs/reference/passes.md
