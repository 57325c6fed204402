"""A page with nothing on it: what Flask and gunicorn take by themselves."""

from flask import Flask, render_template_string

app = Flask(__name__)


@app.get("/")
def page() -> str:
    return render_template_string("<!doctype html><html lang=en><title>Empty</title><h1>Empty</h1></html>")
