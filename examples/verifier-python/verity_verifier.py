"""Checks receipts and exports of VerityDB: written from docs/format alone, with the standard library alone.

    python3 verity_verifier.py RECEIPT.json --key VKEY [--witness VKEY]... [--quorum N] [--origin NAME] [--json]
    python3 verity_verifier.py EXPORT_DIR   --key VKEY ...

Exit code 0: it holds; 3: it does not, and the check that failed is named; 2: wrong usage.
"""

import argparse
import base64
import datetime
import decimal
import hashlib
import hmac
import json
import math
import os
import re
import struct
import sys
from collections import namedtuple

import ed25519

NUMBER_MAX = 2**53 - 1
MIB = 1 << 20
RECEIPT_BYTES_MAX = 64 * MIB


class Bad(Exception):
    """A check that does not hold."""

    def __init__(self, check, message):
        super().__init__(f'{message} [check: {check}]')
        self.check, self.message = check, message


def sha(*parts):
    return hashlib.sha256(b''.join(parts)).digest()


def need(ok, check, message):
    if not ok: raise Bad(check, message)


def b64(text, check='format'):
    try:
        data = base64.b64decode(text, validate=True)
        if base64.b64encode(data).decode() == text: return data
    except (ValueError, TypeError):
        pass
    raise Bad(check, 'not canonical base64')


# Text

def no_number(text):
    raise ValueError(text)

def canonical(data):
    need(len(data) <= RECEIPT_BYTES_MAX, 'format', 'too long')
    try:
        doc = json.loads(data.decode('utf-8'), parse_float=no_number, parse_constant=no_number)
        again = json.dumps(doc, ensure_ascii=False, sort_keys=True, separators=(',', ':')).encode('utf-8')
    except (ValueError, RecursionError) as e:
        raise Bad('format', f'not JSON: {e}')
    need(again == data, 'format', 'not canonical JSON')
    return doc

def obj(v, must, may=()):
    need(isinstance(v, dict), 'format', 'no object')
    need(set(must) <= set(v) <= set(must) | set(may), 'format', f'members: {sorted(v)}')
    return v

def arr(v, most=None):
    need(isinstance(v, list) and (most is None or len(v) <= most), 'format', 'no array, or too long')
    return v

def num(v, below=2**53):
    need(type(v) is int and 0 <= v < below, 'format', 'no number, or out of range')
    return v

def txt(v):
    need(isinstance(v, str), 'format', 'no string')
    return v

def raw(v, least, most=None):
    data = b64(txt(v))
    need(least <= len(data) <= (most or least), 'format', 'wrong length')
    return data

def tree_hash(data):
    """The Merkle tree hash of RFC 6962."""
    if len(data) == 1: return sha(b'\0', data[0])
    k = 1 << (len(data) - 1).bit_length() - 1
    return sha(b'\1', tree_hash(data[:k]), tree_hash(data[k:]))

class Opened:
    """An opened event: its bytes, or its fields (None where withheld)."""

    def __init__(self, v):
        need(isinstance(v, dict), 'format', 'no object')
        self.withheld = False
        if 'fields' in v:
            obj(v, ('fields', 'leaf'))
            self.fields, leaves = [], []
            for f in arr(v['fields']):
                need(isinstance(f, dict), 'format', 'no object')
                if 'commitment' in f:
                    obj(f, ('commitment',))
                    leaves.append(raw(f['commitment'], 32))
                    self.fields.append(None)
                    self.withheld = True
                else:
                    obj(f, ('bytes', 'salt'))
                    data = raw(f['bytes'], 0, 1 << 26)
                    leaves.append(sha(b'veritydb/field/v1', raw(f['salt'], 16), data))
                    self.fields.append(data)
            need(self.fields, 'format', 'no fields')
            self.commitment = sha(b'veritydb/commitment/v1\1', tree_hash(leaves))
        else:
            obj(v, ('event', 'leaf', 'salt'))
            self.fields = None
            self.data = raw(v['event'], 0, 1 << 26)
            self.commitment = sha(b'veritydb/commitment/v1\0', raw(v['salt'], 16), self.data)
        self.leaf = num(v['leaf'])

Way = namedtuple('Way', 'branches bucket count')

def read_way(v):
    obj(v, ('branches', 'count'), ('bucket',))
    branches = []
    for b in arr(v['branches'], 128):
        obj(b, ('beside', 'children'))
        branches.append((num(b['children']), [raw(h, 32) for h in arr(b['beside'], 4)]))
    bucket = raw(v['bucket'], 0, 14 * 64) if 'bucket' in v else None
    return Way(branches, bucket, num(v['count']))

class StateProof:
    def __init__(self, v):
        obj(v, ('key', 'table', 'tables', 'tenant'), ('rows', 'salt'))
        need(('rows' in v) == ('salt' in v), 'format', 'rows without salt, or salt without rows')
        self.key = raw(v['key'], 0, 8192)
        self.table, self.tenant = num(v['table']), num(v['tenant'])
        self.tables = read_way(v['tables'])
        self.rows = read_way(v['rows']) if 'rows' in v else None
        self.salt = raw(v['salt'], 32) if 'salt' in v else None

Receipt = namedtuple('Receipt', 'kind events context proof state note record handovers timestamps')

def read_receipt(data):
    v = obj(canonical(data), ('checkpoint', 'context', 'events', 'format', 'kind', 'proof'), ('state',))
    need(v['format'] == 'veritydb/receipt/v1', 'format', 'unknown format')
    need(v['kind'] in ('position', 'range', 'row', 'state'), 'format', 'unknown kind')
    need(('state' in v) == (v['kind'] in ('row', 'state')), 'format', 'state')
    c = obj(v['checkpoint'], ('handovers', 'note', 'record', 'timestamps'))
    handovers = [(txt(obj(h, ('from', 'signature', 'to'))['from']), raw(h['signature'], 64), txt(h['to']))
                 for h in arr(c['handovers'], 1000)]
    record = Opened(c['record'])
    need(record.fields is None, 'format', 'the record is not of kind 0')
    return Receipt(v['kind'], [Opened(e) for e in arr(v['events'])], [Opened(e) for e in arr(v['context'])],
                   [raw(h, 32) for h in arr(v['proof'])], [StateProof(s) for s in arr(v.get('state', []))],
                   txt(c['note']), record, handovers, [raw(t, 0, 262144) for t in arr(c['timestamps'], 16)])


# Keys and notes

