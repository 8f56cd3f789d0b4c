"""play.py: one peer plays a prompt and then tokens, once to warm up and once measured; started by run.py in the peers'
own Python.

    play.py ENGINE MODEL --vocabulary N [--prompt N] [--tokens N] [--threads N]

Prints a line of JSON: the seconds of the prompt, those of the tokens (which begin a new context, as `pianola bench`
does it), the likeliest token after the prompt, and the engine's version.
"""
import argparse
import importlib.metadata
import json
import time


def prompt_ids(count, vocabulary):
    """Any will do: speed does not depend on them."""
    return [(7919 * i + 1) % vocabulary for i in range(count)]


class LlamaCpp:
    package = "llama-cpp-python"

    def __init__(self, path, options):
        import ctypes

        import llama_cpp
        self.api = llama_cpp
        # Its log is long; kept alive here, because C calls it.
        self.quiet = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self.quiet, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        if not self.model:
            raise RuntimeError(f"llama.cpp cannot load {path}")
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = options.prompt + options.tokens
        settings.n_batch = settings.n_ubatch = options.prompt
        settings.n_threads = settings.n_threads_batch = options.threads
        self.context = llama_cpp.llama_init_from_model(self.model, settings)
        self.vocabulary = options.vocabulary

    def feed(self, ids):
        tokens = (self.api.llama_token * len(ids))(*ids)  # the batch points at them
        if self.api.llama_decode(self.context, self.api.llama_batch_get_one(tokens, len(ids))) != 0:
            raise RuntimeError("llama_decode failed")

    def forget(self):
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)

    def best(self):
        logits = self.api.llama_get_logits_ith(self.context, -1)[:self.vocabulary]
        return max(range(self.vocabulary), key=logits.__getitem__)

    def play(self, ids, tokens):
        self.forget()
        start = time.perf_counter()
        self.feed(ids)
        prompt = time.perf_counter() - start
        best = self.best()
        self.forget()
        start = time.perf_counter()
        for token in ids[:tokens]:
            self.feed([token])
        return prompt, time.perf_counter() - start, best


class OpenVino:
    package = "openvino-genai"

    def __init__(self, path, options):
        import openvino_genai
        self.api = openvino_genai
        self.pipeline = openvino_genai.LLMPipeline(path, "CPU", INFERENCE_NUM_THREADS=options.threads,
                                                   ENABLE_CPU_PINNING=True)

    def generate(self, ids, count):
        import numpy
        import openvino
        mask = openvino.Tensor(numpy.ones((1, len(ids)), dtype=numpy.int64))
        inputs = self.api.TokenizedInputs(openvino.Tensor(numpy.array([ids], dtype=numpy.int64)), mask)
        settings = self.api.GenerationConfig(max_new_tokens=count, ignore_eos=True, do_sample=False)
        return self.pipeline.generate(inputs, settings)

    def play(self, ids, tokens):
        first = self.generate(ids, 1)
        # The first token comes of the prompt.
        rest = self.generate(ids[:1], tokens + 1)
        return (first.perf_metrics.get_ttft().mean / 1e3, rest.perf_metrics.get_tpot().mean / 1e3 * tokens,
                first.tokens[0][0])


class OnnxRuntime:
    package = "onnxruntime-genai"

    def __init__(self, path, options):
        import onnxruntime_genai
        self.api = onnxruntime_genai
        settings = onnxruntime_genai.Config(path)
        settings.overlay(json.dumps({"model": {"decoder": {"session_options": {
            "intra_op_num_threads": options.threads}}}}))
        self.model = onnxruntime_genai.Model(settings)
        self.length = options.prompt + options.tokens

    def play(self, ids, tokens):
        settings = self.api.GeneratorParams(self.model)
        settings.set_search_options(max_length=self.length, min_length=self.length, do_sample=False)
        generator = self.api.Generator(self.model, settings)
        start = time.perf_counter()
        generator.append_tokens(ids)
        prompt = time.perf_counter() - start
        generator.generate_next_token()
        best = int(generator.get_next_tokens()[0])
        generator = self.api.Generator(self.model, settings)
        generator.append_tokens(ids[:1])
        generator.generate_next_token()
        start = time.perf_counter()
        for _ in range(tokens):
            generator.generate_next_token()
        return prompt, time.perf_counter() - start, best


class Torch:
    package = "torch"

    def __init__(self, path, options):
        import torch
        import transformers
        torch.set_num_threads(options.threads)
        torch.set_grad_enabled(False)
        self.torch = torch
        self.model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16)
        self.model.eval()

    def play(self, ids, tokens):
        start = time.perf_counter()
        out = self.model(self.torch.tensor([ids]), use_cache=True, logits_to_keep=1)
        prompt = time.perf_counter() - start
        best = int(out.logits[0, -1].argmax())
        past = None
        start = time.perf_counter()
        for token in ids[:tokens]:
            past = self.model(self.torch.tensor([[token]]), past_key_values=past, use_cache=True).past_key_values
        return prompt, time.perf_counter() - start, best


ENGINES = {"llama.cpp": LlamaCpp, "OpenVINO": OpenVino, "ONNX Runtime": OnnxRuntime, "PyTorch": Torch}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("model")
    parser.add_argument("--vocabulary", type=int, required=True)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    engine = ENGINES[options.engine](options.model, options)
    ids = prompt_ids(max(options.prompt, options.tokens), options.vocabulary)
    engine.play(ids[:options.prompt], options.tokens)
    prompt, tokens, best = engine.play(ids[:options.prompt], options.tokens)
    print(json.dumps({"prompt_seconds": prompt, "token_seconds": tokens, "best": best,
                      "version": importlib.metadata.version(engine.package)}))


if __name__ == "__main__":
    main()
