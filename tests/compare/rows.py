"""The list of rows, in the order of the table: rows_pipe.py, rows_terminal.py and rows_servers.py add theirs."""
from typing import Callable, NamedTuple

GROUPS = ("In a pipe", "At a terminal", "With real servers")


class Row(NamedTuple):
    group: str
    title: str
    judge: Callable  # is given a Trial, returns what was Seen


ROWS = []


def row(group, title):
    def add(judge):
        ROWS.append(Row(group, title, judge))
        return judge
    return add
