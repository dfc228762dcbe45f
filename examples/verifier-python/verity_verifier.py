"""Checks VerityDB receipts: written from docs/format/ alone, with the standard library alone.

    python3 verity_verifier.py RECEIPT.json --key VKEY [--witness VKEY]... [--quorum N] [--origin NAME] [--json]

Exit code 0: the receipt holds; 3: it does not; 2: wrong usage.
"""

import argparse
import base64
import datetime
import hashlib
import hmac
import json
import struct
import sys

import ed25519

RECEIPT_BYTES_MAX = 67_108_864
KINDS = ("position", "range", "row", "state")
CHANGES = {3: "insert", 4: "update", 5: "delete"}
TYPES = {"smallint", "integer", "bigint", "timestamp", "timestamptz", "real", "double precision", "numeric",
         "text", "varchar", "jsonb", "boolean", "bytea", "date", "uuid"}


class Failure(Exception):
    """A check that does not hold."""

    def __init__(self, check, message):
        super().__init__(message)
        self.check = check


def require(check, holds, message):
    if not holds:
        raise Failure(check, message)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# --- the text -------------------------------------------------------------------------------------------------------

def parse_text(text):
    if isinstance(text, bytes):
        require("format", len(text) <= RECEIPT_BYTES_MAX, "it is larger than 64 MiB")
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError:
            raise Failure("format", "it is not UTF-8") from None
    try:
        require("format", len(text.encode("utf-8")) <= RECEIPT_BYTES_MAX, "it is larger than 64 MiB")
        tree = json.loads(text, parse_float=_refuse, parse_constant=_refuse)
        require("format", canonical(tree) == text, "it is not canonical JSON")
    except (ValueError, RecursionError, UnicodeEncodeError) as error:
        raise Failure("format", f"it is not canonical JSON: {error}") from None
    return receipt_of(tree)


def _refuse(_text):
    raise ValueError("a number is not whole")


def canonical(tree):
    """RFC 8785, for strings and whole numbers."""
    if isinstance(tree, dict):
        names = sorted(tree, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(tree[name])}" for name in names) + "}"
    if isinstance(tree, list):
        return "[" + ",".join(map(canonical, tree)) + "]"
    return json.dumps(tree, ensure_ascii=False)


def members(value, required, optional=()):
    require("format", isinstance(value, dict), "an object is missing")
    names = set(value)
    require("format", names >= set(required) and names <= set(required) | set(optional), "a member is missing, or one too many")
    return value


def array(value, most=None, least=0):
    require("format", isinstance(value, list) and len(value) >= least and (most is None or len(value) <= most),
            "an array has another length, or is none")
    return value


def number(value, most=2**53 - 1):
    require("format", isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most, "a number is out of range")
    return value


def string(value):
    require("format", isinstance(value, str), "a string is missing")
    return value


def octets(value, exactly=None, most=None, least=0):
    string(value)
    try:
        raw = base64.b64decode(value.encode("ascii"), validate=True)
    except (ValueError, UnicodeEncodeError):
        raise Failure("format", "base64 is malformed") from None
    require("format", base64.b64encode(raw).decode() == value, "base64 has another spelling")
    require("format", (exactly is None or len(raw) == exactly) and (most is None or len(raw) <= most) and len(raw) >= least,
            "bytes have another length")
    return raw


def receipt_of(tree):
    members(tree, ("checkpoint", "context", "events", "format", "kind", "proof"), ("state",))
    require("format", tree["format"] == "veritydb/receipt/v1" and tree["kind"] in KINDS, "it is of another format or kind")
    require("format", ("state" in tree) == (tree["kind"] in ("row", "state")), "state is there, or missing")
    checkpoint = members(tree["checkpoint"], ("handovers", "note", "record", "timestamps"))
    record = opened_of(checkpoint["record"])
    require("format", "event" in record, "the record is not opened as a whole")
    handovers = []
    for one in array(checkpoint["handovers"], 1_000):
        members(one, ("from", "signature", "to"))
        handovers.append((string(one["from"]), octets(one["signature"], 64), string(one["to"])))
    return {
        "kind": tree["kind"],
        "events": [opened_of(one) for one in array(tree["events"])],
        "context": [opened_of(one) for one in array(tree["context"])],
        "proof": [octets(one, 32) for one in array(tree["proof"])],
        "state": [state_of(one) for one in array(tree["state"])] if "state" in tree else [],
        "note": string(checkpoint["note"]),
        "record": record,
        "handovers": handovers,
        "timestamps": [octets(one, most=262_144) for one in array(checkpoint["timestamps"], 16)],
    }


