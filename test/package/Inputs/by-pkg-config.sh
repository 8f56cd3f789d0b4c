# by-pkg-config.sh PREFIX OUT: builds both examples as someone does who has pkg-config.
set -eu
export PKG_CONFIG_PATH="$1/lib/pkgconfig"
examples="$1/share/doc/pianola/examples"
mkdir -p "$2"
clang-19 "$examples/embed.c" $(pkg-config --cflags --libs "pianola >= 0.1") -o "$2/embed-c"
clang++-19 -std=c++17 "$examples/embed.cpp" $(pkg-config --cflags --libs pianola) -o "$2/embed-cpp"
