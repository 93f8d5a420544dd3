"""Commands called in this process, and what they print."""

import json
from typing import Any

from typer.testing import CliRunner, Result

from v2xnode.cli import app


def called(*words: object) -> Result:
    """A command's exit code and what it printed on stdout and stderr. An error that it does not know is raised."""
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def printed(result: Result) -> dict[str, Any]:
    """The one JSON object on stdout; anything beside it is an error."""
    value = json.loads(result.stdout)
    assert isinstance(value, dict)
    return value
