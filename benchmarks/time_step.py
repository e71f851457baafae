"""Stands for the bash that starts a step: `python time_step.py <result> <bash> -c ...`.

Hands everything over to the real bash, and appends a line of JSON to the result: the step, its
seconds, its peak memory in ru_maxrss's unit.
"""

import json
import os
import subprocess
import sys
import time

started = time.perf_counter()
process = subprocess.Popen(sys.argv[2:], close_fds=False)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
line = [os.path.basename(os.getcwd()), time.perf_counter() - started, usage.ru_maxrss]  # noqa: PTH109, PTH119  # pathlib takes as long to import as the rest
with open(sys.argv[1], "a") as file:  # noqa: PTH123
    file.write(json.dumps(line) + "\n")
sys.exit(process.returncode)
