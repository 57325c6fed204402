"""The files of `deploy/`: each is read by the program it is for, as far as that can be had."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from tests.e2e.house import COMMAND, House
from tests.several.balancer import configuration, program
from tests.support.databases import missing

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNITS = ("drainage.service", "drainage-backup.service", "drainage-backup.timer")
SHIPPED_COMMAND = "/opt/drainage/bin/drainage"


def unit(name: str) -> str:
    return (DEPLOY / "systemd" / name).read_text("utf-8")


@pytest.mark.parametrize(
    ("site", "addresses"),
    [
        ("one-machine.conf", {}),
        ("several-machines.conf", {}),
    ],
)
def test_nginx_takes_the_sites(site, addresses, tmp_path):
    conf = configuration(tmp_path, site, 8443, addresses)
    done = subprocess.run(
        [program(), "-t", "-p", str(tmp_path), "-e", "stderr", "-c", str(conf)],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


def test_both_sites_hand_on_what_the_handbook_says():
    """The block of docs/operating.md, whose promises a test of its own holds, is the site of one machine."""
    handbook = (DEPLOY.parent / "docs/operating.md").read_text("utf-8")
    (block,) = re.findall(r"```nginx\n(.*?)```", handbook, re.DOTALL)
    for site in ("one-machine.conf", "several-machines.conf"):
        lines = {line.strip() for line in (DEPLOY / "nginx" / site).read_text("utf-8").splitlines()}
        told = [line.partition(";")[0].strip() for line in block.splitlines() if "proxy_set_header" in line]
        kept = [line for line in told if "Connection" not in line]
        assert len(kept) == 3
        assert all(any(line.startswith(each + ";") for line in lines) for each in kept), site
        assert any(line.startswith("gzip off;") for line in lines)
        assert "location = /metrics { return 404; }" in lines


def test_systemd_takes_the_units(tmp_path):
    if shutil.which("systemd-analyze") is None:
        missing("systemd-analyze is not installed")
    for name in UNITS:
        (tmp_path / name).write_text(unit(name).replace(SHIPPED_COMMAND, COMMAND), "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in UNITS)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if any(name in line for name in UNITS)]
    assert said == []


def test_the_service_is_started_as_the_command_takes_it(tmp_path):
    (start,) = re.findall(r"^ExecStart=(.*)$", unit("drainage.service"), re.MULTILINE)
    words = start.replace(SHIPPED_COMMAND, COMMAND).split()
    done = subprocess.run([*words, "--help"], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0
    assert words[1:2] == ["serve"]


def test_the_nightly_copy_is_whole_and_a_failed_one_leaves_the_last(tmp_path):
    """The unit's own line, run with a home and a folder of ours."""
    (start,) = re.findall(r"^ExecStart=/bin/sh -eu -c '(.*)'$", unit("drainage-backup.service"), re.MULTILINE)
    script = start.replace("%%", "%").replace(SHIPPED_COMMAND, COMMAND).replace("/var/backups/drainage", str(tmp_path))

    def run(house):
        return subprocess.run(
            ["/bin/sh", "-eu", "-c", script],
            env=house._environ(), capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path,
        )  # fmt: skip

    with House() as house:
        house.init()
        for _ in range(2):
            done = run(house)
            assert done.returncode == 0, done.stderr
        (copy,) = tmp_path.iterdir()
        assert re.fullmatch(r"[1-7]\.tar", copy.name)
        with tarfile.open(copy) as tar:
            assert {"drainage.db", "config.toml", "secret.key"} <= {Path(name).name for name in tar.getnames()}
        before = copy.read_bytes()
        (house.home / "drainage.db").unlink()
        assert run(house).returncode != 0
        assert copy.read_bytes() == before


def test_compose_names_what_the_gateway_reads():
    told = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    gateway = told["services"]["gateway"]
    assert gateway["command"][0] == "serve"
    assert (DEPLOY / "compose.yaml").parent.joinpath(gateway["build"]["context"]).resolve() == DEPLOY.parent
    assert (DEPLOY.parent / gateway["build"]["dockerfile"]).is_file()
    targets = [re.search(r":(/[^:]*)(?::ro)?$", volume).group(1) for volume in gateway["volumes"]]
    assert sorted(targets) == [f"/var/lib/drainage{part}" for part in ("", "/campaigns", "/exports", "/secret.key")]
    # Only the profile that tries everything out brings a store along.
    assert [name for name, one in told["services"].items() if "profiles" not in one] == ["gateway"]
    with House(settings=_filled(gateway["environment"])) as house:
        house.home.mkdir(mode=0o700)
        done = house.run("serve", "--bind", "127.0.0.1:1")
        # All that is wrong is the key, which the volume brings: every setting is one that there is.
        assert done.returncode == 1
        assert "secret.key" in done.stderr
        assert "DRAINAGE_" not in done.stderr


def _filled(environment):
    given = {"DRAINAGE_STORE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    return {name: given.get(name, "" if value.startswith("${") else value) for name, value in environment.items()}


def test_the_image_holds_every_package_and_runs_without_privileges():
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    copied = re.findall(r"^COPY (\S+) \1$", text, re.MULTILINE)
    include = re.search(r"^include = \[(.*)\]$", (DEPLOY.parent / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert set(copied) == {name.rstrip("*") for name in re.findall(r'"([^"]+)"', include.group(1))}
    for name in re.search(r"^COPY (.*) \./$", text, re.MULTILINE).group(1).split():
        assert (DEPLOY.parent / name).is_file()
    assert "--require-hashes" in text
    assert re.search(r"^USER drainage$", text, re.MULTILINE)
