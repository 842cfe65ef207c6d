"""Checks what no schema can see in a compose file: that the mounted files exist, that the named
volumes and services are declared, and that a container is stopped later than its server needs.
"""

import os
import sys

import yaml

# Seconds for the drain of live connections and the end of open requests.
DRAIN = 45


def seconds(text):
    """A duration such as 45s."""
    return int(text.removesuffix("s"))


def main(path):
    with open(path, encoding="utf-8") as file:
        compose = yaml.safe_load(file)
    folder = os.path.dirname(path)
    for name, service in compose["services"].items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("."):
                assert os.path.exists(os.path.join(folder, source)), f"{name}: {source} is missing"
            else:
                assert source in compose["volumes"], f"{name}: the volume {source} is not declared"
        for other in service.get("depends_on", []):
            assert other in compose["services"], f"{name}: there is no service {other}"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: {port} is open to other machines"
        if service.get("image") == "jobcast":
            delay = seconds(service.get("environment", {}).get("JOBCAST_STOP_DELAY", "0s"))
            grace = seconds(service["stop_grace_period"])
            assert grace >= delay + DRAIN, f"{name}: {grace} s are not enough to stop"
            assert service["read_only"] and service["cap_drop"] == ["ALL"], name


main(sys.argv[1])
