# run-readme.sh BLOCKS PREFIX ROLL MODULE PYTHON: builds and runs what blocks.py wrote, beside a roll.
set -eu
mkdir "$1/bin"
ln -s "$(command -v clang-19)" "$1/bin/cc"
ln -s "$(command -v clang++-19)" "$1/bin/c++"
export PATH="$2/bin:$1/bin:/usr/bin:/bin" PKG_CONFIG_PATH="$2/lib/pkgconfig" LD_LIBRARY_PATH="$2/lib"
for language in c cpp python; do
  cd "$1/$language"
  cp "$3" x.roll
  printf '%s: ' "$language"
  if [ "$language" = python ]; then
    PYTHONPATH="$4" PYTHONDONTWRITEBYTECODE=1 "$5" ask.py
  else
    sh -eu build.sh
    ./ask
    echo
  fi
done
