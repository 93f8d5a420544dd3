"""The browser's verifier, written from the pages alone, comes to what ours does: on what holds and on what does not."""

import base64
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import v2xnode
from ledger.errors import RemoteLedgerError
from ledger.files.receipt import FORM, Receipt
from ledger.filing import read_file
from tests.support.altered_receipts import altered
from tests.support.npm import node_here, unavailable
from tests.support.receipts import read, receipts
from tests.support.wrong_receipts import wrong_receipts
from v2xnode.export.dossier import DossierRefused
from v2xnode.export.receipt import check_receipt
from v2xnode.export.told import receipt_json

VERIFIER = Path(v2xnode.__file__).parent / "web" / "verify"
PROGRAM = Path(__file__).parents[2] / "support" / "check_receipts.mjs"
RUN_S = 60
SEED, ALTERED = 1, 300
BROWSER_STARTS = 3
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

Told = Mapping[str, Any]


def told_of(files: Mapping[str, bytes]) -> Told:
    """What it says of each, in node."""
    encoded = {name: base64.b64encode(data).decode() for name, data in files.items()}
    asked = json.dumps({"verifier": str(VERIFIER / "receipt.js"), "receipts": encoded})
    command = ["node", "--no-warnings", str(PROGRAM)]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=RUN_S, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert isinstance(said, dict)
    return said


@pytest.fixture(scope="module")
def told() -> Told:
    """Of every receipt, right and wrong."""
    node_here("the test of the browser's verifier")
    return told_of({**receipts(), **{name: data for name, (data, _) in wrong_receipts().items()}})


@pytest.mark.parametrize("name", receipts())
def test_it_shows_of_a_receipt_what_ours_does(told: Told, name: str) -> None:
    assert told[name]["ok"], told[name]
    assert told[name]["report"] == receipt_json(check_receipt(read(receipts()[name])))


@pytest.mark.parametrize("name", wrong_receipts())
def test_it_refuses_with_the_same_code(told: Told, name: str) -> None:
    _, code = wrong_receipts()[name]
    assert (told[name]["ok"], told[name].get("code")) == (False, code), told[name]


def ours(data: bytes) -> Any:
    """What our own verifier shows, or the code under which it refuses."""
    try:
        form, fields = read_file(data)
        return receipt_json(check_receipt(Receipt.parse(fields))) if form == FORM else "unknown_form"
    except (RemoteLedgerError, DossierRefused) as problem:
        return problem.code


def test_whatever_is_altered_both_say_the_same() -> None:
    node_here("the test of the browser's verifier")
    files = {str(at): data for at, data in enumerate(altered(SEED, ALTERED))}
    theirs = {name: said.get("report", said.get("code")) for name, said in told_of(files).items()}
    assert theirs == {name: ours(data) for name, data in files.items()}
    assert {"bad_signature", "bad_proof", "does_not_add_up"} < {
        said for said in theirs.values() if isinstance(said, str)
    }


@pytest.fixture
def site() -> Iterator[tuple[Path, str]]:
    """A directory with the verifier, and where it is served."""
    with tempfile.TemporaryDirectory(prefix="site-") as name:
        shutil.copytree(VERIFIER, Path(name) / "verify")
        handler = partial(_Quiet, directory=name)
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield Path(name), f"http://127.0.0.1:{server.server_port}"
            server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}  # noqa: RUF012

    def log_message(self, format: str, *args: Any) -> None: ...


PAGE = """<!doctype html><meta charset="utf-8"><body><script type="module">
import { verifyReceipt } from "./verify/receipt.js";
const told = {};
for (const name of ["right", "wrong"]) {
  const file = new Uint8Array(await (await fetch(`./${name}.json`)).arrayBuffer());
  try {
    told[name] = `${(await verifyReceipt(file)).total_micro}`;
  } catch (problem) {
    told[name] = problem.code ?? `${problem}`;
  }
}
document.body.textContent = `told ${JSON.stringify(told)} told`;
</script>"""


def browsed(address: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    """What Chromium makes of a page. It may die of its own at its start, by a signal: then it is started again."""
    for attempt in range(BROWSER_STARTS):
        command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        command += [f"--user-data-dir={directory / str(attempt)}", "--virtual-time-budget=20000", "--dump-dom", address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False)
        if done.returncode >= 0:
            break
    assert done.returncode == 0, done.stderr
    return done


def test_it_runs_in_a_browser(site: tuple[Path, str], tmp_path: Path) -> None:
    if CHROMIUM is None:
        unavailable("the browser's verifier in Chromium", "that is not here; in node it did")
    directory, address = site
    (directory / "right.json").write_bytes(receipts()["taxed"])
    (directory / "wrong.json").write_bytes(wrong_receipts()["another bit in a signature"][0])
    (directory / "page.html").write_text(PAGE)
    done = browsed(f"{address}/page.html", tmp_path)
    assert json.loads(done.stdout.split(" told")[0].split("told ")[1]) == {"right": "315354", "wrong": "bad_signature"}
