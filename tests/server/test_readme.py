"""The server's page tells where everything is."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2] / "wandb_server"


def test_the_readme_names_each_module_once_and_no_other() -> None:
    inside = (ROOT / "README.md").read_text().split("\n## Inside\n")[1]
    named = re.findall(r"^\| `([\w/]+)` \| .+ \|$", inside, re.MULTILINE)

    modules = [path.relative_to(ROOT).with_suffix("") for path in ROOT.rglob("*.py")]
    assert sorted(named) == sorted(str(m) for m in modules if m.name != "__init__")
