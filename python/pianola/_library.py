"""libpianola by ctypes: where it is, its structs and functions, and its errors as exceptions."""
import ctypes
import functools
import os
import pathlib
import shutil
import sysconfig
from collections.abc import Iterator
from ctypes import (CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_float, c_int, c_int32, c_int64, c_size_t,
                    c_uint, c_uint64, c_void_p)
from typing import Any

SONAME = "libpianola.so.0"
OK, CANCELLED = 0, 2
ADD_SPECIAL, PARSE_SPECIAL = 1, 2


class PianolaError(Exception):
    """One line that says what was wrong."""


class Cancelled(PianolaError):
    """What was under way ended by Pianola.cancel()."""


class Sized(Structure):
    """A struct that begins with its size, and is 0 elsewhere."""

    def __init__(self) -> None:
        super().__init__(ctypes.sizeof(self))


class ModelInfo(Sized):
    _fields_ = [("size", c_size_t), ("vocabulary", c_int32), ("valid_vocabulary", c_int32), ("max_len", c_int64),
                ("workers", c_int32), ("stop_ids", POINTER(c_int32)), ("stop_count", c_size_t), ("name", c_char_p),
                ("family", c_char_p), ("parameters", c_int64), ("target", c_char_p), ("compiler", c_char_p),
                ("file_bytes", c_uint64), ("has_tokenizer", c_int32)]


class SessionOptions(Sized):
    _fields_ = [("size", c_size_t), ("max_len", c_int64), ("threads", c_int32), ("watchdog_seconds", c_double),
                ("device", c_char_p), ("launch", c_char_p)]


class LogitBias(Structure):
    _fields_ = [("token", c_int32), ("bias", c_float)]


class Sampling(Sized):
    _fields_ = [("size", c_size_t), ("temperature", c_float), ("top_k", c_int32), ("top_p", c_float),
                ("min_p", c_float), ("repetition_penalty", c_float), ("presence_penalty", c_float),
                ("frequency_penalty", c_float), ("seed", c_uint64), ("logit_bias", POINTER(LogitBias)),
                ("logit_bias_count", c_size_t)]


class TextOptions(Sized):
    _fields_ = [("size", c_size_t), ("max_tokens", c_int64), ("stops", POINTER(c_char_p)), ("stop_count", c_size_t),
                ("show_special", c_int32)]


class TextResult(Sized):
    _fields_ = [("size", c_size_t), ("end", c_int), ("tokens", c_int64)]


TextCallback = CFUNCTYPE(c_int, c_void_p, c_size_t, c_void_p)

# Handles are void pointers. Functions that return an int return a status, which is checked.
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "version": (c_char_p, []),
    "error": (c_char_p, []),
    "open": (c_int, [c_char_p, POINTER(c_void_p)]),
    "close": (None, [c_void_p]),
    "get_info": (c_int, [c_void_p, POINTER(ModelInfo)]),
    "get_sampling": (c_int, [c_void_p, POINTER(Sampling)]),
    "session_create": (c_int, [c_void_p, POINTER(SessionOptions), POINTER(c_void_p)]),
    "session_destroy": (None, [c_void_p]),
    "feed_prompt": (c_int, [c_void_p, POINTER(c_int32), c_size_t, POINTER(c_size_t)]),
    "logits": (c_void_p, [c_void_p]),
    "truncate": (c_int, [c_void_p, c_int64]),
    "set_sampling": (c_int, [c_void_p, POINTER(Sampling)]),
    "cancel": (None, [c_void_p]),
    "text_create": (c_int, [c_void_p, POINTER(c_void_p)]),
    "text_destroy": (None, [c_void_p]),
    "free": (None, [c_void_p]),
    "encode": (c_int, [c_void_p, c_char_p, c_size_t, c_uint, POINTER(c_void_p), POINTER(c_size_t)]),
    "decode": (c_int, [c_void_p, POINTER(c_int32), c_size_t, c_int, POINTER(c_void_p), POINTER(c_size_t)]),
    "chat_render": (c_int, [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_size_t)]),
    "chat_encode": (c_int, [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_size_t)]),
    "generate_text": (c_int, [c_void_p, c_void_p, POINTER(TextOptions), TextCallback, c_void_p, POINTER(TextResult)]),
}


def _places() -> Iterator[str]:
    if given := os.environ.get("PIANOLA_LIBRARY"):
        yield given
        return
    if tool := shutil.which("pianola"):
        prefix = pathlib.Path(tool).resolve().parent.parent
        for folder in ("lib", f"lib/{sysconfig.get_config_var('MULTIARCH')}", "lib64"):
            if (prefix / folder / SONAME).exists():
                yield str(prefix / folder / SONAME)
    yield SONAME


class Library:
    """The C functions, without pianola_ before their names."""

    def __init__(self) -> None:
        failures = []
        for place in _places():
            try:
                self._dll = ctypes.CDLL(place)
                break
            except OSError as error:
                failures.append(str(error))
        else:
            raise PianolaError(f"libpianola cannot be loaded ({'; '.join(failures)}): install it, or name it in "
                               "PIANOLA_LIBRARY")
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(self._dll, "pianola_" + name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, self._checked(function) if result is c_int else function)

    def __getattr__(self, name: str) -> Any:  # what __init__ has set is found before
        raise AttributeError(name)

    def failure(self, status: int = 1) -> PianolaError:
        """What the last call in this thread had to say."""
        return (Cancelled if status == CANCELLED else PianolaError)(self.error().decode())

    def _checked(self, function: Any) -> Any:
        def call(*arguments: Any) -> None:
            status = function(*arguments)
            if status != OK:
                raise self.failure(status)

        return call

    def take(self, function: Any, *arguments: Any) -> tuple[c_void_p, int]:
        """Calls a function whose last two parameters get memory and its size."""
        memory, count = c_void_p(), c_size_t()
        function(*arguments, ctypes.byref(memory), ctypes.byref(count))
        return memory, count.value

    def take_ids(self, function: Any, *arguments: Any) -> list[int]:
        memory, count = self.take(function, *arguments)
        try:
            return list((c_int32 * count).from_address(memory.value or 0))
        finally:
            self.free(memory)

    def take_text(self, function: Any, *arguments: Any) -> str:
        memory, count = self.take(function, *arguments)
        try:
            return ctypes.string_at(memory, count).decode()
        finally:
            self.free(memory)


@functools.cache
def library() -> Library:
    return Library()
