"""What clients of OpenAI's interface rely on, against a server of the bundled model.

    protocol.py ROLL
"""
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "bench" / "server"))
from client import Server, Stream, at_once  # noqa: E402

QUESTION = [{"role": "user", "content": "What is a violin?"}]
SCHEMA = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 0, "maximum": 150},
                                           "name": {"enum": ["Ann", "Bob"]}},
          "required": ["age", "name"], "additionalProperties": False}


def chat(server, **more):
    status, reply = server.ask("/v1/chat/completions", {"messages": QUESTION, **more})
    assert status == 200, reply
    return reply


def whole_answers(server):
    reply = chat(server, model="x")
    assert reply["id"].startswith("chatcmpl-") and reply["object"] == "chat.completion"
    assert reply["model"] == "x" and abs(reply["created"] - time.time()) < 60
    (choice,) = reply["choices"]
    assert choice["index"] == 0 and choice["finish_reason"] == "stop" and choice["logprobs"] is None
    assert choice["message"]["role"] == "assistant" and choice["message"]["refusal"] is None
    assert choice["message"]["content"].startswith("A violin is a bowed stringed instrument")
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens_details"] == {"cached_tokens": 0}
    assert reply["timings"]["predicted_n"] == usage["completion_tokens"]
    assert chat(server, max_tokens=3)["choices"][0]["finish_reason"] == "length"
    return choice["message"]["content"]


