"""The least that Flask can do: read a POST, answer 200."""

from flask import Flask, request

app = Flask(__name__)


@app.post("/notify/<channel>")
def notify(channel: str) -> tuple[str, int]:  # noqa: ARG001 - the route has it
    request.get_data()
    return "", 200
