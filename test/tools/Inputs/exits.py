"""exits.py CODE COMMAND...: runs the command, and succeeds if that is its exit status."""
import subprocess
import sys

status = subprocess.call(sys.argv[2:])
sys.exit(f"exit status {status}, not {sys.argv[1]}" if status != int(sys.argv[1]) else 0)
