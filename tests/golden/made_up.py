#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
made_up.py - writes golden files that no writer of ours writes: what later versions may, what the
page leaves open, and every kind of damage. Like the reader beside it, it is made from docs/format.md.

    made_up.py FOLDER [NAME...]      (see README.md: files that are there stay as they are)
"""

import os
import struct
import sys

from qslog_reader import (MAGIC, MAGIC_END, MAGIC_FRAME, MAGIC_TAIL, _zstd, low_half, xxh3)
import ctypes

FILE_ID = bytes(range(0x10, 0x20))
KEY = struct.unpack_from("<Q", FILE_ID)[0]
EPOCH = 1767225600 * 10**9  # 2026-01-01 00:00:00 UTC: tick 0
SECOND = 10**9


# ---- Definitions ----

def varint(v):
    out = b""
    while v >= 0x80:
        out += bytes((v & 0x7f | 0x80,))
        v >>= 7
    return out + bytes((v,))


def zigzag(n):
    return varint(2 * n if n >= 0 else -2 * n - 1)


def string(s):
    s = s.encode() if isinstance(s, str) else s
    return varint(len(s)) + s


# ---- Entries ----

def info(kind, data):
    head = 0x80 | kind << 4
    if len(data) < 15:
        return bytes((head | len(data),)) + data
    return bytes((head | 15,)) + varint(len(data)) + data


def extended(subtype, data):
    return info(3, varint(subtype) + data)


def clock(ticks, realtime=None, window=100):
    realtime = EPOCH + ticks if realtime is None else realtime
    return extended(1, struct.pack("<qqI", ticks, realtime, window))


def pid(number):
    return info(0, struct.pack("<I", number))


def time(ticks):
    return info(1, struct.pack("<q", ticks))


def thread_is(number):
    return info(2, varint(number))


def process(number=0, pid_=4711, name="example", exe="/bin/example", command="example -x", more=b""):
    return extended(2, varint(number) + varint(pid_) + varint(0) + string(name) + string(exe) +
                    string(command) + more)


def thread(number=0, process_=0, tid=4711, key=1, name="main", more=b""):
    return extended(3, varint(number) + varint(process_) + varint(tid) + varint(key) + string(name) + more)


def loss(diff, cause, count, more=b""):
    return extended(4, zigzag(diff) + varint(cause) + varint(count) + more)


def format_(id_=0, level=1, kind=0, types=(3,), text="value {}", name="", line=38, more=b"", tag="made",
            arg_cnt=None, hash_=None):
    body = bytes((kind, len(types) if arg_cnt is None else arg_cnt)) + bytes(types) + varint(line)
    body += string(tag) + string("src/made.c") + string("run") + string(text) + string(name) + more
    hash_ = xxh3(body, level) if hash_ is None else hash_
    return (bytes((0x40 | level,)) + varint(id_) + varint(8 + len(body)) + struct.pack("<Q", hash_) + body)


def log(id_, diff, args=b""):
    return (bytes((id_,)) if id_ < 63 else b"\x3f" + varint(id_)) + zigzag(diff) + args


def span(operation, id_, rest):
    head = 0xc0 | operation << 4
    return (bytes((head | id_,)) if id_ < 15 else bytes((head | 15,)) + varint(id_)) + rest


def enter(id_, diff, args=b""):
    return span(0, id_, zigzag(diff) + args)


def leave(id_, diff, duration):
    return span(1, id_, zigzag(diff) + varint(duration))


def context(subtype, data):
    return bytes((0xf0 | subtype,)) + varint(len(data)) + data


def line(trace, parent, flags=1):
    return struct.pack(">QQ", trace, ~trace & (1 << 64) - 1) + struct.pack("<QB", parent, flags)


INTRO = process() + thread() + pid(4711) + thread_is(0) + format_()


def rows(*entries, at=SECOND, end=None):
    """As a rows block must be: time and clock, what is introduced, the entries, the clock again."""
    return time(at) + clock(at) + INTRO + b"".join(entries) + clock(2 * at if end is None else end)


def values(count, first=0, diff=1000):
    return b"".join(log(0, diff, varint(first + i)) for i in range(count))


# ---- Blocks ----

def zstd(data):
    bound = len(data) + len(data) // 128 + 1024
    out = ctypes.create_string_buffer(bound)
    _zstd.ZSTD_compress.restype = ctypes.c_size_t
    n = _zstd.ZSTD_compress(out, ctypes.c_size_t(bound), bytes(data), ctypes.c_size_t(len(data)), 3)
    return out.raw[:n]


def block(sequence, payload, kind=1, records=0, compress=False, extra=b"", **fields):
    f = dict(version=1, compression=int(compress), level_mask=0x3f, must_understand=0, may_ignore=0,
             reserved=0, raw_bytes=len(payload), time_min=SECOND, time_max=2 * SECOND,
             clock_ticks=2 * SECOND, clock_realtime=EPOCH + 2 * SECOND, lost=0, stream=0, key=KEY,
             header_bytes=104 + len(extra), record_cnt=records, kind=kind, sequence=sequence)
    stored = zstd(payload) if compress else payload
    f.update(stored_bytes=len(stored), payload_hash=xxh3(stored))
    f.update(fields)
    order = ("version", "kind", "compression", "level_mask", "must_understand", "may_ignore", "reserved",
             "sequence", "stored_bytes", "raw_bytes", "payload_hash", "time_min", "time_max",
             "clock_ticks", "clock_realtime", "lost", "record_cnt", "stream", "key")
    body = struct.pack("<HBBBBHHHQIIQqqqqQIIQ", f["header_bytes"], *(f[name] for name in order)) + extra
    return MAGIC + struct.pack("<I", low_half(body)) + body + stored


def file_header(*entries, **fields):
    payload = extended(17, b"made_up.py") + extended(18, FILE_ID) + extended(19, b"example") + clock(0)
    return block(0, b"".join(entries) + payload, kind=0, time_min=0, time_max=0, level_mask=0,
                 clock_ticks=0, clock_realtime=EPOCH, **fields)


def trailer(index_offset, key=KEY):
    body = struct.pack("<QQI", index_offset, key, 0)
    return body + struct.pack("<I", low_half(body)) + MAGIC_END


def index_entry(data, offset, more=b""):
    h = struct.unpack_from("<8sIHBBBBHHHQIIQqqqqQIIQ", data, offset)
    return struct.pack("<QQqqqqQIIIBBH", offset, h[10], h[14], h[15], h[16], h[17], h[18], h[19],
                       h[11], h[12], h[4], h[6], 0) + more


def offsets(data):
    """Of all blocks."""
    found, at = [], 0
    while at < len(data):
        found.append(at)
        header_bytes, stored = struct.unpack_from("<H", data, at + 12)[0], struct.unpack_from("<I", data, at + 32)[0]
        at += header_bytes + stored
    return found


def index(data, previous=0, entries=None, entry_bytes=72, more=b"", compress=False, **fields):
    entries = [index_entry(data, o, more) for o in offsets(data)[1:]] if entries is None else entries
    payload = struct.pack("<QIIQQQ", previous, entry_bytes + len(more), len(entries), 0, 0, 0) + b"".join(entries)
    sequence = struct.unpack_from("<Q", data, offsets(data)[-1] + 24)[0] + 1
    return block(sequence, payload, kind=3, level_mask=0, time_min=0, time_max=0, clock_ticks=0,
                 clock_realtime=0, compress=compress, **fields)


def closed(data, **how):
    return data + index(data, **how) + trailer(len(data))


def of(payload, records, **how):
    """A closed file of one rows block."""
    return closed(file_header() + block(1, payload, records=records, **how))


def tail_file(sequence, frames, extra=b"", version=1, file_id=FILE_ID):
    body = struct.pack("<HBB", 40 + len(extra), version, 0) + file_id + struct.pack("<Q", sequence) + extra
    return MAGIC_TAIL + struct.pack("<I", low_half(body)) + body + b"".join(frames)


def frame(number, sequence, payload, records, lost=0, **fields):
    f = dict(magic=MAGIC_FRAME, number=number, size=len(payload), rows_hash=xxh3(payload), reserved=b"\0\0\0")
    f.update(fields)
    head = struct.pack("<4sIQqqIIQQB3s", f["magic"], f["number"], sequence, SECOND, 2 * SECOND, f["size"],
                       records, f["rows_hash"], lost, 0x3f, f["reserved"])
    return head + struct.pack("<I", low_half(head)) + payload


FILES = {}


def golden(make):
    FILES[make.__name__] = make
    return make


# ---- valid ----

@golden
def tick_us():
    data = time(10**6) + extended(1, struct.pack("<qqI", 10**6, EPOCH, 100)) + INTRO
    data += format_(1, kind=1, types=(), text="", name="work")
    data += log(0, 1, varint(1)) + enter(1, 250) + leave(1, 750, 750)
    data += extended(1, struct.pack("<qqI", 3 * 10**6, EPOCH + 2 * SECOND + 300000, 100))
    return closed(file_header(extended(16, struct.pack("<Q", 1000))) + block(1, data, records=3))


@golden
def tick_one_second():
    data = time(5) + clock(5, EPOCH) + INTRO + log(0, 1, varint(1)) + log(0, -2, varint(2)) + clock(9, EPOCH + 4 * SECOND)
    return closed(file_header(extended(16, struct.pack("<Q", SECOND))) + block(1, data, records=2))


@golden
def clock_steps():
    """Drift, a clock that is set forwards and back, times outside of all pairs, pairs out of order."""
    s = SECOND
    data = time(0) + INTRO
    data += clock(s, EPOCH, 50) + clock(2 * s, EPOCH + s + 400000, 50) + clock(2 * s, 7, 50) + clock(s, 8, 50)
    data += clock(3 * s, EPOCH + 3600 * s, 50) + clock(4 * s, EPOCH + 3601 * s - 300000, 50)
    data += clock(5 * s, EPOCH - 3600 * s, 2000000000) + clock(5 * s + 1000, EPOCH - 3600 * s + 1900, 50)
    data += b"".join(log(0, s // 4 + 1, varint(i)) for i in range(24))
    data += time(-50 * s) + log(0, 0, varint(99))
    return of(data, 25)


@golden
def clock_none():
    header = block(0, extended(18, FILE_ID), kind=0, clock_ticks=0, clock_realtime=0)
    data = time(SECOND) + INTRO + values(2)
    return closed(header + block(1, data, records=2, clock_ticks=0, clock_realtime=0))


@golden
def numbers():
    """Great numbers of formats, threads and processes; what is said anew about them."""
    data = time(SECOND) + clock(SECOND)
    data += process(0xffffffff, 0xffffffff) + thread(0xfffffffe, 0xffffffff, 0xffffffff, (1 << 64) - 1)
    data += thread_is(0xfffffffe)
    for id_ in (0, 14, 15, 62, 63, 64, 127, 128, 1 << 32, (1 << 64) - 1):
        data += format_(id_, text="format %d {}" % id_) + log(id_, 10, varint(id_))
        data += format_(id_, kind=1, types=(), text="", name="span %d" % id_) + enter(id_, 5) + leave(id_, 5, 5)
    data += format_(0, level=5, text="another {} now") + log(0, 1, varint(1))
    data += process(0xffffffff, 12, "later") + log(0, 1, varint(2))
    data += thread(0xfffffffe, 0xffffffff, 13, 1, "renamed") + log(0, 1, varint(3))
    data += thread_is(0xfffffffe) + log(0, 1, varint(4)) + clock(2 * SECOND)
    return of(data, 34)


@golden
def order():
    """Three threads, interleaved and against each other; times of one that go back."""
    data = time(SECOND) + clock(SECOND) + INTRO + thread(1, 0, 4712, 2) + thread(2, 0, 4713, 3)
    data += values(5, 0, 100)
    data += thread_is(1) + values(5, 10, -50) + values(3, 20, 100)
    data += thread_is(2) + time(SECOND + 50) + values(9, 30, 25) + loss(-300, 0, 5) + values(2, 40, 0)
    data += thread_is(0) + values(2, 50, 100)
    two = time(SECOND + 10) + clock(SECOND + 10**6) + INTRO + values(3, 60, 10) + clock(2 * SECOND)
    data = file_header() + block(1, data, records=26, lost=5, time_min=SECOND - 250) + \
        block(2, two, records=3, time_min=SECOND)
    return closed(data)


@golden
def deep():
    """More lines and spans than a stack holds."""
    data = format_(1, kind=1, types=(), text="", name="down") + format_(2, kind=2, types=(), text="")
    data += context(0, varint(2) + zigzag(1) + line(7, 99) + varint(2)) + context(2, zigzag(1000)) + enter(1, 1)
    data += enter(1, 1) * 1100 + log(0, 1, varint(1)) + leave(1, 1, 1) * 3
    data += context(0, varint(2) + zigzag(1) + line(8, 0) + varint(4)) + log(0, 1, varint(2)) + enter(1, 1)
    data += context(0, varint(2) + zigzag(1) + line(9, 0) + varint(6)) + log(0, 1, varint(3))
    data += context(1, varint(2) + zigzag(1) + varint(10) + varint(3)) + log(0, 1, varint(4))
    data += context(1, varint(2) + zigzag(1) + varint(10) + varint(2)) + log(0, 1, varint(5))
    data += context(2, zigzag(-1100)) + leave(1, 1, 9) + log(0, 1, varint(6))
    data += context(1, varint(2) + zigzag(1) + varint(0) + varint(1)) + log(0, 1, varint(7)) + enter(1, 1)
    return of(rows(data), 1 + 1101 + 1 + 3 + 2 + 1 + 2 + 4 + 2 + 3, compress=True)


@golden
def context_open():
    """What was open already where the block begins; ids that wrap around."""
    data = format_(1, kind=1, types=(), text="", name="outer") + format_(2, kind=2, types=(), text="")
    data += context(3, line(5, 3) + varint(1)) + context(4, varint(2) + zigzag(-1))
    data += context(4, varint(0) + zigzag(1)) + log(0, 1, varint(1))
    data += context(3, line(6, 77, 0) + varint(3)) + context(4, varint(2) + zigzag(40)) + log(0, 1, varint(2))
    data += leave(1, 1, 1) + leave(1, 1, 1) + log(0, 1, varint(3)) + enter(1, 1)
    data += context(1, varint(2) + zigzag(1) + varint(1) + varint(2)) + log(0, 1, varint(4))
    data += context(2, zigzag((1 << 63) - 1)) + enter(1, 1) + thread(0, 0, 4711, 1, "main") + log(0, 1, varint(5))
    return of(rows(data), 10)


@golden
def index_chain():
    data = file_header()
    data += block(1, rows(values(3)), records=3) + block(2, rows(values(2, 3)), records=2)
    first = len(data)
    data += index(data)
    data += block(4, rows(values(4, 5)), records=4)
    second = len(data)
    data += index(data, previous=first, entries=[index_entry(data, offsets(data)[-1])])
    return data + trailer(second)


@golden
def block_without_records():
    return closed(file_header() + block(1, rows(), records=0, time_min=0, time_max=0) +
                  block(2, b"", records=0) + block(3, b"", records=0, compress=True) +
                  block(4, rows(values(1)), records=1, compress=True))


# ---- valid, of later versions ----

@golden
def future():
    """All that later writers may add and this version skips."""
    more = b"\xff\x00more"
    data = time(SECOND) + info(1, struct.pack("<q", SECOND) + more) + clock(SECOND)
    data += info(3, varint(1) + struct.pack("<qqI", SECOND + 1, EPOCH + SECOND + 1, 100) + more)
    data += process(more=more) + thread(more=more) + info(0, struct.pack("<I", 4711) + more)
    data += info(0, b"") + info(2, varint(0) + more)
    data += format_(more=more) + format_(1, kind=1, types=(), text="", name="span", more=more)
    data += format_(2, kind=2, types=(), text="", more=more)
    data += values(1) + extended(5, more) + extended(200, b"") + extended(1 << 40, more * 100)
    data += loss(10, 200, 3, more=more) + loss(10, 255, 1)
    data += span(2, 3, varint(len(more)) + more) + span(2, 1 << 20, varint(0))
    data += context(5, more) + context(15, more * 100) + values(1, 1)
    data += context(0, varint(2) + zigzag(1) + line(3, 4, 0xff) + varint(2) + more)
    data += context(2, zigzag(9) + more) + enter(1, 1) + context(3, line(3, 4) + varint(2) + more)
    data += context(4, varint(2) + zigzag(1) + more) + values(1, 2)
    data += context(1, varint(2) + zigzag(1) + varint(5) + varint(2) + more) + clock(2 * SECOND)
    header = file_header(extended(21, more), extended(99, more * 50), extra=b"more header",
                         may_ignore=0xffff, reserved=7)
    data = header + block(1, data, records=6, lost=4, extra=bytes(152), may_ignore=0x8001, reserved=0xffff,
                          stream=9, level_mask=0xff)
    data += block(2, b"of a later version", kind=200, records=0)
    data += block(3, b"", kind=4, records=0, version=1, compression=77)
    data += block(4, rows(values(2, 3)), records=2)
    return closed(data, more=b"of later versions", extra=b"x")


@golden
def future_tail():
    data = file_header() + block(1, rows(values(2)), records=2)
    return data, tail_file(2, [frame(0, 2, rows(values(3, 2)), 3, reserved=b"abc"),
                               frame(1, 2, values(1, 5) + extended(77, b"x"), 1)], extra=b"more")


# ---- of later versions: refused ----

@golden
def refused_version():
    return of_first(version=2)


@golden
def refused_must_understand():
    return of_first(must_understand=0x8000)


def of_first(**fields):
    return closed(file_header(**fields) + block(1, rows(values(2)), records=2))


@golden
def refused_tick_zero():
    return closed(file_header(extended(16, struct.pack("<Q", 0))) + block(1, rows(values(2)), records=2))


@golden
def refused_tick_large():
    return closed(file_header(extended(16, struct.pack("<Q", SECOND + 1))) + block(1, rows(values(2)), records=2))


@golden
def refused_no_file():
    return b"2026-01-01 00:00:00.000 1 1 I a [b.c:1 d] this is a line of text, not a file of qslog\n" * 9


@golden
def refused_empty():
    return b""


# ---- damaged ----

def three(*middle, **how):
    """Blocks 1 and 3 are good, 2 is `middle`."""
    data = file_header() + block(1, rows(values(2)), records=2)
    data += middle[0] if middle else block(2, rows(values(2, 2)), **dict(dict(records=2), **how))
    return data + block(3, rows(values(2, 4)), records=2)


@golden
def damaged_block_version():
    return closed(three(version=2))


@golden
def damaged_block_must_understand():
    return closed(three(must_understand=1))


@golden
def damaged_block_compression():
    return closed(three(compression=2))


@golden
def damaged_kind_with_records():
    return closed(three(kind=77))


@golden
def damaged_kind_with_losses():
    return closed(three(kind=77, records=0, lost=4))


@golden
def damaged_kind_unclosed():
    return three(kind=77)


@golden
def damaged_payload_hash():
    return closed(three(payload_hash=1))


@golden
def damaged_record_count():
    return closed(three(records=3))


@golden
def damaged_raw_bytes():
    return closed(three(raw_bytes=5))


@golden
def damaged_key():
    return three(key=KEY + 1)


@golden
def damaged_header_checksum():
    data = bytearray(closed(three()))
    data[offsets(three())[2] + 60] ^= 1
    return bytes(data)


@golden
def damaged_header_magic():
    data = bytearray(three())
    data[offsets(three())[2]] ^= 1
    return bytes(data)


@golden
def damaged_first_magic():
    data = bytearray(closed(three()))
    data[0] ^= 1
    return bytes(data)


@golden
def damaged_first_payload():
    data = bytearray(closed(three()))
    data[110] ^= 1
    return bytes(data)


@golden
def damaged_missing_block():
    data = three()
    o = offsets(data)
    return data[:o[2]] + data[o[3]:]


@golden
def damaged_block_twice():
    data = three()
    o = offsets(data)
    return data[:o[3]] + data[o[2]:]


@golden
def damaged_cut_in_payload():
    return three()[:-20]


@golden
def damaged_cut_in_header():
    data = three()
    return data[:offsets(data)[3] + 50]


@golden
def damaged_garbage_between():
    data = three()
    o = offsets(data)
    return data[:o[2]] + MAGIC + b"garbage" * 99 + MAGIC[:5] + data[o[2]:]


@golden
def damaged_garbage_first():
    return b"garbage" * 99 + three()


@golden
def damaged_garbage_last():
    return three() + b"garbage" * 99


@golden
def damaged_another_file_inside():
    inside = file_header(key=5) + block(1, rows(values(9)), records=9, key=5)
    data = three(block(2, extended(99, inside) + rows(values(2, 2)), records=2))
    at = offsets(data)[2]
    return data[:at] + b"\0" + data[at + 1:]  # so that the payload is searched


@golden
def damaged_index_hash():
    return closed(three(), payload_hash=7)


@golden
def damaged_index_offsets():
    data = three()
    return closed(data, entries=[index_entry(data, o) for o in reversed(offsets(data)[1:])])


@golden
def damaged_index_count():
    data = three()
    payload = struct.pack("<QIIQQQ", 0, 72, 65537, 0, 0, 0)
    return data + block(4, payload, kind=3) + trailer(len(data))


@golden
def damaged_index_circle():
    data = three()
    return closed(data, previous=len(data))


@golden
def damaged_trailer_offset():
    data = three()
    return data + index(data) + trailer(1 << 63)


@golden
def damaged_trailer_checksum():
    data = bytearray(closed(three()))
    data[-10] ^= 1
    return bytes(data)


# compressed payloads that lie

@golden
def damaged_bomb():
    """32 MiB and one byte of zeros, said to be few."""
    return closed(three(block(2, bytes(32 * 1024 * 1024 + 1), compress=True, raw_bytes=1000, records=2)))


@golden
def damaged_bomb_beyond():
    return closed(three(block(2, bytes(32 * 1024 * 1024 + 1), compress=True, records=2)))


@golden
def damaged_zstd_short():
    return closed(three(block(2, rows(values(2)), compress=True, raw_bytes=32 * 1024 * 1024, records=2)))


@golden
def damaged_zstd_none():
    return closed(three(block(2, rows(values(2)), compression=1, records=2)))


# rows

def bad(*entries, records=1):
    """One good record, what cannot be decoded, and one that nobody can reach."""
    payload = rows(values(1), *entries, values(1, 2))
    data = file_header() + block(1, payload, records=records, compress=len(payload) > 4096)
    return closed(data + block(2, rows(values(1, 3)), records=1))


BAD_ROWS = {
    "argument_end": lambda: rows(values(1))[:-23] + b"\x00\x02\xff",
    "argument_varint_long": lambda: log(0, 1, b"\xff" * 10 + b"\x01"),
    "argument_varint_large": lambda: log(0, 1, b"\xff" * 9 + b"\x02"),
    "argument_string_large": lambda: format_(1, types=(6,)) + log(1, 1, varint((1048577 << 1) + 1) + bytes(1048577)),
    "argument_string_end": lambda: format_(1, types=(6,)) + log(1, 1, varint((1 << 40) + 1)),
    "argument_string_cut": lambda: format_(1, types=(6,)) + log(1, 1, varint((3 << 1 | 1) + 1) + varint(3) + b"abc"),
    "argument_string_real": lambda: format_(1, types=(6,)) + log(1, 1, varint((3 << 1 | 1) + 1) + varint(1 << 32) + b"abc"),
    "context_depth_zero": lambda: context(3, line(1, 2) + varint(0)),
    "context_depth_large": lambda: context(3, line(1, 2) + varint(1 << 31)),
    "context_end": lambda: b"\xf3\x30" + line(1, 2),
    "context_format": lambda: context(0, varint(0) + zigzag(1) + line(1, 2) + varint(2)),
    "context_no_span": lambda: context(2, zigzag(9)) + log(0, 1, varint(1)),
    "context_no_span_line": lambda: context(2, zigzag(9)) + context(9, b""),
    "context_short": lambda: context(3, line(1, 2)[:-1]),
    "context_span_format": lambda: context(4, varint(9) + zigzag(1)),
    "entry_large": lambda: extended(99, bytes(1048576)),
    "entry_end": lambda: b"\xbf\xff\xff\x7f\x05",
    "extended_no_subtype": lambda: info(3, b""),
    "extended_clock_short": lambda: extended(1, bytes(19)),
    "extended_loss_cause": lambda: loss(1, 256, 1),
    "extended_loss_short": lambda: extended(4, zigzag(1) + varint(0)),
    "extended_loss_inside": lambda: b"\xb2\x04\x02" + values(1),
    "extended_process_number": lambda: process(1 << 32),
    "extended_process_nul": lambda: process(name=b"a\0b"),
    "extended_process_short": lambda: extended(2, varint(0) + varint(1) + varint(0) + string("a") + string("b")),
    "extended_thread_process": lambda: thread(1, 7),
    "extended_thread_tid": lambda: thread(1, 0, 1 << 32),
    "format_hash": lambda: format_(1, hash_=5),
    "format_kind": lambda: format_(1, kind=3),
    "format_level": lambda: format_(1, level=6),
    "format_arguments": lambda: format_(1, types=(3,) * 17),
    "format_type": lambda: format_(1, types=(10,)),
    "format_string_end": lambda: format_(1, types=(3,), arg_cnt=2),
    "format_string_nul": lambda: format_(1, text=b"a\0b"),
    "format_line": lambda: format_(1, line=1 << 32),
    "format_unknown": lambda: log(7, 1, varint(1)),
    "log_of_span": lambda: format_(1, kind=1, types=(), text="", name="s") + log(1, 1),
    "log_of_line": lambda: format_(2, kind=2, types=(), text="") + log(2, 1),
    "span_of_log": lambda: enter(0, 1, varint(1)),
    "span_complete_end": lambda: span(2, 1, varint(1 << 30)),
    "thread_unknown": lambda: thread_is(3),
    "thread_short": lambda: info(2, b""),
    "time_large": lambda: time((1 << 62) + 1),
    "time_small": lambda: time(-(1 << 62) - 1),
    "time_sum": lambda: time(1 << 62) + log(0, 1, varint(1)),
    "time_short": lambda: info(1, bytes(7)),
}


def bad_rows(name, entries):
    def make():
        return bad(entries())
    FILES["damaged_rows_" + name] = make


for name, entries in BAD_ROWS.items():
    bad_rows(name, entries)


@golden
def damaged_rows_no_thread():
    data = time(SECOND) + clock(SECOND) + process() + thread() + format_() + log(0, 1, varint(1))
    return closed(file_header() + block(1, data, records=0) + block(2, rows(values(1)), records=1))


# columns

def section(id_, data, codec=0, flags=0, raw=None):
    stored = zstd(data) if codec == 1 else data
    return struct.pack("<HBBII", id_, codec, flags, len(data) if raw is None else raw, len(stored)), stored


def columns(*sections, cnt=None):
    return (struct.pack("<II", len(sections) if cnt is None else cnt, 0) + b"".join(s[0] for s in sections) +
            b"".join(s[1] for s in sections))


def verbatim_sections(entries, flags=0, operations=b"\x00\x00", **how):
    """Rows that are all kept as they are: constant operations 0, lengths in planes of two bytes."""
    plan = varint(flags) + varint(len(entries)) + bytes(4) + operations + b"\x01\x02"
    lengths = bytes(len(e) & 255 for e in entries) + bytes(len(e) >> 8 for e in entries)
    return [section(1, plan, **how), section(2, b"".join(entries)), section(3, lengths)]


ENTRIES = [time(SECOND), clock(SECOND), process(), thread(), pid(4711), thread_is(0), format_(),
           log(0, 1, varint(2)), log(0, 1, varint(3)), clock(2 * SECOND)]


def three_with_columns(payload, more=0, **how):
    raw = len(b"".join(ENTRIES)) + more
    fields = dict(dict(records=2, raw_bytes=raw), **how)
    return closed(three(block(2, payload, kind=2, **fields)))


@golden
def columns_verbatim():
    return three_with_columns(columns(*verbatim_sections(ENTRIES)))


@golden
def columns_sections():
    """Sections in parts and in another order, one that is compressed, and some that nobody knows."""
    plan, verbatim, data = verbatim_sections(ENTRIES)
    split = [section(2, verbatim[1][:50], codec=1), section(2, verbatim[1][50:])]
    return three_with_columns(columns(section(77, b"of a later version"), split[0], data, section(9, b"x", codec=5, raw=99),
                                      plan, split[1], section(4, b"")))


DAMAGED_COLUMNS = {
    "codec": lambda: columns(*verbatim_sections(ENTRIES)[:2], section(3, b"x", codec=2)),
    "must_understand": lambda: columns(*verbatim_sections(ENTRIES), section(77, b"x", flags=1)),
    "section_flag": lambda: columns(section(2, b"x", flags=2), *verbatim_sections(ENTRIES)),
    "section_length": lambda: columns(*verbatim_sections(ENTRIES, raw=5)),
    "section_count": lambda: columns(*verbatim_sections(ENTRIES), cnt=32769),
    "section_bomb": lambda: columns(*verbatim_sections(ENTRIES), section(3, bytes(65 * 1024 * 1024), codec=1)),
    "behind_sections": lambda: columns(*verbatim_sections(ENTRIES)) + b"x",
    "no_table": lambda: b"\x01",
    "plan_flag": lambda: columns(*verbatim_sections(ENTRIES, flags=2)),
    "plan_end": lambda: columns(section(1, b"\x00\x05")),
    "no_sections": lambda: columns(),
    "operation": lambda: columns(*verbatim_sections(ENTRIES, operations=b"\x00\x02")),
    "packing": lambda: columns(*verbatim_sections(ENTRIES, operations=b"\x05\x00")),
    "shift": lambda: columns(*verbatim_sections(ENTRIES, operations=b"\x80\x40\x00")),
    "deep": lambda: columns(*verbatim_sections(ENTRIES, operations=b"\x04\x01" * 9 + b"\x00\x00" * 9)),
    "data_end": lambda: columns(*verbatim_sections(ENTRIES)[:2], section(3, b"\1")),
}


def damaged_columns(name, payload, **how):
    FILES["damaged_columns_" + name] = lambda: three_with_columns(payload(), **how)


for name, payload in DAMAGED_COLUMNS.items():
    damaged_columns(name, payload)
damaged_columns("rows_fewer", lambda: columns(*verbatim_sections(ENTRIES)), more=1)
damaged_columns("rows_more", lambda: columns(*verbatim_sections(ENTRIES)), more=-1)
damaged_columns("rows_many", lambda: columns(*verbatim_sections(ENTRIES)), raw_bytes=16 * 1024 * 1024 + 1)
damaged_columns("compression", lambda: columns(*verbatim_sections(ENTRIES)), compression=1)


# tails

def with_tail(*args, **how):
    return file_header() + block(1, rows(values(2)), records=2), tail_file(*args, **how)


@golden
def tail_stale():
    return with_tail(1, [frame(0, 1, rows(values(9)), 9)])


@golden
def tail_of_another_file():
    return with_tail(2, [frame(0, 2, rows(values(9)), 9)], file_id=bytes(16))


@golden
def tail_has_torn_block():
    data = three()
    return data[:-20], tail_file(3, [frame(0, 3, rows(values(2, 4)), 2)])


@golden
def tail_empty():
    return file_header() + block(1, rows(values(2)), records=2), b""


@golden
def tail_header_only():
    return with_tail(2, [])


@golden
def damaged_tail_version():
    return with_tail(2, [frame(0, 2, rows(values(9)), 9)], version=2)


@golden
def damaged_tail_header():
    data, tail = with_tail(2, [frame(0, 2, rows(values(9)), 9)])
    return data, tail[:20] + b"\x55" + tail[21:]


@golden
def damaged_tail_frame_cut():
    data, tail = with_tail(2, [frame(0, 2, rows(values(2, 2)), 2), frame(1, 2, values(2, 4), 2)])
    return data, tail[:-1]


@golden
def damaged_tail_frame_number():
    return with_tail(2, [frame(0, 2, rows(values(2, 2)), 2), frame(2, 2, values(2, 4), 2)])


@golden
def damaged_tail_frame_sequence():
    return with_tail(2, [frame(0, 2, rows(values(2, 2)), 2), frame(1, 3, values(2, 4), 2)])


@golden
def damaged_tail_frame_hash():
    return with_tail(2, [frame(0, 2, rows(values(2, 2)), 2), frame(1, 2, values(2, 4), 2, rows_hash=1)])


@golden
def damaged_tail_frame_large():
    return with_tail(2, [frame(0, 2, rows(values(2, 2)), 2), frame(1, 2, values(2, 4), 2, size=1 << 25)])


@golden
def damaged_tail_torn_by_another():
    """The tail has not the rows of the block that is cut off."""
    data = three()
    return data[:-20], tail_file(4, [frame(0, 4, rows(values(1, 6)), 1)])


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: made_up.py FOLDER [NAME...]")
    for name in sys.argv[2:] or FILES:
        made = FILES[name]()
        data, tail = made if isinstance(made, tuple) else (made, None)
        path = os.path.join(sys.argv[1], name + ".qslog")
        with open(path, "wb") as f:
            f.write(data)
        if tail is not None:
            with open(path + ".tail", "wb") as f:
                f.write(tail)


if __name__ == "__main__":
    main()
