#!/usr/bin/env python3
"""Several streams at once beside one, and a prompt that is known beside one that is not.

    load.py ROLL [--streams 8] [--tokens 64] [--prompt 32] [--long 1280] [-o RESULT.json]

The roll needs a tokenizer. Fails if a stream's tokens are not those that it gets alone.
"""
import argparse
import json
import random
import statistics

from client import Server, Stream, at_once, find_pianola


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("roll")
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--prompt", type=int, default=32, help="tokens of each stream's prompt")
    parser.add_argument("--long", type=int, default=1280, help="tokens of the prompt that is known")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-t", "--threads", default="2")
    parser.add_argument("-o", "--output")
    options = parser.parse_args()
    draw = random.Random(1)
    ids = lambda count: [draw.randrange(10, 250) for _ in range(count)]

    with Server(find_pianola(), options.roll, "-t", options.threads) as server:
        ratios, one, many, firsts, knowns = [], [], [], [], []
        for _ in range(options.rounds):
            prompts = [ids(options.prompt) for _ in range(options.streams)]
            # Of one stream: what it gets from the first token on.
            alone = [Stream(server, prompt, options.tokens) for prompt in prompts]
            one.append(statistics.median((options.tokens - 1) / (stream.seconds - stream.first)
                                         for stream in alone))
            together, seconds = at_once([lambda prompt=prompt: Stream(server, prompt, options.tokens)
                                         for prompt in prompts])
            for left, right in zip(alone, together):
                if left.ids != right.ids or len(left.ids) != options.tokens:
                    raise SystemExit("a stream's tokens are not those that it gets alone")
            # Of all of them: from the moment that the first has a token to the end.
            begin = min(stream.first for stream in together)
            many.append(options.streams * (options.tokens - 1) /
                        (max(stream.seconds for stream in together) - begin))
            ratios.append(many[-1] / one[-1])

            long = ids(options.long)
            unknown = Stream(server, long, 1)
            again = long[:options.long * 9 // 10] + ids(options.long - options.long * 9 // 10)
            known = Stream(server, again, 1)
            firsts.append(unknown.first)
            knowns.append(known.first)
            cached = known.usage["prompt_tokens_details"]["cached_tokens"]
        result = {
            "streams": options.streams, "tokens": options.tokens, "rounds": options.rounds,
            "one": one, "many": many, "ratio": statistics.median(ratios),
            "prompt": options.long, "cached": cached, "first": firsts, "firstKnown": knowns,
            "share": statistics.median(known / first for known, first in zip(knowns, firsts)),
        }
        print(f"tokens a second: {statistics.median(one):.1f} of one stream, "
              f"{statistics.median(many):.1f} of {options.streams}: x {result['ratio']:.2f}; "
              "every stream's tokens are those that it gets alone")
        print(f"first token of a prompt of {options.long}: {statistics.median(firsts):.2f} s, with "
              f"{cached} tokens known {statistics.median(knowns):.2f} s: "
              f"{100 * result['share']:.0f} %")
        if options.output:
            with open(options.output, "w") as file:
                json.dump(result, file, indent=1)
                file.write("\n")


if __name__ == "__main__":
    main()
