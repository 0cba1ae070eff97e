# SPDX-License-Identifier: BSD-2-Clause
"""
qslog_columns.py - the part of qslog_reader.py that turns the payload of a columns block into rows: what
docs/format.md says under "Columns block", in the order in which it says it.
"""

import struct

U64 = (1 << 64) - 1
MIB = 1 << 20
SECTIONS_MAX = 32768
SHAPES_MAX = 65000
THREADS_MAX = 65536
BOOL, CHAR, UINT8, UINT64, FLOAT, DOUBLE, STR, INT64, POINTER, BYTES = range(10)


def make(damaged, cursor, decompress):
    """The names that the reader has and that this needs."""
    global Damaged, Cursor, zstd
    Damaged, Cursor, zstd = damaged, cursor, decompress


def signed(n):
    return n - (1 << 64) if n >> 63 else n


def unzigzag(n):
    return -(n >> 1) - 1 if n & 1 else n >> 1


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def zigzag(n):
    return varint(2 * n if n >= 0 else -2 * n - 1)


def sections(payload):
    c = Cursor(payload)
    cnt = c.number("I")
    c.number("I")
    if cnt > SECTIONS_MAX:
        raise Damaged("too many sections")
    table = [struct.unpack("<HBBII", c.take(12)) for _ in range(cnt)]
    if sum(entry[3] for entry in table) > 64 * MIB:
        raise Damaged("sections beyond the limit")
    out = {}
    for id_, codec, flags, raw, stored in table:
        data = c.take(stored)
        known = 1 <= id_ <= 5
        if not known and flags & 1 or known and (codec > 1 or flags & ~1):
            raise Damaged("a section of a later version")
        if not known:
            continue
        if codec == 0:
            if raw != stored:
                raise Damaged("a section contradicts itself about its length")
        else:
            data = zstd(bytes(data), raw)
        out[id_] = out.get(id_, b"") + bytes(data)
    if c.more():
        raise Damaged("bytes behind the sections")
    return out


