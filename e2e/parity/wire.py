"""Kafka's wire protocol as Kafka's own definitions describe it: the JSON files inside the kafka-clients jar.

Messages are plain dictionaries under the official field names. A field that is absent is written with its default;
a field that the version does not have is left out. Nothing here shares code or schemas with the broker.
"""

import json
import re
import socket
import struct
import uuid
import zipfile

FOREVER = 32767


class WireError(Exception):
    """What the peer sent can't be read as the message it should be."""


class Closed(Exception):
    """The peer closed the connection instead of answering."""


class Silent(Exception):
    """The peer did not answer in time."""


def version_range(text):
    if text is None or text == "none":
        return range(0)
    if text.endswith("+"):
        return range(int(text[:-1]), FOREVER)
    low, _, high = text.partition("-")
    return range(int(low), int(high or low) + 1)


class Field:
    def __init__(self, definition, structs):
        self.name = definition["name"]
        self.type = definition["type"]
        self.versions = version_range(definition.get("versions"))
        self.nullable = version_range(definition.get("nullableVersions"))
        self.tagged = version_range(definition.get("taggedVersions"))
        self.tag = definition.get("tag")
        flexible = definition.get("flexibleVersions")
        self.flexible = None if flexible is None else version_range(flexible)
        self.is_array = self.type.startswith("[]")
        self.element = self.type[2:] if self.is_array else self.type
        if "fields" in definition:
            structs[self.element] = [Field(f, structs) for f in definition.get("fields", [])]
        self.default = self._default(definition.get("default"), structs)

    def _default(self, given, structs):
        if given == "null":
            return None
        if self.is_array:
            return []
        if self.element in structs:
            return {}
        if self.element in ("string",):
            return given or ""
        if self.element in ("bytes",):
            return b""
        if self.element == "records":
            return None
        if self.element == "uuid":
            return uuid.UUID(int=0)
        if self.element == "bool":
            return str(given).lower() == "true"
        if self.element == "float64":
            return float(given or 0)
        return int(str(given or "0"), 0)


class Message:
    def __init__(self, definition):
        self.name = definition["name"]
        self.key = definition.get("apiKey")
        self.versions = version_range(definition["validVersions"])
        self.flexible = version_range(definition.get("flexibleVersions"))
        self.listeners = definition.get("listeners", [])
        self.structs = {}
        for common in definition.get("commonStructs", []):
            self.structs[common["name"]] = None  # known by name before its fields are read
        for common in definition.get("commonStructs", []):
            self.structs[common["name"]] = [Field(f, self.structs) for f in common["fields"]]
        self.fields = [Field(f, self.structs) for f in definition.get("fields", [])]

    def encode(self, value, version):
        out = bytearray()
        self._write_struct(out, self.fields, value, version)
        return bytes(out)

    def decode(self, data, version):
        reader = Reader(data)
        value = self._read_struct(reader, self.fields, version)
        if reader.left():
            raise WireError(f"{self.name} v{version}: {reader.left()} bytes follow the last field")
        return value

    def _write_struct(self, out, fields, value, version):
        unknown = set(value) - {f.name for f in fields}
        if unknown:
            raise KeyError(f"{self.name}: no fields {sorted(unknown)}")
        tagged = []
        for field in fields:
            if version in field.tagged:
                if value.get(field.name, field.default) != field.default:
                    tagged.append(field)
            elif version in field.versions:
                self._write_field(out, field, value.get(field.name, field.default), version)
        if version in self.flexible:
            write_uvarint(out, len(tagged))
            for field in sorted(tagged, key=lambda f: f.tag):
                body = bytearray()
                self._write_field(body, field, value[field.name], version)
                write_uvarint(out, field.tag)
                write_uvarint(out, len(body))
                out += body

    def _is_flexible(self, field, version):
        return version in (self.flexible if field.flexible is None else field.flexible)

    def _write_field(self, out, field, value, version):
        flexible = self._is_flexible(field, version)
        if field.is_array:
            write_length(out, None if value is None else len(value), 4, flexible)
            for item in value or ():
                self._write_one(out, field, item, version, flexible, False)
        else:
            self._write_one(out, field, value, version, flexible, version in field.nullable)

    def _write_one(self, out, field, value, version, flexible, nullable):
        kind = field.element
        if kind in self.structs:
            if nullable:
                out += struct.pack(">b", -1 if value is None else 1)
                if value is None:
                    return
            self._write_struct(out, self.structs[kind], value, version)
        elif kind == "string":
            raw = None if value is None else value if isinstance(value, bytes) else value.encode()
            write_length(out, None if raw is None else len(raw), 2, flexible)
            out += raw or b""
        elif kind in ("bytes", "records"):
            write_length(out, None if value is None else len(value), 4, flexible)
            out += value or b""
        elif kind == "uuid":
            out += value.bytes
        else:
            out += struct.pack(SCALARS[kind], value)

    def _read_struct(self, reader, fields, version):
        value = {}
        for field in fields:
            if version in field.tagged:
                value[field.name] = field.default
            elif version in field.versions:
                value[field.name] = self._read_field(reader, field, version)
        if version in self.flexible:
            by_tag = {f.tag: f for f in fields if version in f.tagged}
            for _ in range(reader.uvarint()):
                tag = reader.uvarint()
                body = Reader(reader.take(reader.uvarint()))
                if tag not in by_tag:
                    value[f"UnknownTag{tag}"] = body.take(body.left())
                    continue
                value[by_tag[tag].name] = self._read_field(body, by_tag[tag], version)
                if body.left():
                    raise WireError(f"{self.name}: tag {tag} is longer than its field")
        return value

    def _read_field(self, reader, field, version):
        flexible = self._is_flexible(field, version)
        if not field.is_array:
            return self._read_one(reader, field, version, flexible, version in field.nullable)
        length = reader.length(4, flexible)
        if length is None:
            if version not in field.nullable:
                raise WireError(f"{self.name} v{version}: {field.name} is null and may not be")
            return None
        return [self._read_one(reader, field, version, flexible, False) for _ in range(length)]

    def _read_one(self, reader, field, version, flexible, nullable):
        kind = field.element
        if kind in self.structs:
            if nullable and struct.unpack(">b", reader.take(1))[0] < 0:
                return None
            return self._read_struct(reader, self.structs[kind], version)
        if kind in ("string", "bytes", "records"):
            length = reader.length(2 if kind == "string" else 4, flexible)
            if length is None:
                if not nullable and kind != "records":
                    raise WireError(f"{self.name} v{version}: {field.name} is null and may not be")
                return None
            raw = reader.take(length)
            return raw.decode() if kind == "string" else raw
        if kind == "uuid":
            return uuid.UUID(bytes=reader.take(16))
        shape = SCALARS[kind]
        return struct.unpack(shape, reader.take(struct.calcsize(shape)))[0]


