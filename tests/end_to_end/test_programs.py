"""Real programs behind the server, each as its row of tests/programs/table.py says."""
import glob
import os
import re
import shlex
import shutil
import sys

import pytest

import harness
from harness import TOP, Talkers, wait_until

sys.path.append(str(TOP / "tests" / "programs"))
from table import TABLE  # noqa: E402

PROGRAMS = TOP / "tests" / "programs"


# ---- the servers behind some of them

def postgres_program(name):
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    return found[-1] if found else shutil.which(name)


def start_postgres(bench):
    if not postgres_program("initdb"):
        pytest.skip("the Debian package postgresql is not installed")
    data = bench.folder / "data"
    data.mkdir()
    user = []
    if os.geteuid() == 0:  # as which it refuses to run
        for path in (bench.folder, data):
            shutil.chown(path, "postgres")
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL"]
    run = bench.run([*user, postgres_program("initdb"), "-D", data, "-A", "trust", "-U", "postgres", "-N",
                     "--no-locale"])
    assert run.status == 0, run
    bench.start([*user, postgres_program("postgres"), "-D", data, "-k", bench.folder, "-h", "", "-F"],
                expect_stderr=".*")
    wait_until(lambda: bench.run([postgres_program("pg_isready"), "-h", bench.folder]).status == 0, "it answers")
    return {"PGUSER": "postgres"}


def start_redis(bench):
    if not shutil.which("redis-server"):
        pytest.skip("the Debian package redis-server is not installed")
    bench.start(["redis-server", "--port", "0", "--unixsocket", bench.folder / "redis", "--save", ""])
    wait_until(lambda: os.path.exists(bench.folder / "redis"), "redis listens")
    return {}


BACKENDS = {"": lambda _: {}, "postgres": start_postgres, "redis": start_redis}


# ---- a row

def words(row, bench):
    filled = [text.replace("{folder}", str(bench.folder)).replace("{programs}", str(PROGRAMS))
              for text in (row.options, "--", row.command)]
    return [word for text in filled for word in shlex.split(text)]


def check(replies, exchanges):
    for (request, expected), reply in zip(exchanges, replies):
        text = harness.text_of(reply) if reply is not None else None
        fits = expected == text if isinstance(expected, str) else text is not None and expected.fullmatch(text)
        assert fits, (request, expected, text)


def ask_ahead(client, exchanges):
    client.send_message(*(request for request, _ in exchanges))
    check([client.reply() for _ in exchanges], exchanges)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name.replace(", ", "-").replace(" ", "-"))
def test_program(bench, row):
    """One request after the other; then two clients at once, each with all of them ahead."""
    for name in [shlex.split(row.command)[0], *row.programs.split()]:
        if not shutil.which(name):
            pytest.skip(f"the Debian package {row.package} is not installed")
    env = BACKENDS[row.backend](bench)
    if row.refused:
        run = bench.run([harness.BANTERD, "--listen", "127.0.0.1:0", *words(row, bench)], env=env)
        assert run.status == 1 and b"listening" not in run.stdout, run
        assert re.fullmatch(row.refused, run.stderr.decode()), run
        return
    banterd = bench.server(*words(row, bench), env=env)
    client = banterd.connect()
    check([client.ask(request) for request, _ in row.exchanges], row.exchanges)
    clients = [banterd.connect() for _ in range(2)]
    Talkers(ask_ahead, clients, [row.exchanges] * 2).join()


def test_the_manual_s_programs_are_rows():
    """Each line of the table in banter-program(7) is the beginning of a row's command, with those options."""
    page = (TOP / "man" / "banter-program.7").read_text()
    table = re.search(r"^\.Ss Programs that were tried\n.*?^\.El\n", page, re.S | re.M)[0]
    lines = re.findall(r"^\.It (?!Sy)(.+?)( \*)? Ta (?:(No none)|(.+))$", table, re.M)
    assert len(lines) > 20

    def is_row(row, program, own, options):
        words = [os.path.basename(word) for word in shlex.split(row.command)]
        return (program in words and ("--worker-per-client" in row.options) == bool(own)
                and all(option in row.options for option in options))

    unknown = []
    for command, own, _, options in lines:
        program = {"awk": "gawk"}.get(command.split()[0], command.split()[0])
        wanted = ["--" + name for name in re.findall(r"Fl -([-a-z]+)", options)]
        if not any(is_row(row, program, own, wanted) for row in TABLE):
            unknown.append((command, wanted))
    assert unknown == []