Key = namedtuple('Key', 'name id type public text')
# White space (Unicode's White_Space), control characters (Cc) and halves of surrogate pairs.
NOT_IN_NAMES = re.compile('[+\0- \x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ud800-\udfff]')

def good_name(name):
    return not NOT_IN_NAMES.search(name) and 1 <= len(name.encode()) <= 255

def read_vkey(text, type_, check):
    parts = text.split('+', 2)
    need(len(parts) == 3 and good_name(parts[0]) and re.fullmatch('[0-9a-f]{8}', parts[1]), check, 'no verifier key: ' + text)
    blob = b64(parts[2], check)
    need(len(blob) == 33 and blob[0] == type_, check, 'verifier key of another type')
    id_ = sha(parts[0].encode(), b'\n', blob)[:4]
    need(id_.hex() == parts[1], check, 'the id of the verifier key does not fit')
    need(ed25519.usable_key(blob[1:]), check, 'the point of the verifier key is not canonical, or of small order')
    return Key(parts[0], id_, blob[0], blob[1:], text)

Note = namedtuple('Note', 'text signatures origin size root')

def read_note(note):
    c = 'note'
    need(len(note.encode()) <= MIB, c, 'too long')
    need(not re.search('[\0-\x09\x0b-\x1f]', note), c, 'control characters')
    at = note.rfind('\n\n')
    need(at >= 0, c, 'no empty line')
    text, tail = note[:at + 1], note[at + 2:]
    need(tail.endswith('\n'), c, 'no signatures, or cut')
    sigs = []
    for line in tail[:-1].split('\n'):
        m = re.fullmatch('\u2014 ([^ ]+) ([A-Za-z0-9+/=]+)', line)
        need(m and good_name(m[1]), c, 'bad signature line')
        data = b64(m[2], c)
        need(5 <= len(data) <= 8192, c, 'bad signature line')
        sigs.append((m[1], data[:4], data[4:]))
    need(len(sigs) <= 100 and len({s[:2] for s in sigs}) == len(sigs), c, 'too many signatures, or one twice')
    lines = text.split('\n')
    need(len(lines) == 4 and 1 <= len(lines[0]) <= 1024 and re.fullmatch('0|[1-9][0-9]{0,15}', lines[1]), c, 'no checkpoint')
    need(int(lines[1]) <= NUMBER_MAX, c, 'size')
    root = b64(lines[2], c)
    need(len(root) == 32, c, 'root')
    return Note(text.encode(), sigs, lines[0], int(lines[1]), root)


# Events

def decode_utf8(data, check):
    try:
        return data.decode('utf-8')
    except UnicodeDecodeError:
        raise Bad(check, 'text is not UTF-8') from None

class Reader:
    def __init__(self, data, check):
        self.data, self.at, self.check = data, 0, check

    def end(self):
        return self.at == len(self.data)

    def take(self, n):
        need(self.at + n <= len(self.data), self.check, 'cut short')
        self.at += n
        return self.data[self.at - n:self.at]

    def byte(self):
        return self.take(1)[0]

    def boolean(self):
        b = self.byte()
        need(b < 2, self.check, 'boolean')
        return b == 1

    def varint(self, most=NUMBER_MAX):
        n = shift = 0
        while True:
            b = self.byte()
            n |= (b & 127) << shift
            need(n <= most and shift < 63, self.check, 'number too large')
            if b < 128:
                need(b or not shift, self.check, 'number in a longer form')
                return n
            shift += 7

    def only_varint(self):
        n = self.varint()
        need(self.end(), self.check, 'bytes behind a number')
        return n

    def sized(self):
        return self.take(self.varint())

    def unsigned(self, n):
        return int.from_bytes(self.take(n), 'big')

    def text(self):
        return decode_utf8(self.sized(), self.check)

class Command:
    def __init__(self, data, cut=False):
        """cut: the data are a field of an event of kind 1, which ends before the receipt."""
        r = Reader(data, 'event')
        self.time, self.count, flags = r.varint(), r.varint(), r.byte()
        self.actor = r.text() if flags & 1 else None
        self.reason = r.text() if flags & 2 else None
        if flags & 4:
            r.sized()
        self.statement = r.text() if flags & 8 else None
        self.has_receipt = flags & 16 != 0
        if self.has_receipt and not cut:
            r.sized()
        need(r.end() or not cut, 'event', 'bytes behind the command')

MUST = {1: (7, 13), 2: (2, 8), 3: (2, 3, 4, 5), 4: (2, 3, 4, 5), 5: (2, 3, 4), 6: (7, 9, 10), 7: (11, 12), 8: (12, 14, 15),
        9: (11, 16, 17, 18, 19, 20), 10: (), 11: (2, 21), 12: (25, 26, 27, 28, 31), 13: (7, 10), 14: (31, 32, 33, 34)}
NUMBERS = (2, 3, 6, 9, 11, 13, 14, 15, 16, 17, 18, 20, 21, 25, 27, 29, 31)
LENGTHS = {26: 32, 28: 32, 30: 32, 32: 32, 33: 32, 34: 64}

