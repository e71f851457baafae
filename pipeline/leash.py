"""Process groups that don't outlive the process that started them, however it ends.

A step leads a group of its own, so no signal of a terminal reaches it, and nobody stops it if the
pipeline is killed by SIGKILL. So a pipe goes from the pipeline to each group. Nothing is ever
written to it: its end tells a watcher inside the group that the pipeline is gone.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# Seconds that an interrupted step has to end its W&B run before it is killed.
GRACE = 30

# The watcher is nobody's child: a step that waits for its children must not meet it. What was
# passed on is not its own: the end of a pipe would not be seen while it holds one.
_SCRIPT = """
( (
    {let_go}
    read -r -u {pipe}
    kill -INT $$ || exit
    for (( left = {grace}; left > 0; left-- )); do
        sleep 1
        kill -0 $$ || break
    done
    kill -KILL -- -$$
) </dev/null >/dev/null 2>&1 & )
exec {pipe}<&-
{command}
"""


@dataclass
class Group:
    """A process group.

    Attributes:
        leader: Its first process.
        leash: This process's end of the pipe.
    """

    leader: "subprocess.Popen[bytes]"
    leash: IO[bytes]

    def wait(self) -> int:
        """Wait for the end of its work; return the exit code, negative for a signal."""
        return self.leader.wait()

    def interrupt(self) -> None:
        """Send Ctrl-C to the leader alone: its helpers, wandb-core among them, end when it does."""
        self.leader.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill all that is left of it."""
        try:
            os.killpg(self.leader.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # nobody is left

    def release(self) -> None:
        """Let go of it after its work has ended."""
        self.leader.wait()
        self.leash.close()


def start(
    command: str, folder: Path, environment: Mapping[str, str], pass_fds: Sequence[int] = ()
) -> Group:
    """Start a shell command as the leader of a session and process group of its own.

    When this process ends before it, the leader gets a SIGINT, and when it has ended, or GRACE
    seconds later, the group is killed.

    Args:
        command: For bash; its last program should be started by `exec`.
        folder: Where it runs.
        environment: All of its variables.
        pass_fds: Descriptors that it inherits.

    Raises:
        OSError: It can't be started.
    """
    theirs, ours = os.pipe()
    let_go = " ".join(["exec", *(f"{descriptor}<&-" for descriptor in pass_fds)])
    script = _SCRIPT.format(let_go=let_go, pipe=theirs, grace=GRACE, command=command)
    try:
        leader = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env=dict(environment),
            pass_fds=[theirs, *pass_fds],
            start_new_session=True,
        )
    except OSError:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    return Group(leader, os.fdopen(ours, "wb"))
