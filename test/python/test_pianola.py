"""The Python module on the bundled model: test_pianola.py ROLL"""
import os
import pathlib
import signal
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

from pianola import Cancelled, End, Pianola, PianolaError, _library

ROLL = sys.argv.pop(1)
PIANO = [{"role": "user", "content": "What is a piano?"}]
PROMPT = "<|im_start|>user\nWhat is a piano?<|im_end|>\n<|im_start|>assistant\n"


class Module(unittest.TestCase):
    def setUp(self):
        self.model = Pianola(ROLL, threads=1)  # as other tests run beside this one
        self.addCleanup(self.model.close)

    def test_says_what_a_model_is(self):
        info = self.model.info
        self.assertEqual((info.family, info.target, info.vocabulary, info.max_len), ("qwen3", "host", 4096, 1024))
        self.assertEqual(set(info.stops), {4093, 4095})
        self.assertEqual(info.file_bytes, os.path.getsize(ROLL))

    def test_texts_become_ids_and_back(self):
        ids = self.model.tokenize("What is a piano?")
        self.assertEqual(self.model.detokenize(ids), "What is a piano?")
        self.assertEqual(self.model.tokenize("<|im_end|>", parse_special=True), [4095])
        self.assertNotIn(4095, self.model.tokenize("<|im_end|>"))
        self.assertEqual(self.model.detokenize([4095]), "")
        self.assertEqual(self.model.detokenize([4095], show_special=True), "<|im_end|>")
        self.assertEqual(self.model.tokenize(""), [])
        self.assertEqual(self.model.detokenize([]), "")
        self.assertEqual(self.model.detokenize(self.model.tokenize("a\0é🎹")), "a\0é🎹")

    def test_messages_become_prompts(self):
        self.assertEqual(self.model.render(PIANO), PROMPT)
        self.assertEqual(self.model.tokenize_chat(PIANO), self.model.tokenize(PROMPT, parse_special=True))
        self.assertFalse(self.model.render(PIANO, add_generation_prompt=False).endswith("assistant\n"))
        self.assertEqual(self.model.tokenize_chat([{"role": "user", "content": "<|im_end|>"}]).count(4095), 1)

    def test_all_ways_to_generate_say_the_same(self):
        said = self.model.chat(PIANO, temperature=0)
        self.assertTrue(said.startswith("A piano is a keyboard instrument"), said)
        self.assertIs(self.model.ended, End.STOP)
        self.assertEqual(self.model.generate(PIANO, temperature=0), said)
        self.assertEqual(self.model.generate(self.model.tokenize_chat(PIANO), temperature=0), said)
        pieces = list(self.model.stream(PIANO, temperature=0))
        self.assertEqual("".join(pieces), said)
        self.assertGreater(len(pieces), 10)

    def test_options_count(self):
        greedy = self.model.chat(PIANO, temperature=0, max_tokens=5)
        self.assertIs(self.model.ended, End.LENGTH)
        self.assertEqual(len(self.model.tokenize(greedy)), 5)
        self.assertEqual(self.model.chat(PIANO, temperature=0, stop=" is"), "A piano")
        self.assertIs(self.model.ended, End.STOP_STRING)
        self.assertEqual(self.model.chat(PIANO, temperature=0, stop=["xyz", " piano"]), "A")
        wild = []
        for seed in (1, 1, 2):
            self.model.reset()
            wild.append(self.model.chat(PIANO, temperature=5.0, max_tokens=20, seed=seed))
        self.assertEqual(wild[0], wild[1])
        self.assertNotEqual(wild[0], wild[2])
        first = self.model.tokenize_chat(PIANO)
        self.assertEqual(self.model.generate(first, max_tokens=3, logit_bias={65: 100}, repetition_penalty=1),
                         self.model.detokenize([65] * 3))
        self.assertIn("<|im_end|>", self.model.chat(PIANO, temperature=0, show_special=True, max_tokens=5,
                                                    logit_bias={4095: -100, 4094: 100}).replace("start", "end"))

    def test_logits_are_numbers(self):
        logits = self.model.logits(PIANO)
        self.assertEqual(len(logits), 4096)
        best = max(range(4096), key=logits.__getitem__)
        said = self.model.chat(PIANO, temperature=0, repetition_penalty=1, max_tokens=1)
        self.assertEqual(self.model.detokenize([best]), said)
        self.assertEqual(memoryview(logits).format, "f")
        self.assertEqual(self.model.logits(self.model.tokenize_chat(PIANO)), logits)

    def test_a_stream_can_be_closed(self):
        stream = self.model.stream(PIANO, temperature=0)
        first = next(stream)
        with self.assertRaisesRegex(PianolaError, "playing already"):
            self.model.generate("x")
        stream.close()
        self.assertIs(self.model.ended, End.CLOSED)
        self.assertTrue(self.model.chat(PIANO, temperature=0).startswith(first))
        # A model may be closed while a stream is not.
        next(self.model.stream(PIANO, logit_bias={4093: -1000, 4095: -1000}))
        self.model.close()

    def test_a_stream_waits_for_who_reads_it(self):
        stream = self.model.stream("A", temperature=0, max_tokens=300, logit_bias={4093: -1000, 4095: -1000})
        next(stream)
        time.sleep(0.3)
        self.assertGreater(len("".join(stream)), 300)
        self.assertIs(self.model.ended, End.LENGTH)

    def test_errors_are_exceptions(self):
        with self.assertRaisesRegex(PianolaError, "none: cannot be opened"):
            Pianola("/there/is/none")
        with self.assertRaisesRegex(PianolaError, "device: expected auto"):
            Pianola(ROLL, device="moon")
        with self.assertRaisesRegex(PianolaError, "temperature: expected a number"):
            self.model.generate("x", temperature=-1)
        with self.assertRaisesRegex(PianolaError, "temperature: expected a number"):
            list(self.model.stream("x", temperature=-1))
        with self.assertRaisesRegex(PianolaError, "nothing to feed"):
            self.model.generate("")
        with self.assertRaisesRegex(PianolaError, "do not fit"):
            self.model.generate([5] * 2000)
        with self.assertRaisesRegex(PianolaError, "not in the vocabulary"):
            self.model.logits([4096])
        with self.assertRaises(OverflowError):
            self.model.logits([1 << 40])
        with self.assertRaisesRegex(TypeError, "top_q is no option"):
            self.model.generate("x", top_q=1)
        with self.assertRaisesRegex(PianolaError, "the chat template cannot be rendered"):
            self.model.render([{"role": "user"}])
        self.model.close()
        for use in (lambda: self.model.generate("x"), lambda: self.model.tokenize("x"), lambda: self.model.logits([1])):
            with self.assertRaisesRegex(PianolaError, "the model is closed"):
                use()

    def test_another_thread_cancels(self):
        stream = self.model.stream("A", logit_bias={4093: -1000, 4095: -1000})
        next(stream)
        self.model.cancel()
        with self.assertRaises(Cancelled):
            list(stream)

    def test_ctrl_c_ends_a_generation(self):
        # Who starts this in the background has it ignore the signal.
        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with self.assertRaises(KeyboardInterrupt):
            for _ in range(10):
                self.model.generate("A", logit_bias={4093: -1000, 4095: -1000})
        self.assertEqual(self.model.chat(PIANO, temperature=0, stop=" is"), "A piano")

    def test_finds_the_library(self):
        with mock.patch.dict(os.environ, PIANOLA_LIBRARY="/there/is/none.so"):
            with self.assertRaisesRegex(PianolaError, "none.so.*PIANOLA_LIBRARY"):
                _library.Library()
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, PATH=f"{folder}/bin"):
            os.environ.pop("PIANOLA_LIBRARY", None)
            self.assertEqual(list(_library._places()), [_library.SONAME])
            for name in ("bin/pianola", "lib/" + _library.SONAME):
                path = pathlib.Path(folder, name)
                path.parent.mkdir()
                path.touch(0o755)
            self.assertEqual(list(_library._places())[0], os.path.realpath(f"{folder}/lib/{_library.SONAME}"))


if __name__ == "__main__":
    unittest.main()
