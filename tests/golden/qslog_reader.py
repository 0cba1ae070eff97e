#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
qslog_reader.py - a second reader of .qslog files, written from docs/format.md and from nothing else:
if something cannot be read with what that page says, the page is wrong. It is simple rather than
quick: it walks all blocks, keeps everything, and sorts.

    qslog_reader.py FILE                prints what tests/golden/dump.c prints of the same file
    qslog_reader.py --compare FILE...   compares with what NAME.dump says of NAME.qslog

Names in comments are headings of docs/format.md.
"""

import contextlib
import ctypes
import difflib
import io
import struct
import sys

import qslog_columns

MAGIC = bytes.fromhex("935153420d0a1af6")
MAGIC_END = bytes.fromhex("935153450d0a1af6")
MAGIC_TAIL = bytes.fromhex("935153540d0a1af6")
MAGIC_FRAME = bytes.fromhex("514652f6")

MIB = 1 << 20
BYTES_MAX = 32 * MIB  # Limits
RECORDS_MAX = 4194304
ENTRY_MAX = MIB
STRING_MAX = MIB
ARGS_MAX = 16
INDEX_MAX = 65536
TICKS_MAX = 1 << 62
STACK_MAX = 1024
U64 = (1 << 64) - 1

BOOL, CHAR, UINT8, UINT64, FLOAT, DOUBLE, STR, INT64, POINTER, BYTES = range(10)
TYPE_NAMES = ("bool", "char", "u8", "u64", "f32", "f64", "str", "i64", "ptr", "bytes")


class Damaged(Exception):
    """What is being read is not as it must be."""


class Refused(Exception):
    """The file as a whole cannot be read."""


# ---- hashing and decompression: not described by the page, so from libraries ----

def library(*names):
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            pass
    sys.exit("qslog_reader.py: none of these libraries is here: " + " ".join(names))


_xxhash = library("libxxhash.so.0", "libxxhash.so")
_xxhash.XXH3_64bits_withSeed.restype = ctypes.c_uint64
_xxhash.XXH3_64bits_withSeed.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64)
_zstd = library("libzstd.so.1", "libzstd.so")
_zstd.ZSTD_decompress.restype = ctypes.c_size_t
_zstd.ZSTD_decompress.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
_zstd.ZSTD_isError.restype = ctypes.c_uint
_zstd.ZSTD_isError.argtypes = (ctypes.c_size_t,)


def xxh3(data, seed=0):
    data = bytes(data)
    return _xxhash.XXH3_64bits_withSeed(data, len(data), seed)


def low_half(data):
    return xxh3(data) & 0xffffffff


def decompress(data, raw_bytes):
    out = ctypes.create_string_buffer(raw_bytes + 1)
    n = _zstd.ZSTD_decompress(out, raw_bytes, data, len(data))
    if _zstd.ZSTD_isError(n) or n != raw_bytes:
        raise Damaged("a payload cannot be decompressed")
    return out.raw[:raw_bytes]


# ---- Definitions ----

class Cursor:
    def __init__(self, data, at=0, end=None):
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    def more(self):
        return self.at < self.end

    def take(self, n):
        if n > self.end - self.at:
            raise Damaged("something runs past the end")
        part = self.data[self.at:self.at + n]
        self.at += n
        return part

    def number(self, code):
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def varint(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.number("B")
            value |= (byte & 0x7f) << shift
            if byte < 0x80:
                if value > U64:
                    break
                return value
        raise Damaged("a varint of more than 64 bits")

    def zigzag(self):
        value = self.varint()
        return -(value >> 1) - 1 if value & 1 else value >> 1

    def string(self):
        text = self.take(self.varint())
        if b"\0" in text:
            raise Damaged("a string with a NUL byte")
        return text


qslog_columns.make(Damaged, Cursor, decompress)


# ---- Blocks ----

class Header:
    FORMAT = struct.Struct("<8sIHBBBBHHHQIIQqqqqQIIQ")

    def __init__(self, data, at):
        if len(data) - at < self.FORMAT.size:
            raise Damaged("the file ends within a header")
        (magic, self.checksum, self.header_bytes, self.version, self.kind, self.compression,
         self.level_mask, self.must_understand, self.may_ignore, _reserved, self.sequence,
         self.stored_bytes, self.raw_bytes, self.payload_hash, self.time_min, self.time_max,
         self.clock_ticks, self.clock_realtime, self.lost, self.record_cnt, self.stream,
         self.file_key) = self.FORMAT.unpack_from(data, at)
        if magic != MAGIC:
            raise Damaged("no block begins here")
        if not self.FORMAT.size <= self.header_bytes <= 256 or self.header_bytes > len(data) - at:
            raise Damaged("a header of an impossible length")
        if low_half(data[at + 12:at + self.header_bytes]) != self.checksum:
            raise Damaged("a header is damaged")
        if (self.stored_bytes > BYTES_MAX or self.raw_bytes > BYTES_MAX or
                self.record_cnt > RECORDS_MAX):
            raise Damaged("a block beyond the limits")
        self.at = at
        self.payload_at = at + self.header_bytes
        self.end = self.payload_at + self.stored_bytes

    def known(self):
        return self.version <= 1 and self.must_understand == 0

    def payload(self, data):
        if not self.known():
            raise Damaged("a block of a later version")
        if self.end > len(data):
            raise Damaged("the file ends within a block")
        stored = data[self.payload_at:self.end]
        if xxh3(stored) != self.payload_hash:
            raise Damaged("a payload is damaged")
        if self.kind == 2:
            if self.compression:
                raise Damaged("a columns block contradicts itself about its length")
            return qslog_columns.rows(stored, self.raw_bytes)
        if self.compression == 0:
            if self.stored_bytes != self.raw_bytes:
                raise Damaged("a block contradicts itself about its length")
            return stored
        if self.compression != 1:
            raise Damaged("an unknown compression")
        return decompress(stored, self.raw_bytes)


# ---- Context ----

class Line:
    def __init__(self, trace, parent, flags, depth):
        self.trace, self.parent, self.flags, self.depth = trace, parent, flags, depth

    def id(self):
        return self.parent


class Span:
    def __init__(self, format_id, span_id):
        self.format_id, self.span_id = format_id, span_id

    def id(self):
        return self.span_id


class Stack:
    """The open lines of a thread, and the spans with ids in them."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.entries = []
        self.last = 0
        self.unkept = 0  # depth of a line for which there was no room

    def line_index(self):
        for i in range(len(self.entries) - 1, -1, -1):
            if isinstance(self.entries[i], Line):
                return i
        return None

    def line(self):
        i = self.line_index()
        return None if i is None else self.entries[i]

    def counts(self):
        return bool(self.entries) and not self.unkept

    def find(self, span_id):
        """Where the innermost line has a span of this id."""
        if not self.counts() or not span_id:
            return None
        for i in range(len(self.entries) - 1, self.line_index(), -1):
            if self.entries[i].id() == span_id:
                return i
        return None

    def close_lines(self, depth):
        while self.entries:
            i = self.line_index()
            if self.entries[i].depth < depth:
                break
            del self.entries[i:]
        if self.unkept >= depth:
            self.unkept = 0

    def open_line(self, line):
        self.close_lines(line.depth)
        if self.unkept:
            return
        if len(self.entries) == STACK_MAX:
            self.unkept = line.depth
            return
        self.entries.append(line)

    def open_again(self, line, innermost):
        self.close_lines(line.depth + 1)
        old = self.line()
        if not (old and old.depth == line.depth and old.trace == line.trace and
                old.parent == line.parent):
            self.open_line(line)
        if not self.counts():
            return
        at = self.line_index()
        span = self.find(innermost)
        if self.entries[at].parent == innermost:
            del self.entries[at + 1:]
        elif span is not None:
            del self.entries[span + 1:]
        elif len(self.entries) < STACK_MAX:
            self.entries.append(Span(None, innermost))

    def next_id(self):
        return (self.last + 1) & U64 if self.counts() and self.last else 0

    def enter(self, format_id, span_id):
        if not span_id:
            if self.entries or self.unkept:
                self.clear()
            return
        self.last = span_id
        if self.counts() and len(self.entries) < STACK_MAX:
            self.entries.append(Span(format_id, span_id))

    def innermost_id(self, format_id):
        if not self.counts():
            return 0
        top = self.entries[-1]
        return top.span_id if isinstance(top, Span) and top.format_id == format_id else 0

    def leave(self, span_id):
        at = self.find(span_id)
        if at is not None:
            del self.entries[at:]

    def around(self):
        """(trace, flags, innermost id, the one below) for what is recorded now."""
        if not self.counts():
            return None, 0, 0, 0
        line = self.line()
        top = self.entries[-1]
        below = 0 if top is line else self.entries[-2].id()
        return line.trace, line.flags, top.id(), below


