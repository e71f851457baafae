"""Process groups that don't outlive the process that started them, however it ends.

A step leads a group of its own, so no signal of a terminal reaches it, and nobody stops it if the
pipeline is killed by SIGKILL. So a pipe goes from the pipeline to each group. Nothing is ever
written to it: its end tells a watcher inside the group that the pipeline is gone.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO

# Seconds that an interrupted step has to end its W&B run before it is killed.
GRACE = 30

# The watcher is nobody's child: a step that waits for its children must not meet it.
_SCRIPT = """
( (
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


def start(
    command: str, folder: Path, environment: Mapping[str, str]
) -> tuple["subprocess.Popen[bytes]", IO[bytes]]:
    """Start a shell command as the leader of a session and process group of its own.

    When this process ends before it, the leader gets a SIGINT, and when it has ended, or GRACE
    seconds later, the group is killed.

    Args:
        command: For bash; its last program should be started by `exec`.
        folder: Where it runs.
        environment: All of its variables.

    Returns:
        The leader, and this process's end of the pipe, to be closed when the leader has ended.

    Raises:
        OSError: It can't be started.
    """
    theirs, ours = os.pipe()
    try:
        process = subprocess.Popen(
            ["bash", "-c", _SCRIPT.format(pipe=theirs, grace=GRACE, command=command)],
            cwd=folder,
            env=dict(environment),
            pass_fds=[theirs],
            start_new_session=True,
        )
    except OSError:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    return process, os.fdopen(ours, "wb")