def opened_of(value):
    require("format", isinstance(value, dict), "an event is missing")
    if "fields" not in value:
        members(value, ("event", "leaf", "salt"))
        return {"leaf": number(value["leaf"]), "event": octets(value["event"]), "salt": octets(value["salt"], 16)}
    members(value, ("fields", "leaf"))
    fields = []
    for field in array(value["fields"], least=1):
        require("format", isinstance(field, dict), "a field is missing")
        if "commitment" in field:
            members(field, ("commitment",))
            fields.append({"commitment": octets(field["commitment"], 32)})
        else:
            members(field, ("bytes", "salt"))
            fields.append({"bytes": octets(field["bytes"]), "salt": octets(field["salt"], 16)})
    return {"leaf": number(value["leaf"]), "fields": fields}


def state_of(value):
    members(value, ("key", "table", "tables", "tenant"), ("rows", "salt"))
    require("format", ("rows" in value) == ("salt" in value), "rows and salt go together")
    proof = {"key": octets(value["key"], most=8_192, least=1), "table": number(value["table"], 2**32 - 1),
             "tenant": number(value["tenant"], 2**32 - 1), "tables": way_of(value["tables"])}
    if "rows" in value:
        proof["rows"], proof["salt"] = way_of(value["rows"]), octets(value["salt"], 32)
    return proof


def way_of(value):
    members(value, ("branches", "count"), ("bucket",))
    branches = []
    for branch in array(value["branches"], 128):
        members(branch, ("beside", "children"))
        children = number(branch["children"], 15)
        require("format", children > 0, "a branch has no children")
        branches.append((children, [octets(one, 32) for one in array(branch["beside"], 4)]))
    bucket = octets(value["bucket"], most=14 * 64, least=64) if "bucket" in value else None
    require("format", bucket is None or len(bucket) % 64 == 0, "a bucket holds half an entry")
    return {"branches": branches, "bucket": bucket, "count": number(value["count"])}


# --- notes and keys -------------------------------------------------------------------------------------------------

def is_name(name):
    return name != "" and "+" not in name and not any(c.isspace() or ord(c) < 32 for c in name)


def parse_vkey(text, wanted):
    """name+hex+base64 → (name, id, public key). None if it is malformed, or of another type."""
    parts = text.split("+", 2) if isinstance(text, str) else []
    if len(parts) != 3 or not is_name(parts[0]) or len(parts[1]) != 8:
        return None
    try:
        raw = base64.b64decode(parts[2].encode("ascii"), validate=True)
        key_id = bytes.fromhex(parts[1])
    except (ValueError, UnicodeEncodeError):
        return None
    name, key_type, public = parts[0], raw[:1], raw[1:]
    fits = base64.b64encode(raw).decode() == parts[2] and parts[1] == parts[1].lower()
    fits = fits and key_type == bytes([wanted]) and sha256(name.encode(), b"\n", key_type, public)[:4] == key_id
    return (name, key_id, public) if fits and ed25519.usable_key(public) else None


def keys_of(texts, wanted):
    keys = [parse_vkey(text, wanted) for text in texts]
    require("options", None not in keys, "a verifier key is malformed, of another type, or of small order")
    return keys


def parse_note(note):
    require("note", len(note.encode("utf-8")) <= 1 << 20, "it is larger than 1 MiB")
    require("note", all(ord(c) >= 32 or c == "\n" for c in note), "it has control characters")
    end = note.rfind("\n\n")
    require("note", end >= 0, "it has no empty line")
    text, lines = note[:end + 1], note[end + 2:].split("\n")
    require("note", lines.pop() == "" and 1 <= len(lines) <= 100, "it has no signatures, or too many")
    signatures, seen = [], set()
    for line in lines:
        parts = line.split(" ")
        require("note", len(parts) == 3 and parts[0] == "—" and is_name(parts[1]), "a signature line is malformed")
        try:
            blob = base64.b64decode(parts[2].encode("ascii"), validate=True)
        except (ValueError, UnicodeEncodeError):
            raise Failure("note", "a signature is not base64") from None
        require("note", base64.b64encode(blob).decode() == parts[2] and len(blob) >= 5, "a signature is malformed")
        require("note", (parts[1], blob[:4]) not in seen, "two signatures are of one key")
        seen.add((parts[1], blob[:4]))
        signatures.append((parts[1], blob[:4], blob[4:]))
    rows = text.split("\n")
    require("note", len(rows) == 4 and rows[3] == "" and "" not in rows[:3], "its text is not three lines")
    size, root = rows[1], rows[2]
    require("note", size.isascii() and size.isdigit() and str(int(size)) == size and int(size) < 2**53, "its size is malformed")
    try:
        raw = base64.b64decode(root.encode("ascii"), validate=True)
    except (ValueError, UnicodeEncodeError):
        raise Failure("note", "its root is not base64") from None
    require("note", len(raw) == 32 and base64.b64encode(raw).decode() == root, "its root is malformed")
    return {"text": text, "origin": rows[0], "size": int(size), "root": raw, "signatures": signatures}


# --- trees ----------------------------------------------------------------------------------------------------------