# ---- Entries ----

class Process:
    def __init__(self, pid, name, exe, command):
        self.pid, self.name, self.exe, self.command = pid, name, exe, command


class Thread:
    def __init__(self, process, tid, key, name):
        self.process, self.tid, self.key, self.name = process, tid, key, name


class Format:
    def __init__(self, level, data):
        c = Cursor(data)
        self.level = level
        self.hash = c.number("Q")
        self.kind = c.number("B")
        self.types = c.take(c.number("B"))
        if level > 5 or self.kind > 2 or len(self.types) > ARGS_MAX or any(t > 9 for t in self.types):
            raise Damaged("a malformed format entry")
        if xxh3(data[8:], level) != self.hash:
            raise Damaged("the hash of a format does not fit it")
        self.line = c.varint()
        if self.line >= 1 << 32:
            raise Damaged("a malformed format entry")
        self.tag, self.file, self.function, self.format = (c.string() for _ in range(4))
        self.name = c.string()


class Record:
    pass


class Rows:
    """What a reader keeps for the whole file, and the records in the order of the file."""

    def __init__(self):
        self.processes, self.threads, self.formats = {}, {}, {}
        self.stacks = {}       # by number of the thread
        self.newest = {}       # likewise: the greatest time so far
        self.pairs = []
        self.records = []
        self.tick_ns = 1
        self.sched = False     # the header says that there are intervals off the CPU

    def pair(self, ticks, realtime, window):
        if abs(ticks) > TICKS_MAX or abs(realtime) > TICKS_MAX:
            return
        if not self.pairs or ticks > self.pairs[-1][0]:
            self.pairs.append((ticks, realtime, window))

    def block(self, data):
        """Decodes the entries of one block; what came before an error is kept."""
        self.cursor = c = Cursor(data)
        self.time = 0
        self.current = None
        self.span_id = None    # said by the entry before
        first = len(self.records)
        while c.more():
            head = c.number("B")
            kind, low = head >> 6, head & 63
            if self.span_id is not None and (kind != 3 or low >> 4 > 1):
                raise Damaged("a span id without its span")
            if kind == 0:
                self.log(low)
            elif kind == 1:
                self.format(low)
            elif kind == 2:
                self.info(low >> 4, low & 15)
            else:
                self.span(low >> 4, low & 15)
            if len(self.records) - first > RECORDS_MAX:
                raise Damaged("more records than a block may have")
        if self.span_id is not None:
            raise Damaged("a span id without its span")

    def add(self, kind, format_, context, time):
        if self.current is None:
            raise Damaged("a record before the first thread")
        r = Record()
        r.kind, r.format, r.time = kind, format_, time
        r.thread = self.threads[self.current]
        r.trace, r.flags, r.span, r.parent = context
        r.values, r.duration = [], None
        # Time, "Order"
        r.order = max(time, self.newest.get(self.current, time))
        self.newest[self.current] = r.order
        self.records.append(r)
        return r

    def stack(self):
        if self.current is None:
            raise Damaged("a record before the first thread")
        return self.stacks[self.current]

    def take_time(self, c):
        self.time += c.zigzag()
        if abs(self.time) > TICKS_MAX:
            raise Damaged("a time out of range")
        return self.time

    def format_id(self, low, escape, kind):
        number = self.cursor.varint() if low == escape else low
        if number not in self.formats or self.formats[number].kind != kind:
            raise Damaged("a format that was not introduced, or is of something else")
        return number

    def values(self, format_):
        return [self.value(kind) for kind in format_.types]

    def value(self, kind):
        c = self.cursor
        if kind in (BOOL, CHAR, UINT8):
            return c.number("B")
        if kind in (UINT64, POINTER):
            return c.varint()
        if kind == INT64:
            return c.zigzag()
        if kind == FLOAT:
            return c.number("I")  # the bits
        if kind == DOUBLE:
            return c.number("Q")
        code = c.varint()
        if code == 0:
            return None
        stored = real = (code - 1) >> 1
        if (code - 1) & 1:
            real = c.varint()
            if real <= stored or real >= 1 << 32:
                raise Damaged("a string that was cut to more than it had")
        if stored > STRING_MAX:
            raise Damaged("a string beyond the limits")
        return c.take(stored), real

    def log(self, low):
        number = self.format_id(low, 63, 0)
        time = self.take_time(self.cursor)
        trace, flags, top, below = self.stack().around()
        values = self.values(self.formats[number])
        self.add("log", self.formats[number], (trace, flags, top, below), time).values = values

    def format(self, level):
        number = self.cursor.varint()
        length = self.cursor.varint()
        if length > ENTRY_MAX:
            raise Damaged("an entry beyond the limits")
        self.formats[number] = Format(level, self.cursor.take(length))

    def info(self, kind, length):
        if length == 15:
            length = self.cursor.varint()
        if length > ENTRY_MAX:
            raise Damaged("an entry beyond the limits")
        c = Cursor(self.cursor.take(length))
        if kind == 1:
            self.time = c.number("q")
            if abs(self.time) > TICKS_MAX:
                raise Damaged("a time out of range")
        elif kind == 2:
            number = c.varint()
            if number not in self.threads:
                raise Damaged("a thread that was not introduced")
            self.current = number
        elif kind == 3:
            self.extended(c.varint(), c)

    def extended(self, subtype, c):
        if subtype == 1:
            self.pair(c.number("q"), c.number("q"), c.number("I"))
        elif subtype == 2:
            number, pid = c.varint(), c.varint()
            c.varint()  # start time
            self.processes[self.u32(number)] = Process(self.u32(pid), c.string(), c.string(), c.string())
        elif subtype == 3:
            number, process, tid, key = (c.varint() for _ in range(4))
            if process not in self.processes:
                raise Damaged("a process that was not introduced")
            self.threads[self.u32(number)] = Thread(self.processes[process], self.u32(tid), key, c.string())
            self.stacks[number] = Stack()
        elif subtype == 4:
            time = self.take_time(c)
            cause, count = c.varint(), c.varint()
            if cause > 255:
                raise Damaged("a malformed loss entry")
            stack = self.stack()
            r = self.add("loss", None, stack.around(), time)
            r.cause, r.lost = cause, count
            if cause in (1, 2, 3):
                stack.clear()
        elif subtype == 5 and self.sched:
            self.offs(c)
        elif subtype == 6 and self.sched:
            r = Record()
            r.kind, r.time, r.length = "off_lost", c.zigzag(), c.varint()
            r.cause, r.lost, r.order = c.varint(), c.varint(), r.time
            if abs(r.time) > TICKS_MAX:
                raise Damaged("a malformed loss of intervals off the CPU")
            self.records.append(r)

    def offs(self, c):
        threads, calls, wakers, end = [], [], [], 0
        while c.more():
            r = Record()
            r.kind, r.head = "off", c.number("B")
            r.process, r.tid = self.introduced(c, threads, lambda: (c.varint(), self.u32(c.varint())))
            if r.process not in self.processes:
                raise Damaged("a process that was not introduced")
            r.process = self.processes[r.process]
            end += c.zigzag()
            r.time, r.length = end, c.varint()
            r.ready = c.varint() if r.head & 7 else r.length  # preempted: it was ready all the time
            r.cpu = c.varint()
            place = c.varint()
            r.call = self.introduced(c, calls, lambda: (c.varint(), c.string()), place - 1) if place else None
            r.waker = None
            if r.head >> 3 & 3 == 3:
                r.waker = self.introduced(c, wakers, lambda: (c.varint(), c.varint(), c.string()))
            r.order = end - r.length // 2
            self.records.append(r)

    @staticmethod
    def introduced(c, known, take, place=None):
        """What was introduced at a place in this entry, or is now."""
        place = c.varint() if place is None else place
        if place > len(known) or place > 63:
            raise Damaged("a malformed interval off the CPU")
        if place == len(known):
            known.append(take())
        return known[place]

    @staticmethod
    def u32(number):
        if number >= 1 << 32:
            raise Damaged("a number out of range")
        return number

    def span(self, operation, low):
        if operation == 3:
            self.context(low)
            return
        if operation == 2:
            if low == 15:
                self.cursor.varint()
            self.cursor.take(self.cursor.varint())
            return
        number = self.format_id(low, 15, 1)
        format_ = self.formats[number]
        time = self.take_time(self.cursor)
        stack = self.stack()
        trace, flags, top, below = stack.around()
        said, self.span_id = self.span_id, None
        if operation == 0:
            span_id = stack.next_id() if said is None else said
            values = self.values(format_)
            self.add("enter", format_, (trace, flags, span_id, top), time).values = values
            stack.enter(number, span_id)
            return
        span_id = stack.innermost_id(number) if said is None else said
        at = stack.find(span_id)
        parent = top
        if span_id:
            parent = 0 if at is None else stack.entries[at - 1].id()
        duration = self.cursor.varint()
        self.add("exit", format_, (trace, flags, span_id, parent), time).duration = duration
        stack.leave(span_id)

    def context(self, subtype):
        c = Cursor(self.cursor.take(self.cursor.varint()))
        if subtype > 4:
            return
        stack = self.stack()
        if subtype in (0, 1):
            number = c.varint()
            if number not in self.formats or self.formats[number].kind != 2:
                raise Damaged("a span line without its format")
            time = self.take_time(c)
            if subtype == 0:
                self.line_opens(c, stack, self.formats[number], time)
            else:
                self.line_closes(c, stack, self.formats[number], time)
        elif subtype == 2:
            self.span_id = (stack.last + c.zigzag()) & U64
        elif subtype == 3:
            trace, parent, flags = self.line(c)
            stack.open_line(Line(trace, parent, flags, self.depth(c.varint())))
        else:
            number = c.varint()
            span_id = (stack.last + c.zigzag()) & U64
            if number and number - 1 not in self.formats:
                raise Damaged("a format that was not introduced")
            stack.enter(number - 1 if number else None, span_id)

    @staticmethod
    def line(c):
        return c.take(16), c.number("Q"), c.number("B")

    @staticmethod
    def depth(depth):
        if not 1 <= depth <= (1 << 31) - 1:
            raise Damaged("a depth out of range")
        return depth

    def line_opens(self, c, stack, format_, time):
        trace, parent, flags = self.line(c)
        depth = c.varint()
        line = Line(trace, parent, flags, self.depth(depth >> 1))
        innermost = c.number("Q") if depth & 1 else None
        self.add("line", format_, (trace, flags, 0, parent), time)
        if innermost is None:
            stack.open_line(line)
        else:
            stack.open_again(line, innermost)

    def line_closes(self, c, stack, format_, time):
        duration = c.varint()
        depth = self.depth(c.varint())
        context = None, 0, 0, 0
        for entry in stack.entries:
            if isinstance(entry, Line) and entry.depth == depth:
                context = entry.trace, entry.flags, 0, entry.parent
        self.add("line_end", format_, context, time).duration = duration
        stack.close_lines(depth)


