import json
import sys

reference, int4 = (json.load(open(name)) for name in sys.argv[1:])
assert reference["scored"] == reference["tokens"] - 1 == int4["scored"]
# The same arithmetic but for the rounding of activations.
assert reference["against"]["kl"]["max"] < 1e-7, reference
assert abs(reference["against"]["ratio"]["value"] - 1) < 1e-4, reference
assert reference["against"]["top1"] > 0.99, reference
assert int4["against"]["perplexity"] == reference["perplexity"], (int4, reference)
kl = int4["against"]["kl"]
assert 1e-3 < kl["median"] < kl["mean"] < 0.1 and kl["mean"] < kl["p99"] < kl["max"], int4
assert 0.8 < int4["against"]["top1"] < 1, int4
ratio = int4["perplexity"]["value"] / int4["against"]["perplexity"]["value"]
assert abs(ratio / int4["against"]["ratio"]["value"] - 1) < 1e-9, int4
