"""A tokenizer.json as the metadata of a GGUF file."""
import json
import pathlib

SPACE = "\u2581"


def sayable(root):
    """The tokenizer without what GGUF has no word for: on which sides added tokens swallow white space, and the like.
    Runs of spaces are made before all else, each in every way, as SentencePiece makes what users define."""
    for added in root["added_tokens"]:
        for flag in ("lstrip", "rstrip", "single_word", "normalized"):
            added[flag] = False
    vocabulary = root["model"]["vocab"]
    runs = [[SPACE * i, SPACE * (n - i)] for n in range(2, 64) if SPACE * n in vocabulary for i in range(1, n)]
    if runs and SPACE * 3 in vocabulary:
        root["model"]["merges"] = [run for run in runs if run[0] in vocabulary and run[1] in vocabulary] + [
            merge for merge in root["model"]["merges"] if set("".join(merge).replace(" ", "")) != {SPACE}]
    return root


def tokenizer_metadata(directory, pre):
    """Pairs of metadata, how many tokens there are, the generation_config.json and the tokenizer.json of a directory
    that says the same."""
    root = sayable(json.loads(pathlib.Path(directory, "tokenizer.json").read_text()))
    model = root["model"]
    tokens = {number: (name, 1) for name, number in model["vocab"].items()}
    for added in root["added_tokens"]:
        tokens[added["id"]] = added["content"], 3 if added["special"] else 4
    count = max(tokens) + 1
    rows = [tokens.get(i, (f"[PAD{i}]", 5)) for i in range(count)]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    scores = None
    if not pre:
        # Of each piece its rank among those that merges make, and for the others something below all of them.
        scores = {merge.replace(" ", ""): -float(i) for i, merge in reversed(list(enumerate(merges)))}
        rows = [(name, 6 if kind == 1 and len(name) == 6 and name.startswith("<0x") else kind) for name, kind in rows]
        rows = [(name, 2 if name == model["unk_token"] else kind) for name, kind in rows]
    pairs = [("tokenizer.ggml.model", "string", "gpt2" if pre else "llama"),
             ("tokenizer.ggml.tokens", "[string]", [name for name, _ in rows]),
             ("tokenizer.ggml.token_type", "[i32]", [kind for _, kind in rows])]
    if pre:
        pairs += [("tokenizer.ggml.pre", "string", pre), ("tokenizer.ggml.merges", "[string]", merges)]
    else:
        pairs += [("tokenizer.ggml.scores", "[f32]",
                   [scores.get(name, -1e6 - i) for i, (name, _) in enumerate(rows)]),
                  ("tokenizer.ggml.add_space_prefix", "bool", '"Prepend"' in json.dumps(root["normalizer"]))]
    names = {name: i for i, (name, _) in enumerate(rows)}
    special = json.dumps(root["post_processor"])
    begins = [name for name in ("<|begin_of_text|>", "<s>", "<bos>") if f'"{name}"' in special]
    pairs.append(("tokenizer.ggml.add_bos_token", "bool", bool(begins)))
    generation = {}
    for name in begins:
        pairs.append(("tokenizer.ggml.bos_token_id", "u32", names[name]))
        generation["bos_token_id"] = names[name]
    ends = [name for name in ("<|end_of_text|>", "</s>", "<eos>", "<|return|>", "<|im_end|>") if name in names]
    if ends:
        pairs.append(("tokenizer.ggml.eos_token_id", "u32", names[ends[0]]))
    pairs.append(("tokenizer.chat_template", "string", "{{ bos_token }}{{ messages[0].content }}"))
    return pairs, count, generation, root
