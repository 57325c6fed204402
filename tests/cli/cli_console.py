"""The command as a person runs it: a real process on a home of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

SHOPS = """
[circle.riverside]
name = "滨江商圈"
binding = "bearer"
[merchant.hotpot]
circle = "riverside"
name = "老王火锅"
[merchant.sweets]
circle = "riverside"
name = "甜甜糖水"
[channel.till]
merchant = "hotpot"
adapter = "wechat_v3"
sandbox = true
upstream = "http://127.0.0.1:9/pay"
[item.bowl-5off]
merchant = "sweets"
name = "糖水立减5元"
value_fen = 500
offer = "elsewhere"
"""


@dataclass
class Done:
    code: int
    out: str
    err: str

    def __repr__(self):
        return f"exit {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


class Console:
    """Runs `drainage` in a folder; `home` is passed by variable unless told otherwise."""

    def __init__(self, folder, made=None):
        self.folder = folder
        self._made = made
        self.home = folder / "var"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("DRAINAGE_")}
        self.env["DRAINAGE_HOME"] = str(self.home)

    def command(self, *words):
        return [sys.executable, "-m", "gateway.cli", *map(str, words)]

    def run(self, *words, **env):
        done = subprocess.run(
            self.command(*words), cwd=self.folder, env={**self.env, **env}, capture_output=True, text=True, timeout=60
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *words, **env):
        done = self.run(*words, **env)
        assert done.code == 0, done
        return done

    def init(self):
        """A home as `drainage init` made it, sandbox on; the admin's one-time password."""
        shutil.copytree(self._made, self.home)
        self.env["DRAINAGE_SANDBOX_ENABLED"] = "true"
        self.env["DRAINAGE_RELAY_ALLOW"] = '["127.0.0.0/8"]'
        password = self._made.parent / "password"
        return password.read_text() if password.exists() else ""

    def apply(self, text=SHOPS):
        path = self.folder / "shops.toml"
        path.write_text(text, encoding="utf-8")
        return self.ok("apply", path)
