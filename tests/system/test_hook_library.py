#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""[hook] brings libcurl along, and a daemon without it does without."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import Lab, wait_until  # noqa: E402

HOOK = {"hook": {"url": "http://127.0.0.1:9/"}}


def has_libcurl(lab):
    return "libcurl" in pathlib.Path(f"/proc/{lab.daemon.process.pid}/maps").read_text()


def reload(lab, config, answer):
    lab.daemon.configure(config)
    before = len(lab.daemon.stderr())
    lab.daemon.reload()
    wait_until(lambda: answer in lab.daemon.stderr()[before:], what=answer)
    return lab.daemon.stderr()[before:]


def test_it_comes_with_the_first_hook():
    with Lab() as lab:
        assert not has_libcurl(lab)
        reload(lab, HOOK, ": reloaded")
        assert has_libcurl(lab) and lab.daemon.status()["hook"]["state"] == "untried"


def test_without_it_a_hook_is_a_fault_and_calls_go_on():
    with Lab(start=False) as lab:
        (lab.place / "lib").mkdir()
        (lab.place / "lib" / "libcurl.so.4").write_text("not a library")
        lab.start_daemon(environment={"LD_LIBRARY_PATH": str(lab.place / "lib")})
        said = reload(lab, HOOK, "not reloaded")
        assert "[hook] url" in said and "needs libcurl" in said and "libcurl.so.4" in said, said
        lab.register()
        assert lab.events.ask(event="call", call="a@b", to="1001")["verdict"] == "push"


if __name__ == "__main__":
    harness.main(globals())