def commitment_of(opened):
    if "event" in opened:
        return sha256(b"veritydb/commitment/v1\x00", opened["salt"], opened["event"])
    leaves = [field.get("commitment") or sha256(b"veritydb/field/v1", field["salt"], field["bytes"]) for field in opened["fields"]]
    return sha256(b"veritydb/commitment/v1\x01", merkle(leaves))


def merkle(data):
    if len(data) == 1:
        return sha256(b"\x00", data[0])
    k = below(len(data))
    return sha256(b"\x01", merkle(data[:k]), merkle(data[k:]))


def below(count):
    """The largest power of two less than count."""
    return 1 << ((count - 1).bit_length() - 1)


def root_of(opened, proof, size):
    """opened: leaf → commitment. None if a hash is missing or left over."""
    leaves, hashes = sorted(opened), iter(proof)

    def walk(lo, hi, some):
        if not some:
            return next(hashes)
        if hi - lo == 1:
            return sha256(b"\x00", opened[lo])
        middle = lo + below(hi - lo)
        left = [leaf for leaf in some if leaf < middle]
        first = walk(lo, middle, left)
        return sha256(b"\x01", first, walk(middle, hi, some[len(left):]))

    try:
        root = walk(0, size, leaves)
    except StopIteration:
        return None
    return root if next(hashes, None) is None else None


def digit(path, level):
    return (path[level // 4] >> (6 - 2 * (level % 4))) & 3


def walk_way(way, path):
    """(top, what it finds), or Failure."""
    branches, bucket, count = way["branches"], way["bucket"], way["count"]
    for level, (children, beside) in enumerate(branches):
        on = children >> digit(path, level) & 1
        require("state", len(beside) == bin(children).count("1") - on, "a branch has a hash too many or too few")
        last = level == len(branches) - 1
        require("state", on or (last and bucket is None), "a way goes on where it has ended")
        require("state", not (on and last and bucket is None), "a way does not go to its end")
    entries = [bucket[at:at + 64] for at in range(0, len(bucket), 64)] if bucket else []
    if branches:
        require("state", count >= 15 and count >= len(entries), "a count does not fit")
    else:
        require("state", (bucket is not None) == (count != 0) and count == len(entries), "a count does not fit")
    paths = [entry[:32] for entry in entries]
    require("state", all(a < b for a, b in zip(paths, paths[1:])), "entries do not ascend")
    require("state", all(digit(one, level) == digit(path, level) for one in paths for level in range(len(branches))),
            "an entry is not below its branches")
    if not branches and bucket is None:
        return bytes(32), None
    up = sha256(b"\x00", bucket) if bucket is not None else None
    for level in reversed(range(len(branches))):
        children, beside = branches[level]
        hashes = list(beside)
        if up is not None:
            hashes.insert(bin(children & ((1 << digit(path, level)) - 1)).count("1"), up)
        up = sha256(b"\x01", bytes([children]), *hashes)
    found = [entry[32:] for entry in entries if entry[:32] == path]
    return up, (found[0] if found else None)


def check_state_proof(proof, state_hash):
    """The commitment of the event that wrote the row, or None: there is no row."""
    named = struct.pack("<II", proof["tenant"], proof["table"])
    top, table = walk_way(proof["tables"], sha256(b"\x04", named))
    require("state", sha256(b"\x03", struct.pack("<Q", proof["tables"]["count"]), top) == state_hash,
            "a proof does not lead to the state hash of the checkpoint")
    require("state", (table is not None) == ("rows" in proof), "a table has rows, or has none")
    if table is None:
        return None
    rows = proof["rows"]
    top, found = walk_way(rows, hmac.new(proof["salt"], proof["key"], "sha256").digest())
    hashed = sha256(b"\x02", named, sha256(b"\x05", proof["salt"]), struct.pack("<Q", rows["count"]), top)
    require("state", rows["count"] > 0 and hashed == table, "rows are not those of the table")
    return found


# --- events ---------------------------------------------------------------------------------------------------------

class Malformed(Exception):
    """Bytes that are not what the format says."""


class Reader:
    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def take(self, count):
        if self.at + count > len(self.raw):
            raise Malformed("bytes end early")
        self.at += count
        return self.raw[self.at - count:self.at]

    def u8(self):
        return self.take(1)[0]

    def varint(self, bits=53):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 56:
                raise Malformed("a number is too long")
        if (byte == 0 and shift > 0) or value >= 1 << bits:
            raise Malformed("a number is not in its shortest form, or too large")
        return value

    def bytes(self):
        return self.take(self.varint())

    def text(self):
        try:
            return self.bytes().decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("text is not UTF-8") from None

    @property
    def rest(self):
        return len(self.raw) - self.at

    def end(self):
        if self.rest:
            raise Malformed("bytes are left over")


NUMBERS = {2, 3, 6, 9, 11, 13, 14, 15, 16, 17, 18, 20, 21, 25, 27, 29, 31}
NEEDED = {1: (7, 13), 2: (2, 8), 3: (2, 3, 4, 5), 4: (2, 3, 4, 5), 5: (2, 3, 4), 6: (7, 9, 10), 7: (11, 12), 8: (12, 14, 15),
          9: (11, 16, 17, 18, 19, 20), 10: (), 11: (2, 21), 12: (25, 26, 27, 28, 31), 13: (7, 10), 14: (31, 32, 33, 34)}


def decode_event(raw):
    reader = Reader(raw)
    event = {"type": reader.u8(), "position": reader.varint(), "tenant": reader.varint()}
    fields, last = {}, 0
    while reader.rest:
        tag = reader.u8()
        if tag <= last:
            raise Malformed("fields do not ascend")
        last = tag
        fields[tag] = reader.bytes()
    return finish_event(event, fields)


def finish_event(event, fields):
    if event["type"] not in NEEDED:
        raise Malformed("an event has an unknown type")
    if any(tag not in fields for tag in NEEDED[event["type"]]):
        raise Malformed("an event lacks a field")
    for tag in NUMBERS & set(fields):
        inner = Reader(fields[tag])
        fields[tag] = inner.varint()
        inner.end()
    if 7 in fields:
        fields[7] = Reader(bytes_with_length(fields[7])).text()
    if 24 in fields and (len(fields[24]) % 52 or not fields[24]):
        raise Malformed("references of large values are malformed")
    for tag in {26, 28, 30, 32, 33} & set(fields):
        if len(fields[tag]) != 32:
            raise Malformed("a hash has not 32 bytes")
    if (29 in fields) != (30 in fields):
        raise Malformed("half a state")
    if 1 in fields:
        event["command"] = decode_command(fields.pop(1))
    return {**event, "fields": fields}


def bytes_with_length(raw):
    out, value = bytearray(), len(raw)
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value]) + raw