# ---- Time ----

class Clock:
    WINDOW_MAX = 1000000
    LONG = 10000000

    def __init__(self, pairs, tick_ns):
        self.pairs, self.tick_ns = pairs, tick_ns
        self.rates = []        # of the pieces, less 1; None: the clock was set in it
        self.first = self.last = 0.0
        known = False
        for a, b in zip(pairs, pairs[1:]):
            dt = (b[0] - a[0]) * tick_ns
            more = b[1] - a[1] - dt
            slack = dt * 0.001 + 1000 + min(a[2], self.WINDOW_MAX) + min(b[2], self.WINDOW_MAX)
            if abs(more) > slack:
                self.rates.append(self.last)
                continue
            self.rates.append(more / dt)
            if dt >= self.LONG:
                self.last = more / dt
                if not known:
                    self.first, known = self.last, True

    def piece(self, ticks):
        """Index of the pair before, -1: there is none."""
        low, high = -1, len(self.pairs)
        while high - low > 1:
            middle = (low + high) // 2
            if self.pairs[middle][0] <= ticks:
                low = middle
            else:
                high = middle
        return low

    def rate(self, ticks):
        i = self.piece(ticks)
        if i < 0:
            return self.first
        return self.last if i + 1 == len(self.pairs) else self.rates[i]

    @staticmethod
    def clamp(ns):
        return max(-(1 << 63), min((1 << 63) - 1, ns))

    def realtime(self, ticks):
        if not self.pairs:
            return self.clamp(ticks * self.tick_ns)
        pair = self.pairs[max(self.piece(ticks), 0)]
        since = (ticks - pair[0]) * self.tick_ns
        return self.clamp(pair[1] + since + int(since * self.rate(ticks)))

    def duration(self, ticks, duration):
        ns = duration * self.tick_ns
        if ns > U64:
            return U64
        if ns > TICKS_MAX:
            return ns
        return max(0, ns + int(ns * self.rate(ticks)))


