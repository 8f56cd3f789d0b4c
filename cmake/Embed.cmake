# cmake -DFROM=<file> -DTO=<file.cpp> -DNAME=<identifier> -P Embed.cmake
# Writes C++ with the file's bytes: const std::string_view pianola::NAME().
file(READ ${FROM} bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
file(WRITE ${TO} "#include <string_view>
namespace pianola {
static const unsigned char kBytes[] = {
${bytes}};
std::string_view ${NAME}() { return {reinterpret_cast<const char *>(kBytes), sizeof(kBytes)}; }
} // namespace pianola
")
