#!/usr/bin/python3
"""Answers "WORD NUMBER" with "done NUMBER", in the way of WORD: every way in which a program can go wrong.

    plain    as it should be         chatty   with a line too many, in the same write
    late     after its time          half     without a newline, and ends
    silent   not at all              hang     without a newline, and does nothing more
    stop     it stops itself         cut      it ends in the middle of its answer, by a signal
    die      it ends                 close    it closes its output
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
for line in sys.stdin:
    word, number = line.split()
    answer = f"done {number}"
    if word == "plain":
        write(answer + "\n")
    elif word == "chatty":
        write(f"{answer}\ndone too much\n")
    elif word == "late":
        time.sleep(late)
        write(answer + "\n")
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