# ---- Tail ----

class Tail:
    def __init__(self, data):
        self.valid = self.whole = False
        self.rows = b""
        if len(data) < 40 or data[:8] != MAGIC_TAIL:
            return
        checksum, header_bytes, version = struct.unpack_from("<IHB", data, 8)
        if (version > 1 or not 40 <= header_bytes <= 256 or header_bytes > len(data) or
                low_half(data[12:header_bytes]) != checksum):
            return
        self.valid = True
        self.file_key, _, self.sequence = struct.unpack_from("<QQQ", data, 16)
        at = header_bytes
        number = records = 0
        while len(data) - at >= 64:
            (magic, frame_number, sequence, _, _, size, record_cnt, rows_hash, _, _, _,
             checksum) = struct.unpack_from("<4sIQqqIIQQB3sI", data, at)
            rows = data[at + 64:at + 64 + size]
            if (magic != MAGIC_FRAME or frame_number != number or sequence != self.sequence or
                    low_half(data[at:at + 60]) != checksum or len(rows) != size or
                    len(self.rows) + size > BYTES_MAX or records + record_cnt > RECORDS_MAX or
                    xxh3(rows) != rows_hash):
                break
            self.rows += rows
            records += record_cnt
            number += 1
            at += 64 + size
        self.whole = at == len(data)


