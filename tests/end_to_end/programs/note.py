#!/usr/bin/python3
"""Notes each line in a file, takes a while, and echoes it: note.py FILE MILLISECONDS."""
import os
import sys
import time

file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
pause = float(sys.argv[2]) / 1000
for line in sys.stdin.buffer:
    os.write(file, line)
    time.sleep(pause)
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
