"""The rows about a terminal: what a person sees, on a screen model, and what the server gets of what is typed."""
import re
import stat

from rows import GROUPS, row
from sessions import hello
from trial import Seen


def terminal(title):
    return row(GROUPS[1], title)


def verdict(good, words, detail=""):
    return Seen(good, "" if good else words, detail or words)


def on_screen(screen):
    """For the details: its last lines."""
    return " / ".join(screen.lines[-3:]) or "nothing"


NEWS = "News of the server"


@terminal("what arrives while a line is typed is shown, the line stays whole")
def news_while_typing(trial):
    server = trial.serve(hello)
    screen = trial.open()
    screen.half("half a line")
    server.sessions[0].tell(NEWS)
    if not screen.shows(NEWS, trial.limit / 2):
        return verdict(False, "not shown", "nothing was shown until Enter")
    screen.settle()
    whole = re.search(r"(^| )half a line$", screen.last) and screen.cursor[0] == len(screen.last) and \
        NEWS not in screen.last
    return verdict(bool(whole), "mixed up", f"on the screen: {on_screen(screen)}")


@terminal("the server's escape sequences do not reach the terminal")
def hostile(trial):
    def behaviour(session):
        for _ in session.asks():
            session.reply("\033]0;evil title\007\033[31mred")
    trial.serve(behaviour)
    screen = trial.open()
    screen.enter("one")
    shown = screen.see(lambda: b"red" in screen.written)
    raw = b"\033]0;evil" in screen.written or b"\033[31mred" in screen.written
    return verdict(shown and not raw, "obeyed" if raw else "not shown", "" if raw else f"shown: {on_screen(screen)}")


@terminal("says that it waits, when a reply takes long")
def waits(trial):
    def behaviour(session):
        text = session.one()
        session.server.over.wait()
        session.reply("Hello " + text)
    server = trial.serve(behaviour)
    screen = trial.open()
    screen.enter("one")
    screen.see(lambda: server.asked)
    screen.settle(0.1)
    before = screen.lines
    said = screen.see(lambda: screen.lines != before, trial.limit / 3)
    during = on_screen(screen)
    return verdict(said, "no", f"after some seconds: {during}")


@terminal("Ctrl-C gives the prompt back while a reply is awaited")
def interrupt_waiting(trial):
    def behaviour(session):
        for text in session.asks():
            if text == "one":
                session.server.over.wait()
            session.reply("Hello " + text)
    server = trial.serve(behaviour)
    screen = trial.open()
    screen.enter("one")
    screen.see(lambda: server.asked)
    screen.settle()
    screen.write("\003")
    prompt = screen.see(lambda: screen.ended or trial.client.prompt and screen.last.startswith(trial.client.prompt) and
                        not screen.last.endswith(trial.client.text("one").strip()), trial.limit / 3)
    if screen.ended:
        return verdict(False, screen.outcome)
    if not prompt:
        return verdict(False, "waits on", f"no prompt: {on_screen(screen)}")
    screen.enter("two")
    server.release()
    both = screen.shows("Hello two") and screen.shows("Hello one")
    return verdict(both, "loses the reply", f"on the screen: {on_screen(screen)}")


@terminal("Ctrl-C at the prompt clears the line and ends nothing")
def interrupt_typing(trial):
    server = trial.serve(hello)
    screen = trial.open()
    screen.half("half a line")
    screen.write("\003")
    screen.settle()
    if screen.ended:
        return verdict(False, screen.outcome)
    screen.enter("one")
    answered = screen.shows("Hello one") or screen.see(lambda: server.asked, 1)
    return verdict(bool(answered) and server.asked == ["one"], "sends it", f"the server got {server.asked}")


def close_while_typing(trial):
    """Half a line is typed when the server dies; whoever connects again is served."""
    server = trial.serve(hello)
    screen = trial.open()
    screen.half("half")
    before = screen.lines
    server.sessions[0].cut()
    return server, screen, before


@terminal("the server dies while a line is typed: told at once, the line stays")
def closed_while_typing(trial):
    _, screen, before = close_while_typing(trial)
    told = screen.see(lambda: screen.ended or screen.lines != before, trial.limit / 2)
    screen.settle()
    if screen.ended:
        return verdict(False, "ends", f"{screen.outcome}, the line is gone")
    if not told:
        return verdict(False, "not told", f"nothing changed: {on_screen(screen)}")
    stays = re.search(r"(^| )half$", screen.last) is not None
    return verdict(stays, "line lost", f"on the screen: {on_screen(screen)}")


@terminal("… and Enter connects again and sends it, once")
def reconnects(trial):
    server, screen, before = close_while_typing(trial)
    screen.see(lambda: screen.ended or screen.lines != before, trial.limit / 4)
    screen.settle()
    if screen.ended:
        return verdict(False, "has ended", screen.outcome)
    screen.write(trial.client.text("").replace("\n", "\r"))
    screen.see(lambda: screen.ended or screen.shows("Hello half", 0.1))
    screen.settle()
    good = server.asked == ["half"] and screen.shows("Hello half", 0.1)
    return verdict(good, "has ended" if screen.ended else "not sent",
                   f"the server got {server.asked}; on the screen: {on_screen(screen)}")


