"""quantise.py: a GGUF file as another of llama.cpp's types, by its own quantiser.

    quantise.py FROM TO FILE_TYPE THREADS
"""
import sys

import llama_cpp

source, target, file_type, threads = sys.argv[1:]
settings = llama_cpp.llama_model_quantize_default_params()
settings.ftype, settings.nthread = int(file_type), int(threads)
if llama_cpp.llama_model_quantize(source.encode(), target.encode(), settings) != 0:
    sys.exit(f"llama.cpp cannot make {target}")
