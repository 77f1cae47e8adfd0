"""tests/compare/run: banter passes each of its rows, it can tell a client that does not, and its README has its rows.

How the other clients do is for `make compare` to say; of them only nc is here for certain.
"""
import re

import pytest

import harness

pytestmark = pytest.mark.no_sanitizer

RUN = harness.TOP / "tests/compare/run"
PAGE = (harness.TOP / "tests/compare/README.md").read_text()


def table(text):
    """The head of the comparison's table, and {title: cells}, without the rows that only name a group."""
    found = re.search(r"^\| \| banter \|.*\n(?:\|.*\n)*", text, re.M)[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in found.splitlines()
             if line.startswith("| ")]
    rows = {title: cells for title, *cells in lines[1:] if any(cells)}
    return lines[0][1:], rows


def compare(bench, *options, limit=harness.LIMIT / 2):
    ended = bench.run([RUN, "--banter", harness.BANTER, "--limit", limit, "--jobs", 6, *options],
                      limit=harness.TEST_LIMIT)
    return ended.status, *table(ended.stdout.decode()), ended


@pytest.mark.slow
@pytest.mark.timeout(2 * harness.TEST_LIMIT)
def test_banter_passes_each_row(bench):
    status, head, rows, ended = compare(bench, "--clients", "banter")
    # What needs a server that is not installed here is for `make compare`.
    assert {title: cell for title, (cell,) in rows.items() if cell not in ("✓", "–")} == {}, ended.stdout.decode()
    assert (status, ended.stderr, head) == (0, b"", ["banter"]) and len(rows) > 20
    head, listed = table(PAGE)
    assert list(listed) == list(rows) and head[0] == "banter"
    assert {title for title, cells in listed.items() if cells[0] != "✓"} == set()


def test_the_first_page_shows_some_of_them():
    head, rows = table(PAGE)
    first_head, first_rows = table((harness.TOP / "README.md").read_text())
    assert first_head == head and len(first_rows) == 4
    assert {title: rows[title] for title in first_rows} == first_rows


def test_sees_what_other_clients_do(bench):
    status, head, rows, ended = compare(bench, "--clients", "banter,nc", "--rows", "escape sequences")
    assert (status, head) == (0, ["banter", "nc"])
    assert list(rows.values()) == [["✓", "✗ obeyed"]]
    assert re.search(r"\bnc \d", ended.stdout.decode().splitlines()[0])


def test_fails_where_banter_does(bench, folder):
    """A client that does nothing."""
    client = folder / "banter"
    client.write_text("#!/bin/sh\ncat >/dev/null\n")
    client.chmod(0o755)
    status, _, rows, ended = compare(bench, "--clients", "banter", "--banter", client, "--rows", "line", limit=1)
    assert status == 1 and len(rows) > 6
    assert [title for title, (cell,) in rows.items() if cell == "✓"] == []
    assert re.findall(r"^tests/compare/run: banter fails: (.*)$", ended.stderr.decode(), re.M) == list(rows)


def test_says_what_is_missing(bench, folder):
    ended = bench.run([RUN, "--banter", folder / "none", "--clients", "banter"])
    assert (ended.status, ended.stderr) == (1, b"tests/compare/run: not installed: banter; make compare sees to it\n")
    ended = bench.run([RUN, "--clients", "other"])
    assert ended.status == 1 and b"other: not known; there are banter, redis-cli" in ended.stderr
    ended = bench.run([RUN, "--rows", "no such row"])
    assert ended.status == 1 and b"no row has 'no such row' in its title" in ended.stderr
