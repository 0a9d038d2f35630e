"""How TorchServe's JVM is started: its command, its environment, and the files that it reads."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import ts

from bundle import private, shipped
from serving.torchserve import declaration, properties
from serving.torchserve.ports import Ports

TEMP_OPTION = "-Djava.io.tmpdir="  # of Java, before the temp folder
SOCKET_PREFIX = ".ts.sock."  # TorchServe's name for a worker's socket in the temp folder, before its number
LOG4J = Path(__file__).with_name("log4j2.xml")
# What the user exported for other programs, and what would change this one: TorchServe reads the first three
# before its own configuration, and an archive must work with what it contains.
NOT_PASSED_ON = {
    "TS_CONFIG_FILE",
    "TS_MODEL_SERVER_HOME",
    "TS_OPEN_INFERENCE_PROTOCOL",
    "PYTHONPATH",
    "PYTHONHOME",
}


def configure(run: Path, ports: Ports, store: Path, management: Path) -> Path:
    """Write what TorchServe reads into its run folder.

    Args:
        run: the folder.
        ports: where it listens.
        store: folder of the archives.
        management: path of the management API's socket.

    Returns:
        Its configuration, for `command`.
    """
    metrics = run / declaration.FILE
    private.write(metrics, declaration.text())
    config = run / "config.properties"
    text = shipped.SHIPPED.read_text("utf-8")
    private.write(config, properties.render(text, ports, store, management, metrics))
    return config


def command(java: Path, temp: Path, config: Path, store: Path, models: Sequence[str]) -> list[str]:
    """What `torchserve --start --foreground` runs.

    That wrapper receives a SIGTERM without passing it on, and leaves Java running, so it is not used.

    Args:
        java: the runtime.
        temp: this server's temp folder, by which its processes are known.
        config: of `configure`.
        store: folder of the archives.
        models: those to load at start.
    """
    home = Path(ts.__file__).resolve().parent.parent
    return [
        str(java),
        f"-Dmodel_server_home={home}",
        f"{TEMP_OPTION}{temp}",
        f"-Dlog4j.configurationFile={LOG4J.as_uri()}",
        "-cp",
        str(home / "ts" / "frontend" / "*"),
        "org.pytorch.serve.ModelServer",
        "--python",
        sys.executable,
        "-f",
        str(config),
        "-s",
        str(store),
        "-ncs",  # no snapshots: a start depends on these arguments, never on how the last run ended
        "-m",
        *(f"{model}.mar" for model in models),
    ]


def environment(temp: Path, logs: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Variables of Java and the workers.

    Args:
        temp: this server's temp folder.
        logs: folder of its logs.
        variables: over what is inherited.
    """
    inherited = {key: value for key, value in os.environ.items() if key not in NOT_PASSED_ON}
    return {
        **inherited,
        "TMPDIR": str(temp),
        "TEMP": str(temp),
        "LOG_LOCATION": str(logs),
        "METRICS_LOCATION": str(logs),
        # nothing is fetched while serving: an archive that tries to do so fails when it is loaded
        "HF_HUB_OFFLINE": "1",
        **variables,
    }
