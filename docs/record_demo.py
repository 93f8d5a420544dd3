"""Run the demonstration and draw what it printed: docs/demo.svg, the picture in the README.

    python docs/record_demo.py [FILE]

Not a word is changed, and lines wrap as on a terminal of this width; only colours are added. A run that fails draws
nothing and leaves with the demonstration's own exit code.
"""

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS: Final = 126
"""The longest sentence but the ledgers' stays on one line; at a README's width the letters are still 11 pixels high."""

LIMIT_S: Final = 180
"""A busy machine's longest run; after it the recording is given up."""

STYLES: Final = {
    r"^\$ .*": "bold white",
    r"^(V2V|V2H|V2L): .*": "bold cyan",
    r"^.* asks for .*": "bold cyan",
    r"\bsettled\b": "green",
    r"^  refused to the peer:": "yellow",
    r"^  told to the owner:": "yellow",
    r"\[[a-z_]+\]": "yellow",
    r"\d+\.\d{6} [A-Z]{3}": "bold #e6db74",
    r"\b(\d+ and )?\d+(\.\d+)? k?Wh": "bold",
    r"^(car_a|car_b|house|cabin): .* hold\b": "green",
    r"^\d+ trades settled.*": "bold green",
}
"""What to colour, in the words of the demonstration."""

FONTS: Final = re.compile(r"@font-face\s*\{.*?\}\s*", re.DOTALL)
"""A picture must not fetch fonts from elsewhere: the reader's own monospace does."""


def printed() -> str:
    """What a real run prints. Leaves with its exit code when it fails."""
    command = [sys.executable, "-m", "v2xnode", "demo"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)  # noqa: S603
    if run.returncode:
        print(run.stdout + run.stderr, file=sys.stderr)
        sys.exit(run.returncode)
    return run.stdout


def drawn(text: str) -> str:
    """The text as a terminal's picture (SVG)."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in text.splitlines():
        styled = Text(line)
        for pattern, style in STYLES.items():
            styled.highlight_regex(pattern, style)
        console.print(styled, soft_wrap=False)
    picture = console.export_svg(title="v2xnode demo", theme=MONOKAI, unique_id="demo")
    return FONTS.sub("", picture).replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("demo.svg")
    target.write_text(drawn("$ v2xnode demo\n" + printed()))
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