class Event:
    """type, position, tenant, command; tags: bytes by tag, n: numbers by tag; columns: fields of a row of kind 1"""

    def __init__(self, opened):
        self.leaf, self.commitment, self.fields = opened.leaf, opened.commitment, opened.fields
        self.tags, self.withheld = {}, []
        self.command = self.columns = self.definition = self.name = self.key_shown = self.before = self.row = None
        r = Reader(opened.data if self.fields is None else self.opened(list(self.fields)[:1]), 'event')
        self.type, self.position, self.tenant = r.byte(), r.varint(), r.varint()
        need(self.type in MUST, 'event', 'unknown type')
        if self.fields is None:
            self.read_tags(r)
            if 1 in self.tags:
                self.command = Command(self.tags[1])
        else:
            self.read_fields(r, list(self.fields)[1:])
        withheld = (4, 5) if self.fields else ()
        need(all(tag in self.tags for tag in MUST[self.type] if tag not in withheld), 'event', 'a field is missing')
        self.n = {tag: Reader(self.tags[tag], 'event').only_varint() for tag in NUMBERS if tag in self.tags}
        for tag, n in LENGTHS.items():
            need(tag not in self.tags or len(self.tags[tag]) == n, 'event', f'field {tag}')
        need(self.type != 12 or (29 in self.tags) == (30 in self.tags), 'event', 'half a state')
        if 7 in self.tags:
            self.name = decode_utf8(self.tags[7], 'event')
        if 24 in self.tags:
            blobs = self.tags[24]
            sizes = [int.from_bytes(blobs[at:at + 4], 'little') for at in range(16, len(blobs), 52)]
            need(sizes and len(blobs) == 52 * len(sizes) and all(MIB < n <= 64 * MIB for n in sizes), 'event', 'references of large values')

    def read_tags(self, r, last=0):
        while not r.end():
            tag = r.byte()
            need(tag > last, 'event', 'tags do not ascend')
            self.tags[tag], last = r.sized(), tag

    @staticmethod
    def opened(f):
        """The next field, which is never withheld."""
        data = f.pop(0) if f else None
        need(data is not None, 'event', 'a field is missing, or withheld that is always opened')
        return data

    def read_fields(self, head, f):
        need(self.is_row and len(f) >= 4, 'event', 'no row event, or too few fields')
        if head.data[head.at:] == b'\1':
            length, command, receipt = f.pop(0), self.opened(f), f.pop(0)
            self.command = Command(command, cut=True)
            need(self.command.has_receipt and (length is None) == (receipt is None), 'event', 'length of the command')
            if receipt is not None:
                r = Reader(receipt, 'event')
                r.sized()
                need(r.end() and Reader(length, 'event').only_varint() == len(command) + len(receipt), 'event', 'length of the command')
        elif not head.end():
            self.tag(head.take(len(head.data) - head.at), 1)
            self.command = Command(self.tags[1], cut=True)
            need(not self.command.has_receipt, 'event', 'a receipt that is not a field')
        table = Reader(self.opened(f), 'event')
        self.read_tags(table, 1)
        need(set(self.tags) - {1} == {2, 3} and f, 'event', 'table')
        self.tag(f.pop(0), 4)
        if self.type != 5:
            need(len(f) >= 3, 'event', 'too few fields')
            length, self.columns, f = f[0], f[1:-2], f[-2:]
            opened = None not in self.columns
            need((length is not None) == opened, 'event', 'the length of a row is opened exactly where every value is')
            if opened:
                r = Reader(length, 'event')
                need(r.byte() == 5 and r.only_varint() == sum(map(len, self.columns)), 'event', 'length of the row')
        need(len(f) == 2 and f[0] is not None, 'event', 'number of fields, or the previous leaf is withheld')
        self.tag(f[0] or None, 6)
        self.tag(f[1] or None, 24)

    def tag(self, data, tag):
        if data is not None:
            r = Reader(data, 'event')
            need(r.byte() == tag, 'event', f'no field {tag}')
            self.tags[tag] = r.sized()
            need(r.end(), 'event', f'bytes behind field {tag}')

    is_row = property(lambda e: e.type in (3, 4, 5))
    object = property(lambda e: e.n.get(2))
    key = property(lambda e: e.tags.get(4))  # None where it is withheld
    previous = property(lambda e: e.n.get(6))


# Rows

TYPES = ('smallint', 'integer', 'bigint', 'timestamp', 'timestamptz', 'real', 'double precision', 'numeric', 'text', 'varchar',
         'jsonb', 'boolean', 'bytea', 'date', 'uuid')
Large = namedtuple('Large', 'length sha')
HIDDEN = object()
NUMERIC = re.compile(r'-?(0|[1-9][0-9]*)(\.[0-9]+)?')

def whole(v, least=0):
    """The number, where JSON has a whole one: 1.0 and 1e0 are 1, too."""
    if isinstance(v, float) and v.is_integer():
        v = int(v)
    need(type(v) is int and least <= v <= NUMBER_MAX, 'definition', 'a number is missing or out of range')
    return v

Column = namedtuple('Column', 'name type since missing dropped')

class Definition:
    def __init__(self, event):
        c = 'definition'
        try:
            v = json.loads(event.tags[8].decode('utf-8'), parse_int=lambda text: int(text) if len(text) < 20 else float(text), parse_constant=no_number)
            self.id, self.version, self.name = whole(v['id']), whole(v['version']), v['name']
            self.dropped, self.view = v.get('dropped') is True, 'view' in v
            self.columns = [self.column(x) for x in v['columns']]
            self.primary = [whole(p) for p in v['primaryKey']]
            need(isinstance(v['columns'], list) and isinstance(v['primaryKey'], list) and isinstance(self.name, str), c, 'members')
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
            raise Bad(c, f'cannot be read: {e}') from None
        sinces = [x.since for x in self.columns]
        need(sinces == sorted(sinces) and all(1 <= n <= self.version for n in sinces), c, 'since')
        need(self.id == event.object and len(sinces) <= 1000 and all(p < len(sinces) for p in self.primary), c, 'id or primary key')
        self.groups = []
        for i, x in enumerate(self.columns):
            if i == 0 or sinces[i - 1] != x.since:
                self.groups.append([])
            self.groups[-1].append(i)

    def column(self, x):
        t, m = x['type'], x.get('missing')
        for n in [t[name] for name in ('length', 'precision', 'scale') if name in t]:
            whole(n, -NUMBER_MAX)
        need(isinstance(x['name'], str) and t['name'] in (*TYPES, 'interval'), 'definition', 'column')  # interval: of views
        if isinstance(m, (dict, list)):
            m = self.missing(m)
        return Column(x['name'], t['name'], whole(x.get('since', 1), -NUMBER_MAX), m, x.get('dropped') is True)

    def missing(self, m):
        if isinstance(m.get('bigint'), str) and re.fullmatch('-?[0-9]{1,19}', m['bigint']): return int(m['bigint'])
        if isinstance(m.get('number'), str):
            return float(m['number']) if m['number'] in ('Infinity', '-Infinity', '-0') else math.nan
        need(isinstance(m.get('bytes'), str) and re.fullmatch('([0-9a-fA-F]{2})*', m['bytes']), 'definition', 'missing')
        return bytes.fromhex(m['bytes'])

    def older_rows(self, i):
        """What rows show that were written before the column was there."""
        m = self.columns[i].missing
        return m if m is None or isinstance(m, (bool, str)) else show('bytea' if isinstance(m, bytes) else self.columns[i].type, m)

