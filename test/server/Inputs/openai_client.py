"""The `openai` package, from PyPI, against servers of the bundled model.

    openai_client.py ROLL TOOLS_ROLL

The second roll's chat template knows tools; its model does not, so calls are forced. If its name has "hermes" in it,
the template knows thoughts, too, and the roll keeps hidden states.
"""
import json
import pathlib
import sys
import time

import openai

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "bench" / "server"))
from client import Server  # noqa: E402

QUESTION = [{"role": "user", "content": "What is a violin?"}]
TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a city.",
    "parameters": {"type": "object", "required": ["city", "days"], "additionalProperties": False,
                   "properties": {"city": {"enum": ["Paris", "Oslo"]},
                                  "days": {"type": "integer", "minimum": 1, "maximum": 9}}}}},
    {"type": "function", "function": {"name": "get_time"}}]


def client_of(server, **more):
    return openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="secret",
                         max_retries=0, **more)


def chats(client):
    reply = client.chat.completions.create(model="x", messages=QUESTION, temperature=0)
    text = reply.choices[0].message.content
    assert text.startswith("A violin is a bowed") and reply.choices[0].finish_reason == "stop"
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    stream = client.chat.completions.create(model="x", messages=QUESTION, temperature=0, stream=True,
                                            stream_options={"include_usage": True})
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == text
    assert chunks[-1].usage.completion_tokens == reply.usage.completion_tokens
    with client.chat.completions.stream(model="x", messages=QUESTION) as events:
        assert any(event.type == "content.done" and event.content == text for event in events)
    reply = client.chat.completions.create(model="x", messages=QUESTION, logprobs=True,
                                           top_logprobs=2, max_tokens=4)
    content = reply.choices[0].logprobs.content
    assert len(content) == 4 and len(content[0].top_logprobs) == 2
    reply = client.completions.create(model="x", prompt="A violin is", max_tokens=8, n=2,
                                      logprobs=1, temperature=1, seed=5)
    assert len(reply.choices) == 2 and len(reply.choices[0].logprobs.tokens) == 8
    assert [model.id for model in client.models.list()] == ["x"]
    assert client.models.retrieve("x").owned_by == "pianola"


def schemas(client):
    schema = TOOLS[0]["function"]["parameters"]
    for seed in range(5):
        reply = client.chat.completions.create(
            model="x", messages=QUESTION, temperature=1.5, seed=seed,
            response_format={"type": "json_schema",
                             "json_schema": {"name": "w", "schema": schema, "strict": True}})
        value = json.loads(reply.choices[0].message.content)
        assert value["city"] in ("Paris", "Oslo") and 1 <= value["days"] <= 9, value


