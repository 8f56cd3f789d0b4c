"""Plays language models that Pianola has compiled into rolls.

    from pianola import Pianola

    with Pianola("x.roll") as model:
        print(model.chat([{"role": "user", "content": "What is a piano?"}]))
        for piece in model.stream("Once upon a time", max_tokens=50):
            print(piece, end="", flush=True)
"""
import enum
import json
import os
import queue
import threading
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ctypes import byref, c_char_p, c_int32, c_void_p, string_at
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from . import _library
from ._library import Cancelled, PianolaError

__all__ = ["Cancelled", "End", "Info", "Options", "Pianola", "PianolaError"]

Messages = Sequence[Mapping[str, Any]]
Prompt = str | Sequence[int] | Messages


class End(enum.Enum):
    """Why a generation ended."""
    LENGTH = 0  # max_tokens
    STOP = 1  # the model ended it
    STOP_STRING = 2
    FULL = 3  # the context is
    CLOSED = 4  # the stream was closed


@dataclass(frozen=True)
class Info:
    """What a model is."""
    name: str
    family: str
    parameters: int
    target: str  # what it is compiled for
    compiler: str  # its version
    file_bytes: int
    vocabulary: int  # logits have so many numbers
    max_len: int  # positions that a context can have at most
    stops: tuple[int, ...]


class Options(TypedDict, total=False):
    """How to generate. What is not given is as the model's own settings say; the seed is 0."""
    max_tokens: int  # else until the context is full
    stop: str | Sequence[str]  # the text ends before any of these
    show_special: bool  # special tokens are text, too
    temperature: float  # 0: greedy
    top_k: int  # 0: all
    top_p: float  # 1: all
    min_p: float  # 0: all
    repetition_penalty: float  # 1: none
    presence_penalty: float  # 0: none
    frequency_penalty: float  # 0: none
    seed: int
    logit_bias: Mapping[int, float]  # by token


_TEXT_OPTIONS = ("max_tokens", "stop", "show_special")