# ---- the file ----

class File:
    def __init__(self, data, tail_data):
        self.data = data
        self.damaged = False
        self.closed = self.has_tail = False
        self.rows = Rows()
        self.cut = False       # the file ends within a block
        self.sequence = None   # of the last block
        tail = Tail(tail_data)
        self.key, start = self.find_first()
        trailer = self.trailer(len(data) - 32)
        if trailer is not None:
            self.closed = self.index_valid(trailer)
            if not self.closed:
                self.complain("the index is damaged")
        self.walk(start)
        self.take_tail(tail, tail_data)
        self.clock = Clock(self.rows.pairs, self.rows.tick_ns)
        self.rows.records.sort(key=lambda r: r.order)  # stable

    def complain(self, what):
        print("damaged: %s" % what, file=sys.stderr)
        self.damaged = True

    def header(self, at):
        h = Header(self.data, at)
        if self.key is not None and h.file_key != self.key:
            raise Damaged("a block of another file")
        return h

    def trailer(self, at):
        """The offset of the index, or None: no trailer of this file is here."""
        if at < 0 or at + 32 > len(self.data):
            return None
        index, key, _, checksum, magic = struct.unpack_from("<QQII8s", self.data, at)
        if (magic != MAGIC_END or low_half(self.data[at:at + 20]) != checksum or
                (self.key is not None and key != self.key)):
            return None
        return index

    def find_first(self):
        self.key = None
        if self.trailer(len(self.data) - 32) is not None:
            self.key = struct.unpack_from("<Q", self.data, len(self.data) - 24)[0]
        try:
            h = self.header(0)
            if not h.known():
                raise Refused("of a later version")
            return h.file_key, 0
        except Damaged as e:
            what = e
        h = self.next_header(0, -1)
        if h is None:
            raise Refused("no such file")
        self.complain(what)
        return h.file_key, h.at

    def next_header(self, at, sequence):
        """The next valid header with a greater sequence."""
        while True:
            at = self.data.find(MAGIC, at)
            if at < 0:
                return None
            try:
                h = self.header(at)
                if h.sequence > sequence:
                    return h
            except Damaged:
                pass
            at += 1

    def walk(self, at):
        looked_at = None       # where the payload of the block before begins
        while at < len(self.data):
            try:
                h = self.header(at)
                if self.sequence is not None and h.sequence <= self.sequence:
                    raise Damaged("a copy of a block")
            except Damaged as e:
                if self.trailer(at) is not None:
                    at += 32
                    continue
                h = self.next_header(at + 1 if looked_at is None else looked_at,
                                     -1 if self.sequence is None else self.sequence)
                if h is None:
                    self.cut = True
                    return
                self.complain(e)
            else:
                if self.sequence is not None and h.sequence != self.sequence + 1:
                    self.complain("blocks are missing")
            if h.end > len(self.data):
                self.cut = True
                return
            self.block(h)
            self.sequence = h.sequence
            looked_at = h.payload_at
            at = h.end

    def block(self, h):
        if h.kind in (1, 2):
            self.rows_block(h)
            return
        if h.kind not in (0, 3):
            if h.record_cnt or h.lost:
                self.complain("a block of an unknown kind with records")
            return
        try:
            payload = h.payload(self.data)
            if h.kind == 0 and h.at == 0:
                self.file_header(payload)
        except Damaged as e:
            self.complain(e)

    def rows_block(self, h):
        try:
            payload = h.payload(self.data)
        except Damaged as e:
            self.complain(e)
            self.rows.pair(h.clock_ticks, h.clock_realtime, 0)
            return
        before = len(self.rows.records)
        try:
            self.rows.block(payload)
            if sum(r.kind not in ("loss", "off", "off_lost") for r in self.rows.records[before:]) != h.record_cnt:
                self.complain("a block has not as many records as it says")
        except Damaged as e:
            self.complain(e)

    def file_header(self, payload):
        c = Cursor(payload)
        while c.more():
            head = c.number("B")
            if head >> 4 != 0xb:
                raise Damaged("not an extended info entry")
            length = head & 15
            if length == 15:
                length = c.varint()
            if length > ENTRY_MAX:
                raise Damaged("an entry beyond the limits")
            entry = Cursor(c.take(length))
            subtype = entry.varint()
            if subtype == 16:
                self.rows.tick_ns = entry.number("Q")
                if not 1 <= self.rows.tick_ns <= 1000000000:
                    raise Refused("of a later version")
            elif subtype == 22:
                self.rows.sched = True
            elif subtype == 1:
                self.rows.pair(entry.number("q"), entry.number("q"), entry.number("I"))

    def index_valid(self, at):
        """Does it describe blocks that are where it says? (They are read by walking all the same.)"""
        chain = []
        try:
            while True:
                h = self.header(at)
                payload = Cursor(h.payload(self.data))
                previous, entry_bytes, entry_cnt = payload.number("Q"), payload.number("I"), payload.number("I")
                payload.take(24)
                if (h.kind != 3 or entry_bytes < 72 or entry_cnt > INDEX_MAX or previous >= at and previous):
                    return False
                chain.insert(0, (at, [payload.take(entry_bytes) for _ in range(entry_cnt)]))
                if not previous:
                    break
                at = previous
            after = sequence = -1
            for index_at, entries in chain:
                for entry in entries:
                    offset, entry_sequence = struct.unpack_from("<QQ", entry)
                    stored = struct.unpack_from("<I", entry, 60)[0]
                    if offset < after or entry_sequence <= sequence or offset + 104 + stored > index_at:
                        return False
                    after, sequence = offset + 104 + stored, entry_sequence
        except Damaged:
            return False
        return True

    def take_tail(self, tail, tail_data):
        wanted = (tail.valid and tail.file_key == self.key and
                  tail.sequence > (self.sequence or 0))
        if tail_data and not tail.valid:
            self.complain("the header of the tail is damaged")
        elif wanted and not tail.whole:
            self.complain("the tail ends within a frame")
        if self.cut and not (wanted and tail.sequence == (self.sequence or 0) + 1):
            self.complain("the file ends within a block")
        elif wanted and tail.sequence > (self.sequence or 0) + 1:
            self.complain("blocks are missing between the file and its tail")
        if not wanted or not tail.rows:
            return
        self.has_tail = True
        try:
            self.rows.block(tail.rows)
        except Damaged as e:
            self.complain(e)


