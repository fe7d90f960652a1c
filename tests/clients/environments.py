"""Makes the environments of the clients: one for each, in a folder outside the tree.

    python tests/clients/environments.py DIR
    export BAILIWICK_TEST_CLIENTS=DIR

They are made side by side with uv, which is installed into DIR as well; MCP Inspector comes from npm (Node
22). What is there already is left alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PACKAGES = {
    "sdk1": "mcp==1.30.0",
    "sdk2": "mcp==2.3.0",
    "fastmcp": "fastmcp==4.1.2",
    "langchain": "langchain-mcp-adapters==0.3.2",
    "openai_agents": "openai-agents==0.24.0",
    "pydantic_ai": "pydantic-ai-slim[mcp]==2.68.0",
}
INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
UV = "uv>=0.9"


def main() -> int:
    """Make what is missing; 0 when everything is there, 2 without a folder, 3 when something failed."""
    if len(sys.argv) != 2:
        print("Name the folder: python tests/clients/environments.py DIR", file=sys.stderr)
        return 2
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    try:
        uv = _uv(folder)
        with ThreadPoolExecutor(max_workers=4) as several:
            made = [several.submit(_inspector, folder)]
            made += [several.submit(_python, folder, uv, name, what) for name, what in PACKAGES.items()]
            for one in made:
                print(one.result(), flush=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"An environment could not be made: {error}", file=sys.stderr)
        return 3
    print(f"{len(PACKAGES) + 1} environments in {time.monotonic() - begun:.0f} s, in {folder}")
    return 0


def _uv(folder: Path) -> Path:
    uv = folder / "uv" / "bin" / "uv"
    if not uv.exists():
        pip = (sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", "install")
        _run(*pip, "--prefer-binary", "--target", str(folder / "uv"), UV)
    return uv


def _python(folder: Path, uv: Path, name: str, package: str) -> str:
    begun, place = time.monotonic(), folder / name
    python = place / "bin" / "python"
    if not (place / "made").exists():
        _run(str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(place))
        _run(str(uv), "pip", "install", "--quiet", "--python", str(python), package)
        (place / "made").touch()
    return f"{name}: {package} ({time.monotonic() - begun:.0f} s)"


def _inspector(folder: Path) -> str:
    begun, place = time.monotonic(), folder / "inspector"
    if not (place / "made").exists():
        _run("npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(place), INSPECTOR)
        (place / "made").touch()
    return f"inspector: {INSPECTOR} ({time.monotonic() - begun:.0f} s)"


def _run(*command: str) -> None:
    # What is installed once is not kept anywhere else: no cache in the tree or in a home folder is relied on.
    subprocess.run(command, check=True, env={**os.environ, "UV_NO_PROGRESS": "1"})


if __name__ == "__main__":
    sys.exit(main())
