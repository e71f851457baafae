"""Tools around the pipeline: `python -m pipeline lock`, `python -m pipeline rollback`."""

import argparse
import sys

from pipeline.errors import PipelineError
from pipeline.lock import lock
from pipeline.rollback import rollback


def main() -> int:
    """Run the tool that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    tools = parser.add_subparsers(dest="tool", required=True, metavar="TOOL")
    tools.add_parser(
        "lock", help="pin what each conda.yml brings, in the constraints.txt beside it"
    )
    back = tools.add_parser(
        "rollback", help="give the production alias back to the version that had it before"
    )
    back.add_argument("overrides", nargs="*", help="keys of config.yaml: main.project_name=songs")
    options = parser.parse_args()
    try:
        if options.tool == "lock":
            said = [str(path) for path in lock()]
        else:
            said = rollback(options.overrides)
    except PipelineError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    print(*said, sep="\n")  # noqa: T201  # the tool's answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
