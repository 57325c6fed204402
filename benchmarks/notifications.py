"""Distinct, freshly signed WeChat Pay v3 notifications as ready HTTP requests, made by all cores beforehand."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_ID = "PUB_KEY_ID_0119000001092024101500111200000001"
MCHID = "1900000109"
APPID = "wxd678efh567hg6787"


@dataclass(frozen=True)
class Platform:
    """A platform of the benchmark's own: what it signs with, and what a receiver needs."""

    private_pem: bytes
    public_pem: bytes
    apiv3_key: str


def new_platform() -> Platform:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return Platform(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        os.urandom(16).hex(),
    )


def make(platform: Platform, path: str, port: int, numbers: range, salt: str) -> list[bytes]:
    """One request a number; two neighbours are one payer, so that every second one finds him tagged."""
    half = len(numbers) // 2
    jobs = [(platform, path, port, numbers[:half], salt), (platform, path, port, numbers[half:], salt)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        return [request for part in pool.starmap(_make, jobs) for request in part]


def transaction_id(number: int, salt: str) -> str:
    return f"4200{salt}{number:012d}"


def compact(value: object) -> bytes:
    """JSON as the platform writes it: no blanks, Chinese as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _make(platform: Platform, path: str, port: int, numbers: range, salt: str) -> list[bytes]:
    key = serialization.load_pem_private_key(platform.private_pem, None)
    aead = AESGCM(platform.apiv3_key.encode())
    stamp = str(int(time.time()))
    made = []
    for number in numbers:
        payment = {
            "transaction_id": transaction_id(number, salt),
            "out_trade_no": f"T{salt}{number:010d}",
            "mchid": MCHID,
            "appid": APPID,
            "trade_type": "JSAPI",
            "trade_state": "SUCCESS",
            "trade_state_desc": "支付成功",
            "bank_type": "OTHERS",
            "success_time": "2026-03-01T12:00:00+08:00",
            "payer": {"openid": f"oB3{salt}{number // 2:018d}"},
            "amount": {"total": 2600, "payer_total": 2600, "currency": "CNY", "payer_currency": "CNY"},
        }
        nonce = os.urandom(6).hex()
        sealed = aead.encrypt(nonce.encode(), compact(payment), b"transaction")
        body = compact(
            {
                "id": f"EV-{salt}{number}",
                "create_time": "2026-03-01T12:00:00+08:00",
                "resource_type": "encrypt-resource",
                "event_type": "TRANSACTION.SUCCESS",
                "summary": "支付成功",
                "resource": {
                    "original_type": "transaction",
                    "algorithm": "AEAD_AES_256_GCM",
                    "ciphertext": base64.b64encode(sealed).decode(),
                    "associated_data": "transaction",
                    "nonce": nonce,
                },
            }
        )
        header_nonce = os.urandom(16).hex()
        text = f"{stamp}\n{header_nonce}\n".encode() + body + b"\n"
        signature = base64.b64encode(key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nWechatpay-Serial: {KEY_ID}\r\nWechatpay-Timestamp: {stamp}\r\n"
            f"Wechatpay-Nonce: {header_nonce}\r\nWechatpay-Signature: {signature}\r\n"
            "Wechatpay-Signature-Type: WECHATPAY2-SHA256-RSA2048\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made
