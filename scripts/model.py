"""Runs the model check for long, then seeds bugs that it has to find: a check that cannot fail proves nothing.

Each bug is one change of the engine's sources, made in a copy of them, and named by what it takes away. A change that
does not fit any more fails too: then this list is to follow the sources. (What the engine does twice, such as telling
the followers of a turn that ended and again when a leader leaves, is no bug when it is taken away once.)

`BUG` is a part of a name: the bugs that have it are tried alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "target" / "model" / "sources"
#: Orders of each kind for a bug, from one seed after the other until it is found. Together they are fewer than ROUNDS.
BUG_ROUNDS, BUG_SEEDS = 1000, range(1, 11)


class Bug(NamedTuple):
    name: str
    file: str
    before: str
    after: str


BUGS = [
    Bug(
        "the guardian of a loop with silent sockets sleeps without the poller",
        "drive/guardian.rs",
        "false => Nap::Deep(foreign.then(|| Arc::clone(reactor.poller()))),",
        "false => Nap::Deep(foreign.then(|| Arc::clone(reactor.poller())).filter(|_| false)),",
    ),
    Bug(
        "an answer that came during a step of connecting is forgotten",
        "connection/connecting.rs",
        "Ok(()) if self.answered.load(Ordering::SeqCst) => continue,",
        "Ok(()) if false => continue,",
    ),
    Bug(
        "asleep is set, but the queues are not looked at again",
        "reactor/turn.rs",
        "let timeout = if has_work() { Some(Duration::ZERO) } else { self.patience(until, start) };",
        "let timeout = self.patience(until, start);",
    ),
    Bug(
        "a leader does not look again whether it is ready",
        "reactor/owning.rs",
        "self.anybody_has_work() || ready()",
        "self.anybody_has_work()",
    ),
    Bug(
        "an alert does not end the owner's grace period",
        "reactor/mod.rs",
        "        self.wake_sleeper();\n        self.leadership.unpark();",
        "        self.wake_sleeper();",
    ),
    Bug(
        "the owner gives way without a look for work",
        "drive/leader.rs",
        "if stays && !has_work() {",
        "if stays {",
    ),
    Bug(
        "a follower does not look again under the lock",
        "drive/leader.rs",
        "if self.changes.load(Ordering::SeqCst) == changes {",
        "{",
    ),
    Bug(
        "a queue's bit is not cleared by who takes a member out",
        "reactor/queue.rs",
        "        for member in &members {\n            member.word().clear(self.bit);\n        }\n        members\n",
        "        members\n",
    ),
    Bug(
        "a visit of the language clears what others are to do",
        "reactor/owning.rs",
        "        connection.word().clear(DUE_VISIT);\n        Some(connection)",
        "        connection.word().clear(DUE_VISIT | crate::session::word::GATHERED);\n        Some(connection)",
    ),
    Bug(
        "what is gathered is put on no queue",
        "reactor/mod.rs",
        "if bits.has(GATHERED) && !bits.has(QUEUED_FLUSH)",
        "if false && bits.has(GATHERED) && !bits.has(QUEUED_FLUSH)",
    ),
    Bug(
        "a flush from another thread wakes nobody",
        "reactor/mod.rs",
        "        if corked {\n            return;\n        }\n        // An owner",
        "        if corked || true {\n            return;\n        }\n        // An owner",
    ),
    Bug(
        "what a half says of itself is not applied at the end of its scope",
        "connection/mod.rs",
        "            connection.reactor.apply(connection);\n            let bits = connection.word.get();",
        "            let bits = connection.word.get();",
    ),
    Bug(
        "who makes room in the hold has nobody apply it",
        "connection/receiving.rs",
        "        if has_room || is_empty && bits.has(FAILING) {",
        "        if is_empty && bits.has(FAILING) {",
    ),
    Bug(
        "reading pauses for senders that wait",
        "session/word.rs",
        "let answers_pile_up = self.has(FULL) && self.has(OVERDRAWN);",
        "let answers_pile_up = self.has(FULL);",
    ),
    Bug(
        "what was read and not looked at is not visited again",
        "reactor/mod.rs",
        "if bits.has_pending_read() && !bits.has(QUEUED_READ)",
        "if false && bits.has_pending_read() && !bits.has(QUEUED_READ)",
    ),
    Bug(
        "what the poller does not know yet counts as registered",
        "reactor/mod.rs",
        "                    registration.interest.store(CHANGING, Ordering::SeqCst);\n",
        "                    registration.interest.store(code(true, interest), Ordering::SeqCst);\n",
    ),
    Bug(
        "a loop sleeps on without a look at the queues",
        "reactor/owning.rs",
        "        if self.owner_has_work() {\n            self.alert();",
        "        if false {\n            self.alert();",
    ),
    Bug(
        "the guardian leaves a loop's descriptor unreadable",
        "reactor/owning.rs",
        "if has_work {\n            self.poller.wake();",
        "if false {\n            self.poller.wake();",
    ),
    Bug(
        "a look takes a loop's call and does not say that the loop sleeps again",
        "reactor/owning.rs",
        "        self.asleep.store(true, Ordering::SeqCst);\n        let has_work = self.owner_has_work();",
        "        let has_work = self.owner_has_work();",
    ),
    Bug(
        "a look tells no follower of what it brought",
        "reactor/loop_polling.rs",
        "        self.leave_readable();\n        self.leadership.notify_followers();",
        "        self.leave_readable();",
    ),
    Bug(
        "a look tells a loop nothing of what it brought",
        "reactor/loop_polling.rs",
        "        self.leave_readable();\n        self.leadership.notify_followers();",
        "        self.leadership.notify_followers();",
    ),
    Bug(
        "a look after a batch tells no follower of what it brought",
        "reactor/loop_polling.rs",
        "        if came {\n            self.leadership.notify_followers();",
        "        if false {\n            self.leadership.notify_followers();",
    ),
    Bug(
        "a look after a batch does not return to the loop",
        "reactor/loop_polling.rs",
        "            self.return_to_loop();",
        "",
    ),
    Bug(
        "whoever takes the last message before a violation is not seen",
        "connection/ending.rs",
        "            if !connection.word.get().has(HOLDS)\n",
        "            if false\n",
    ),
    Bug(
        "the end is due before it is there to be seen",
        "connection/ending.rs",
        "            self.word.set_state(State::Closed);\n"
        "            // Last: whoever is told by these sees all of it.\n"
        "            self.word.set(DUE_VISIT | NEWS);",
        "            self.word.set(DUE_VISIT | NEWS);\n            self.word.set_state(State::Closed);",
    ),
    Bug(
        "what is read while the end is told comes behind it",
        "connection/ending.rs",
        "            lock(&self.hold).end();\n",
        "",
    ),
    Bug(
        "a full hold drops its oldest message at once",
        "session/word.rs",
        "!self.is_wanted() && self.has(HOLD_OVER | FULL)",
        "!self.is_wanted()",
    ),
    Bug(
        "a connection that has ended stays on the queue of those to be failed",
        "reactor/mod.rs",
        "for queue in [&self.flushes, &self.paced, &self.reads, &self.fails] {",
        "for queue in [&self.flushes, &self.paced, &self.reads] {",
    ),
    Bug(
        "a turn with work pending does not poll",
        "reactor/turn.rs",
        "        let waited = self.poller.wait(&mut turner.events, timeout);",
        "        if timeout == Some(Duration::ZERO) {\n            self.asleep.store(false, Ordering::SeqCst);\n"
        "            return Ok(());\n        }\n        let waited = self.poller.wait(&mut turner.events, timeout);",
    ),
    Bug(
        "the guardian is not called when the owner leaves",
        "drive/guardian.rs",
        "        self.set_presence(1);\n        self.call_if_deep();",
        "        self.set_presence(1);",
    ),
    Bug(
        "the guardian never stands in",
        "drive/guardian.rs",
        "if overdue && let Some",
        "if false && let Some",
    ),
]


CHECK = ["cargo", "test", "--quiet", "--locked", "-p", "sunsocket-model", "--", "--nocapture"]


def holds(rounds: int) -> bool:
    return subprocess.run(CHECK, cwd=ROOT, env={**os.environ, "ROUNDS": str(rounds)}, check=False).returncode == 0


def is_found(bug: Bug) -> bool:
    # One folder for all bugs, so that the model alone is compiled again; not ours: cargo takes one for the other.
    environment = {**os.environ, "ROUNDS": str(BUG_ROUNDS), "CARGO_TARGET_DIR": str(COPY.parent / "build")}
    folder = seed(bug)
    # Without the test that has to panic: what it prints is what a bug that is found prints.
    command = [*CHECK, "no_order_of_steps"]
    for number in BUG_SEEDS:
        environment["SEED"] = str(number)
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if judge(done):
            return True
    return False


def judge(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether the check found the bug. Ends the run where it neither held nor failed: that says nothing of the bug."""
    if done.returncode == 0 and "test result: ok. 1 passed" in done.stdout:
        return False
    if done.returncode != 0 and "test result: FAILED" in done.stdout and "failing schedule:" in done.stderr:
        return True
    sys.exit(
        f"model: a seeded bug could not be checked (cargo's status {done.returncode}):\n{done.stdout}{done.stderr}"
    )


