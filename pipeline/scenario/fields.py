"""The names of all fields that a file may have, for the nearest right name of one that it may not have."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel


def fields_of(*models: type[BaseModel]) -> tuple[str, ...]:
    """Return the fields of models, and of all models that their fields hold, as a person writes them."""
    seen: list[type[BaseModel]] = []
    for model in models:
        _visit(model, seen)
    names = [field.alias or name for model in seen for name, field in model.model_fields.items()]
    return tuple(dict.fromkeys(names))


def _visit(model: type[BaseModel], seen: list[type[BaseModel]]) -> None:
    if model in seen:
        return
    seen.append(model)
    for field in model.model_fields.values():
        for inner in _models_in(field.annotation):
            _visit(inner, seen)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