def decode_command(raw, without_answer=False):
    reader = Reader(raw)
    command = {"time": reader.varint(), "count": reader.varint()}
    flags = reader.u8()
    for flag, name in ((1, "actor"), (2, "reason")):
        if flags & flag:
            command[name] = reader.text()
    if flags & 4:
        reader.bytes()
    if flags & 8:
        command["statement"] = reader.text()
    if flags & 16 and not without_answer:
        reader.bytes()
    if without_answer:
        reader.end()
    return command


def decode_fields(fields):
    """An event of kind 1, of which some fields are withheld."""
    def opened(place):
        if place >= len(fields):
            raise Malformed("an event lacks a field")
        if "bytes" not in fields[place]:
            raise Malformed("a field is withheld that is always opened")
        return fields[place]["bytes"]

    head = Reader(opened(0))
    event = {"type": head.u8(), "position": head.varint(), "tenant": head.varint()}
    if event["type"] not in (3, 4, 5):
        raise Malformed("only rows are of kind 1")
    tags, at = {}, 1
    if head.rest == 1 and head.raw[-1] == 1:
        length, answer = fields[1] if len(fields) > 1 else {}, fields[3] if len(fields) > 3 else {}
        if ("bytes" in length) != ("bytes" in answer):
            raise Malformed("the length of a command is opened exactly where its answer is")
        command = opened(2)
        event["command"] = decode_command(command, True)
        if "bytes" in length:
            inner = Reader(length["bytes"])
            if inner.varint() != len(command) + len(answer["bytes"]):
                raise Malformed("the length of a command is wrong")
            inner.end()
            inner = Reader(answer["bytes"])
            inner.bytes()
            inner.end()
        at = 4
    elif head.rest:
        if head.u8() != 1:
            raise Malformed("a head is malformed")
        event["command"] = decode_command(head.bytes())
        head.end()
    table = Reader(opened(at))
    for tag in (2, 3):
        if table.u8() != tag:
            raise Malformed("a table is malformed")
        tags[tag] = table.bytes()
    table.end()
    at += 1
    if at < len(fields) and "bytes" in fields[at]:
        key = Reader(fields[at]["bytes"])
        if key.u8() != 4:
            raise Malformed("a key is malformed")
        tags[4] = key.bytes()
        key.end()
    else:
        tags[4] = None
    at += 1
    row, length = None, None
    if event["type"] != 5:
        length, row, at = fields[at] if at < len(fields) else {}, fields[at + 1:-2], at + 1
        at += len(row)
    if len(fields) != at + 2:
        raise Malformed("an event has another count of fields")
    previous = Reader(opened(at))
    if previous.rest:
        if previous.u8() != 6:
            raise Malformed("a previous leaf is malformed")
        tags[6] = previous.bytes()
        previous.end()
    if row is not None:
        whole = all("bytes" in field for field in row)
        if whole != ("bytes" in length):
            raise Malformed("the length of a row is opened exactly where every value is")
        if whole:
            inner = Reader(length["bytes"])
            if inner.u8() != 5 or inner.varint() != sum(len(field["bytes"]) for field in row):
                raise Malformed("the length of a row is wrong")
            inner.end()
        tags[5] = row
    key = tags.pop(4)
    event = finish_event(event, {**tags, 4: b""})
    event["fields"][4] = key
    return event