def streams(server, content):
    body = {"messages": QUESTION, "stream_options": {"include_usage": True}}
    events = list(server.stream("/v1/chat/completions", body))
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}, events[0]
    assert all(event["object"] == "chat.completion.chunk" for event in events)
    assert len({event["id"] for event in events}) == 1
    assert all(event["usage"] is None for event in events[:-1])
    last, usage = events[-2:]
    assert last["choices"][0]["delta"] == {} and last["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == [] and usage["usage"]["completion_tokens"] > 5
    pieces = [event["choices"][0]["delta"]["content"] for event in events[1:-2]]
    assert len(pieces) > 5 and "".join(pieces) == content
    assert all(event["choices"][0]["finish_reason"] is None for event in events[:-2])
    without = list(server.stream("/v1/chat/completions", {"messages": QUESTION}))
    assert len(without) == len(events) - 1 and "usage" not in without[0]


def stops(server, content):
    for stop in ("bowed", "n is a b", "ringed instrument that", content[7:90]):
        answer = chat(server, stop=["never", stop])["choices"][0]
        assert answer["message"]["content"] == content[:content.index(stop)], (stop, answer)
        assert answer["finish_reason"] == "stop"
        pieces = [event["choices"][0]["delta"].get("content", "")
                  for event in server.stream("/v1/chat/completions",
                                             {"messages": QUESTION, "stop": stop})]
        assert "".join(pieces) == content[:content.index(stop)], pieces


def samples(server):
    warm = {"temperature": 1.5, "n": 4, "seed": 11, "max_tokens": 24}
    one, two = chat(server, **warm), chat(server, **warm)
    texts = [choice["message"]["content"] for choice in one["choices"]]
    assert [choice["index"] for choice in one["choices"]] == [0, 1, 2, 3]
    assert texts == [choice["message"]["content"] for choice in two["choices"]]
    assert len(set(texts)) > 1
    # Choice i is what seed + i gives alone.
    alone = chat(server, **{**warm, "n": 1, "seed": 13})["choices"][0]["message"]["content"]
    assert alone == texts[2], (alone, texts)
    first = server.ask("/tokenize", {"content": "A"})[1]["tokens"][0]
    biased = chat(server, logit_bias={str(first): -100})["choices"][0]["message"]["content"]
    assert not biased.startswith("A "), biased


def probabilities(server):
    reply = chat(server, logprobs=True, top_logprobs=3, max_tokens=5)
    entries = reply["choices"][0]["logprobs"]["content"]
    assert len(entries) == 5
    for entry in entries:
        assert len(entry["top_logprobs"]) == 3 and entry["logprob"] <= 0
        assert entry["top_logprobs"][0]["token"] == entry["token"]  # greedy
        assert bytes(entry["bytes"]).decode() == entry["token"]
    assert "".join(entry["token"] for entry in entries) == reply["choices"][0]["message"]["content"]
    streamed = [entry for event in server.stream("/v1/chat/completions",
                                                 {"messages": QUESTION, "logprobs": True,
                                                  "top_logprobs": 3, "max_tokens": 5})
                for entry in (event["choices"][0]["logprobs"] or {"content": []})["content"]]
    assert streamed == entries
    status, reply = server.ask("/v1/completions", {"prompt": "A violin is", "max_tokens": 4,
                                                   "logprobs": 2})
    told = reply["choices"][0]["logprobs"]
    assert status == 200 and "".join(told["tokens"]) == reply["choices"][0]["text"]
    assert told["text_offset"][0] == 0 and len(told["top_logprobs"][0]) == 2


def completions(server):
    status, reply = server.ask("/v1/completions", {"prompt": ["A violin is", "A horse is"], "n": 2,
                                                   "max_tokens": 6})
    assert status == 200 and reply["object"] == "text_completion"
    assert [choice["index"] for choice in reply["choices"]] == [0, 1, 2, 3]
    texts = [choice["text"] for choice in reply["choices"]]
    assert texts[0] == texts[1] != texts[2] == texts[3]
    ids = server.ask("/tokenize", {"content": "A violin is"})[1]["tokens"]
    _, same = server.ask("/v1/completions", {"prompt": ids, "max_tokens": 6, "echo": True,
                                             "return_token_ids": True})
    assert same["choices"][0]["text"] == "A violin is" + texts[0]
    back = server.ask("/detokenize", {"tokens": same["choices"][0]["token_ids"]})[1]["content"]
    assert back == texts[0]


def constraints(server):
    for seed in range(8):
        reply = chat(server, temperature=2, seed=seed, max_tokens=200,
                     response_format={"type": "json_schema",
                                      "json_schema": {"name": "person", "schema": SCHEMA}})
        person = json.loads(reply["choices"][0]["message"]["content"])
        assert set(person) == {"age", "name"} and person["name"] in ("Ann", "Bob"), person
        assert type(person["age"]) is int and 0 <= person["age"] <= 150, person
        reply = chat(server, temperature=1, seed=seed, max_tokens=400,
                     response_format={"type": "json_object"})
        if reply["choices"][0]["finish_reason"] == "stop":
            assert isinstance(json.loads(reply["choices"][0]["message"]["content"]), dict)
    reply = chat(server, grammar='root ::= "yes" | "no"')
    assert reply["choices"][0]["message"]["content"] in ("yes", "no")
    for more, part in (({"grammar": "root ::= ("}, "line 1"),
                       ({"response_format": {"type": "json_schema", "json_schema": {
                           "name": "x", "schema": {"$ref": "#/nowhere"}}}}, "nowhere")):
        status, reply = server.ask("/v1/chat/completions", {"messages": QUESTION, **more})
        assert status == 400 and part in reply["error"]["message"], reply


def prefixes(server):
    words = "A violin is a bowed stringed instrument that is the highest member of its family. " * 8
    ids = server.ask("/tokenize", {"content": words})[1]["tokens"]
    first = Stream(server, ids[:150], 8)
    again = Stream(server, ids[:140] + [7, 8, 9], 8)
    assert first.usage["prompt_tokens_details"]["cached_tokens"] == 0, first.usage
    assert again.usage["prompt_tokens_details"]["cached_tokens"] == 128, again.usage
    text = server.ask("/metrics")[1]
    hits = [line for line in text.splitlines() if "prefix_cache_hits_total{" in line]
    assert float(hits[0].split()[-1]) >= 128, hits


def company(server):
    prompts = [[5 + i, 40 + 3 * i, 7, 100 + i] * (1 + i) for i in range(12)]
    alone = [Stream(server, prompt, 20, temperature=0.8, seed=i).ids
             for i, prompt in enumerate(prompts)]
    together, _ = at_once([lambda i=i: Stream(server, prompts[i], 20, temperature=0.8, seed=i).ids
                           for i in range(12)])
    assert together == alone


def cancels(server):
    body = {"prompt": "A", "max_tokens": 1000, "ignore_eos": True}
    for _ in range(20):
        stream = server.stream("/v1/completions", body)
        next(stream)
        stream.close()  # and the connection
    for _ in range(200):
        counts = server.ask("/metrics")[1]
        if "num_requests_running{model_name=\"x\"} 0" in counts:
            break
        time.sleep(.05)
    else:
        raise AssertionError("texts go on that nobody reads")


def errors(server):
    ids = [5] * 2000
    status, reply = server.ask("/v1/completions", {"prompt": ids})
    assert status == 400 and "2000" in reply["error"]["message"], reply
    assert "1024" in reply["error"]["message"], reply
    assert reply["error"] == {"message": reply["error"]["message"], "type": "invalid_request_error",
                              "param": "prompt", "code": "context_length_exceeded"}
    for path, body, wanted in (("/v1/nothing", {}, 404), ("/v1/models/y", None, 404),
                               ("/v1/embeddings", {"input": "a"}, 501), ("/health", {}, 405), ("/v1/chat/completions", None, 405)):
        assert server.ask(path, body)[0] == wanted, path
    status, reply = server.ask("/v1/chat/completions", {"messages": QUESTION, "model": "other"})
    assert status == 404 and reply["error"]["code"] == "model_not_found"
    status, reply = server.ask("/v1/chat/completions", {
        "messages": QUESTION, "tools": [{"type": "function", "function": {"name": "f"}}],
        "tool_choice": "required"})
    assert status == 400 and reply["error"]["param"] == "tool_choice", reply


def arguments_of_calls(server):
    """JSON in a string within the body's JSON."""
    for arguments, wanted in (('{"a": ' + "[" * 500000 + "]" * 500000 + "}", "nested"),
                              (json.dumps({str(i): i for i in range(200000)}), "too many members"),
                              ("[1]", "expected a JSON object"), ("{", "is not JSON")):
        call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}
        turns = QUESTION + [{"role": "assistant", "content": None, "tool_calls": [call]}]
        for path in ("/v1/chat/completions", "/tokenize"):
            status, reply = server.ask(path, {"messages": turns})
            assert status == 400 and wanted in reply["error"]["message"], (path, reply)