class Pianola:
    """A roll, and a context to play it in.

    What a prompt has in common with the one before it is not computed again. What is left to compute is then another
    chunk, so that the last bits of logits may differ; reset() forgets, and then all is as it was at first. For one
    thread at a time, except cancel(); while a stream is open nothing else can be played.
    """

    def __init__(self, path: str | os.PathLike[str], *, device: str | None = None, launch: str | None = None,
                 threads: int = 0, max_len: int = 0) -> None:
        self._model, self._session, self._text = c_void_p(), c_void_p(), c_void_p()
        self._playing = threading.Lock()
        self._streaming: threading.Event | None = None  # set to end the stream
        self._closing = threading.Lock()  # what is cancelled must be there
        self._library = _library.library()
        self._library.open(os.fsencode(path), byref(self._model))
        try:
            options = _library.SessionOptions()
            options.max_len, options.threads = max_len, threads
            options.device = device.encode() if device else None
            options.launch = launch.encode() if launch else None
            self._library.session_create(self._model, byref(options), byref(self._session))
            found = _library.ModelInfo()
            self._library.get_info(self._model, byref(found))
            if found.has_tokenizer:
                self._library.text_create(self._model, byref(self._text))
        except BaseException:
            self.close()
            raise
        self.info = Info(found.name.decode(), found.family.decode(), found.parameters, found.target.decode(),
                         found.compiler.decode(), found.file_bytes, found.vocabulary, found.max_len,
                         tuple(found.stop_ids[:found.stop_count]))
        self.ended: End | None = None  # why the last generation did

    def close(self) -> None:
        """Ends a stream that is open, and frees all memory. More than once does no harm."""
        if streaming := self._streaming:
            streaming.set()
        with self._playing, self._closing:
            for handle, free in ((self._text, "text_destroy"), (self._session, "session_destroy"),
                                 (self._model, "close")):
                getattr(self._library, free)(handle)
                handle.value = None

    def __enter__(self) -> "Pianola":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_library"):
            self.close()

    def tokenize(self, text: str, *, add_special: bool = True, parse_special: bool = False) -> list[int]:
        """The ids of a text. Special tokens in it stay text, unless `parse_special`."""
        utf8 = text.encode()
        flags = _library.ADD_SPECIAL * add_special | _library.PARSE_SPECIAL * parse_special
        return self._library.take_ids(self._library.encode, self._texts(), utf8, len(utf8), flags)

    def detokenize(self, ids: Sequence[int], *, show_special: bool = False) -> str:
        """The text of ids; those that are not known are nothing."""
        return self._library.take_text(self._library.decode, self._texts(), _ids(ids), len(ids), show_special)

    def render(self, messages: Messages, **variables: Any) -> str:
        """The prompt of a conversation by the model's chat template, to look at."""
        return self._library.take_text(self._library.chat_render, self._texts(), _variables(messages, variables))

    def tokenize_chat(self, messages: Messages, **variables: Any) -> list[int]:
        """The same as ids. Nothing that a message says becomes a special token. Variables are what the template
        knows besides: tools, enable_thinking, add_generation_prompt (here True)."""
        return self._library.take_ids(self._library.chat_encode, self._texts(), _variables(messages, variables))

    def generate(self, prompt: Prompt, **options: Unpack[Options]) -> str:
        """What the model says after a text, ids, or messages."""
        return "".join(self.stream(prompt, **options))

    def chat(self, messages: Messages, *, variables: Mapping[str, Any] | None = None,
             **options: Unpack[Options]) -> str:
        """The model's answer. `variables`: see tokenize_chat."""
        return self.generate(self.tokenize_chat(messages, **(variables or {})), **options)

    def stream(self, prompt: Prompt, **options: Unpack[Options]) -> Iterator[str]:
        """The same as generate(), piece by piece, as soon as each is there. Closing it ends the generation."""
        pieces: queue.Queue[str | BaseException | None] = queue.Queue(maxsize=64)
        closed = threading.Event()

        def hand(piece: str | BaseException | None) -> bool:
            while not closed.is_set():
                try:
                    pieces.put(piece, timeout=0.05)
                    return True
                except queue.Full:
                    pass
            return False

        def play() -> None:
            try:
                self._play(prompt, options, hand, closed)
                hand(None)
            except BaseException as error:
                hand(error)

        # C calls back, an iterator is asked: so it plays on a thread of its own. That one also hears no Ctrl-C, whose
        # exception could not cross C.
        player = threading.Thread(target=play, name="pianola-stream", daemon=True)
        player.start()
        try:
            while (piece := pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            closed.set()
            player.join()

    def logits(self, prompt: Prompt) -> "array[float]":
        """f32 [vocabulary] after a text, ids or messages, always computed from the first token on. numpy.asarray()
        takes it as it is."""
        with self._exclusively():
            self._library.truncate(self._session, 0)
            self._feed(prompt)
            found = self._library.logits(self._session)
            if not found:
                raise self._library.failure()
            logits = array("f")
            logits.frombytes(string_at(found, self.info.vocabulary * logits.itemsize))
            return logits

    def reset(self) -> None:
        """Forgets the prompt before."""
        with self._exclusively():
            self._library.truncate(self._session, 0)

    def cancel(self) -> None:
        """Makes what another thread plays end with Cancelled; if there is nothing, the next."""
        with self._closing:
            self._library.cancel(self._session)

    def _texts(self) -> c_void_p:
        if not self._model:
            raise PianolaError("the model is closed")
        if not self._text:
            raise PianolaError("the model has no tokenizer")
        return self._text

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        if not self._playing.acquire(blocking=False):
            raise PianolaError("the model is playing already: in another thread, or for a stream that is not closed")
        try:
            if not self._model:
                raise PianolaError("the model is closed")
            yield
        finally:
            self._playing.release()

    def _feed(self, prompt: Prompt) -> None:
        if isinstance(prompt, str):
            prompt = self.tokenize(prompt)
        elif prompt and isinstance(prompt[0], Mapping):
            prompt = self.tokenize_chat(prompt)  # type: ignore[arg-type]
        self._library.feed_prompt(self._session, _ids(prompt), len(prompt), None)  # type: ignore[arg-type]

    def _play(self, prompt: Prompt, options: Options, hear: Callable[[str], bool], closed: threading.Event) -> None:
        text_options, result = _library.TextOptions(), _library.TextResult()
        text_options.max_tokens = options.get("max_tokens", 0)
        text_options.show_special = options.get("show_special", False)
        stop = options.get("stop", ())
        stops = [each.encode() for each in ([stop] if isinstance(stop, str) else stop)]
        text_options.stops, text_options.stop_count = (c_char_p * len(stops))(*stops), len(stops)

        def call(utf8: int, size: int, _: int | None) -> int:
            return 0 if hear(string_at(utf8, size).decode()) else 1

        with self._exclusively():
            self._streaming = closed
            try:
                self._library.set_sampling(self._session, byref(self._sampling(options)))
                self._feed(prompt)
                self._library.generate_text(self._session, self._texts(), byref(text_options),
                                            _library.TextCallback(call), None, byref(result))
            finally:
                self._streaming = None
        self.ended = End(result.end)

    def _sampling(self, options: Options) -> _library.Sampling:
        sampling = _library.Sampling()
        self._library.get_sampling(self._model, byref(sampling))
        known = {name for name, *_ in sampling._fields_}
        for name, value in options.items():
            if name == "logit_bias":
                biases = [_library.LogitBias(token, bias) for token, bias in options["logit_bias"].items()]
                sampling.logit_bias = (_library.LogitBias * len(biases))(*biases)
                sampling.logit_bias_count = len(biases)
            elif name in known and name in Options.__annotations__:
                setattr(sampling, name, value)
            elif name not in _TEXT_OPTIONS:
                raise TypeError(f"{name} is no option: there are {', '.join(Options.__annotations__)}")
        return sampling


def _ids(ids: Sequence[int]) -> Any:
    return (c_int32 * len(ids)).from_buffer(array("i", ids))  # which refuses what does not fit


def _variables(messages: Messages, variables: Mapping[str, Any]) -> bytes:
    return json.dumps({"add_generation_prompt": True, **variables, "messages": list(messages)}).encode()
