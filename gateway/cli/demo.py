"""`drainage demo`: everything on one machine, for whoever wants to see it before reading."""

from __future__ import annotations

import signal
from contextlib import closing, suppress
from types import FrameType

import click

from gateway.cli.common import Desk, with_desk
from gateway.demo.house import DemoHouse
from gateway.demo.story import Story


@click.command()
@click.option("--once", is_flag=True, help="Play the whole story without a person and end.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The gateway's port; a free one by default.")
@with_desk
def demo(desk: Desk, once: bool, port: int) -> None:
    """Three shops with a sandbox platform and a sandbox till, on this machine alone. Ctrl-C stops all of it."""
    # Told to stop is told to stop everything that was started.
    signal.signal(signal.SIGTERM, _stop)
    with DemoHouse(desk.home.root, port=port, say=click.echo) as house, closing(Story(house, click.echo)) as story:
        if once:
            story.tell()
            click.echo("the whole story came out as told 一切如所说")
            return
        link = story.open_link()
        click.echo("")
        click.echo(f"  start here 从这里开始   {house.base_url}/sandbox")
        click.echo(f"  status 状态             {house.base_url}/status")
        click.echo(f"  a claim link 领取链接   {link}")
        click.echo(f"  a table's code 桌贴     {house.base_url}/s/noodles-1")
        click.echo(f"  campaigns 活动          {house.base_url}/sandbox/phone/A/campaigns")
        click.echo(f"  redeem 核销             {house.base_url}/redeem")
        click.echo(f"  admin 管理              {house.base_url}/login")
        if house.admin_password is not None:
            click.echo(f"                          user admin, one-time password {house.admin_password}")
        else:
            click.echo("                          user admin, with the password you gave it before")
        click.echo("\nCtrl-C stops all of it.")
        with suppress(KeyboardInterrupt):
            house.wait()


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
