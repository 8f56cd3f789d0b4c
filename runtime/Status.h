// Status.h - errors as values.
#ifndef PIANOLA_RUNTIME_STATUS_H
#define PIANOLA_RUNTIME_STATUS_H

#include <optional>
#include <string>
#include <utility>

namespace pianola {

/// Success, or one message for the user.
class [[nodiscard]] Status {
public:
  Status() = default;
  static Status error(std::string message) {
    Status status;
    status.text = std::move(message);
    return status;
  }

  bool ok() const { return !text.has_value(); }
  /// Empty on success.
  std::string message() const { return text.value_or(std::string()); }

private:
  std::optional<std::string> text;
};

/// A value, or the error that stands in its place.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : content(std::move(value)) {}
  Result(Status status) : failure(std::move(status)) {}

  explicit operator bool() const { return content.has_value(); }
  T &operator*() { return *content; }
  const T &operator*() const { return *content; }
  T *operator->() { return &*content; }
  const T *operator->() const { return &*content; }

  const Status &status() const { return failure; }
  std::string message() const { return failure.message(); }

private:
  std::optional<T> content;
  Status failure;
};

} // namespace pianola

#endif