def read_value(r, t):
    if t in ('smallint', 'integer'):
        z = r.varint(2**32 - 1)
        v = (z >> 1) ^ -(z & 1)
        need(t == 'integer' or -32768 <= v < 32768, r.check, 'smallint')
        return v
    if t in ('bigint', 'timestamp', 'timestamptz', 'date'):
        return int.from_bytes(r.take(4 if t == 'date' else 8), 'little', signed=True)
    if t in ('real', 'double precision'):
        b = r.take(4 if t == 'real' else 8)
        v = struct.unpack('<f' if t == 'real' else '<d', b)[0]
        need(v == v or b in (b'\0\0\xc0\x7f', b'\0\0\0\0\0\0\xf8\x7f'), r.check, 'NaN')
        return v
    if t == 'boolean': return r.boolean()
    if t == 'uuid': return r.take(16)
    n = r.varint(2**32 - 1)
    if n == 2**32 - 1 and t != 'numeric':
        length, digest = int.from_bytes(r.take(20)[16:], 'little'), r.take(32)
        need(MIB < length <= 64 * MIB, r.check, 'a reference to a value that is not large')
        return Large(length, digest)
    need(n <= MIB, r.check, 'a value that is too long')
    b = r.take(n)
    if t == 'bytea': return b
    v = decode_utf8(b, r.check)
    if t != 'numeric':
        need('\0' not in v, r.check, 'U+0000')
    elif v not in ('NaN', 'Infinity', '-Infinity'):
        need(NUMERIC.fullmatch(v) and (v[0] != '-' or v.strip('-0.')), r.check, 'numeric')
    return v