# ---- the dump ----

def quoted(data):
    return '"%s"' % "".join(chr(b) if 0x20 < b < 0x7f and b not in b'\\"' else "\\x%02x" % b
                            for b in data)


def shown(kind, value):
    if kind in (STR, BYTES):
        text = "null" if value is None else "%d/%d:%s" % (len(value[0]), value[1], quoted(value[0]))
    else:
        text = {FLOAT: "%08x", DOUBLE: "%016x"}.get(kind, "%d") % value
    return " %s:%s" % (TYPE_NAMES[kind], text)


def shown_off(r, clock):
    text = "%s %d" % (r.kind, clock.realtime(r.time))
    if r.kind == "off_lost":
        return text + " ns=%d cause=%d lost=%d" % (clock.duration(r.time, r.length), r.cause, r.lost)
    text += " pid=%d tid=%d ns=%d ready=%d cpu=%d why=%d who=%d io=%d exiting=%d open=%d" % (
        r.process.pid, r.tid, clock.duration(r.time, r.length), clock.duration(r.time, r.ready), r.cpu,
        r.head & 7, r.head >> 3 & 3, r.head >> 5 & 1, r.head >> 6 & 1, r.head >> 7)
    if r.call:
        text += " syscall=%d %s" % (r.call[0], quoted(r.call[1]))
    if r.waker:
        text += " by=%d/%d %s" % (r.waker[0], r.waker[1], quoted(r.waker[2]))
    return text