# --- rows -----------------------------------------------------------------------------------------------------------

def definition_of(schema, number_of):
    try:
        tree = json.loads(schema.decode("utf-8"))
        columns = [{"name": c["name"], "type": c["type"], "since": c.get("since", 1), "missing": c.get("missing"),
                    "dropped": c.get("dropped") is True} for c in tree["columns"]]
        fits = tree["id"] == number_of and isinstance(tree["name"], str) and isinstance(tree["version"], int)
        fits = fits and all(c["type"]["name"] in TYPES for c in columns)
        fits = fits and all(0 <= place < len(columns) for place in tree["primaryKey"])
        require("definition", fits, "a definition is malformed")
        return {"name": tree["name"], "version": tree["version"], "columns": columns, "key": tree["primaryKey"]}
    except (ValueError, KeyError, TypeError):
        raise Failure("definition", "a definition is malformed") from None


def groups_of(columns):
    groups = []
    for column in columns:
        if groups and groups[-1][0]["since"] == column["since"]:
            groups[-1].append(column)
        else:
            groups.append([column])
    return groups


def read_row(definition, row):
    """(values by name, names of withheld columns)."""
    values, withheld = {}, []
    if isinstance(row, list):
        fields = iter(row)
        for number_of, group in enumerate(groups_of(definition["columns"])):
            field = next(fields, None)
            if field is None and number_of > 0:
                show_missing(values, group)
                continue
            if field is None or "bytes" not in field:
                raise Malformed("a null bitmap is withheld")
            nulls = read_nulls(Reader(field["bytes"]), group, whole=True)
            for column, is_null in zip(group, nulls):
                field = next(fields, None)
                if field is None:
                    raise Malformed("a row has not the fields of its columns")
                if "bytes" not in field:
                    if is_null:
                        show(values, column, None)
                    elif not column["dropped"]:
                        withheld.append(column["name"])
                    continue
                inner = Reader(field["bytes"])
                show(values, column, None if is_null else read_value(inner, column["type"]))
                inner.end()
        if next(fields, None) is not None:
            raise Malformed("a row has more fields than columns")
        return values, withheld
    reader = Reader(row)
    for number_of, group in enumerate(groups_of(definition["columns"])):
        if number_of > 0 and not reader.rest:
            show_missing(values, group)
            continue
        for column, is_null in zip(group, read_nulls(reader, group)):
            show(values, column, None if is_null else read_value(reader, column["type"]))
    reader.end()
    return values, withheld