def read_nulls(bits, n):
    v = int.from_bytes(bits, 'little')
    need(len(bits) == (n + 7) // 8 and v >> n == 0, 'row', 'null bitmap')
    return [v >> i & 1 == 1 for i in range(n)]

def read_row(e, d):
    """A row's values by its columns; columns of groups that it ends before have what is missing; HIDDEN is what is withheld."""
    out, r, fields = [], Reader(b'' if e.fields else e.tags[5], 'row'), list(e.columns or [])
    for g, group in enumerate(d.groups):
        types = [d.columns[i].type for i in group]
        if g and r.end() and not fields:
            out += [d.older_rows(i) for i in group]
        elif e.fields is None:
            nulls = read_nulls(r.take((len(group) + 7) // 8), len(group))
            out += [None if null else show(t, read_value(r, t)) for t, null in zip(types, nulls)]
        else:
            need(len(fields) > len(group) and fields[0] is not None, 'row', 'fields are missing, or a null bitmap is withheld')
            for t, null, data in zip(types, read_nulls(fields[0], len(group)), fields[1:]):
                one = Reader(data or b'', 'row')
                out.append(None if null else HIDDEN if data is None else show(t, read_value(one, t)))
                need(one.end(), 'row', 'bytes behind a value')
            fields = fields[1 + len(group):]
    need(r.end() and not fields, 'row', 'bytes or fields behind the row')
    return out

def read_key(data, d):
    r, out = Reader(data, 'row'), {}
    if not d.primary:
        out['rowid'] = r.unsigned(8)
        need(out['rowid'] <= NUMBER_MAX, 'row', 'row id')
    for column in [d.columns[p] for p in d.primary]:
        mark = r.byte()
        need(mark in (1, 2), 'row', 'key')
        out[column.name] = None if mark == 2 else show(column.type, key_value(r, column.type))
    need(r.end(), 'row', 'bytes behind the key')
    return out

def key_text(r):
    out = r.take(max(r.data.find(b'\0', r.at) - r.at, 0))
    need(r.byte() == 0, 'row', 'text in a key')
    return decode_utf8(out, 'row')

def key_numeric(r):
    b = r.byte()
    if b in (1, 3, 5, 6): return {1: '-Infinity', 3: '0', 5: 'Infinity', 6: 'NaN'}[b]
    need(b in (2, 4), 'row', 'numeric in a key')
    flip = 255 if b == 2 else 0
    e = int.from_bytes(bytes(x ^ flip for x in r.take(3)), 'big') - 2**23
    pairs = []
    while (x := r.byte() ^ flip) != 0:
        pairs.append(x - 1)
    fits = pairs and 10 <= pairs[0] and 0 < pairs[-1] and max(pairs) < 100 and abs(e) <= 200_000
    need(fits, 'row', 'numeric in a key')
    digits = ''.join('%02d' % p for p in pairs).rstrip('0')
    return '-' * (b == 2) + ('0.' + '0' * -e + digits if e <= 0 else (digits[:e].ljust(e, '0') + '.' + digits[e:]).rstrip('.'))

KEY_SIZES = {'smallint': 2, 'integer': 4, 'date': 4, 'bigint': 8, 'timestamp': 8, 'timestamptz': 8}

def key_value(r, t):
    if t in KEY_SIZES: return r.unsigned(KEY_SIZES[t]) - (1 << 8 * KEY_SIZES[t] - 1)
    if t in ('real', 'double precision'):
        n = 4 if t == 'real' else 8
        x, top = r.unsigned(n), 1 << 8 * n - 1
        v = struct.unpack('>f' if n == 4 else '>d', (x ^ top if x & top else x ^ 2 * top - 1).to_bytes(n, 'big'))[0]
        need(x != top - 1 and (v == v or x in (0xffc00000, 0xfff8 << 48)), 'row', '-0 or NaN in a key')
        return v
    if t == 'boolean': return r.boolean()
    if t == 'uuid': return r.take(16)
    if t in ('text', 'varchar'): return key_text(r)
    if t == 'numeric': return key_numeric(r)
    if t == 'jsonb': return key_jsonb(r)
    out = bytearray()
    while True:
        b = r.byte()
        if b == 0:
            mark = r.byte()
            if mark == 0: return bytes(out)
            need(mark == 255, 'row', 'bytea in a key')
        out.append(b)

def key_jsonb(r):
    at = r.at
    if r.byte() == 5:
        n, is_array = r.unsigned(4), r.byte()
        if is_array == 1: return jsonb_list(r, n, 1)
        need(is_array == 0 and n == 1 and r.data[r.at:r.at + 1] < b'\5', 'row', 'jsonb in a key')
    else:
        r.at = at
        need(r.data[at] == 6, 'row', 'jsonb in a key')
    return jsonb_node(r, 1)

def jsonb_list(r, n, depth):
    items = []
    for _ in range(n):  # no comprehension: n may be a lie, and the bytes end first
        items.append(jsonb_node(r, depth + 1))
    return '[' + ', '.join(items) + ']'

def jsonb_node(r, depth):
    """Its text."""
    t = r.byte()
    need(1 <= t <= 6 and depth <= 501, 'row', 'jsonb in a key')
    if t in (1, 4): return 'null' if t == 1 else 'true' if r.boolean() else 'false'
    if t == 2: return json.dumps(key_text(r), ensure_ascii=False)
    if t == 3:
        number = key_numeric(r)
        need(number[-1].isdigit(), 'row', 'jsonb in a key')
        return number
    n = r.unsigned(4)
    if t == 5: return jsonb_list(r, n, depth)
    members, last = [], (-1, b'')
    for _ in range(n):
        name = key_text(r)
        order = (len(name.encode()), name.encode())
        need(last < order, 'row', 'jsonb in a key')
        last = order
        members.append(json.dumps(name, ensure_ascii=False) + ': ' + jsonb_node(r, depth + 1))
    return '{' + ', '.join(members) + '}'


# Values as text

def day(n):
    """Days since 1970 in the proleptic Gregorian calendar: (text, whether it is BC)."""
    cycles, ordinal = divmod(n + 719_162, 146_097)  # 400 years have so many days
    date = datetime.date.fromordinal(ordinal + 1)
    year = date.year + 400 * cycles
    return f'{year if year > 0 else 1 - year:04d}-{date.month:02d}-{date.day:02d}', year <= 0

def show(t, v):
    if isinstance(v, Large): return {'lengthBytes': v.length, 'sha256': v.sha.hex()}
    if t in ('date', 'timestamp', 'timestamptz'):
        bits = 31 if t == 'date' else 63
        if v in (2**bits - 1, -2**bits, math.inf, -math.inf): return 'infinity' if v > 0 else '-infinity'
        days, us = (v, 0) if t == 'date' else divmod(v, 86400 * 10**6)
        out, bc = day(days)
        if t != 'date':
            s, us = divmod(us, 10**6)
            out += ' %02d:%02d:%02d' % (s // 3600, s // 60 % 60, s % 60)
            out += ('.%06d' % us).rstrip('0') if us else ''
            out += '+00' if t == 'timestamptz' else ''
        return out + (' BC' if bc else '')
    if t == 'bigint': return str(v)
    if t in ('real', 'double precision'):
        v = float(v)
        if not math.isfinite(v): return 'NaN' if v != v else 'Infinity' if v > 0 else '-Infinity'
        if v == 0: return '-0' if t != 'real' and math.copysign(1, v) < 0 else 0
        return shortest_real(v) if t == 'real' else v
    if t == 'bytea': return '\\x' + v.hex()
    if t == 'uuid':
        h = v.hex()
        return '-'.join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))
    return v

def js_number(v):
    """As JavaScript writes it."""
    if isinstance(v, int) or v == 0 or 1e-6 <= abs(v) < 1e21:
        text = format(decimal.Decimal(repr(v)), 'f')
        return text.rstrip('0').rstrip('.') if '.' in text else text
    return re.sub(r'(\.0)?e([+-])0*', r'e\2', repr(v))

def shortest_real(v):
    """The number of the fewest digits, 6 to 8, that is this one of 32 bits; else the number itself."""
    for n in (6, 7, 8):
        short = float(decimal.Context(prec=n, rounding=decimal.ROUND_HALF_UP).create_decimal(decimal.Decimal(v)))
        if abs(short) < 3.4028235677973366e38 and struct.pack('<f', short) == struct.pack('<f', v): return short
    return v

def js(v):
    if v is None or isinstance(v, (bool, str)): return json.dumps(v, ensure_ascii=False)
    if isinstance(v, (int, float)): return js_number(v)
    if isinstance(v, (list, tuple)): return '[' + ','.join(map(js, v)) + ']'
    return '{' + ','.join(json.dumps(k, ensure_ascii=False) + ':' + js(x) for k, x in v.items()) + '}'


# State proofs

def digit(path, i):
    return path[i // 4] >> 6 - 2 * (i % 4) & 3

def walk(way, path):
    """-> top, what is found"""
    c, last = 'state', len(way.branches) - 1
    entries = [] if way.bucket is None else [way.bucket[i:i + 64] for i in range(0, len(way.bucket), 64)]
    need(way.bucket is None or way.bucket and len(way.bucket) % 64 == 0, c, 'bucket')
    for i, (children, beside) in enumerate(way.branches):
        need(1 <= children <= 15, c, 'children')
        bits, on = bin(children).count('1'), children >> digit(path, i) & 1
        need(len(beside) == bits - on, c, 'hashes beside the way')
        need(on or i == last and way.bucket is None, c, 'the way does not end')
        need(not (on and i == last) or way.bucket is not None, c, 'no bucket')
    if way.branches:
        need(way.count >= 15 and way.count >= len(entries), c, 'count')
    else:
        need(way.count == len(entries), c, 'count')
    paths = [e[:32] for e in entries]
    need(all(a < b for a, b in zip(paths, paths[1:])), c, 'entries do not ascend')
    need(all(digit(p, i) == digit(path, i) for p in paths for i in range(last + 1)), c, 'an entry of elsewhere')
    top = sha(b'\0', way.bucket) if entries else bytes(32)
    for i in range(last, -1, -1):
        children, beside = way.branches[i]
        d = digit(path, i)
        hashes = list(beside)
        if children >> d & 1:
            hashes.insert(bin(children & (1 << d) - 1).count('1'), top)
        top = sha(b'\1', bytes([children]), *hashes)
    found = [e[32:] for e in entries if e[:32] == path]
    return top, found[0] if found else None

def check_state_proof(s, state_hash):
    need(max(s.tenant, s.table) < 2**32 and s.key, 'state', 'tenant, table or key')
    number = struct.pack('<II', s.tenant, s.table)
    top, table = walk(s.tables, sha(b'\4', number))
    need(sha(b'\3', struct.pack('<Q', s.tables.count), top) == state_hash, 'state', 'does not lead to the state hash')
    if table is None:
        need(s.rows is None, 'state', 'rows of a table that is not there')
        return None
    need(s.rows is not None and s.rows.count != 0, 'state', 'no rows')
    s.top, found = walk(s.rows, hmac.digest(s.salt, s.key, 'sha256'))
    need(sha(b'\2', number, sha(b'\5', s.salt), struct.pack('<Q', s.rows.count), s.top) == table, 'state', 'does not lead to the table hash')
    return found


# Receipts

def check_receipt(data, keys, witnesses=(), quorum=None, origin=None):
    """All checks of receipt.md, in its order; Bad names the first that fails."""
    try:
        return checked(data, keys, witnesses, quorum, origin)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as e:
        raise Bad('format', f'it cannot be read: {e!r}') from None  # what nobody thought of is no proof either

def checked(data, keys, witnesses, quorum, origin):
    need(keys, 'options', 'no verifier key')
    keys = [read_vkey(k, 1, 'options') for k in keys]
    witnesses = [read_vkey(k, 4, 'options') for k in witnesses]
    need(len(set(keys)) == len(keys) and len({w.public for w in witnesses}) == len(witnesses), 'options', 'a key is given twice')
    quorum = len(witnesses) if quorum is None else quorum
    need(0 <= quorum <= len(witnesses), 'options', 'quorum')
    r = read_receipt(data)
    note = read_note(r.note)
    need(note.origin == origin if origin is not None else any(k.name == note.origin for k in keys), 'origin', 'of another log')
    check_tree(r, note)
    check_signatures(r, note, keys, witnesses, quorum)
    rec = Event(r.record)
    need(rec.type == 12 and rec.tenant == 0 and rec.command and rec.command.count == 1, 'record', 'no checkpoint record')
    need(rec.n[25] <= rec.leaf and rec.n[27] <= rec.position and rec.n.get(29, 0) <= rec.n[27], 'record', 'numbers')
    events, context = [Event(o) for o in r.events], [Event(o) for o in r.context]
    opened = {e.leaf: e for e in events + context}
    positions = [0] + [opened[leaf].position for leaf in sorted(opened)]
    need(all(1 <= p < rec.position for p in positions[1:]) and positions == sorted(positions), 'event', 'positions')
    tenant = next((x.tenant for x in events + r.state), None)
    need(tenant is not None and all(e.tenant == tenant for e in events), 'tenant', 'not one tenant')
    creators = [e for e in context if e.type == 1 and e.tenant == 0 and e.n[13] == tenant]
    need(all(e.tenant == tenant or e in creators for e in context), 'tenant', 'context of another tenant')
    if r.kind in ('position', 'range'):
        check_positions(events, r.kind)
    if r.kind == 'row':
        need(events and all(e.is_row for e in events) and events[-1].key is not None, 'history', 'not row events of a key that is shown')
        need(len({(e.object, e.key) for e in events}) == 1, 'history', 'of several rows')
        need([e.previous for e in events] == [None] + [e.leaf for e in events[:-1]], 'history', 'not linked')
    used, definitions = read_rows(events, context, opened)
    if r.kind in ('row', 'state'):
        check_state(r, rec, events, tenant)
        for s in r.state:
            if s.event is None:
                newest = max(definitions.get(s.table, []), key=lambda e: e.definition.version, default=None)
                need(newest, 'definition', f'of table {s.table} is not there')
                used.add(newest)
            s.definition = s.event.definition if s.event else newest.definition
            s.key_shown = read_key(s.key, s.definition)
    places = {e.position for e in events} if r.kind in ('row', 'state') else ()
    for e in context:
        need(e in used or e in creators or e.command and e.position in places, 'context', f'leaf {e.leaf} is not used')
    return Proved(r.kind, note.origin, note.size, tenant, creators[0].name if creators else None, rec, events, context, r.state)

def check_tree(r, note):
    for part in (r.events, r.context):
        need(all(a.leaf < b.leaf for a, b in zip(part, part[1:])), 'leaves', 'do not ascend')
    everything = r.events + r.context + [r.record]
    at = {o.leaf: sha(b'\0', o.commitment) for o in everything}
    need(len(at) == len(everything) and max(at) == r.record.leaf == note.size - 1, 'leaves', 'one is twice, or behind the record')
    proof = iter(r.proof)

    def subtree(lo, hi, leaves):
        if not leaves:
            h = next(proof, None)
            need(h is not None, 'inclusion', 'too few hashes')
            return h
        if hi - lo == 1: return at[lo]
        middle = lo + (1 << (hi - lo - 1).bit_length() - 1)
        left = subtree(lo, middle, [leaf for leaf in leaves if leaf < middle])
        return sha(b'\1', left, subtree(middle, hi, [leaf for leaf in leaves if leaf >= middle]))

    need(subtree(0, note.size, sorted(at)) == note.root and next(proof, None) is None, 'inclusion', 'another root')

def check_signatures(r, note, keys, witnesses, quorum):
    believed = [k for k in keys if k.name == note.origin]
    for giver, signature, taker in r.handovers:
        known = next((k for k in believed if k.text == giver), None)
        if known:
            believed.append(read_vkey(taker, 1, 'handOver'))
            message = f'veritydb/key-handover/v1\n{note.origin}\n{giver}\n{taker}\n'.encode()
            need(believed[-1].name == note.origin and ed25519.verify(known.public, message, signature), 'handOver', 'wrong')
    signed, cosigned = False, 0
    for name, key_id, signature in note.signatures:
        k = next((k for k in believed if (k.name, k.id) == (name, key_id)), None)
        need(not k or ed25519.verify(k.public, note.text, signature), 'signature', 'a signature of the log is wrong')
        signed = signed or k is not None
    need(signed, 'signature', 'not signed by a key that is believed')
    for name, key_id, signature in note.signatures:
        w = next((w for w in witnesses if (w.name, w.id) == (name, key_id)), None)
        if w:
            time = int.from_bytes(signature[:8], 'big')
            message = b'cosignature/v1\ntime %d\n' % time + note.text
            need(len(signature) == 72 and time <= 8_640_000_000_000 and ed25519.verify(w.public, message, signature[8:]), 'witnesses', 'a cosignature is wrong')
            cosigned += 1
    need(cosigned >= quorum, 'witnesses', 'too few have signed')

def check_positions(events, kind):
    at = count = last = 0
    while at < len(events):
        first = events[at]
        need(first.command and first.position > last, 'position', 'the first event is missing, or positions do not ascend')
        part = events[at:at + first.command.count]
        need(part and len(part) == first.command.count, 'position', 'not whole')
        need(all(e.position == first.position and e.leaf == first.leaf + i and (i == 0 or not e.command) for i, e in enumerate(part)),
             'position', 'events of a command do not lie side by side')
        at, count, last = at + len(part), count + 1, first.position
    need(count == 1 or count > 1 and kind == 'range', 'position', 'none, or more than one')

def read_rows(events, context, opened):
    """Reads them by their definitions; (events of the context that were needed, definitions by table)."""
    used, definitions = set(), {}
    for e in context + events:
        if e.type == 2:
            e.definition = Definition(e)
            definitions.setdefault(e.object, []).append(e)

    def definitions_of(e):
        return [x for x in definitions.get(e.object, []) if x.definition.version == e.n[3] and x.leaf < e.leaf]

    def read(e):
        of_it = definitions_of(e)
        need(of_it, 'definition', f'of leaf {e.leaf} is not there')
        used.add(of_it[0])
        e.definition = of_it[0].definition
        if e.type != 5:
            e.row, e.withheld = by_name(e.definition, read_row(e, e.definition))

    for e in events:
        if e.type == 6:
            e.text = decode_utf8(e.tags[10], 'row')
        if not e.is_row: continue
        read(e)
        e.key_shown = None if e.key is None else read_key(e.key, e.definition)
        need(e.previous is None or e.previous < e.leaf, 'row', 'the previous leaf is none before it')
        p = opened.get(e.previous)
        if p:
            hidden = e.key is None or p.is_row and p.key is None
            need(p.is_row and (p.tenant, p.object) == (e.tenant, e.object) and (hidden or p.key == e.key), 'row', 'previous leaf')
            used.add(p)
            if p.type != 5 and not hidden:
                read(p)
                e.before = p.row
    # Of an event that is there for its command no row is shown, but its definition may stand beside it.
    used.update(x for e in context if e.is_row for x in definitions_of(e)[:1])
    return used, definitions

def check_state(r, rec, events, tenant):
    c = 'state'
    need(r.state and 30 in rec.tags, c, 'no state proof, or no state hash')
    need(len({(s.table, s.key) for s in r.state}) == len(r.state), c, 'two of one key')
    for s in r.state:
        need(s.tenant == tenant, c, 'of another tenant')
        commitment = check_state_proof(s, rec.tags[30])
        s.event = next((e for e in events if e.commitment == commitment), None)
        if commitment is not None:
            e = s.event
            need(e and e.type in (3, 4) and (e.object, e.key) == (s.table, s.key) and e.position <= rec.n[29], c, 'of another event')
    if r.kind == 'state':
        need({s.event for s in r.state if s.event} == set(events), c, 'an event that no proof names')
    else:
        s, last = r.state[0], events[-1]
        need(len(r.state) == 1 and (s.table, s.key) == (last.object, last.key) and last.position <= rec.n[29], c, 'of another row')
        need(s.event is (None if last.type == 5 else last), c, 'a newer event was left out')

Proved = namedtuple('Proved', 'kind origin size tenant tenant_name record events context state')

def by_name(d, values):
    """(values by columns' names, names of withheld columns)"""
    shown = [(x.name, v) for x, v in zip(d.columns, values) if not x.dropped]
    return {n: v for n, v in shown if v is not HIDDEN}, [n for n, v in shown if v is HIDDEN]

CHANGES = {2: 'define', 3: 'insert', 4: 'update', 5: 'delete', 6: 'append'}

def facts(p):
    """What a receipt that holds shows, as a document."""
    commands = {}
    firsts = {e.position: e.command for e in p.context + p.events if e.command and e.tenant == p.tenant}
    for e in p.events:
        one = {'leaf': e.leaf, 'change': CHANGES.get(e.type, 'other')}
        if e.is_row:
            one.update(table=e.definition.name, key=e.key_shown, before=e.before, after=e.row, withheld=e.withheld)
        elif e.type == 2:
            one.update(name=e.definition.name)
        elif e.type == 6:
            one.update(name=e.name, version=e.n[9], data=e.text)
        first = firsts.get(e.position)
        who = {'actor': first.actor, 'reason': first.reason, 'statement': first.statement} if first else {}
        at = commands.setdefault(e.position, {'position': e.position, **who, 'events': []})
        at['events'].append({k: v for k, v in one.items() if v is not None})
    state = [{'table': s.definition.name, 'key': s.key_shown, **({'row': s.event.row} if s.event else {})} for s in p.state]
    return {'kind': p.kind, 'origin': p.origin, 'size': p.size, 'tenant': {'id': p.tenant, 'name': p.tenant_name},
            'commands': [{k: v for k, v in one.items() if v is not None} for one in commands.values()], 'state': state}

def print_facts(f):
    print(f"The receipt holds: {f['kind']} of tenant {js(f['tenant'])} in the log {f['origin']} of {f['size']} events")
    for command in f['commands']:
        print(f"position {command['position']}", *(f'{k} {js(command[k])}' for k in ('actor', 'reason') if k in command))
        for e in command['events']:
            print(' ', e['change'], *(js(v) if k in ('key', 'after') else f'before: {js(v)}' if k == 'before' else
                                      f'withheld: {v}' if k == 'withheld' else v
                                      for k, v in e.items() if k not in ('leaf', 'change') and v != []))
    for s in f['state']:
        print('state:', s['table'], js(s['key']), js(s['row']) if 'row' in s else 'there is no such row')


# Exports

def trie(entries, level=0):
    if not entries: return bytes(32)
    if len(entries) <= 14: return sha(b'\0', *entries)
    parts = [[e for e in entries if digit(e, level) == d] for d in range(4)]
    children = sum(1 << d for d in range(4) if parts[d])
    return sha(b'\1', bytes([children]), *(trie(p, level + 1) for p in parts if p))

def read_file(root, path):
    try:
        with open(os.path.join(root, path), 'rb') as file:
            return file.read()
    except OSError as e:
        raise Bad('file', f'{path}: {e.strerror}') from None

def csv_field(v):
    if v is None: return ''
    if isinstance(v, dict):
        v = js(v)
    elif isinstance(v, bool):
        v = 'true' if v else 'false'
    elif not isinstance(v, str):
        v = js_number(v)
    return '"' + v.replace('"', '""') + '"' if v == '' or re.search('[,"\r\n]', v) else v

def jsonl_line(row):
    # JSON.stringify writes members whose names are array indices first, in ascending order.
    names = sorted(row, key=lambda n: (0, int(n)) if re.fullmatch('0|[1-9][0-9]{0,9}', n) and int(n) < 2**32 - 1 else (1, 0))
    return js({n: row[n] for n in names}) + '\n'

def csv_line(values):
    return ','.join(map(csv_field, values)) + '\n'

def read_manifest(root):
    c = 'manifest'
    try:
        m = json.loads(read_file(root, 'manifest.json'))
        need(m['format'] == 'veritydb/export/v1' and m['rows'] in ('jsonl', 'csv') and type(m['receipts']) in (int, float), c, 'format')
        need(m['receipts'] == int(m['receipts']), c, 'receipts')
        tables = {t['name']: (t['file'], t['state']) for t in m['tables']}
        streams = {s['name']: (s['file'],) for s in m['streams']}
        for path in [p for paths in [*tables.values(), *streams.values()] for p in paths]:
            need(re.fullmatch(r'[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\.[a-z]+', path), c, 'a file outside of the export')
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as e:
        raise Bad(c, f'cannot be read, or has no proofs: {e!r}') from None
    return m, tables, streams

def check_export(root, keys, witnesses=(), quorum=None, origin=None):
    """The count of rows by table, of events by stream, and of tables with rows that are not shown."""
    m, tables, streams = read_manifest(root)

    def receipt(path, kinds):
        try:
            p = check_receipt(read_file(root, path), keys, witnesses, quorum, origin)
        except Bad as e:
            raise Bad(e.check, f'{path}: {e.message}') from None
        need(p.kind in kinds, 'kind', path)
        return p

    states = [receipt(state, ('state',)) for _, state in tables.values()]
    ranges = [receipt('proofs/events/%08d.json' % n, ('range', 'position')) for n in range(1, int(m['receipts']) + 1)]
    need(states or ranges, 'state', 'there is no receipt')
    need(len({p.tenant for p in states + ranges}) == 1, 'tenant', 'receipts of several tenants')
    need(len({(p.record.tags[30], p.record.n[29]) for p in states}) <= 1, 'state', 'receipts of several states')
    upto = states[0].record.n[29] if states else ranges[0].record.n[27]
    last, defs, rows, streamed = -1, {}, {}, {}
    for e in [e for p in ranges for e in p.events]:
        need(e.leaf > last, 'leaves', 'receipts overlap, or are out of order')
        last = e.leaf
        if e.position > upto: continue
        if e.type == 2:
            defs[e.object] = e.definition
        elif e.is_row:
            need(e.key is not None and not (e.columns and None in e.columns), 'row', f'leaf {e.leaf}: not everything is opened')
            if e.type == 5:
                rows.setdefault(e.object, {}).pop(e.key, None)
            else:
                rows.setdefault(e.object, {})[e.key] = e
        elif e.type == 6:
            events = streamed.setdefault(e.name, [])
            need(e.n[9] == len(events) + 1, 'history', f'an event of the stream {e.name} was left out')
            events.append(e)
    proofs = {s.table: s for p in states for s in p.state}
    need(set(proofs) <= set(defs), 'state', 'a state proof of a table that no event defines')
    there = {d.name: d for d in defs.values() if not d.dropped and not d.view}
    need(set(tables) == set(there) and set(streams) == set(streamed), 'manifest', 'not the tables and streams that were recorded')
    for d in there.values():
        have = rows.get(d.id, {})
        need(d.id in proofs, 'state', f'the state of {d.name} is not there')
        check_complete(d.name, have, proofs[d.id])
        check_rows(root, tables[d.name][0], m['rows'] == 'csv', d, [have[key] for key in sorted(have)])
    for name, events in streamed.items():
        lines = ['{"version":%d,"position":%d,"data":%s}\n' % (e.n[9], e.position, e.text) for e in events]
        need(''.join(lines).encode() == read_file(root, streams[name][0]), 'row', streams[name][0])
    shown = sum(s.rows is not None for s in proofs.values())
    return {'tables': {d.name: len(rows.get(d.id, {})) for d in there.values()}, 'streams': {n: len(v) for n, v in streamed.items()},
            'position': upto, 'tablesNotShown': next(iter(proofs.values())).tables.count - shown if proofs else None}

def check_complete(name, have, proof):
    """The trie of the rows that are left is the one that was signed."""
    if proof.rows is None:
        need(not have, 'state', f'{name} has rows that the state has not')
        return
    entries = sorted(hmac.digest(proof.salt, key, 'sha256') + e.commitment for key, e in have.items())
    need(len(entries) == proof.rows.count and trie(entries) == proof.top, 'state', f'{name}: events were left out')

def check_rows(root, path, csv, d, events):
    columns = [x.name for x in d.columns if not x.dropped]
    lines = [csv_line(columns)] if csv else []
    for e in events:
        row = by_name(d, read_row(e, d))[0]
        lines.append(csv_line([row[n] for n in columns]) if csv else jsonl_line(row))
        for v in row.values():
            if isinstance(v, dict):
                blob = read_file(root, 'blobs/' + v['sha256'])
                need(len(blob) == v['lengthBytes'] and sha(blob).hex() == v['sha256'], 'row', 'blobs/' + v['sha256'])
    need(''.join(lines).encode() == read_file(root, path), 'row', f'{path} is not what the events yield')

def verify_receipt(text, keys, witnesses=(), quorum=None, origin=None):
    """{"ok": True, "receipt": what it shows} or {"ok": False, "check": name, "message": why}. Never raises."""
    try:
        return {'ok': True, 'receipt': facts(check_receipt(text, keys, witnesses, quorum, origin))}
    except Bad as e:
        return {'ok': False, 'check': e.check, 'message': e.message}

def verify_export(root, keys, witnesses=(), quorum=None, origin=None):
    """As verify_receipt, of the directory of an export: what it shows is under "export"."""
    try:
        return {'ok': True, 'export': check_export(root, keys, witnesses, quorum, origin)}
    except Bad as e:
        return {'ok': False, 'check': e.check, 'message': e.message}

def main():
    parser = argparse.ArgumentParser(description='Checks a receipt or an export of VerityDB, offline and without a secret.')
    parser.add_argument('path', help='a receipt, or the directory of an export')
    parser.add_argument('--key', action='append', required=True, metavar='VKEY', help="the log's verifier key; again for several")
    parser.add_argument('--witness', action='append', default=[], metavar='VKEY', help='of a witness that must have signed, too')
    parser.add_argument('--quorum', type=int, metavar='N', help='how many of the witnesses must have (default: all)')
    parser.add_argument('--origin', metavar='NAME', help="the log's name, where keys of several logs are given")
    parser.add_argument('--json', action='store_true', help='print what is proved as one JSON document')
    given = parser.parse_args()
    sys.stdout.reconfigure(encoding='utf-8')
    trust = (given.key, given.witness, given.quorum, given.origin)
    if os.path.isdir(given.path):
        result = verify_export(given.path, *trust)
    else:
        try:
            with open(given.path, 'rb') as file:
                result = verify_receipt(file.read(RECEIPT_BYTES_MAX + 1), *trust)
        except OSError as e:
            parser.error(str(e))
    if given.json:
        print(js(result))
    elif not result['ok']:
        print(f"It does not hold: {result['message']} [check: {result['check']}]", file=sys.stderr)
    elif 'export' in result:
        print('The export holds:', js(result['export']))
    else:
        print_facts(result['receipt'])
    return 0 if result['ok'] else 2 if result['check'] == 'options' else 3



if __name__ == '__main__':
    sys.exit(main())