def tools(client):
    named = {"type": "function", "function": {"name": "get_weather"}}
    for choice in ("required", named):
        for seed in range(4):
            more = dict(model="x", messages=QUESTION, tools=TOOLS, tool_choice=choice, temperature=1.3,
                        seed=seed, parallel_tool_calls=False)
            reply = client.chat.completions.create(**more)
            assert reply.choices[0].finish_reason == "tool_calls", reply
            (call,) = reply.choices[0].message.tool_calls
            arguments = json.loads(call.function.arguments)
            assert len(call.id) >= 9 and call.type == "function"
            if call.function.name == "get_weather":
                assert arguments["city"] in ("Paris", "Oslo") and 1 <= arguments["days"] <= 9
            else:
                assert choice == "required" and arguments == {}, call
            name, pieces = "", []
            for chunk in client.chat.completions.create(**more, stream=True):
                for delta in chunk.choices[0].delta.tool_calls or []:
                    name += delta.function.name or ""
                    pieces.append(delta.function.arguments or "")
                if chunk.choices[0].finish_reason:
                    assert chunk.choices[0].finish_reason == "tool_calls"
            assert name == call.function.name and "".join(pieces) == call.function.arguments
    # The answer goes back, with what the tool said.
    turns = QUESTION + [{"role": "assistant", "content": None,
                         "tool_calls": [call.model_dump()]},
                        {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    reply = client.chat.completions.create(model="x", messages=turns, tools=TOOLS, max_tokens=5)
    assert reply.usage.prompt_tokens > 50
    # Nothing is forced: an answer without calls is content.
    reply = client.chat.completions.create(model="x", messages=QUESTION, tools=TOOLS, max_tokens=9)
    assert reply.choices[0].message.content and not reply.choices[0].message.tool_calls


def thoughts(client, knows_thoughts):
    """A model of this size thinks what it is told to."""
    body = {"grammar": 'root ::= "<think>\\nA bow.\\n</think>\\n\\nYes"'}
    reply = client.chat.completions.create(model="x", messages=QUESTION, extra_body=body)
    message = reply.choices[0].message
    deltas = [chunk.choices[0].delta for chunk in client.chat.completions.create(
        model="x", messages=QUESTION, extra_body=body, stream=True)]
    streamed = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    content = "".join(delta.content or "" for delta in deltas)
    if knows_thoughts:
        assert (message.reasoning_content, message.content) == ("A bow.", "Yes"), message
        assert (streamed, content) == ("A bow.", "Yes"), (streamed, content)
    else:
        assert message.content == content == "<think>\nA bow.\n</think>\n\nYes", message


def embeddings(client):
    texts = ["a violin", "a stringed instrument that is played with a bow", "a violin"]
    numbers = client.embeddings.create(model="x", input=texts, encoding_format="float")
    vectors = [one.embedding for one in numbers.data]
    assert [one.index for one in numbers.data] == [0, 1, 2]
    assert vectors[0] == vectors[2] != vectors[1]
    for vector in vectors:
        assert abs(sum(x * x for x in vector) - 1) < 1e-5, vector
    assert numbers.usage.prompt_tokens == numbers.usage.total_tokens > 10
    # Bytes are this client's default; and a text's vector does not depend on its company.
    for text, vector in zip(texts, vectors):
        (alone,) = client.embeddings.create(model="x", input=text).data
        assert max(abs(a - b) for a, b in zip(alone.embedding, vector)) < 1e-7
    (same,) = client.embeddings.create(model="x", input="a violin", dimensions=len(vectors[0])).data
    assert len(same.embedding) == len(vectors[0])
    for wrong in ({"input": []}, {"input": ""}, {"input": [3, -1]}, {"input": "a", "dimensions": 2},
                  {"input": "a", "encoding_format": "int8"}, {"input": "violin " * 3000}):
        try:
            client.embeddings.create(model="x", **wrong)
            raise AssertionError(f"{wrong} was taken")
        except openai.BadRequestError as error:
            assert error.param in wrong, error


def errors(client, server):
    def fails(kind, **more):
        try:
            client.chat.completions.create(**{"model": "x", "messages": QUESTION, **more})
        except kind as error:
            return error
        raise AssertionError(f"{more} was taken")

    assert fails(openai.BadRequestError, temperature=7).param == "temperature"
    assert fails(openai.BadRequestError, n=1000).param == "n"
    long = [{"role": "user", "content": "violin " * 3000}]
    assert fails(openai.BadRequestError, messages=long).code == "context_length_exceeded"
    assert fails(openai.NotFoundError, model="gpt-4").code == "model_not_found"
    wrong = openai.OpenAI(base_url=client.base_url, api_key="wrong", max_retries=0)
    try:
        wrong.models.list()
        raise AssertionError("a wrong key was taken")
    except openai.AuthenticationError as error:
        assert error.code == "invalid_api_key"


def cancels(client, server):
    stream = client.completions.create(model="x", prompt="A", max_tokens=900, stream=True,
                                       extra_body={"ignore_eos": True})
    next(iter(stream))
    stream.close()
    try:
        client.with_options(timeout=0.05).completions.create(
            model="x", prompt="A", max_tokens=1000, extra_body={"ignore_eos": True})
    except openai.APITimeoutError:
        pass
    for _ in range(200):
        if any(line.count("abort") for line in server.log):
            break
        time.sleep(.02)
    else:
        raise AssertionError("nothing was cancelled")


def main():
    with Server("pianola", sys.argv[1], "--alias", "x", "--api-key", "secret") as server:
        client = client_of(server)
        chats(client)
        schemas(client)
        errors(client, server)
        cancels(client, server)
    with Server("pianola", sys.argv[2], "--alias", "x", "--api-key", "secret") as server:
        tools(client_of(server))
        thoughts(client_of(server), "hermes" in sys.argv[2])
        if "hermes" in sys.argv[2]:
            embeddings(client_of(server))
    print("all is as it should be")


main()
