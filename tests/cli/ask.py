#!/usr/bin/env python3
"""Runs a command on a terminal of its own and answers its questions.

usage: ask.py COMMAND… <<< 'LABEL=>ANSWER' lines

Waits until LABEL stands on the terminal, behind what was there for the one before, and types
ANSWER and return (\\e: escape; \\d alone: end of input; !COMMAND is run first, and the answer
is empty). Prints what the terminal showed, without escape sequences;
"# waited for LABEL" when it never came. Exits as the command does, with 99 when a label did
not come, 98 when the command did not end."""
import os, pty, re, select, signal, subprocess, sys, time

steps = [line.rstrip("\n").split("=>", 1) for line in sys.stdin if "=>" in line]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
raw, shown, seen = b"", "", 0


def plain(data):
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[78]", "", data.decode("utf-8", "replace"))
    return text.replace("\r", "")


def pump(seconds):
    """Reads what comes; False at the end."""
    global raw
    if not select.select([fd], [], [], seconds)[0]:
        return True
    try:
        data = os.read(fd, 65536)
    except OSError:
        data = b""
    if b"\x1b[6n" in data:  # where is the cursor?
        os.write(fd, b"\x1b[1;1R" * data.count(b"\x1b[6n"))
    raw += data
    return bool(data)


def finish(code=None):
    print(plain(raw), end="")
    try:
        os.kill(pid, signal.SIGKILL) if code else None
    except OSError:
        pass
    _, status = os.waitpid(pid, 0)
    sys.exit(code or os.waitstatus_to_exitcode(status))


for label, answer in steps:
    until = time.monotonic() + 20
    while label not in plain(raw)[seen:]:
        if not pump(0.2) or time.monotonic() > until:
            print("# waited for", label)
            finish(99)
    seen += plain(raw)[seen:].index(label) + len(label)
    quiet = time.monotonic() + 0.1
    while time.monotonic() < quiet:
        pump(0.05)
    if answer.startswith("!"):
        subprocess.run(answer[1:], shell=True, check=True, timeout=30)
        answer = ""
    os.write(fd, b"\x04" if answer == "\\d" else answer.replace("\\e", "\x1b").encode() + b"\r")
until = time.monotonic() + 30
while pump(0.5):
    if time.monotonic() > until:
        finish(98)
finish()
