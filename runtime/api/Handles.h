// Handles.h - what is behind the pointers of the C interface, and its way to report errors.
#ifndef PIANOLA_RUNTIME_API_HANDLES_H
#define PIANOLA_RUNTIME_API_HANDLES_H

#include "pianola/text.h"
#include "runtime/sampling/Sampler.h"
#include "runtime/session/Session.h"
#include "runtime/template/Chat.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>

struct pianola_model {
  std::unique_ptr<pianola::Roll> roll;
};

struct pianola_session {
  pianola_model *model;
  std::unique_ptr<pianola::Session> session;
  std::unique_ptr<pianola::Sampler> sampler;
  std::optional<std::vector<int32_t>> stops; // the caller's, if there are any
};

struct pianola_text {
  std::unique_ptr<pianola::Tokenizer> tokenizer;
  pianola::Result<pianola::Chat> chat;
};

namespace pianola::api {

/// Notes the message for pianola_error().
pianola_status fail(const std::string &message);

inline Status nullPointer() { return Status::error("a null pointer was given"); }

/// Runs `body`, which returns a Status; what the standard library throws becomes an error.
template <typename Body> pianola_status guard(Body body) {
  try {
    Status status = body();
    return status.ok() ? PIANOLA_OK : fail(status.message());
  } catch (const std::bad_alloc &) {
    return fail("out of memory");
  } catch (const std::exception &error) {
    return fail(error.what());
  }
}

/// Takes a struct that a caller filled: members that it does not know keep what `to` has, and what
/// is not known here must be 0.
template <typename T> Status readStruct(const T *given, T &to, const char *name) {
  if (!given)
    return nullPointer();
  if (given->size < sizeof(size_t) || given->size > 4096)
    return Status::error(std::string(name) + ".size is not set");
  const char *bytes = reinterpret_cast<const char *>(given);
  if (std::any_of(bytes + std::min(given->size, sizeof(T)), bytes + given->size,
                  [](char byte) { return byte != 0; }))
    return Status::error(std::string(name) + " has a member set that libpianola " PIANOLA_VERSION
                                             " does not know");
  std::memcpy(&to, given, std::min(given->size, sizeof(T)));
  to.size = sizeof(T);
  return Status();
}

/// Fills the members that the caller knows.
template <typename T> Status writeStruct(T value, T *to, const char *name) {
  if (!to)
    return nullPointer();
  if (to->size < sizeof(size_t))
    return Status::error(std::string(name) + ".size is not set");
  value.size = to->size;
  std::memcpy(to, &value, std::min(to->size, sizeof(T)));
  return Status();
}

inline pianola_end endOf(GenerationEnd end) {
  switch (end) {
  case GenerationEnd::Length:
    return PIANOLA_END_LENGTH;
  case GenerationEnd::Stop:
    return PIANOLA_END_STOP;
  case GenerationEnd::Full:
    return PIANOLA_END_FULL;
  case GenerationEnd::Taker:
    return PIANOLA_END_CALLBACK;
  }
  return PIANOLA_END_LENGTH;
}

} // namespace pianola::api

#endif
