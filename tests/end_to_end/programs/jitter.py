#!/usr/bin/python3
"""Gives each line back after a random time of up to as many milliseconds as its argument says (3)."""
import random
import sys
import time

most = float(sys.argv[1]) / 1000 if len(sys.argv) > 1 else 0.003
for line in sys.stdin.buffer:
    time.sleep(random.uniform(0, most))
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
