#!/usr/bin/python3
"""blocks: a program behind banterd that reads all that there is, and answers line by line.

blocks.py LOG: each block of several lines is added to LOG, as a line, with commas. A line:

    die       it ends
    hang      nothing more comes
    slow      is answered after a while, if it came with others
    twice     is answered twice, if it came with others
    short     is not answered, if it came with others
    else      is given back
"""
import os
import sys
import time

while block := os.read(0, 65536):
    lines = block.splitlines()
    several = len(lines) > 1
    if several:
        with open(sys.argv[1], "ab") as log:
            log.write(b",".join(lines) + b"\n")
    for line in lines:
        if line == b"die":
            os._exit(3)
        if line == b"hang":
            time.sleep(1000)
        if line == b"slow" and several:
            time.sleep(0.4)
        if line == b"twice" and several:
            os.write(1, b"twice\n")
        if line != b"short" or not several:
            os.write(1, line + b"\n")