def seed(bug: Bug) -> Path:
    """A copy of the sources with the bug in it."""
    shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True)
    for part in ("crates", "model", "bench/limit", "Cargo.toml", "Cargo.lock"):
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, COPY / part)
        else:
            shutil.copy(source, COPY / part)
    path = COPY / "crates" / "net" / "src" / bug.file
    text = path.read_text()
    if text.count(bug.before) != 1:
        sys.exit(f"model: the bug {bug.name!r} fits {text.count(bug.before)} times in {bug.file}: mend the list")
    path.write_text(text.replace(bug.before, bug.after))
    return COPY


def main() -> None:
    rounds = int(os.environ.get("ROUNDS", "20000"))
    if not holds(rounds):
        sys.exit("model: FAILED")
    bugs = [bug for bug in BUGS if os.environ.get("BUG", "") in bug.name]
    missed = []
    for bug in bugs:
        found = is_found(bug)
        print(f"model: {'found' if found else 'MISSED'}: {bug.name}", flush=True)
        if not found:
            missed.append(bug.name)
    shutil.rmtree(COPY, ignore_errors=True)
    print(f"model: {rounds} random orders and as many of PCT for each scenario hold; {len(bugs) - len(missed)} of "
          f"{len(bugs)} seeded bugs are found")  # fmt: skip
    if missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
