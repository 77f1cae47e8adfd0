"""shared_object: C sources into plugins, with the compiler and the sanitizer of the server under test."""
import os
import shlex
import subprocess

import harness

CC = shlex.split(os.environ.get("CC") or "cc")
SANITIZERS = {"address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
              "thread": ["-fsanitize=thread"]}
SANITIZE = SANITIZERS.get(os.environ.get("SANITIZE"), [])
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wundef", "-Werror"]
HEADERS = harness.TOP / "server/include"
SOURCES = harness.TOP / "tests/end_to_end/plugins"


def compile_with(*arguments, compiler=CC):
    """Runs the compiler, which must have nothing to say."""
    run = subprocess.run([*compiler, *map(str, arguments)], capture_output=True, text=True, timeout=harness.LIMIT)
    assert (run.returncode, run.stderr) == (0, ""), run.stderr
    return run


def build(folder, name, source=None, *flags, standard="gnu17"):
    """Makes FOLDER/NAME.so of some C text, or of the test plugin of that name; returns its path."""
    path = SOURCES / f"{name}.c"
    if source is not None:
        path = folder / f"{name}.c"
        path.write_text(source)
    result = folder / f"{name}.so"
    compile_with(f"-std={standard}", "-O2", "-g", *WARNINGS, *SANITIZE, "-pthread", "-shared", "-fPIC", f"-I{HEADERS}",
                 "-o", result, path, *flags)
    return result