SCALARS = {"bool": ">?", "int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "float64": ">d"}


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        if count < 0 or count > self.left():
            raise WireError(f"{count} bytes wanted, {self.left()} left")
        self.at += count
        return bytes(self.data[self.at - count:self.at])

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def length(self, width, flexible):
        if flexible:
            value = self.uvarint()
            return None if value == 0 else value - 1
        value = struct.unpack(">h" if width == 2 else ">i", self.take(width))[0]
        return None if value < 0 else value


def write_uvarint(out, value):
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def write_length(out, length, width, flexible):
    if flexible:
        write_uvarint(out, 0 if length is None else length + 1)
    else:
        out += struct.pack(">h" if width == 2 else ">i", -1 if length is None else length)


class Protocol:
    """Every request and response of one kafka-clients jar."""

    def __init__(self, jar):
        self.requests, self.responses, self.by_key = {}, {}, {}
        with zipfile.ZipFile(jar) as archive:
            for entry in archive.namelist():
                if re.fullmatch(r"common/message/\w+(Request|Response)\.json", entry):
                    self._add(archive.read(entry).decode())

    def _add(self, text):
        message = Message(json.loads(re.sub(r"(?m)^\s*//.*$", "", text)))
        if message.key is None:
            return
        if message.name.endswith("Request"):
            name = message.name[:-len("Request")]
            self.requests[name] = message
            self.by_key[message.key] = name
        else:
            self.responses[message.name[:-len("Response")]] = message

    def frame(self, api, version, body, correlation, client_id="parity"):
        """A whole request frame; `body` is a dictionary, or bytes that are sent as they are."""
        request = self.requests[api]
        out = bytearray(struct.pack(">hhi", request.key, version, correlation))
        write_length(out, None if client_id is None else len(client_id), 2, False)
        out += (client_id or "").encode()
        if version in request.flexible:
            out.append(0)
        out += body if isinstance(body, bytes) else request.encode(body, version)
        return struct.pack(">i", len(out)) + bytes(out)

    def read_answer(self, api, version, payload):
        """(correlation id, decoded body)."""
        reader = Reader(payload)
        correlation = struct.unpack(">i", reader.take(4))[0]
        if version in self.responses[api].flexible and api != "ApiVersions":
            for _ in range(reader.uvarint()):
                reader.uvarint()
                reader.take(reader.uvarint())
        return correlation, self.responses[api].decode(payload[reader.at:], version)


class Connection:
    def __init__(self, protocol, host, port, client_id="parity", timeout=10):
        self.protocol, self.client_id, self.correlation = protocol, client_id, 0
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        self.socket.close()

    def post(self, api, version, body):
        """Sends and does not wait."""
        self.correlation += 1
        self.send_raw(self.protocol.frame(api, version, body, self.correlation, self.client_id))

    def send_raw(self, data):
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Closed(str(error)) from None

    def receive(self):
        """One frame's payload."""
        (size,) = struct.unpack(">i", self._exactly(4))
        return self._exactly(size)

    def _exactly(self, count):
        got = b""
        while len(got) < count:
            try:
                more = self.socket.recv(count - len(got))
            except TimeoutError:
                raise Silent() from None
            except OSError as error:
                raise Closed(str(error)) from None
            if not more:
                raise Closed("end of stream")
            got += more
        return got

    def answer(self, api, version):
        correlation, body = self.protocol.read_answer(api, version, self.receive())
        if correlation != self.correlation:
            raise WireError(f"correlation id {correlation}, expected {self.correlation}")
        return body

    def ask(self, api, version, body):
        self.post(api, version, body)
        return self.answer(api, version)
