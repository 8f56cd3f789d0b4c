// Faults.h - what the machine runs short of ends a program in one clear error.
#ifndef PIANOLA_TOOLS_PIANOLA_FAULTS_H
#define PIANOLA_TOOLS_PIANOLA_FAULTS_H

namespace pianola {

/// To be called first of all. From then on the program prints "error: ..." and exits with status 1
///   - when there is no memory, or no thread can be started;
///   - when a mapped file, such as the roll that is played, has been truncated in place, or cannot
///     be read: that is SIGBUS, and the error names the file.
/// And to write a file beyond RLIMIT_FSIZE is an error of that write, not a signal.
void endFaultsClearly();

/// For libraries that have a way of their own to say so.
[[noreturn]] void endOutOfMemory();

} // namespace pianola

#endif
