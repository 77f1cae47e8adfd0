"""board: what a program is told of the call that is to fail, and what it tells of it; see faults.c."""
import mmap
import os
import re
import struct
from pathlib import Path

CALLS = re.findall(r"^    CALL\((\w+), \w+\)", (Path(__file__).parent / "faults.c").read_text(), re.M)
MODES = ["once", "on"]
SANITIZER_STATUS = 99


class Board:
    """What faults.c counts: see struct board."""

    def __init__(self):
        self.descriptor = os.memfd_create("board")
        os.ftruncate(self.descriptor, mmap.PAGESIZE)
        self._memory = mmap.mmap(self.descriptor, mmap.PAGESIZE)

    def _number(self, index):
        return struct.unpack_from("Q", self._memory, 8 * index)[0]

    @property
    def failed(self):
        return self._number(0)

    @property
    def caller(self):
        return self._number(1)

    def made(self, call):
        return self._number(2 + CALLS.index(call))

    def close(self):
        self._memory.close()
        os.close(self.descriptor)


def environment(board, call, number, mode):
    return dict(os.environ, FAULTS_BOARD=str(board.descriptor), FAULTS_CALL=call, FAULTS_NUMBER=str(number),
                FAULTS_MODE=mode, ASAN_OPTIONS=f"allocator_may_return_null=1:exitcode={SANITIZER_STATUS}",
                TSAN_OPTIONS=f"exitcode={SANITIZER_STATUS}")