def dump(file, out):
    seen = {"thread": {}, "format": {}}

    def number(what, text):
        numbers = seen[what]
        if text not in numbers:
            numbers[text] = len(numbers)
            out.write("%s %d: %s\n" % (what, numbers[text], text))
        return numbers[text]

    records = lost = 0
    for r in file.rows.records:
        if r.kind in ("off", "off_lost"):
            out.write(shown_off(r, file.clock) + "\n")
            continue
        t, f = r.thread, r.format
        thread = number("thread", "%d %d %d %s %s %s %s" % (
            t.process.pid, t.tid, t.key, quoted(t.name), quoted(t.process.name),
            quoted(t.process.exe), quoted(t.process.command)))
        if f:
            format_ = number("format", "level=%d kind=%d line=%d hash=%016x %s %s %s %s %s" % (
                f.level, f.kind, f.line, f.hash, quoted(f.tag), quoted(f.file), quoted(f.function),
                quoted(f.format), quoted(f.name if f.kind == 1 else b"")))
        text = "%s %d %d" % (r.kind, file.clock.realtime(r.time), thread)
        if r.kind == "loss":
            text += " cause=%d lost=%d" % (r.cause, r.lost)
            lost += r.lost
        else:
            text += " %d" % format_
            records += 1
        if r.duration is not None:
            text += " duration=%d" % (file.clock.duration(r.time, r.duration))
        if r.values:
            text += "".join(shown(kind, value) for kind, value in zip(f.types, r.values))
        if r.trace is not None:
            text += " trace=%s flags=%d" % (r.trace.hex(), r.flags)
        if r.span:
            text += " span=%016x" % r.span
        if r.parent:
            text += " parent=%016x" % r.parent
        out.write(text + "\n")
    out.write("end: records=%d lost=%d damaged=%d closed=%d tail=%d\n" % (
        records, lost & U64, file.damaged, file.closed, file.has_tail))


