"""Checks that docs/architecture.md shows what the passes print.

The first mlir block is the input. Each later one stands below a comment with the flags for pianola-opt; its
lines must occur in the output in this order. A line may end in `...`; a line of `...` alone skips.
"""
import pathlib
import re
import subprocess
import sys

text = pathlib.Path(sys.argv[1]).read_text()
source = re.search(r"```mlir\n(.*?)```", text, re.S)[1]
blocks = re.findall(r"<!-- pianola-opt (.*?) -->\n```mlir\n(.*?)```", text, re.S)
assert len(blocks) >= 3, "the page shows too little"
for flags, block in blocks:
    done = subprocess.run(["pianola-opt", *flags.split()], input=source, text=True,
                          stdout=subprocess.PIPE, check=True)
    printed = [line.strip() for line in done.stdout.splitlines()]
    at = 0
    for line in (line.strip() for line in block.splitlines()):
        if line == "...":
            continue
        begin = line.removesuffix("...").rstrip()
        matches = [i for i in range(at, len(printed))
                   if (printed[i].startswith(begin) if line.endswith("...") else printed[i] == line)]
        if not matches:
            sys.exit(f"pianola-opt {flags} does not print, or not in this order:\n  {line}")
        at = matches[0] + 1
# Without its wait the schedule of the page is refused, as the page says.
flags = blocks[-1][0].replace(" -check-schedule", "").split()
scheduled = subprocess.run(["pianola-opt", *flags], input=source, text=True, stdout=subprocess.PIPE,
                           check=True).stdout
bent = re.sub(r'(schedule.step "layers.0.attention".*?) waits %\w+ until \[2\]', r"\1", scheduled)
assert bent != scheduled
refused = subprocess.run(["pianola-opt", "-check-schedule"], input=bent, text=True,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
message = re.search(r"^    step .*?(?=\.\.\.)", text, re.S | re.M)[0]
message = re.sub(r"\s+", " ", message).strip()
if refused.returncode == 0 or message not in refused.stderr:
    sys.exit(f"the refusal is not\n  {message}\nbut\n  {refused.stderr}")
