"""The tool that every part of the API is made with: one decorator gives a view its role, its models, its document.

The document is written from the code by spectree; what it cannot say is added here once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from spectree import Response, SecurityScheme, SpecTree
from spectree.models import SecureType, SecuritySchemeData

from gateway.contract.errors import DrainageError, Refused
from gateway.runtime import Runtime
from gateway.web.api.guard import BODY_LIMIT, Openness, open_to
from gateway.web.api.models import Error, Invalid

F = TypeVar("F", bound=Callable[..., Any])

_FIELD: Final = re.compile(r"[a-z_0-9]{1,40}\Z", re.ASCII)
_KEY_HEADER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "One for each scan or request: the same key gets the same answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
}


class ReplyOffModel(DrainageError):
    """A view answered something else than the document says: a fault of ours."""


@dataclass(slots=True)
class Surface:
    """One application's API while it is put together: its runtime, and the document that grows with it."""

    runtime: Runtime
    spec: SpecTree
    _roles: dict[str, str] = field(default_factory=dict)
    _keyed: set[str] = field(default_factory=set)
    _bodiless: set[str] = field(default_factory=set)
    _document: dict[str, Any] | None = None

    def operation(
        self,
        role: Openness,
        tag: str,
        answer: type | None = None,
        *,
        status: int = 200,
        refusals: Iterable[int] = (),
        body_limit: int = BODY_LIMIT,
        keyed: bool = False,
        body_optional: bool = False,
    ) -> Callable[[F], F]:
        """Make a view an operation of the API.

        `role`: who may call it; `answer` the model of its JSON, None for no body; `refusals` the statuses
        it may refuse with beyond those that every call may. `keyed`: it wants an Idempotency-Key.
        """
        errors = {400, 413, 415, 503, *refusals} | (set() if role == "open" else {401, 403})
        models: dict[str, Any] = {f"HTTP_{code}": Error for code in sorted(errors - {422})}
        models[f"HTTP_{status}"] = answer

        def decorate(view: F) -> F:
            name = view.__name__
            self._roles[name] = role
            if keyed:
                self._keyed.add(name)
            if body_optional:
                self._bodiless.add(name)
            validated = self.spec.validate(
                resp=Response(**models), tags=[tag], security=[] if role == "open" else None, operation_id=name
            )(view)
            marked: F = open_to(role, body_limit=body_limit)(validated)
            return marked

        return decorate

    def document(self) -> dict[str, Any]:
        """The OpenAPI document. Within a request of the application whose API this is."""
        if self._document is None:
            made = deepcopy(self.spec.spec)
            for methods in made["paths"].values():
                for operation in methods.values():
                    self._complete(operation)
            self._document = made
        return self._document

    def _complete(self, operation: dict[str, Any]) -> None:
        name = operation["operationId"]
        operation["x-role"] = self._roles[name]
        if name in self._keyed:
            operation["parameters"].append(_KEY_HEADER)
        if name in self._bodiless and "requestBody" in operation:
            operation["requestBody"]["required"] = False


class OneSchemaAModel(SpecTree):
    """SpecTree that works a model's schema out once and not at each use: half of what a worker's start took."""

    def _add_model(self, model: Any, mode: Any = "validation") -> str:
        known: dict[tuple[Any, Any], str] = self.__dict__.setdefault("_schemas_of", {})
        if (model, mode) not in known:
            known[model, mode] = super()._add_model(model, mode)
        return known[model, mode]


def new_surface(runtime: Runtime) -> Surface:
    """A surface with nothing on it yet."""
    return Surface(
        runtime,
        OneSchemaAModel(
            "flask",
            title="Drainage gateway",
            version="1",
            description="Payments and tags, claim links, coupons, orders. Amounts are fen, times RFC 3339 in UTC.",
            mode="strict",
            page_templates={},
            naming_strategy=lambda model: model.__name__,
            nested_naming_strategy=lambda _parent, child: child,
            validation_error_model=Invalid,
            before=_refuse_bad_fields,
            after=_refuse_bad_reply,
            security_schemes=[
                SecurityScheme(name="bearer", data=SecuritySchemeData(type=SecureType.HTTP, scheme="bearer"))
            ],
            security=[{"bearer": []}],
        ),
    )


def _refuse_bad_fields(_request: Any, _response: Any, error: Exception | None, *_: Any) -> None:
    """In place of spectree's own answer, which repeats what was sent."""
    if isinstance(error, ValidationError):
        raise Refused("invalid", 422, fields=_reasons(error))


def _refuse_bad_reply(_request: Any, _response: Any, error: Exception | None, *_: Any) -> None:
    if isinstance(error, ValidationError):
        raise ReplyOffModel(", ".join(_reasons(error)))


def _reasons(error: ValidationError) -> dict[str, str]:
    """Field → why. A name that the caller made up is shown only where it looks like a name."""
    found: dict[str, str] = {}
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        parts = [str(part) for part in fault["loc"]]
        path = ".".join(part if _FIELD.match(part) else "?" for part in parts) or "body"
        found[path] = (
            "no such field" if fault["type"] == "extra_forbidden" else fault["msg"].removeprefix("Value error, ")
        )
    return found
