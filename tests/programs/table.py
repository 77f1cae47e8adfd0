"""Programs that people put behind banterd: how each is started, what it is asked, what the client gets.

Each row is run as it stands by tests/end_to_end/test_programs.py. A row says of a program either that it works, with
what it answers, or what the user is told instead. Requests are made so that what is asked before does not matter where
copies are shared; what keeps state has `--worker-per-client`.
"""
import re
from typing import NamedTuple

SILENT = "-ERR handler-failed the program has answered nothing; if it keeps its output in a buffer, see --pty"
MORE = "-ERR handler-failed the program has answered more than one line"

FAILED = re.compile("-ERR handler-failed the program ended with status [1-9].*")

SHARED = "-w 2"
OWN = "--worker-per-client"
EACH = "--worker-per-request"
TEXT = " --reply-end waits --framing netstring"  # all that it writes, of any number of lines


class Row(NamedTuple):
    name: str
    package: str        # Debian's, for those that lack it
    options: str        # words as for a shell, as is the command; {folder} is the test's, {programs} this one
    command: str
    exchanges: list     # of (request, reply); a reply is a text or a compiled regular expression
    refused: str = ""   # the server does not start, and says this (a regular expression)
    backend: str = ""   # a server that must run: redis, postgres
    programs: str = ""  # what must be installed, beside the first word of the command


def row(name, package, options, command, *exchanges, **more):
    return Row(name, package, options, command, list(exchanges), **more)


def starts(text):
    return re.compile(re.escape(text) + ".*", re.S)


def more(first):
    """What comes of several lines, each written for itself: the first one if the second is kept back for 10 ms."""
    return re.compile(re.escape(MORE) + "|" + re.escape(first))


UPPER = [("one", "ONE"), ("two words", "TWO WORDS"), ("", ""), ("3", "3")]
LONG = str(2 ** 1000)


def broken(digits):
    """2^1000 as bc and dc break it, into so many digits a line."""
    return "\\\n".join(LONG[at:at + digits] for at in range(0, len(LONG), digits))


BC, DC = broken(68), broken(69)

