"""The instructions a request that are kept in the tree, in instructions.txt, and what has become of them since.

Figures can be compared only if they come from the same compiler, C library, valgrind and kind of processor: the C
library's memcpy(), say, is another with AVX2.
"""
import re

TOLERANCE = 3  # percent more than what is kept; above that is a failure
# A long message comes in pieces, and how many they are depends on what else the machine does.
TOLERANCES = {"echo/20x1/65536": 25}
RENEW = "make instructions INSTRUCTIONS=--keep"


def text_of(versions, figures):
    """The file's text. `versions` and `figures` are dictionaries: what was used, in which version; instructions."""
    lines = ["# Instructions that banterd executes for a request.",
             f"# .ci/run fails if one grows by more than {TOLERANCE} %. Renewed by: {RENEW}",
             *(f"{name}: {version}" for name, version in versions.items()),
             *(f"{cell} {figure}" for cell, figure in figures.items())]
    return "\n".join(lines) + "\n"


def compare(text, versions, figures):
    """(good, sentence): what is to be said of the figures, compared with the file's text."""
    kept = {cell: int(figure) for cell, figure in re.findall(r"^([^#\s]\S*) (\d+)$", text, re.M)}
    others = [f"{versions.get(name)} and not {version}"
              for name, version in re.findall(r"^([^#:]+): (.*)$", text, re.M) if versions.get(name) != version]
    grown = [f"{cell} from {kept[cell]} to {figure}" for cell, figure in figures.items()
             if cell in kept and 100 * figure > kept[cell] * (100 + TOLERANCES.get(cell, TOLERANCE))]
    if others:
        return True, f"not compared with what is kept, since this is {', '.join(others)}"
    if grown:
        return False, (f"more than {TOLERANCE} % more instructions a request: {', '.join(grown)}; if they are "
                       f"worth it, renew what is kept: {RENEW}")
    return True, f"no figure is more than {TOLERANCE} % above what is kept, {max(TOLERANCES.values())} % for long messages"