class Streams:
    """A plan and its data."""

    def __init__(self, plan, data):
        self.plan, self.data = Cursor(plan), Cursor(data)

    def ints(self, n, depth=1):
        if n == 0:
            return []
        if depth > 4:
            raise Damaged("streams too deep in one another")
        head = self.plan.number("B")
        base = self.plan.zigzag() if head & 64 else 0
        shift = self.plan.number("B") if head & 128 else 0
        if shift > 63:
            raise Damaged("a shift of more than 63")
        q = self.packed(head & 7, n, depth)
        transform = head >> 3 & 3
        if transform == 0:
            x = q
        elif transform == 3:
            x = [unzigzag(v) for v in q]
        else:
            x, value, step = [], 0, 0
            for v in q:
                step = unzigzag(v) + (step if transform == 2 else 0)
                value += step
                x.append(value)
        return [base + (v << shift) & U64 for v in x]

    def packed(self, packing, n, depth):
        plan, data = self.plan, self.data
        if packing == 0:
            return [plan.varint()] * n
        if packing == 1:
            width = plan.number("B")
            if not 1 <= width <= 8:
                raise Damaged("planes of a strange width")
            planes = [data.take(n) for _ in range(width)]
            return [int.from_bytes(bytes(column), "little") for column in zip(*planes)]
        if packing == 2:
            return self.classes(n)
        if packing == 3:
            d, m = plan.varint(), plan.varint()
            if m > n:
                raise Damaged("more exceptions than numbers")
            gaps, values = self.ints(m, depth + 1), self.ints(m, depth + 1)
            return spread(n, d, gaps, values)
        if packing == 4:
            m = plan.varint()
            if not 1 <= m <= n:
                raise Damaged("a dictionary of a strange size")
            values = self.ints(m, depth + 1)
            indices = self.ints(n, depth + 1)
            if max(indices) >= m:
                raise Damaged("an index beyond its dictionary")
            return [values[i] for i in indices]
        raise Damaged("an unknown packing")

    def classes(self, n):
        classes = self.data.take(n)
        widths = [0 if c < 16 else (c - 16) // 4 + 2 for c in classes]
        bits = sum(widths)
        loose = int.from_bytes(self.data.take((bits + 7) // 8), "little")
        if loose >> bits:
            raise Damaged("bits behind the last")
        out, at = [], 0
        for c, k in zip(classes, widths):
            if c < 16:
                out.append(c)
                continue
            if k > 61:
                raise Damaged("a class of more than 64 bits")
            out.append((4 + c % 4 << k) + (loose >> at & (1 << k) - 1))
            at += k
        return out


def spread(n, default, gaps, values):
    out = []
    for gap, value in zip(gaps, values):
        if gap >= n - len(out):
            raise Damaged("an exception behind the end")
        out.extend([default] * gap)
        out.append(value)
    out.extend([default] * (n - len(out)))
    return out


class References:
    def __init__(self, explicit, size):
        self.explicit, self.size = iter(explicit), size
        self.known = 0
        self.history, self.table = [], {}

    def take(self, symbol, column):
        p = self.history[-1] if self.history else (1 << 32) - 1
        slot = (((p + 1) * 0x9e3779b1 + (column + 1) * 0x85ebca6b) & 0xffffffff) >> 16
        if symbol == 0:
            if slot not in self.table:
                raise Damaged("a reference to nothing")
            reference = self.table[slot]
        elif symbol == 1:
            reference = self.known
            self.known += 1
            if reference >= self.size:
                raise Damaged("a reference beyond the dictionary")
        elif symbol == 2:
            reference = next(self.explicit, None)
            if reference is None or reference >= self.known:
                raise Damaged("a reference beyond the dictionary")
        else:
            if symbol - 2 > len(self.history):
                raise Damaged("a reference to before the first")
            reference = self.history[-(symbol - 2)]
        self.table[slot] = reference
        self.history.append(reference)
        return reference


def strings(plan, data):
    """(bytes or None, real length) of each, in order."""
    if not plan:
        return []
    s = Streams(plan, data)
    cnt, template_cnt, text_bytes = s.plan.varint(), s.plan.varint(), s.plan.varint()
    texts = s.data.take(text_bytes)
    codes, numbers, lengths = s.ints(cnt), s.ints(cnt), s.ints(template_cnt)
    if sum(lengths) > len(texts):
        raise Damaged("templates longer than their texts")
    named, uses = 0, [[] for _ in range(template_cnt)]
    for i, number in enumerate(numbers):
        if number == 0:
            named += 1
            number = named
        if number > template_cnt:
            raise Damaged("a template that there is not")
        uses[number - 1].append(i)
    out, at = [None] * cnt, 0
    for length, users in zip(lengths, uses):
        parts = fields_of(texts[at:at + length])
        at += length
        columns = [None if literal is not None else s.ints(len(users)) for literal, _ in parts]
        for row, i in enumerate(users):
            out[i] = b"".join(literal if literal is not None else show(*how, column[row])
                              for (literal, how), column in zip(parts, columns))
    return [(None, 0) if code == 1 else (text, len(text) + (code - 1 if code else 0))
            for code, text in zip(codes, out)]


def fields_of(text):
    parts, c, literal, cnt = [], Cursor(text), b"", 0
    while c.more():
        byte = c.number("B")
        if not 0x10 <= byte <= 0x14:
            literal += bytes((byte,))
        elif byte == 0x10:
            literal += bytes(c.take(1))
        else:
            digits = 1 if byte == 0x11 else c.number("B")
            if not 1 <= digits <= (19 if byte < 0x13 else 16):
                raise Damaged("a field of a strange width")
            parts += [(literal, None), (None, (byte, digits))]
            literal, cnt = b"", cnt + 1
    if cnt > 32:
        raise Damaged("a template of more than 32 fields")
    return parts + [(literal, None)]


def show(byte, digits, number):
    if byte < 0x13:
        return b"%0*d" % (digits, number)
    text = b"%0*x" % (digits, number & (1 << 4 * digits) - 1)
    return text if byte == 0x13 else text.upper()


class Shape:
    def __init__(self, plan):
        number = plan.varint()
        self.format, self.kind = number >> 2, number & 3
        if self.kind > 2:
            raise Damaged("a shape of an unknown kind")
        self.types = b""
        if self.kind != 2:
            self.types = bytes(plan.take(plan.number("B")))
        if len(self.types) > 16 or any(t > 9 for t in self.types):
            raise Damaged("a shape of strange arguments")
        self.cnt = 0
        self.times = None
        self.columns = []


class Column:
    def __init__(self, streams, shape, argument, number):
        type_ = shape.types[argument] if shape.kind != 2 else None
        self.kind = streams.plan.number("B")
        self.number = number
        self.other = None
        text = type_ in (STR, BYTES)
        if (self.kind > 4 or (self.kind == 1) < text or (self.kind == 1 and type_ is None) or
                (self.kind == 2 and type_ not in (FLOAT, DOUBLE)) or (self.kind == 3 and type_ is None) or
                (self.kind == 4 and type_ is not None)):
            raise Damaged("a column of a strange kind")
        if self.kind == 3:
            self.other = streams.plan.number("B")
            if (self.other >= argument or shape.types[self.other] in (STR, BYTES) or
                    shape.columns[self.other].kind == 1):
                raise Damaged("a column relative to none")
        if self.kind == 2:
            self.values = decimals(streams, shape.cnt, type_)
        else:
            self.values = streams.ints(shape.cnt)
        self.at = iter(self.values)


def decimals(streams, n, type_):
    e = streams.plan.number("B")
    if e > 18:
        raise Damaged("a decimal of a strange exponent")
    numbers = [signed(v) for v in streams.ints(n)]
    m = streams.plan.varint()
    if m > n:
        raise Damaged("more exceptions than numbers")
    gaps, values = streams.ints(m), streams.ints(m)
    exceptions = spread(n, None, gaps, values)
    out = []
    for number, exception in zip(numbers, exceptions):
        if exception is not None:
            out.append(exception)
            continue
        value = float(number) / 10.0 ** e
        if type_ == DOUBLE:
            out.append(struct.unpack("<Q", struct.pack("<d", value))[0])
        else:
            try:
                packed = struct.pack("<f", value)
            except OverflowError:
                packed = struct.pack("<f", float("inf") if value > 0 else float("-inf"))
            out.append(struct.unpack("<I", packed)[0])
    return out


class Block:
    def __init__(self, payload):
        part = sections(payload)
        s = self.streams = Streams(part.get(1, b""), part.get(3, b""))
        self.verbatim = Cursor(part.get(2, b""))
        self.strings = strings(part.get(4, b""), part.get(5, b""))
        plan = s.plan
        flags = plan.varint()
        if flags & ~1:
            raise Damaged("a plan of a later version")
        op_cnt, shape_cnt = plan.varint(), plan.varint()
        if shape_cnt > SHAPES_MAX or op_cnt > 16 * MIB:
            raise Damaged("a plan beyond the limits")
        self.shapes = [Shape(plan) for _ in range(shape_cnt)]
        number_cnt, explicit_cnt, string_explicit_cnt = (plan.varint() for _ in range(3))
        if max(number_cnt, explicit_cnt, string_explicit_cnt) > 16 * MIB:
            raise Damaged("a plan beyond the limits")
        self.ops = s.ints(op_cnt)
        verbatim, switches, first = self.count()
        self.lengths = iter(s.ints(verbatim))
        self.threads = iter(s.ints(switches))
        self.first = iter(s.ints(first))
        self.times = None
        if flags & 1:
            for shape in self.shapes:
                shape.times = iter(s.ints(shape.others))
        else:
            self.times = iter(s.ints(sum(shape.others for shape in self.shapes)))
        self.numbers = s.ints(number_cnt)
        self.number_refs = References(s.ints(explicit_cnt), number_cnt)
        self.string_refs = References(s.ints(string_explicit_cnt), len(self.strings))
        for index, shape in enumerate(self.shapes):
            for argument in range(1 if shape.kind == 2 else len(shape.types)):
                shape.columns.append(Column(s, shape, argument, 16 * index + argument))

    def count(self):
        verbatim = switches = first = 0
        behind_switch = False
        for shape in self.shapes:
            shape.others = 0
        for op in self.ops:
            if op < 2:
                verbatim += op == 0
                switches += op == 1
            else:
                if op - 2 >= len(self.shapes):
                    raise Damaged("an operation of an unknown shape")
                shape = self.shapes[op - 2]
                shape.cnt += 1
                first += behind_switch
                shape.others += not behind_switch
            behind_switch = op == 1
        return verbatim, switches, first

    def rows(self):
        out = []
        behind_switch = False
        thread, stacks, total = None, {}, 0
        for op in self.ops:
            if op == 0:
                out.append(bytes(self.verbatim.take(next(self.lengths))))
            elif op == 1:
                thread = next(self.threads)
                data = varint(thread)
                out.append(bytes((0xa0 | len(data),)) + data)
            else:
                shape = self.shapes[op - 2]
                if behind_switch:
                    time = next(self.first)
                else:
                    time = next(self.times if self.times is not None else shape.times)
                total = total + time & U64
                stack = stacks.setdefault(thread, [])
                if len(stacks) > THREADS_MAX:
                    raise Damaged("more threads than a block may have")
                since = 0
                if shape.kind == 1:
                    stack.append(total)
                    del stack[:-64]
                elif shape.kind == 2:
                    since = total - stack.pop() & U64 if stack else 0
                out.append(self.entry(shape, time, since))
            behind_switch = op == 1
        return b"".join(out)

    def entry(self, shape, time, since):
        id_ = shape.format
        if shape.kind == 0:
            head = bytes((id_,)) if id_ < 63 else b"\x3f" + varint(id_)
        else:
            first = 0xc0 | shape.kind - 1 << 4
            head = bytes((first | id_,)) if id_ < 15 else bytes((first | 15,)) + varint(id_)
        head += zigzag(signed(time))
        if shape.kind == 2:
            column = shape.columns[0]
            return head + varint((next(column.at) + (since if column.kind == 4 else 0)) & U64)
        values = []
        parts = [head]
        for type_, column in zip(shape.types, shape.columns):
            value = next(column.at)
            if column.kind == 1 and type_ in (STR, BYTES):
                value = self.strings[self.string_refs.take(value, column.number)]
                values.append(None)
                parts.append(text(*value))
                continue
            if column.kind == 1:
                value = self.numbers[self.number_refs.take(value, column.number)]
            elif column.kind == 3:
                value = value + values[column.other] & U64
            values.append(value)
            parts.append(argument(type_, value))
        return b"".join(parts)


def text(data, real):
    if data is None:
        return b"\0"
    cut = real > len(data)
    return varint((len(data) << 1 | cut) + 1) + (varint(real) if cut else b"") + data


def argument(type_, value):
    if type_ in (BOOL, CHAR, UINT8):
        return bytes((value & 255,))
    if type_ == FLOAT:
        return struct.pack("<I", value & 0xffffffff)
    if type_ == DOUBLE:
        return struct.pack("<Q", value)
    if type_ == INT64:
        return zigzag(signed(value))
    return varint(value)


def rows(payload, raw_bytes):
    if raw_bytes > 16 * MIB:
        raise Damaged("a block beyond the limits")
    try:
        out = Block(payload).rows()
    except StopIteration:
        raise Damaged("a stream ends too early") from None
    if len(out) != raw_bytes:
        raise Damaged("a block has not as many rows as it says")
    return out