def content(path, default=None):
    try:
        with open(path, "rb") as f:
            return f.read()
    except FileNotFoundError:
        if default is None:
            raise
        return default


def show(path, out):
    tail = content(path + ".tail", b"")  # before the file
    try:
        dump(File(content(path), tail), out)
    except Refused as e:
        out.write("refused: %s\n" % e)


def compare(paths):
    """Exit status 1 where a file NAME.qslog is not decoded as NAME.dump says."""
    different = 0
    for path in paths:
        with open(path[:-len(".qslog")] + ".dump", encoding="ascii") as f:
            want = f.read().splitlines()
        out = io.StringIO()
        with contextlib.redirect_stderr(io.StringIO()):
            show(path, out)
        got = out.getvalue().splitlines()
        if got == want:
            continue
        different += 1
        print("FAIL: the second reader decodes %s differently (-: as it should be):" % path)
        for line in list(difflib.unified_diff(want, got, lineterm="", n=1))[:20]:
            print(line)
    return 1 if different else 0


def main():
    if len(sys.argv) > 2 and sys.argv[1] == "--compare":
        sys.exit(compare(sys.argv[2:]))
    if len(sys.argv) != 2:
        sys.exit("usage: qslog_reader.py FILE, or --compare FILE...")
    show(sys.argv[1], sys.stdout)


if __name__ == "__main__":
    main()
