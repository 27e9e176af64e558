"""Whether a query fits the schema, said as GitHub says it; and the values of its variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyf_scrapy.replica.graphql_language import (
    Document,
    Enum,
    Field,
    Operation,
    Place,
    Selection,
    Spread,
    Value,
    Variable,
)
from pyf_scrapy.replica.graphql_schema import ENUMS, POSSIBLE, TYPES, FieldType

Error = dict[str, Any]

_SCALARS: dict[str, tuple[type, ...]] = {
    "String": (str,),
    "ID": (str, int),
    "Int": (int,),
    "Boolean": (bool,),
    "GitObjectID": (str,),
}


def error(message: str, place: Place | None, **more: Any) -> Error:
    """An entry of `errors`."""
    located = {"locations": [place._asdict()]} if place else {}
    return {**more, **located, "message": message}


class Check:
    """Collects in `errors` what is wrong with an operation."""

    def __init__(self, document: Document, operation: Operation) -> None:
        self.errors: list[Error] = []
        self._fragments = document.fragments
        self._declared = {one.name: one for one in operation.declarations}
        self._used: set[str] = set()
        self._checked: set[str] = set()
        what = f"query {operation.name}" if operation.name else "query"
        self._selections("Query", operation.selections, [what])
        self._loops(operation.selections, ())
        for one in operation.declarations:
            if one.name not in self._used:
                name = operation.name or "anonymous query"
                message = f"Variable ${one.name} is declared by {name} but not used"
                self._wrong(message, one.place, [what], "variableNotUsed")
        for fragment in document.fragments.values():
            if fragment.name not in self._checked:
                message = f"Fragment {fragment.name} was defined, but not used"
                self._wrong(message, fragment.place, [f"fragment {fragment.name}"], "useAndDefineFragment")

    def _wrong(self, message: str, place: Place, path: list[str], code: str) -> None:
        self.errors.append(error(message, place, path=path, extensions={"code": code}))

    def _loops(self, selections: tuple[Selection, ...], within: tuple[str, ...]) -> None:
        """Fragments that contain themselves would be followed forever; there is nothing to run then."""
        for selection in selections:
            if not isinstance(selection, Spread):
                self._loops(selection.selections, within)
            elif selection.name in within:
                message = f"Fragment {selection.name} contains an infinite loop"
                self._wrong(message, selection.place, [f"fragment {selection.name}"], "infiniteLoop")
            elif selection.name in self._fragments:
                self._loops(self._fragments[selection.name].selections, (*within, selection.name))

    def _selections(self, kind: str, selections: tuple[Selection, ...], path: list[str]) -> None:
        for selection in selections:
            if isinstance(selection, Field):
                self._field(kind, selection, [*path, selection.key])
            elif isinstance(selection, Spread):
                self._spread(kind, selection, path)
            elif self._applies(kind, selection.type or kind, selection.place, path):
                self._selections(selection.type or kind, selection.selections, path)

    def _spread(self, kind: str, spread: Spread, path: list[str]) -> None:
        fragment = self._fragments.get(spread.name)
        if fragment is None:
            message = f"Fragment {spread.name} was used, but not defined"
            self._wrong(message, spread.place, path, "useAndDefineFragment")
            return
        fits = self._applies(kind, fragment.type, spread.place, path)
        if fits and spread.name not in self._checked:
            self._checked.add(spread.name)
            self._selections(fragment.type, fragment.selections, [f"fragment {spread.name}"])
        self._checked.add(spread.name)

    def _applies(self, kind: str, condition: str, place: Place, path: list[str]) -> bool:
        if condition not in TYPES:
            message = f"No such type {condition}, so it can't be a fragment condition"
            self._wrong(message, place, path, "undefinedType")
            return False
        if kind == condition or condition in POSSIBLE.get(kind, ()) or kind in POSSIBLE.get(condition, ()):
            return True
        message = f"Fragment on {condition} can't be spread inside {kind}"
        self._wrong(message, place, path, "cannotSpreadFragment")
        return False

    def _field(self, kind: str, field: Field, path: list[str]) -> None:
        if field.name == "__typename":
            return
        known = TYPES[kind].get(field.name)
        if known is None:
            message = f"Field '{field.name}' doesn't exist on type '{kind}'"
            self._wrong(message, field.place, path, "undefinedField")
            return
        self._arguments(field, known, path)
        if known.type in TYPES and not field.selections:
            message = f"Field must have selections (field '{field.name}' returns {known.type})"
            self._wrong(message, field.place, path, "selectionMismatch")
        elif known.type not in TYPES and field.selections:
            message = f"Selections can't be made on scalars (field '{field.name}' returns {known.type})"
            self._wrong(message, field.place, path, "selectionMismatch")
        elif field.selections:
            self._selections(known.type, field.selections, path)

    def _arguments(self, field: Field, known: FieldType, path: list[str]) -> None:
        for name, value in field.arguments.items():
            wanted = known.arguments.get(name)
            if wanted is None:
                message = f"Field '{field.name}' doesn't accept argument '{name}'"
                self._wrong(message, field.place, [*path, name], "argumentNotAccepted")
            else:
                self._value(field, name, value, wanted, path)
        missing = [n for n, t in known.arguments.items() if t.endswith("!") and n not in field.arguments]
        if missing:
            message = f"Field '{field.name}' is missing required arguments: {', '.join(missing)}"
            self._wrong(message, field.place, path, "missingRequiredArguments")

    def _value(self, field: Field, name: str, value: Value, wanted: str, path: list[str]) -> None:
        if isinstance(value, Variable):
            declared = self._declared.get(value.name)
            self._used.add(value.name)
            if declared is None:
                message = f"Variable ${value.name} is used but not declared"
                self._wrong(message, field.place, path, "variableNotDefined")
            elif declared.type not in (wanted, f"{wanted}!", wanted.removesuffix("!") + "!"):
                types = f"({declared.type} / {wanted})"
                message = f"Type mismatch on variable ${value.name} and argument {name} {types}"
                self._wrong(message, field.place, path, "variableMismatch")
            return
        if isinstance(value, list) and wanted.startswith("["):
            for one in value:
                self._value(field, name, one, _inner(wanted), path)
        elif not _fits(value, wanted):
            message = (
                f"Argument '{name}' on Field '{field.name}' has an invalid value. Expected type '{wanted}'."
            )
            self._wrong(message, field.place, [*path, name], "argumentLiteralsIncompatible")


def _inner(wanted: str) -> str:
    return wanted.removesuffix("!").removeprefix("[").removesuffix("]")


def _fits(value: Any, wanted: str) -> bool:
    """Whether a value is of a type; enums are bare words in a document and strings in variables."""
    if value is None:
        return not wanted.endswith("!")
    plain = wanted.removesuffix("!")
    if plain.startswith("["):
        # One value stands for a list of one.
        return all(_fits(one, _inner(wanted)) for one in (value if isinstance(value, list) else [value]))
    if plain in ENUMS:
        return (value.name if isinstance(value, Enum) else value) in ENUMS[plain]
    return isinstance(value, _SCALARS.get(plain, ())) and (plain == "Boolean" or not isinstance(value, bool))


def variables(operation: Operation, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Error]]:
    """The values of the variables, and what is wrong with those that were given."""
    values: dict[str, Any] = {}
    errors = []
    for one in operation.declarations:
        if one.name in given or one.default is None:
            value = given.get(one.name)
        else:
            value = one.default.name if isinstance(one.default, Enum) else one.default
        if not _fits(value, one.type):
            message = f"Variable ${one.name} of type {one.type} was provided invalid value"
            errors.append(error(message, one.place, extensions={"value": value}))
        if value is not None or one.name in given:
            values[one.name] = value
    return values, errors


def argument_values(field: Field, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a field with variables filled in; a variable without value is no argument."""
    known = TYPES["Query"].get(field.name)
    values = {}
    for name, value in field.arguments.items():
        if not isinstance(value, Variable) or value.name in given:
            filled = _plain(value, given)
            lists = known is not None and known.arguments.get(name, "").startswith("[")
            values[name] = [filled] if lists and not isinstance(filled, list) else filled
    return values


def _plain(value: Value, given: Mapping[str, Any]) -> Any:
    if isinstance(value, Variable):
        return given.get(value.name)
    if isinstance(value, Enum):
        return value.name
    return [_plain(one, given) for one in value] if isinstance(value, list) else value
