#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make install` and `make uninstall`, and what systemd thinks of the installed unit."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import BUILD, Skip  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXPOSURE_MAX = 1.5
FILES = {
    "usr/sbin/pbxpushd": 0o755, "usr/bin/pbxpushctl": 0o755,
    "etc/pbxpush/pbxpush.conf": 0o644,
    "usr/share/man/man8/pbxpushd.8": 0o644, "usr/share/man/man8/pbxpushctl.8": 0o644,
    "usr/share/man/man5/pbxpush.conf.5": 0o644, "usr/lib/sysusers.d/pbxpush.conf": 0o644,
    "lib/systemd/system/pbxpushd.service": 0o644,
    "usr/share/doc/pbxpush/pbxpush.conf.example": 0o644, "usr/share/doc/pbxpush/README.md": 0o644,
    **{f"usr/share/doc/pbxpush/{path.relative_to(ROOT / 'conf')}":
       0o755 if path.suffix in (".sh", ".py") else 0o644
       for folder in ("payload", "app", "pbx") for path in (ROOT / "conf" / folder).rglob("*")
       if path.is_file()},
}


def run(*args, check=True):
    done = subprocess.run([str(arg) for arg in args], capture_output=True, text=True, cwd=ROOT,
                          stdin=subprocess.DEVNULL, timeout=120)
    assert not check or done.returncode == 0, (args, done.stdout, done.stderr)
    return done


@contextlib.contextmanager
def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="pbxpush-install-"))
    old = os.umask(0o022)
    try:
        yield path
    finally:
        os.umask(old)
        shutil.rmtree(path)


def make(target, *variables):
    # Built already: nothing must be made again, with other flags perhaps.
    build = os.path.relpath(BUILD, ROOT)
    untouched = [path.stat().st_mtime_ns for path in (BUILD / "pbxpushd", BUILD / "pbxpushctl")]
    run("make", "--no-print-directory", f"BUILD={build}", target, *variables)
    assert untouched == [
        path.stat().st_mtime_ns for path in (BUILD / "pbxpushd", BUILD / "pbxpushctl")]


def files(path):
    return {str(p.relative_to(path)): p.stat().st_mode & 0o7777
            for p in path.rglob("*") if p.is_file() or p.is_symlink()}


def test_install_and_uninstall():
    with folder() as root:
        variables = f"DESTDIR={root}", "PREFIX=/usr"
        make("install", *variables)
        assert files(root) == FILES
        for name in ("sbin/pbxpushd", "bin/pbxpushctl"):
            assert "0." in run(root / "usr" / name, "--version").stdout
        unit = (root / "lib/systemd/system/pbxpushd.service").read_text()
        assert "ExecStart=/usr/sbin/pbxpushd -c /etc/pbxpush/pbxpush.conf\n" in unit
        # what the administrator wrote stays, in both directions
        conf = root / "etc/pbxpush/pbxpush.conf"
        conf.write_text("mine")
        make("install", *variables)
        assert conf.read_text() == "mine"
        make("uninstall", *variables)
        assert set(files(root)) == {"etc/pbxpush/pbxpush.conf"} and conf.read_text() == "mine"
        make("uninstall", *variables)


def test_other_prefix():
    with folder() as root:
        make("install", f"DESTDIR={root}")
        unit = (root / "lib/systemd/system/pbxpushd.service").read_text()
        assert "ExecStart=/usr/local/sbin/pbxpushd " in unit
        assert (root / "usr/local/sbin/pbxpushd").exists()


def test_manual_pages():
    if not shutil.which("man"):
        raise Skip("no man")
    for page in sorted((ROOT / "src/man").glob("*.[58]")):
        done = run("man", "--warnings", "-l", "-E", "UTF-8", "-Tutf8", page)
        assert not done.stderr, (page, done.stderr)
        assert "NAME" in re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)


@contextlib.contextmanager
def installed_unit():
    """Installed for good, though elsewhere: systemd looks whether the program is there."""
    if not shutil.which("systemd-analyze"):
        raise Skip("no systemd-analyze")
    with folder() as root:
        make("install", f"PREFIX={root}/usr", f"SYSCONFDIR={root}/etc", f"UNITDIR={root}/units",
             f"SYSUSERS={root}/sysusers")
        yield root / "units/pbxpushd.service", root


def test_unit_is_valid():
    with installed_unit() as (unit, _):
        done = run("systemd-analyze", "verify", "--man=no", unit)
        said = [line for line in done.stderr.splitlines() if "pbxpush" in line]
        assert not said, said


def test_unit_is_hardened():
    with installed_unit() as (unit, _):
        done = run("systemd-analyze", "security", "--offline=true",
                   f"--threshold={round(EXPOSURE_MAX * 10)}", unit, check=False)
        level = re.search(r"Overall exposure level for pbxpushd.service: ([\d.]+)", done.stdout)
        if not level:
            raise Skip(f"systemd-analyze says nothing: {done.stderr.strip()}")
        assert float(level[1]) <= EXPOSURE_MAX and done.returncode == 0, level[0]


def test_sysusers():
    if not shutil.which("systemd-sysusers"):
        raise Skip("no systemd-sysusers")
    with installed_unit() as (_, root):
        alone = root / "tree"
        (alone / "etc").mkdir(parents=True)
        run("systemd-sysusers", f"--root={alone}", root / "sysusers/pbxpush.conf")
        assert re.search(r"^pbxpush:x:\d+:\d+:.*:/var/lib/pbxpush:", (alone / "etc/passwd").read_text(), re.M)
        assert re.search(r"^pbxpush:", (alone / "etc/group").read_text(), re.M)


if __name__ == "__main__":
    harness.main(globals())