def read_nulls(reader, group, whole=False):
    bitmap = reader.take((len(group) + 7) // 8)
    if whole:
        reader.end()
    if len(group) % 8 and bitmap[-1] >> len(group) % 8:
        raise Malformed("an unused null bit is set")
    return [bitmap[i // 8] >> i % 8 & 1 == 1 for i in range(len(group))]


def show(values, column, value):
    if not column["dropped"]:
        values[column["name"]] = value


def show_missing(values, group):
    for column in group:
        missing = column["missing"]
        if isinstance(missing, dict):
            if "bigint" in missing:
                missing = native(column["type"]["name"], int(missing["bigint"]))
            elif "bytes" in missing:
                missing = "\\x" + missing["bytes"]
            else:
                missing = missing["number"]
        elif isinstance(missing, (int, float)) and not isinstance(missing, bool):
            missing = native(column["type"]["name"], missing)
        show(values, column, missing)


def native(name, value):
    """A number as receipts show it."""
    if name == "date":
        return date_text(value)
    if name in ("timestamp", "timestamptz"):
        return time_text(value, "+00" if name == "timestamptz" else "")
    return str(value) if name == "bigint" else value


def read_value(reader, column_type):
    name = column_type["name"]
    if name in ("smallint", "integer"):
        zigzag = reader.varint(32)
        return zigzag >> 1 if zigzag % 2 == 0 else -(zigzag >> 1) - 1
    if name in ("bigint", "timestamp", "timestamptz"):
        return native(name, struct.unpack("<q", reader.take(8))[0])
    if name == "date":
        return date_text(struct.unpack("<i", reader.take(4))[0])
    if name == "real":
        return float_value(shortest(struct.unpack("<f", reader.take(4))[0]))
    if name == "double precision":
        return float_value(struct.unpack("<d", reader.take(8))[0])
    if name == "boolean":
        value = reader.u8()
        if value > 1:
            raise Malformed("a boolean is neither true nor false")
        return value == 1
    if name == "uuid":
        h = reader.take(16).hex()
        return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
    length = reader.varint(32)
    if length == 2**32 - 1:
        reference = reader.take(52)
        return {"lengthBytes": struct.unpack("<I", reference[16:20])[0], "sha256": reference[20:].hex()}
    raw = reader.take(length)
    if name == "bytea":
        return "\\x" + raw.hex()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("text is not UTF-8") from None


def float_value(value):
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 and str(value) == "-0.0":
        return "-0"
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def shortest(value):
    if value != value or value in (float("inf"), float("-inf")):
        return value
    for digits in range(6, 10):
        short = float(f"{value:.{digits}g}")
        if struct.unpack("<f", struct.pack("<f", short))[0] == value:
            return short
    return value


def civil(days):
    """(year, month, day) of days since 1970-01-01, proleptic Gregorian."""
    z = days + 719_468
    era, of_era = divmod(z, 146_097)
    year_of_era = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    mp = (5 * of_year + 2) // 153
    month = mp + 3 if mp < 10 else mp - 9
    return year_of_era + era * 400 + (month <= 2), month, of_year - (153 * mp + 2) // 5 + 1


def date_text(days):
    if days in (2**31 - 1, -(2**31)):
        return "infinity" if days > 0 else "-infinity"
    year, month, day = civil(days)
    return f"{year if year > 0 else 1 - year:04d}-{month:02d}-{day:02d}{'' if year > 0 else ' BC'}"


def time_text(micros, zone):
    if micros in (2**63 - 1, -(2**63)):
        return "infinity" if micros > 0 else "-infinity"
    days, of_day = divmod(micros, 86_400_000_000)
    date = date_text(days)
    seconds, fraction = divmod(of_day, 1_000_000)
    part = f".{fraction:06d}".rstrip("0") if fraction else ""
    era = " BC" if date.endswith(" BC") else ""
    clock = f"{seconds // 3_600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{date.removesuffix(' BC')} {clock}{part}{zone}{era}"


# --- what is claimed ------------------------------------------------------------------------------------------------

def decode(opened, commitment):
    try:
        event = decode_event(opened["event"]) if "event" in opened else decode_fields(opened["fields"])
    except Malformed as error:
        raise Failure("event", f"the event at leaf {opened['leaf']}: {error}") from None
    return {**event, "leaf": opened["leaf"], "commitment": commitment}


def is_row(event):
    return event["type"] in (3, 4, 5)


def verify(text, keys, witnesses, quorum, origin):
    require("options", len(keys) > 0, "no verifier key is given")
    believed = keys_of(keys, 1)
    trusted = keys_of(witnesses, 4)
    wanted = len(trusted) if quorum is None else quorum
    require("options", 0 <= wanted <= len(trusted), "the quorum is not from 0 to the count of witnesses")
    receipt = parse_text(text)
    note = parse_note(receipt["note"])
    names = {origin} if origin is not None else {name for name, _, _ in believed}
    require("origin", note["origin"] in names, "the checkpoint is of another log")
    commitments = check_tree(receipt, note)
    believed = follow(receipt["handovers"], note["origin"], believed)
    check_signatures(note, believed, trusted, wanted)
    record = check_record(decode(receipt["record"], commitments[receipt["record"]["leaf"]]))
    events = [decode(one, commitments[one["leaf"]]) for one in receipt["events"]]
    context = [decode(one, commitments[one["leaf"]]) for one in receipt["context"]]
    check_places(events, context, record)
    return check_claim(receipt, events, context, record) | {
        "kind": receipt["kind"], "origin": note["origin"],
        "checkpoint": {"size": note["size"], "root": note["root"].hex(), "position": record["fields"][27]}}


def check_tree(receipt, note):
    size = note["size"]
    for list_of in (receipt["events"], receipt["context"]):
        leaves = [one["leaf"] for one in list_of]
        require("leaves", all(a < b for a, b in zip(leaves, leaves[1:])), "leaves do not ascend")
    everything = receipt["events"] + receipt["context"]
    leaves = [one["leaf"] for one in everything]
    require("leaves", len(set(leaves)) == len(leaves) and receipt["record"]["leaf"] == size - 1
            and all(leaf < size - 1 for leaf in leaves), "a leaf is there twice, or beyond the checkpoint")
    commitments = {one["leaf"]: commitment_of(one) for one in everything + [receipt["record"]]}
    require("inclusion", root_of(commitments, receipt["proof"], size) == note["root"], "events and proof do not lead to the root")
    return commitments


def follow(handovers, origin, believed):
    believed = list(believed)
    for source, signature, target in handovers:
        old, new = parse_vkey(source, 1), parse_vkey(target, 1)
        if old is None or old[0] != origin or old not in believed:
            continue
        require("handOver", new and new[0] == origin, "a signing key was handed over to a key that is not of this log")
        message = f"veritydb/key-handover/v1\n{origin}\n{source}\n{target}\n".encode()
        require("handOver", ed25519.verify(old[2], message, signature), "a hand-over is not signed by the key before it")
        believed.append(new)
    return believed


def check_signatures(note, believed, trusted, wanted):
    text, count = note["text"].encode(), 0
    for name, key_id, signature in note["signatures"]:
        for key in believed:
            if key[:2] == (name, key_id):
                require("signature", ed25519.verify(key[2], text, signature), "the signature of the log is wrong")
                count += name == note["origin"]
                break
    require("signature", count > 0, "no believed key has signed")
    seen = set()
    for name, key_id, signature in note["signatures"]:
        for key in trusted:
            if key[:2] != (name, key_id):
                continue
            time = int.from_bytes(signature[:8], "big")
            message = f"cosignature/v1\ntime {time}\n".encode() + text
            require("witnesses", len(signature) == 72 and ed25519.verify(key[2], message, signature[8:]), "a cosignature is wrong")
            seen.add(key[2])
    require("witnesses", len(seen) >= wanted, "too few witnesses have signed")


def check_record(record):
    fields = record["fields"]
    fits = record["type"] == 12 and record["tenant"] == 0 and record.get("command", {}).get("count") == 1
    require("record", fits and fields[25] <= record["leaf"] and fields[27] <= record["position"]
            and fields.get(29, 0) <= fields[27], "the last leaf is no checkpoint record")
    return record


def check_places(events, context, record):
    ordered = sorted(events + context, key=lambda one: one["leaf"])
    positions = [one["position"] for one in ordered]
    require("event", all(1 <= at < record["position"] for at in positions) and positions == sorted(positions),
            "positions do not ascend with the leaves")


def check_claim(receipt, events, context, record):
    kind = receipt["kind"]
    tenants = {one["tenant"] for one in events} | {proof["tenant"] for proof in receipt["state"]}
    require("tenant", len(tenants) == 1, "it is of several tenants, or of none")
    tenant = tenants.pop()
    created = [one for one in context if one["type"] == 1 and one["tenant"] == 0 and one["fields"][13] == tenant]
    require("tenant", all(one["tenant"] == tenant or one in created for one in context), "context is of another tenant")
    if kind in ("position", "range"):
        check_positions(events, kind)
    by_leaf = {one["leaf"]: one for one in events + context}
    if kind == "row":
        check_history(events)
    tables = definitions_of(events + context)
    used, commands = set(), {}
    for event in sorted(events, key=lambda one: one["leaf"]):
        facts = {"leaf": event["leaf"], "type": event["type"]}
        if is_row(event):
            facts |= row_facts(event, tables, by_leaf, used)
        elif event["type"] == 2:
            facts["name"] = definition_of(event["fields"][8], event["fields"][2])["name"]
        elif event["type"] == 6:
            facts |= {"name": event["fields"][7], "version": event["fields"][9], "data": event["fields"][10].decode()}
        commands.setdefault(event["position"], []).append(facts)
    result = {"tenant": {"id": tenant} | ({"name": created[0]["fields"][7]} if created else {})}
    if kind in ("row", "state"):
        result["state"] = check_state(receipt, events, record, tables, used)
    check_context(events, context, {"kind": kind, "created": created, "used": used})
    firsts = {one["position"]: one["command"] for one in events + context if "command" in one and one["tenant"] == tenant}
    result["commands"] = [
        {"position": position, **command_facts(firsts.get(position)), "events": facts} for position, facts in commands.items()]
    return result


def command_facts(command):
    if command is None:
        return {}
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=command["time"])
    facts = {"time": moment.isoformat(timespec="microseconds") + "Z"}
    return facts | {name: command[name] for name in ("actor", "reason", "statement") if name in command}


def check_positions(events, kind):
    require("position", len(events) > 0, "it shows nothing")
    at, seen = 0, []
    while at < len(events):
        first = events[at]
        count = first.get("command", {}).get("count", 0)
        require("position", count > 0, "the first event of a position is missing")
        part = events[at:at + count]
        fits = len(part) == count and all(one["position"] == first["position"] and one["leaf"] == first["leaf"] + i
                                          and ("command" in one) == (i == 0) for i, one in enumerate(part))
        require("position", fits and first["position"] not in seen, "a position is not whole")
        seen.append(first["position"])
        at += count
    require("position", seen == sorted(seen) and (kind == "range" or len(seen) == 1), "it shows more than one position")


def check_history(events):
    require("history", len(events) > 0 and all(map(is_row, events)), "it is not the history of a row")
    previous, named = None, {(one["fields"][2], one["fields"][4]) for one in events}
    require("history", len(named) == 1 and None not in (key for _, key in named), "it is of several rows")
    for event in events:
        require("history", event["fields"].get(6) == previous, "a change was left out")
        previous = event["leaf"]


def definitions_of(everything):
    tables = {}
    for event in everything:
        if event["type"] == 2:
            definition = definition_of(event["fields"][8], event["fields"][2])
            tables.setdefault(event["fields"][2], []).append((event["leaf"], definition))
    return tables


def row_facts(event, tables, by_leaf, used):
    definition = definition_for(event, tables, used)
    fields = event["fields"]
    facts = {"change": CHANGES[event["type"]], "table": definition["name"]}
    facts |= read_by(definition, event)
    before = by_leaf.get(fields.get(6))
    if before is not None:
        same = is_row(before) and fields[4] is not None and before["leaf"] < event["leaf"] and all(
            before[name] == event[name] for name in ("tenant",)) and all(before["fields"][tag] == fields[tag] for tag in (2, 4))
        require("row", same, "a previous leaf is of another row")
        older = read_by(definition_for(before, tables, used), before)
        if "after" in older:
            facts["before"] = older["after"]
    return facts


def definition_for(event, tables, used):
    for leaf, definition in tables.get(event["fields"][2], []):
        if definition["version"] == event["fields"][3] and leaf < event["leaf"]:
            used.add(leaf)
            return definition
    raise Failure("definition", f"the definition of the event at leaf {event['leaf']} is missing")


def read_by(definition, event):
    facts = {}
    try:
        if event["fields"][4] is not None:
            facts["keyBytes"] = event["fields"][4].hex()
        if 5 in event["fields"]:
            facts["after"], facts["withheld"] = read_row(definition, event["fields"][5])
        return facts
    except Malformed as error:
        raise Failure("row", f"a row cannot be read by its definition: {error}") from None


def check_state(receipt, events, record, tables, used):
    kind, state = receipt["kind"], receipt["state"]
    require("state", 30 in record["fields"] and len(state) > 0 and (kind == "state" or len(state) == 1),
            "the checkpoint has no state, or no proof is there")
    position, shown, seen = record["fields"][29], [], set()
    for proof in state:
        commitment = check_state_proof(proof, record["fields"][30])
        require("state", (proof["table"], proof["key"]) not in seen, "two proofs are of one row")
        seen.add((proof["table"], proof["key"]))
        event = None
        if commitment is not None:
            event = next((one for one in events if one["commitment"] == commitment), None)
            fits = event is not None and is_row(event) and event["type"] != 5 and event["position"] <= position
            fits = fits and event["fields"][2] == proof["table"] and event["fields"][4] == proof["key"]
            require("state", fits, "the event that wrote the row is not there, or is of another row")
        shown.append((proof, event))
    if kind == "row":
        (proof, event), last = shown[0], events[-1]
        fits = last["fields"][2] == proof["table"] and last["fields"][4] == proof["key"] and last["position"] <= position
        require("state", fits and (event is None if last["type"] == 5 else event is last), "the state is of another change")
    if kind == "state":
        named = {event["leaf"] for _, event in shown if event is not None}
        require("state", named == {one["leaf"] for one in events}, "an event is of no proof")
    for proof, event in shown:
        if event is None:
            newest = max(tables.get(proof["table"], []), key=lambda one: one[1]["version"], default=None)
            require("definition", newest is not None, "the definition of a table is missing")
            used.add(newest[0])
    return [{"table": proof["table"], "keyBytes": proof["key"].hex(), "there": event is not None} for proof, event in shown]


def check_context(events, context, of):
    previous = {one["fields"].get(6) for one in events if is_row(one)}
    positions = {one["position"] for one in events}
    for event in context:
        explains = event in of["created"] or event["leaf"] in of["used"] or event["leaf"] in previous
        explains = explains or (of["kind"] in ("row", "state") and "command" in event and event["position"] in positions)
        require("context", explains, f"the event at leaf {event['leaf']} explains nothing")


def verify_receipt(text, keys, witnesses=(), quorum=None, origin=None):
    """{"ok": True, "receipt": facts} or {"ok": False, "check": name, "message": why}. Never raises."""
    try:
        return {"ok": True, "receipt": verify(text, keys, witnesses, quorum, origin)}
    except Failure as failure:
        return {"ok": False, "check": failure.check, "message": str(failure)}
    except Exception as error:  # What nobody thought of is no proof either.
        return {"ok": False, "check": "format", "message": f"it cannot be read: {error!r}"}


def main():
    parser = argparse.ArgumentParser(description="Checks a VerityDB receipt.")
    parser.add_argument("receipt")
    parser.add_argument("--key", action="append", required=True)
    parser.add_argument("--witness", action="append", default=[])
    parser.add_argument("--quorum", type=int)
    parser.add_argument("--origin")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    try:
        with open(arguments.receipt, "rb") as file:
            text = file.read(RECEIPT_BYTES_MAX + 1)
    except OSError as error:
        parser.error(str(error))
    result = verify_receipt(text, arguments.key, arguments.witness, arguments.quorum, arguments.origin)
    if arguments.json:
        print(json.dumps(result))
    elif result["ok"]:
        print("The receipt holds.", json.dumps(result["receipt"], ensure_ascii=False, indent=2), sep="\n")
    else:
        print(f"The receipt does not hold: {result['message']} [check: {result['check']}]", file=sys.stderr)
    if not result["ok"] and result["check"] == "options":
        return 2
    return 0 if result["ok"] else 3


if __name__ == "__main__":
    sys.exit(main())
