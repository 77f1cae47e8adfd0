"""shells: bash, zsh and fish with their completions of banter and banterd, and what these offer.

Each has offers(typed): the set of all words that it would put in the place of the last one. zsh and fish give a folder
without its slash.
"""
import shutil

import harness
from screen import Screen

PACKAGE = "/usr/share/bash-completion/bash_completion"
COLUMNS, ROWS = 800, 4  # a line with all options must not wrap; nothing else is on the screen


class Bash(Screen):
    """A bash with the programs in PATH. `settings` is what the user has in .bashrc."""

    def __init__(self, bench, *, with_package, settings="", **env):
        path = f"{harness.BUILD}:/usr/bin:/bin:{bench.folder}"
        environment = bench.environment(PATH=path, TERM="xterm", HISTFILE="", HOSTFILE=bench.folder / "hosts", **env)
        (bench.folder / "hosts").write_text("127.0.0.1 tower\n")
        completion = harness.TOP / "common/completion.bash"
        start = bench.folder / "bashrc"
        if with_package:  # it looks here for files named as the programs
            installed = bench.folder / "data/bash-completion/completions"
            installed.mkdir(parents=True)
            for program in ("banter", "banterd"):
                shutil.copy(completion, installed / program)
            environment["XDG_DATA_HOME"] = str(bench.folder / "data")
            completion = PACKAGE
        start.write_text(f"PS1='$ '\nbind 'set enable-bracketed-paste off'\nsource {completion}\n{settings}\n")
        super().__init__(["bash", "--noprofile", "--rcfile", start, "-i"], environment, bench.folder, COLUMNS,
                         ROWS)
        self.wait_lines("$")

    def after(self, typed, keys, back=0):
        """The line when the keys have been pressed behind what was typed, the cursor so many columns back from its
        end. A bar marks where the cursor is then. Whatever is said besides is a failure."""
        self.type(typed + "\002" * back + keys + "|")
        self.wait(lambda: "|" in self.line, f"the line with {typed!r}")
        line = self.line
        assert len(self.lines) == 1
        self.type("\025\013\f")  # away with the line, from its beginning to its end, and the screen
        self.wait_lines("$")
        return line

    @property
    def line(self):
        return self.lines[-1][2:] if self.lines else ""

    def tab(self, typed, back=0):
        return self.after(typed, "\t", back)

    def offers(self, typed):
        """The set of all that is offered for the last word."""
        line = self.after(typed, "\033*").removesuffix("|")
        assert line.startswith(typed[:typed.rindex(" ")]), line
        return set(line[typed.rindex(" "):].split())


def path_of(bench):
    return f"{harness.BUILD}:/usr/bin:/bin:{bench.folder}"


class Zsh(Screen):
    """At a terminal. Its completer _all_matches puts all that is offered into the line."""
    START = """\
PS1='$ '
unset zle_bracketed_paste
fpath=($HOME/functions $fpath)
autoload -Uz compinit
compinit -u -D
zstyle ':completion:*' hosts tower
zle -C all-matches complete-word _generic
zstyle ':completion:all-matches:*' completer _all_matches _complete
zstyle ':completion:all-matches:*' insert true
bindkey '^X*' all-matches
"""

    def __init__(self, bench, **env):
        functions = bench.folder / "functions"
        functions.mkdir()
        shutil.copy(harness.TOP / "common/completion.zsh", functions / "_banter")
        (bench.folder / ".zshrc").write_text(self.START)
        environment = bench.environment(**{"PATH": path_of(bench), "TERM": "xterm", **env})
        super().__init__(["zsh", "-d", "-i"], environment, bench.folder, 1600, 60)
        self.wait_lines("$")

    @property
    def line(self):
        return next((line[2:] for line in self.lines if line.startswith("$ ")), "")

    def after(self, typed, keys):
        """The line when the keys have been pressed behind what was typed; a list of what is offered may stand below
        it."""
        self.type(typed + keys + "|")
        self.wait(lambda: "|" in self.line, f"the line with {typed!r}")
        line = self.line
        self.type("\025\f")
        self.wait_lines("$")
        return line.removesuffix("|")

    def tab(self, typed):
        return self.after(typed, "\t")

    def offers(self, typed):
        begin, word = typed[:typed.rindex(" ")], typed[typed.rindex(" ") + 1:]
        line = self.after(typed, "\030*")
        assert line.startswith(begin), line
        return set(line[len(begin):].split()) - {word}


class Fish:
    """Asked by its own command `complete -C`, in a process for each question."""

    def __init__(self, bench, **env):
        self.bench = bench
        self.env = {"PATH": path_of(bench), **env}
        completions = bench.folder / ".config/fish/completions"
        completions.mkdir(parents=True)
        for program in ("banter", "banterd"):
            shutil.copy(harness.TOP / "common/completion.fish", completions / f"{program}.fish")

    def offers(self, typed):
        run = self.bench.run(["fish", "--command", 'complete --do-complete "$argv[1]"', typed], env=self.env)
        assert (run.status, run.stderr) == (0, b"")
        return {line.split("\t")[0].rstrip("/") for line in run.stdout.decode().splitlines()}