TABLE = [
    # Calculators
    row("bc", "bc", OWN, "bc -lq", ("1+1", "2"), ("a=5", SILENT), ("a*2", "10"),
        ("2^1000", more(BC.split("\n")[0])), ("1/0", SILENT), ("1+2", "3")),
    row("bc, unbroken", "bc", OWN, "env BC_LINE_LENGTH=0 bc -lq", ("2^1000", LONG), ("1+1", "2"), programs="bc"),
    row("bc, all it says", "bc", OWN + TEXT, "bc -lq", ("2^1000", BC), ("a=5", ""), ("a*2", "10"), ("1/0", "")),
    row("bc, errors too", "bc", OWN + TEXT + " --stderr reply", "bc -lq", ("1/0", re.compile(".*[Dd]ivide by zero")),
        ("6*7", "42")),
    row("bc, a mark", "bc", OWN + " --reply-end line:END --request-end 'print \"END\\n\"' --framing netstring",
        "bc -lq", ("2^1000", BC), ("a=5", ""), ("a*2", "10")),
    row("bc, of a wrapper", "bc", SHARED, "timeout 1000 bc -lq", ("1+1", "2"), ("2*3", "6"), programs="bc"),
    row("dc", "dc", OWN, "dc", ("2 3 + p", "5"), ("7", SILENT), ("p", "7"),
        ("2 1000 ^ p", more(DC.split("\n")[0]))),
    row("dc, all it says", "dc", OWN + TEXT, "dc", ("2 1000 ^ p", DC), ("7", ""), ("p", "7")),
    row("units", "units", SHARED, "xargs -n 2 units -t", ("10km m", "10000"), ("1ft inch", "12"), programs="units"),
    row("numfmt", "coreutils", SHARED + " --pty", "numfmt --to=iec", ("1024", "1.0K"), ("5242880", "5.0M")),
    row("factor", "coreutils", SHARED + " --pty", "factor", ("60", "60: 2 2 3 5"), ("97", "97: 97")),
    row("date", "coreutils", SHARED + " --pty", "date -u --file=- +%s", ("2020-01-01", "1577836800"),
        ("1970-01-02", "86400")),

    # Filters
    row("jq -c", "jq", SHARED, "jq -c --unbuffered .", ('{"a": 1}', '{"a":1}'), ("[1, 2]", "[1,2]"), ('"x"', '"x"')),
    row("jq", "jq", SHARED, "jq --unbuffered .", ('{"a": 1}', MORE), ("3", "3"), ("[]", "[]")),
    row("jq, all it says", "jq", SHARED + TEXT, "jq --unbuffered .", ('{"a": 1}', '{\n  "a": 1\n}'), ("3", "3"),
        ("1 2", "1\n2")),
    row("jq, a terminal", "jq", SHARED + " --pty", "jq -M -c .", ('{"a": 1}', '{"a":1}'), ("[1, 2]", "[1,2]")),
    row("jq, what is no JSON", "jq", SHARED, "jq -R -c --unbuffered 'fromjson? // \"no JSON\"'", ("[1, 2]", "[1,2]"),
        ("{", '"no JSON"')),
    row("sed -u", "sed", SHARED, "sed -u s/a/b/", ("abc", "bbc"), ("", ""), ("x", "x")),
    row("sed", "sed", SHARED + " --pty", "sed s/a/b/", ("abc", "bbc"), ("", "")),
    row("gawk", "gawk", SHARED, "gawk '{ print NF; fflush() }'", ("a b c", "3"), ("", "0")),
    row("gawk, a terminal", "gawk", SHARED + " --pty", "gawk '{ print NF }'", ("a b c", "3"), ("", "0")),
    row("gawk, a buffer", "gawk", SHARED, "gawk '{ print NF }'", ("a b c", SILENT), ("", SILENT)),
    row("mawk", "mawk", SHARED, "mawk -W interactive '{ print toupper($0) }'", *UPPER),
    row("tr", "coreutils", SHARED + " --pty", "tr a-z A-Z", *UPPER),
    row("tr, its lines at once", "coreutils", SHARED, "stdbuf -oL tr a-z A-Z", *UPPER),
    row("tr, a buffer", "coreutils", SHARED, "tr a-z A-Z", ("one", SILENT), ("two", SILENT)),
    row("rev", "util-linux", SHARED + " --pty", "rev", ("abc", "cba"), ("", ""), ("12", "21")),
    row("cut", "coreutils", SHARED + " --pty", "cut -d: -f2", ("a:b:c", "b"), ("none", "none")),
    row("grep", "grep", SHARED, "grep --line-buffered -i ok", ("It is OK", "It is OK"), ("no", SILENT), ("ok", "ok")),
    row("grep, silence is an answer", "grep", SHARED + " --reply-end waits", "grep --line-buffered -i ok",
        ("OK", "OK"), ("no", "")),
    row("cat", "coreutils", SHARED, "cat", ("one", "one"), ("", ""), ("two", "two")),
    row("fold", "coreutils", SHARED + " --pty" + TEXT, "fold -w 3", ("abcdef", "abc\ndef"), ("a", "a")),
    row("figlet", "figlet", SHARED + " --pty" + TEXT, "figlet -f term", ("hello", "hello"), ("a b", "a b")),
    row("xargs", "findutils", SHARED, "xargs -d '\\n' -n 1 echo got", ("a b", "got a b"), ("c", "got c")),

    # Those that read to the end of their input
    row("wc", "coreutils", SHARED, "wc -c", ("abc", SILENT), ("d", SILENT)),
    row("wc, for each line", "coreutils", SHARED,
        "sh -c 'while IFS= read -r line; do printf %s \"$line\" | wc -c; done'", ("abc", "3"), ("", "0")),
    row("sort", "coreutils", SHARED, "sort", ("b a", SILENT)),
    row("sort, for each line", "coreutils", SHARED + TEXT,
        "sh -c 'while IFS= read -r line; do printf \"%s\\n\" $line | sort -n; done'", ("10 9 1", "1\n9\n10"),
        ("x", "x")),
    row("md5sum", "coreutils", SHARED, "md5sum", ("abc", SILENT)),
    row("md5sum, for each line", "coreutils", SHARED,
        "sh -c 'while IFS= read -r line; do printf %s \"$line\" | md5sum; done'",
        ("abc", "900150983cd24fb0d6963f7d28e17f72  -"), ("", "d41d8cd98f00b204e9800998ecf8427e  -")),

    # Languages
    row("perl", "perl", SHARED, "perl -ne '$| = 1; print uc'", *UPPER),
    row("perl, a terminal", "perl", SHARED + " --pty", "perl -pe '$_ = uc'", *UPPER),
    row("ruby", "ruby", SHARED, "ruby -ne '$stdout.sync = true; puts $_.upcase'", *UPPER),
    row("ruby, a terminal", "ruby", SHARED + " --pty", "ruby -ne 'puts $_.upcase'", *UPPER),
    row("python", "python3", SHARED,
        "python3 -u -c 'import sys\nfor line in sys.stdin: print(line.upper(), end=\"\")'", *UPPER),
    row("python, a terminal", "python3", SHARED + " --pty",
        "python3 -c 'import sys\nfor line in sys.stdin: print(line.upper(), end=\"\")'", *UPPER),
    row("python -i", "python3", OWN + TEXT, "python3 -u -q -i", ("1+1", "2"), ("x = 5", ""), ("x * 2", "10"),
        ("print('a\\nb')", "a\nb"), ("y", ""), ("x", "5")),
    row("node", "nodejs", SHARED,
        "node -e 'require(\"readline\").createInterface({input: process.stdin})"
        ".on(\"line\", line => console.log(line.toUpperCase()))'", *UPPER),
    row("node, its turns", "nodejs", SHARED + TEXT, "node -e 'process.stdin.pipe(process.stdout)'",
        refused="banterd: Worker [12] can't be seen to wait: the program .+\n"),
    row("php", "php-cli", SHARED, "php -r 'while (($line = fgets(STDIN)) !== false) echo strtoupper($line);'", *UPPER),
    row("lua", "lua5.4", SHARED + " --pty", "lua5.4 -e 'for line in io.lines() do print(line:upper()) end'", *UPPER),
    row("tclsh", "tcl", OWN + " --pty", "tclsh", ("puts [expr 6 * 7]", "42"), ("set x 1", SILENT), ("puts a", "a")),
    row("expect", "expect", SHARED,
        "expect -c 'while {[gets stdin line] >= 0} { send_user \"[string toupper $line]\\n\" }'", *UPPER),
    row("sh", "dash", OWN + TEXT + " --stderr reply", "sh", ("cd /usr", ""), ("pwd", "/usr"),
        ("echo a; echo b", "a\nb"),
        ("echo a b | wc -w", "2"), ("no-such-program", re.compile(".*not found")), ("x=5", ""), ("echo $x", "5")),
    row("bash", "bash", OWN + TEXT + " --stderr reply", "bash", ("cd /usr", ""), ("pwd", "/usr"),
        ("for i in 1 2 3; do echo $i; done", "1\n2\n3"), ("no-such-program", re.compile(".*not found"))),
    row("sh, a loop", "dash", SHARED, "sh -c 'while read -r a b; do echo \"$b $a\"; done'", ("one two", "two one"),
        ("3 4", "4 3")),
    row("bash, a loop", "bash", SHARED, "bash -c 'while read -r line; do echo \"${line^^}\"; done'", *UPPER),
    row("pipeline", "dash", SHARED, "sh -c 'sed -u s/a/b/ | sed -u s/c/d/'", ("ac", "bd"), ("", ""), ("x", "x")),
    row("pipeline, its turns", "dash", SHARED + TEXT, "sh -c 'sed -u s/a/b/ | sed -u s/c/d/'",
        refused="banterd: Worker [12] can't be seen to wait: the program .+\n"),
    row("ed", "ed", OWN + TEXT, "ed -s", ("=", "0"), ("nonsense", "?"), ("H", re.compile(".*")), ("=", "0")),

    # Databases
    row("sqlite3", "sqlite3", OWN, "sqlite3", ("select 6 * 7;", "42"), ("create table t (a);", SILENT),
        ("insert into t values (1), (2);", SILENT), ("select count(*) from t;", "2"), ("select * from t;", MORE)),
    row("sqlite3, all it says", "sqlite3", OWN + TEXT, "sqlite3", ("create table t (a);", ""),
        ("insert into t values (1), (2);", ""), ("select * from t;", "1\n2"), ("nonsense;", "")),
    row("sqlite3, a mark", "sqlite3",
        OWN + " --reply-end line:END --request-end '.print END' --framing netstring --stderr reply", "sqlite3",
        ("create table t (a);", ""), ("insert into t values (1), (2);", ""), ("select * from t;", "1\n2"),
        ("nonsense;", re.compile(".*syntax error.*", re.S)), ("select 1;", "1")),
    row("psql", "postgresql-client", SHARED + " --reply-end line:END --request-end '\\echo END' --framing netstring",
        "psql -X -q -A -t -h {folder} postgres", ("select 6 * 7;", "42"), ("select generate_series(1, 3);", "1\n2\n3"),
        ("create table if not exists t (a int);", ""), ("select nonsense;", ""), backend="postgres"),
    row("psql, all it says", "postgresql-client", SHARED + TEXT + " --stderr reply",
        "psql -X -q -A -t -h {folder} postgres", ("select 6 * 7;", "42"), ("select generate_series(1, 3);", "1\n2\n3"),
        ("select nonsense;", starts('ERROR:  column "nonsense" does not exist')), backend="postgres"),
    row("redis-cli", "redis-tools", SHARED, "redis-cli -s {folder}/redis", ("set a 1", "OK"), ("get a", "1"),
        ("strlen a", "1"), backend="redis"),
    row("redis-cli, all it says", "redis-tools", SHARED + TEXT, "redis-cli -s {folder}/redis",
        ("mset a 1 b 2", "OK"), ("mget a b", "1\n2"), ("nonsense", starts("ERR unknown command")), backend="redis"),

    # Spelling, games
    row("hunspell", "hunspell", SHARED + TEXT, "hunspell -a -d en_US", ("hello", "*\n"), ("hello world", "*\n*\n"),
        ("helo", starts("& helo ")), ("", "")),
    row("hunspell, one line", "hunspell", SHARED, "hunspell -a -d en_US", ("hello", more("*")), ("", "")),
    row("aspell", "aspell", SHARED + TEXT, "aspell -a -d en", ("hello", "*\n"), ("helo", starts("& helo ")), ("", "")),
    row("gnugo", "gnugo", OWN + " --reply-end line: --framing netstring", "/usr/games/gnugo --mode gtp",
        ("protocol_version", "= 2"), ("boardsize 9", "= "), ("play black e5", "= "),
        ("nonsense", "? unknown command"), ("name", "= GNU Go")),
    # It looks for input every 10 ms, and so never waits for it.
    row("gnuchess", "gnuchess", SHARED + " --start-timeout 300ms", "/usr/games/gnuchess -u",
        refused="banterd: unable to run /usr/games/gnuchess: the program was not ready for a request within 300 ms\n"),

    # Far away
    row("ssh to nowhere", "openssh-client", SHARED, "ssh -F none -o BatchMode=yes -p 1 127.0.0.1 cat",
        refused="banterd: unable to run ssh: the program ended with status 255: "
                "ssh: connect to host 127.0.0.1 port 1: Connection refused\n"),
    row("JSON-RPC", "python3", OWN + " --reply-end waits", "python3 {programs}/json_rpc.py",
        ('{"jsonrpc": "2.0", "id": 1, "method": "initialize"}', '{"jsonrpc": "2.0", "id": 1, "result": "initialize"}'),
        ('{"jsonrpc": "2.0", "method": "notifications/initialized"}', ""),
        ('{"jsonrpc": "2.0", "id": 2, "method": "tools/list"}', '{"jsonrpc": "2.0", "id": 2, "result": "tools/list"}')),
    row("JSON-RPC, one line", "python3", OWN, "python3 {programs}/json_rpc.py",
        ('{"jsonrpc": "2.0", "id": 1, "method": "initialize"}', '{"jsonrpc": "2.0", "id": 1, "result": "initialize"}'),
        ('{"jsonrpc": "2.0", "method": "notifications/initialized"}', SILENT),
        ('{"jsonrpc": "2.0", "id": 2, "method": "tools/list"}', '{"jsonrpc": "2.0", "id": 2, "result": "tools/list"}')),
    row("JSON-RPC, both ways", "python3", OWN + " --reply-end none", "python3 {programs}/json_rpc.py",
        ('{"jsonrpc": "2.0", "id": 1, "method": "initialize"}', '{"jsonrpc": "2.0", "id": 1, "result": "initialize"}'),
        ('{"jsonrpc": "2.0", "id": 2, "method": "tools/list"}', '{"jsonrpc": "2.0", "id": 2, "result": "tools/list"}')),
    row("a pipeline, both ways", "coreutils", OWN + " --reply-end none",
        "sh -c 'stdbuf -oL tr a-z A-Z | sed -u s/$/!/'", ("one", "ONE!"), ("", "!"), ("two words", "TWO WORDS!")),

    # A process for each request
    row("wc, a copy each", "coreutils", EACH, "wc -c", ("abc", "4"), ("", "1")),
    row("sort, a copy each", "coreutils", EACH + " --framing netstring", "sort -n", ("10\n9\n1", "1\n9\n10"),
        ("x", "x")),
    row("md5sum, a copy each", "coreutils", EACH + " --framing netstring", "md5sum",
        ("abc", "900150983cd24fb0d6963f7d28e17f72  -"), ("", "d41d8cd98f00b204e9800998ecf8427e  -")),
    row("base64, a copy each", "coreutils", EACH + " --framing netstring", "base64 -d", ("aGVsbG8=", "hello"),
        ("!", FAILED)),
    row("jq, a copy each", "jq", EACH, "jq -c .", ('{"a": 1}', '{"a":1}'), ("{", FAILED)),
    row("tr, a copy each", "coreutils", EACH, "tr a-z A-Z", *UPPER),

    # Several requests at once
    row("cat, ahead", "coreutils", SHARED + " --ahead 16", "cat", ("one", "one"), ("", ""), ("two", "two")),
    row("jq, ahead", "jq", SHARED + " --ahead 16", "jq -c --unbuffered .", ('{"a": 1}', '{"a":1}'), ("3", "3")),
    row("bc, ahead", "bc", OWN + " --ahead 16", "bc -lq", ("1+1", "2"), ("a=5; a", "5"), ("a*2", "10")),
    row("sqlite3, ahead", "sqlite3", OWN + " --ahead 16 --reply-end line:END --request-end '.print END'"
        " --framing netstring", "sqlite3", ("create table t (a);", ""), ("insert into t values (1), (2);", ""),
        ("select * from t;", "1\n2")),
    row("gawk, tagged", "gawk", SHARED + " --tagged",
        "gawk '{ tag = $1; sub(/^[^ ]* /, \"\"); print tag, toupper($0); fflush() }'", *UPPER),
    row("python, tagged", "python3", SHARED + " --tagged",
        "python3 -u -c 'import sys\nfor line in sys.stdin:\n    tag, _, text = line.partition(\" \")\n"
        "    print(tag, text.upper(), end=\"\")'", *UPPER),
]
