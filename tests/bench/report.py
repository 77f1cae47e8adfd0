"""What a benchmark writes: where and how it ran, and tables in Markdown."""
import os
import platform
import re
import statistics
import subprocess
from pathlib import Path

import programs


def _processor():
    match = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return match[1] if match else platform.machine()


def _version(name):
    """The first line of NAME --version."""
    output = subprocess.run([programs.path_of(name), "--version"], capture_output=True, text=True,
                            timeout=10, check=True).stdout
    return output.splitlines()[0]


def _words(value):
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else "default" if value is None else value


def heading(title, options, servers):
    """What a later run needs to know to compare: the machine and how busy it was, versions, options."""
    versions = [_version(name) for name in servers if name != "floor"]
    print(f"## {title}\n")
    print(f"- machine: {len(os.sched_getaffinity(0))} cores ({_processor()}), Linux {platform.release()}, "
          f"load average {os.getloadavg()[0]:.1f} at the start")
    print(f"- versions: {', '.join([*dict.fromkeys(versions), ' '.join(platform.libc_ver())])}")
    print(f"- options: {', '.join(f'{name} {_words(value)}' for name, value in options.items())}\n", flush=True)


def median(values, form="{:.0f}"):
    """The median and, where there are several values, how far they spread."""
    text = form.format(statistics.median(values))
    if len(values) > 1:
        text += f" ({form.format(min(values))} to {form.format(max(values))})"
    return text


def table_text(head, rows):
    """The first column is text, the others are figures."""
    lines = [f"| {' | '.join(line)} |\n" for line in (head, *rows)]
    return lines[0] + "|---|" + "--:|" * (len(head) - 1) + "\n" + "".join(lines[1:])


def table(head, rows):
    print(table_text(head, rows), flush=True)


README = Path(__file__).resolve().parent / "README.md"


def write_readme(part, text):
    """Puts the text into README.md, where its marks have what was found before."""
    begin, end = f"<!-- {part} -->", f"<!-- end of {part} -->"
    old = README.read_text()
    if not re.search(f"{begin}.*{end}", old, re.S):
        raise programs.Trouble(f"{README} has no place for {part} between {begin} and {end}")
    README.write_text(old[:old.index(begin)] + f"{begin}\n\n{text}\n" + old[old.index(end):])
