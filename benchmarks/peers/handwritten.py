"""What an integrator writes in an afternoon: Flask, wechatpayv3, and one synced SQLite transaction a notification.

It keeps the payment, the payer, his tag and a link row. It checks no time and no merchant, has one fixed link to give,
no stock, no limits, no relay.
"""

import json
import os
import secrets
import sqlite3
import threading

from flask import Flask, request
from wechatpayv3 import WeChatPay, WeChatPayType

app = Flask(__name__)
settings = json.loads(os.environ["BENCH_PEER"])
wechat = WeChatPay(
    wechatpay_type=WeChatPayType.JSAPI,
    mchid=settings["mchid"],
    private_key=settings["merchant_key"],
    cert_serial_no="0",
    apiv3_key=settings["apiv3_key"],
    appid=settings["appid"],
    public_key=settings["public_key"],
    public_key_id=settings["key_id"],
)
local = threading.local()


def connection() -> sqlite3.Connection:
    if not hasattr(local, "db"):
        local.db = sqlite3.connect(settings["db"], timeout=30, isolation_level=None)
        local.db.execute("PRAGMA journal_mode=WAL")
        local.db.execute("PRAGMA synchronous=FULL")
    return local.db


setup = sqlite3.connect(settings["db"], timeout=30)
setup.execute("PRAGMA journal_mode=WAL")
setup.executescript(
    """CREATE TABLE IF NOT EXISTS payments (transaction_id TEXT PRIMARY KEY, openid TEXT, amount INTEGER, paid_at TEXT);
    CREATE TABLE IF NOT EXISTS tags (openid TEXT PRIMARY KEY, created_at TEXT);
    CREATE TABLE IF NOT EXISTS links (token TEXT PRIMARY KEY, openid TEXT, transaction_id TEXT UNIQUE, state TEXT);"""
)
setup.close()


@app.post("/notify/<channel>")
def notify(channel: str) -> tuple[dict[str, str], int]:  # noqa: ARG001 - the route has it
    result = wechat.callback(request.headers, request.get_data())
    if not result or result["event_type"] != "TRANSACTION.SUCCESS":
        return {"code": "FAIL", "message": "bad"}, 401
    paid = result["resource"]
    db = connection()
    db.execute("BEGIN IMMEDIATE")
    try:
        new = db.execute(
            "INSERT OR IGNORE INTO payments VALUES (?, ?, ?, ?)",
            (paid["transaction_id"], paid["payer"]["openid"], paid["amount"]["total"], paid["success_time"]),
        ).rowcount
        if new:
            tagged = db.execute("SELECT 1 FROM tags WHERE openid = ?", (paid["payer"]["openid"],)).fetchone()
            if tagged:
                db.execute(
                    "INSERT INTO links VALUES (?, ?, ?, 'issued')",
                    (secrets.token_urlsafe(16), paid["payer"]["openid"], paid["transaction_id"]),
                )
            else:
                db.execute("INSERT INTO tags VALUES (?, ?)", (paid["payer"]["openid"], paid["success_time"]))
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    return {"code": "SUCCESS", "message": "OK"}, 200