def too_many_texts(server):
    status, reply = server.ask("/v1/completions", {"prompt": ["a"] * 128, "n": 128})
    assert status == 400 and reply["error"]["param"] == "n", reply


def encoded_names(server):
    assert server.ask("/v1/models/org%2Fx")[0] == 200
    status, reply = server.ask("/v1/models/org%2Fy%zz")
    assert status == 404 and '"org/y%zz"' in reply["error"]["message"], reply


def pages_of_other_sites(server):
    def headers(method, path, body=None, **more):
        connection = server.connect()
        connection.request(method, path, body, {"Origin": "https://friend.example", **more})
        reply = connection.getresponse()
        reply.read()
        connection.close()
        return reply
    body = json.dumps({"prompt": "A", "max_tokens": 1})
    for path, sent in (("/v1/completions", body), ("/v1/completions", body[:-1] + ', "stream": true}'),
                       ("/v1/nothing", "{}")):
        reply = headers("POST", path, sent)
        assert reply.getheader("Access-Control-Allow-Origin") == "https://friend.example", path
        assert reply.getheader("Vary") == "Origin"
    reply = headers("OPTIONS", "/v1/completions", None,
                    **{"Access-Control-Request-Headers": "authorization,x-stainless-os"})
    assert reply.status == 204 and reply.getheader("Content-Length") is None
    assert reply.getheader("Access-Control-Allow-Headers") == "authorization,x-stainless-os"
    assert reply.getheader("Access-Control-Allow-Origin") == "https://friend.example"


def main():
    with Server("pianola", sys.argv[1], "--alias", "org/x", "--allowed-origin",
                "https://friend.example") as server:
        encoded_names(server)
        pages_of_other_sites(server)
    with Server("pianola", sys.argv[1], "--alias", "x") as server:
        arguments_of_calls(server)
        too_many_texts(server)
        assert server.ask("/health") == (200, {"status": "ok"})
        models = server.ask("/v1/models")[1]
        assert [model["id"] for model in models["data"]] == ["x"]
        content = whole_answers(server)
        streams(server, content)
        stops(server, content)
        samples(server)
        probabilities(server)
        completions(server)
        constraints(server)
        prefixes(server)
        company(server)
        cancels(server)
        errors(server)
        # What it logs is JSON, a line for each request.
        lines = [json.loads(line) for line in server.log]
        assert any(line["event"] == "request" and line.get("completion_tokens") for line in lines)
        assert server.stop() == 0
        assert '"event":"closed"' in server.log[-1], server.log[-1]
    print("all is as it should be")


main()
