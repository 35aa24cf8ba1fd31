"""Small frozen objects of options: what a frozen dataclass is, without importing ``dataclasses``, which takes 15 ms."""

from __future__ import annotations

from typing import Any, NoReturn, Self, TypeVar, dataclass_transform

_T = TypeVar("_T")


class _Record:
    """What the records share. Those of one class are equal where their fields are."""

    __slots__: tuple[str, ...] = ()
    _hidden: frozenset[str] = frozenset()

    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"cannot assign to {name!r}: a {type(self).__name__} does not change; make another one")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"cannot delete {name!r}: a {type(self).__name__} does not change")

    def __eq__(self, other: object) -> bool:
        return self._fields() == other._fields() if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), *self._fields().values()))

    def __repr__(self) -> str:
        shown = ((name, value) for name, value in self._fields().items() if name not in self._hidden)
        fields = ", ".join(f"{name}={value!r}" for name, value in shown)
        return f"{type(self).__name__}({fields})"

    def __replace__(self, **changes: Any) -> Self:
        """For ``copy.replace``, from Python 3.13 on."""
        return type(self)(**self._fields() | changes)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(self._fields().values())


class _Hidden:
    """The default of a field that ``repr`` does not show."""

    def __init__(self, default: object) -> None:
        self.default = default


def hidden(*, default: _T) -> _T:
    """The default of a field that may hold a secret: ``repr`` does not show it."""
    return _Hidden(default)  # type: ignore[return-value]  # `record` takes it out again


@dataclass_transform(frozen_default=True, field_specifiers=(hidden,))
def record(cls: type[_T]) -> type[_T]:
    """Makes a record of a class whose annotated attributes are its fields, each with a default."""
    members = dict(vars(cls))
    names = tuple(cls.__annotations__)
    given = {name: members.pop(name) for name in names}
    secret = frozenset(name for name, default in given.items() if isinstance(default, _Hidden))
    defaults = {name: default.default if name in secret else default for name, default in given.items()}
    for name in ("__dict__", "__weakref__"):
        members.pop(name, None)
    # From its source, as dataclasses do it: then it has the signature that it seems to have.
    parameters = ", ".join(f"{name}=defaults[{name!r}]" for name in names)
    lines = [f"def __init__(self, {parameters}):", *(f"    set(self, {name!r}, {name})" for name in names)]
    scope: dict[str, Any] = {"defaults": defaults, "set": object.__setattr__, "__name__": cls.__module__}
    exec("\n".join(lines), scope)
    scope["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    members.update(__slots__=names, __init__=scope["__init__"], _hidden=secret)
    made: type[_T] = type(cls.__name__, (_Record,), members)
    return made
