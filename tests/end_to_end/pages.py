"""pages: the man pages and READMEs as they are read, and the commands that they show.

A page is looked at as mandoc(1) renders it at a terminal of 80 columns, so that what the reader would copy is what the
tests run: the source may be right and the page wrong.
"""
import re
import subprocess
import textwrap
from typing import NamedTuple

import harness

MAN = harness.TOP / "man"
PAGES = sorted(page.name for page in MAN.glob("*.[1-8]"))


class Block(NamedTuple):
    """Lines that are shown together: commands behind a "$ ", and what they print."""
    commands: list
    output: list

    def __str__(self):
        return self.commands[0]


def rendered(page):
    """The text of a man page, without bold face and underlines."""
    run = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=80", MAN / page], capture_output=True,
                         timeout=harness.LIMIT)
    assert run.returncode == 0
    return re.sub(".\b", "", run.stdout.decode())


def section(page, title):
    """The lines of one section (or subsection) of a rendered page, as far as the next heading."""
    indent = "" if title.isupper() else "   "
    found = re.search(rf"^{indent}{re.escape(title)}\n(.*?)(?=^{indent}\S|^\S|\Z)", page, re.M | re.S)
    assert found, f"there is no section {title}"
    return found[1]


def entries(text):
    """The tags of the lists in a section, in which the descriptions are indented further."""
    lines = [line for line in text.splitlines() if line.strip()]
    least = min(len(line) - len(line.lstrip()) for line in lines)
    return [line.strip() for line in lines if len(line) - len(line.lstrip()) == least]


def blocks(text):
    """Each block of a text whose first line shows a command, which may be folded. Remarks behind commands are left
    out."""
    found = []
    for paragraph in re.split(r"\n(?: *\n)+", text):
        unfolded = re.sub(r" \\\n +", " ", textwrap.dedent(paragraph))
        lines = [re.sub(r" {2,}# .*", "", line) for line in unfolded.splitlines()]
        if lines and lines[0].startswith("$ "):
            found.append(Block([line[2:] for line in lines if line.startswith("$ ")],
                               [line for line in lines if not line.startswith("$ ")]))
    return found


def listing(text, first):
    """The program text that begins with this line, as far as the indentation goes on."""
    indent, = re.findall(rf"^( +){re.escape(first)}$", text, re.M)
    begin = text.index(f"\n{indent}{first}\n") + 1
    end = re.search(rf"^(?!{indent}|$)", text[begin:], re.M)
    return textwrap.dedent(text[begin:begin + end.start()]).rstrip() + "\n"
