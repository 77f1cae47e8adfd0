#!/usr/bin/python3
"""Answers "WORD NUMBER" with "done NUMBER", in the way of WORD: every way in which a program can go wrong.

    plain    as it should be         chatty   with a line too many, in the same write
    late     after its time          half     without a newline, and ends
    silent   not at all              hang     without a newline, and does nothing more
    stop     it stops itself         cut      it ends in the middle of its answer, by a signal
    die      it ends                 close    it closes its output

    several  "several NUMBER LINES MS": with LINES lines, MS milliseconds between them
    halves   "halves NUMBER MS": a part of its line, the rest MS milliseconds later

Arguments: how late is late, in seconds; what it says at its start.
"""
import os
import signal
import sys
import time


def write(text):
    os.write(1, text.encode())


def forever():
    while True:
        time.sleep(60)


late = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
if len(sys.argv) > 2:
    write("".join(f"{text}\n" for text in sys.argv[2:]))
for line in sys.stdin:
    word, number, *more = line.split()
    answer = f"done {number}"
    if word == "plain":
        write(answer + "\n")
    elif word == "chatty":
        write(f"{answer}\ndone too much\n")
    elif word == "late":
        time.sleep(late)
        write(answer + "\n")
    elif word == "several":
        write(answer + "\n")
        for _ in range(1, int(more[0])):
            time.sleep(float(more[1]) / 1000)
            write(f"more {number}\n")
    elif word == "halves":
        write(answer[:3])
        time.sleep(float(more[0]) / 1000)
        write(answer[3:] + "\n")
    elif word == "half":
        write(answer)
        sys.exit(0)
    elif word == "hang":
        write(answer)
        forever()
    elif word == "cut":
        write(answer[:-1])
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
        write(answer + "\n")
    elif word == "die":
        os._exit(1)
    elif word == "close":
        os.close(1)
        forever()
