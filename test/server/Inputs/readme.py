"""Runs the curl commands of README.md's section on the server: readme.py README.md ROLL"""
import json
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "bench" / "server"))
from client import Server  # noqa: E402

(block,) = re.findall(r"^```sh\n(.*?)^```$", pathlib.Path(sys.argv[1]).read_text(), re.S | re.M)
commands = block.strip().split("\n\n")
with Server("pianola", sys.argv[2]) as server:
    for command in commands:
        assert command.startswith("curl -s"), command
        command = command.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
        said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True,
                              timeout=60).stdout
        print(said)
        if "stream" in command:
            assert said.rstrip().endswith("data: [DONE]")
        elif "/metrics" not in command:
            reply = json.loads(said)
            assert "error" not in reply, reply
            if "json_schema" in command:
                assert isinstance(json.loads(reply["choices"][0]["message"]["content"])["age"], int)
print(len(commands), "commands")
