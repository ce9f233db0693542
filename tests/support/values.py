"""The values that travel between the stages, made from the fields of all their parts."""

from types import SimpleNamespace

from asyncstore.model import Attempt, Identity, Instance, Outcome, Payload, SourceFile, Unsendable
from asyncstore.prepare import conversion, messages, probe
from asyncstore.prepare.file_format import FileFormat


def instance(  # noqa: PLR0913, PLR0917 - the fields of all parts
    path,
    sop_class_uid,
    sop_instance_uid,
    transfer_syntax_uid,
    offset=0,
    length=10,
    data=None,
    version=None,
    oddities=0,
    ordinal=0,
):
    """An instance in a file."""
    identity = Identity(sop_class_uid, sop_instance_uid, transfer_syntax_uid)
    return Instance(SourceFile(path, ordinal), identity, Payload(path, offset, length, version, data), oddities)


def unsendable(path, reason, ordinal=0):
    """A file that is not sent."""
    return Unsendable(SourceFile(path, ordinal), reason)


def outcome(path, result, status=None, **fields):
    """An outcome; it has an attempt if ``fields`` name a part of one."""
    return changed(Outcome(SourceFile(path), result), status=status, **fields)


_PARTS = {
    "file": (SourceFile, SourceFile("")),
    "identity": (Identity, Identity(None, None, None)),
    "payload": (Payload, None),
    "attempt": (Attempt, Attempt(None, None, None, 0.0, None)),
}


def changed(value, **fields):
    """The value with new fields; they may be fields of its parts."""
    for name, new in fields.items():
        named = {"error": "reason", "path": "path"}.get(name, name)
        if named in value._fields:
            value = value._replace(**{named: new})
            continue
        holders = [part for part in _PARTS if part in value._fields and named in _PARTS[part][0]._fields]
        assert holders, name
        if new is None and all(getattr(value, holder) is None for holder in holders):
            continue
        for holder in holders:
            part = getattr(value, holder) or _PARTS[holder][1]
            value = value._replace(**{holder: part._replace(**{named: new})})
    if "path" in fields and "payload" in value._fields:
        value = value._replace(payload=value.payload._replace(container=fields["path"]))
    return value


def probe_file(path, file_format=FileFormat.ANY):
    """What a worker finds in one file."""
    return messages.found([SourceFile(path)], [probe.probe_file(path, file_format)])[0]


def converted(orders, settings):
    """What comes of conversions."""
    return messages.converted(orders, list(conversion.convert(orders, settings)))


def attempted(instance, attempt, error):
    """An attempt as one value, for tests that keep an association's reports."""
    return SimpleNamespace(instance=instance, error=error, **attempt._asdict())
