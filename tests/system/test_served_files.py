"""`dfurun sim serve` and `dfurun sim attach` as a tool author uses them: by the command line alone, boards in files."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.system.conftest import Agreed
from tests.system.guest_bench import CHIP, DFURUN, GuestBench
from tests.system.vm.machine import HOST_IN_GUEST

pytestmark = pytest.mark.system


def test_a_served_file_is_a_board_of_the_guest(bench: GuestBench, agreed: Agreed, tmp_path: Path) -> None:
    file = tmp_path / "board.json"
    subprocess.run([DFURUN, "sim", "new", file, "--port", "1-7"], check=True, capture_output=True)
    (tmp_path / "written.bin").write_bytes(bytes(range(256)) * 16)
    serving = subprocess.Popen(
        [DFURUN, "sim", "serve", file, "--listen", "127.0.0.1:0", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert serving.stdin is not None
    assert serving.stdout is not None
    try:
        events = (json.loads(line) for line in serving.stdout)
        served = next(event for event in events if event["event"] == "serving")
        assert served["port"] == "1-7"
        port = served["server"].rpartition(":")[2]
        attaching = bench.start(DFURUN, "sim", "attach", f"{HOST_IN_GUEST}:{port}")
        assert next(events) == {"event": "export", "port": "1-7", "what": "imported"}
        seen = bench.run(
            "sh", "-c", "until [ -s /sys/bus/usb/devices/1-7/bConfigurationValue ]; do sleep 0.1; done; udevadm settle"
        )
        assert seen.exit == 0
        done = bench.dfu_util("-p", "1-7", "-a", 0, "-s", "0x08000000", "-D", tmp_path / "written.bin")
        assert done.exit == 0, done
        serving.stdin.write("power-cycle 1-7 1\n")
        serving.stdin.flush()
        assert {next(events)["event"], next(events)["event"]} == {"hands", "export"}
        assert next(events) == {"event": "export", "port": "1-7", "what": "imported"}
        attaching.stop()
        assert attaching.wait(30).exit == 130
    finally:
        serving.terminate()
        serving.communicate()
    dumped = tmp_path / "flash.bin"
    subprocess.run([DFURUN, "sim", "dump", file, dumped], check=True)
    assert dumped.read_bytes() == (bytes(range(256)) * 16).ljust(CHIP.flash.extent.size_bytes, b"\xff")
    agreed("dfurun sim serve FILE, dfurun sim attach: dfu-util writes the board in the file, hands power-cycle it")
