"""Stops at any moment, while clients send ahead: what was begun has its reply, and `-ERR stopping` says that the rest was
not. --drain-timeout with plugins and programs."""
import random

import pytest

import shared_object
from harness import is_error, scaled

LINES = 300
ONE = 'IFS= read -r line; echo "$line" >> begun; echo "$line"'
ALL = "while IFS= read -r line; do echo \"$line\" >> begun; case $line in *7) sleep 0.01;; esac; echo \"$line\"; done"
TAGGED = "while read -r id line; do echo \"$line\" >> begun; case $line in *7) sleep 0.01;; esac; echo \"$id $line\"; done"
RECORDS = r"""
#include <banter/handler.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
static int begun = -1;
static int open_it(const char *argument, void **state, char *error, size_t size)
{
    (void) argument, (void) state, (void) error, (void) size;
    begun = open("begun", O_WRONLY | O_APPEND | O_CREAT, 0600);
    return 0;
}
static void handle(void *state, const char *message, size_t size, struct banter_reply *reply)
{
    char line[100];
    struct timespec time = {0, message[size - 1] == '7' ? 5000000 : 0};
    (void) state;
    memcpy(line, message, size);
    line[size] = '\n';
    (void) !write(begun, line, size + 1);
    nanosleep(&time, NULL);
    banter_reply_append(reply, message, size);
}
const struct banter_handler banter_handler = {
    .abi = BANTER_HANDLER_ABI, .name = "records", .open = open_it, .handle = handle,
};
"""

HOW = {
    "plugin": ["-H", "plugin:{plugin}"],
    "shared": ["-w", "2", "--", "sh", "-c", ALL],
    "per-client": ["--worker-per-client", "--", "sh", "-c", ALL],
    "per-client-ahead": ["--worker-per-client", "--ahead", "8", "--", "sh", "-c", ALL],
    "per-request": ["--worker-per-request", "--", "sh", "-c", ONE],
    "ahead": ["-w", "2", "--ahead", "16", "--", "sh", "-c", ALL],
    "tagged": ["-w", "2", "--tagged", "--", "sh", "-c", TAGGED],
}


def judge(replies, begun, name):
    """What one client got, of what it asked in order, and what was begun of that."""
    assert is_error(replies.pop(), "stopping"), (name, replies[-3:])
    for number, reply in enumerate(replies):
        asked = f"{name} {number}"
        assert reply == asked.encode() or is_error(reply, "handler-timeout"), (asked, reply)
        assert is_error(reply, "handler-timeout") or asked in begun, asked
    mine = [line for line in begun if line.split()[0] == str(name)]
    assert len(mine) == len(set(mine))
    assert all(int(line.split()[1]) < len(replies) for line in mine), (name, len(replies), mine[-3:])


@pytest.mark.slow
@pytest.mark.parametrize("drain", ["0", "30ms", "1h"])
@pytest.mark.parametrize("how", HOW)
def test_begun_is_answered(server, folder, how, drain):
    plugin = shared_object.build(folder, "records", RECORDS) if how == "plugin" else None
    choose = random.Random(f"{how} {drain}")
    for _ in range(scaled(6, 2)):
        (folder / "begun").write_text("")
        banterd = server("-qq", "-t", "2", "--drain-timeout", drain, *(word.format(plugin=plugin) if plugin else word
                                                                     for word in HOW[how]), expect_stderr=".*")
        clients = [banterd.connect() for _ in range(5)]
        count = choose.choice([20, LINES]) if how == "per-request" else LINES
        for name, client in enumerate(clients):
            client.send_in_background(b"".join(b"%d %d\n" % (name, number) for number in range(count)))
        early = clients[0].lines(choose.choice([0, 1, 4, 15]))
        banterd.send_signal(15)
        replies = [client.replies() for client in clients]
        replies[0] = early + replies[0]
        banterd.close_clients()
        banterd.expect_status = banterd.wait()
        assert banterd.expect_status in (0, 2)
        begun = (folder / "begun").read_text().splitlines()
        for name, got in enumerate(replies):
            judge(got, begun, name)
