#!/usr/bin/python3
"""tags: a program behind `banterd --tagged`, which answers in any order. A request:

    gate FILE   is answered when FILE exists, which others don't wait for
    twice X     is answered twice
    bare X      is answered with X alone, whatever that begins with
    silent      is not answered
    hang        nothing is answered any more
    stop        it stops itself, and is not answered
    die         it ends
    pid         its process
    else        is given back
"""
import os
import select
import signal
import sys
import time


def answer(identity, text):
    os.write(1, f"{identity} {text}\n".encode())


def serve(identity, text):
    word, _, rest = text.partition(" ")
    if word == "gate":
        gates.append((identity, rest))
    elif word == "twice":
        answer(identity, rest)
        answer(identity, rest)
    elif word == "bare":
        os.write(1, f"{rest}\n".encode())
    elif word == "hang":
        time.sleep(1000)
    elif word == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif word == "die":
        os._exit(3)
    elif word == "pid":
        answer(identity, os.getpid())
    elif word != "silent":
        answer(identity, text)


gates = []
held = b""
if sys.argv[1:] == ["line"]:  # waits in a read of its input
    for line in sys.stdin:
        serve(*line.rstrip("\n").split(" ", 1))
    sys.exit()
while True:
    if select.select([0], [], [], 0.01 if gates else None)[0]:
        block = os.read(0, 65536)
        if not block:
            break
        *lines, held = (held + block).split(b"\n")
        for line in lines:
            serve(*line.decode().split(" ", 1))
    for gate in [gate for gate in gates if os.path.exists(gate[1])]:
        gates.remove(gate)
        answer(gate[0], "open")