@terminal("a request whose reply was lost is not sent again by itself")
def sent_again(trial):
    def behaviour(session):
        if session is session.server.sessions[0]:
            session.one()
        else:
            hello(session)
    server = trial.serve(behaviour)
    screen = trial.open()
    screen.enter("one")
    screen.see(lambda: server.asked)
    screen.see(lambda: screen.ended or len(server.asked) > 1, trial.limit / 4)
    return verdict(server.asked == ["one"], f"sent {len(server.asked)} times",
                   f"the server got {server.asked}; on the screen: {on_screen(screen)}")


@terminal("a paste of 3 lines, each with its newline, is 3 requests")
def paste(trial):
    server = trial.serve(hello)
    screen = trial.open()
    screen.paste(trial.client.text("one", "two", "three"))
    screen.see(lambda: len(server.asked) >= 3)
    screen.settle()
    return verdict(server.asked == ["one", "two", "three"], f"{len(server.asked)} sent",
                   f"the server got {server.asked}")


@terminal("a pasted line of 10,000 bytes")
def long_paste(trial):
    server = trial.serve(lambda session: [session.reply(f"{len(text)} bytes") for text in session.asks()])
    screen = trial.open()
    screen.paste(trial.client.text("x" * 10_000))
    whole = screen.see(lambda: screen.ended or server.asked) and server.asked and len(server.asked[0]) == 10_000
    got = ", ".join(f"{len(text)} bytes" for text in server.asked) or "nothing"
    words = "nothing sent" if not server.asked else f"cut at {len(server.asked[0])}"
    return verdict(bool(whole), words, f"the server got {got}")


def remember(trial):
    """A line is entered, the client left as one leaves it; returns the file under the home folder that has it."""
    trial.serve(hello)
    screen = trial.open()
    screen.enter("remember-me")
    screen.shows("Hello remember-me")
    screen.settle()
    ended = screen.end()
    files = [file for file in trial.folder.rglob("*") if file.is_file() and b"remember-me" in file.read_bytes()]
    return ended, files


@terminal("a line is in the history of the next run")
def history(trial):
    ended, _ = remember(trial)
    screen = trial.open()
    for _ in range(2):  # the last line may be the one that it was left with
        screen.write("\033[A")
        if screen.see(lambda: re.search(r"(^| )remember-me;?$", screen.last), trial.limit / 4):
            return verdict(True, "", "there it is")
    return verdict(False, "no", f"it ended: {ended}; after Up: {on_screen(screen)}")


@terminal("… in a file that others can't read")
def history_mode(trial):
    _, files = remember(trial)
    if not files:
        return Seen(None, detail="there is no file")
    mode = stat.S_IMODE(files[0].stat().st_mode)
    where = files[0].relative_to(trial.folder)
    return verdict(mode & 0o077 == 0, f"mode {mode:04o}", f"~/{where}, mode {mode:04o} under umask 022")


@terminal("tells the time that each reply took")
def time_told(trial):
    def behaviour(session):
        for text in session.asks():
            session.wait(0.7 if text == "slow" else 0.1)
            session.reply("Hello " + text)

    def told(screen, text):
        screen.enter(text)
        if not screen.shows("Hello " + text):
            return False
        screen.settle()
        answer = "\n".join(screen.lines).rpartition("Hello " + text)[2]
        return re.search(r"\b\d+([.,]\d+)? ?(ms|us|µs|s)\b", answer) is not None
    trial.serve(behaviour)
    screen = trial.open("time")
    if trial.client.timing:
        screen.write(trial.client.timing)
        screen.settle()
    options = " ".join(trial.client.options.get("time", [trial.client.timing.strip() or "no option for it"]))
    if told(screen, "quick"):
        return verdict(True, "", f"{options}: {on_screen(screen)}")
    if told(screen, "slow"):
        return verdict(False, "slow ones only", "not for one of 0.1 s, but for one of 0.7 s")
    return verdict(False, "no", options)


@terminal("an error reply is in colour")
def error_colour(trial):
    if not trial.client.errors:
        return Seen(None, detail="to it a reply is bytes")
    trial.serve(lambda session: [session.error("refused") for _ in session.asks()])
    screen = trial.open()
    screen.enter("one")
    screen.shows("refused")
    screen.settle()
    rows = [index for index, line in enumerate(screen.screen.display) if "refused" in line]
    colours = {screen.screen.buffer[index][column].fg for index in rows for column in range(10)} - {"default"}
    return verdict(bool(colours), "no", f"colour: {', '.join(colours) or 'none'}; {on_screen(screen)}")
