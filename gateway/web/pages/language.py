"""Which language a page speaks: `?lang=`, else the cookie, else Accept-Language, else Chinese (R077)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from flask import Flask, Response, g, request
from flask_babel import Babel

from gateway.web.pages.wording import CHINESE, ENGLISH

LANGUAGES: Final = (CHINESE, ENGLISH)
TRANSLATIONS: Final = Path(__file__).parent.parent.parent / "translations"
"""One folder a surface, each with its own catalogues; Flask-Babel lays them over each other."""

_PRIMARY: Final = {"zh": CHINESE, "en": ENGLISH}
_COOKIE: Final = "lang"
_TEXT_COOKIE: Final = "text"
_YEAR_S: Final = 365 * 86_400


def language() -> str:
    """The language of the page being made, one of LANGUAGES; the same through one request."""
    if "language" not in g:
        asked, kept = request.args.get("lang"), request.cookies.get(_COOKIE)
        # By the first part of each tag: whoever reads zh-TW rather reads zh-CN than English.
        told = (_PRIMARY.get(tag.partition("-")[0].lower()) for tag in request.accept_languages.values())
        g.language = next((choice for choice in (asked, kept, *told) if choice in LANGUAGES), CHINESE)
    return str(g.language)


def is_large() -> bool:
    """Whether the reader chose large type (大字版)."""
    return request.args.get("text", request.cookies.get(_TEXT_COOKIE)) == "large"


def catalogues(plugins: Sequence[Path] = ()) -> list[Path]:
    """Every folder of translations, by name; `plugins` are folders that hold one of their own."""
    own = sorted(folder for folder in TRANSLATIONS.iterdir() if (folder / "en").is_dir())
    return own + [folder / "translations" for folder in plugins if (folder / "translations" / "en").is_dir()]


def set_up_language(app: Flask, plugins: Sequence[Path] = ()) -> None:
    """Give `app` its translations and those of plug-ins; remember a choice by `?lang=` or `?text=` for a year."""
    app.config["BABEL_DEFAULT_LOCALE"] = "zh_CN"
    Babel(
        app,
        default_translation_directories=";".join(str(folder) for folder in catalogues(plugins)),
        # Babel writes a locale with an underscore where HTML and HTTP write a dash.
        locale_selector=lambda: language().replace("-", "_"),
    )

    @app.after_request
    def remember(response: Response) -> Response:
        if request.args.get("lang") in LANGUAGES:
            _keep(response, _COOKIE, language())
        if request.args.get("text") in {"large", "normal"}:
            _keep(response, _TEXT_COOKIE, request.args["text"])
        return response


def _keep(response: Response, name: str, value: str) -> None:
    response.set_cookie(name, value, max_age=_YEAR_S, httponly=True, samesite="Lax", secure=request.is_secure)
