"""Tools around the pipeline: `python -m pipeline lock`."""

import argparse
import sys

from pipeline.errors import PipelineError
from pipeline.lock import lock


def main() -> int:
    """Run the tool that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    tools = parser.add_subparsers(dest="tool", required=True, metavar="TOOL")
    tools.add_parser(
        "lock", help="pin what each conda.yml brings, in the constraints.txt beside it"
    )
    parser.parse_args()
    try:
        for path in lock():
            print(path)  # noqa: T201  # the tool's answer
    except PipelineError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
