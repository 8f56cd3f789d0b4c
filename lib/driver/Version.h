//===- Version.h - What this compiler calls itself --------------*- C++ -*-===//
#ifndef PIANOLA_LIB_DRIVER_VERSION_H
#define PIANOLA_LIB_DRIVER_VERSION_H

namespace pianola {
/// Goes into every roll, and into the key of the cache of compiled models.
constexpr const char *kVersion = PIANOLA_VERSION;
} // namespace pianola

#endif
