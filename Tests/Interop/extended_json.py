# SPDX-License-Identifier: Apache-2.0
"""Checks that MongoDB's own parser of extended JSON, and JavaScript, read back the values that were written.

    extended_json.py make SEED        prints BSON documents in hexadecimal digits, one a line
    extended_json.py check FILE       FILE: lines of a document, a tab and the JSON of its field "v"

`check` reads each text with pymongo's json_util. If node is installed, it also reads the text that node has read and
written.
"""

import json
import math
import random
import shutil
import struct
import subprocess
import sys

import bson
from bson import json_util
from bson.binary import Binary
from bson.code import Code
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.son import SON
from bson.timestamp import Timestamp

sys.setrecursionlimit(20_000)

OPTIONS = json_util.JSONOptions(
    json_mode=json_util.JSONMode.RELAXED, document_class=SON, tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
CODEC = CodecOptions(document_class=SON, tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO)

DOUBLES = [
    0.0, -0.0, 1.0, -1.0, 0.1, 1 / 3, 1e22, 1e21, 123456789012345680.0, 2.0**53, 2.0**53 + 2, 2.0**60, 2.0**63, 1e308,
    -1e308, sys.float_info.max, sys.float_info.min, 5e-324, -5e-324, math.nan, math.inf, -math.inf, 1e-7, 100000.0,
]
INTEGERS = [
    0, 1, -1, 2**31 - 1, -(2**31), 2**31, -(2**31) - 1, 2**53 - 1, -(2**53) + 1, 2**53, -(2**53), 2**53 + 1,
    2**63 - 1, -(2**63), 9007199254740993,
]
DATES = [
    0, 1, -1, 999, -999, 1767916800250, 951782400000, 4107542399000, -62135596800000, -62135596800001, 253402300799999,
    253402300800000, 2**63 - 1, -(2**63), -2208988800000,
]
DECIMALS = [
    "0", "-0", "1", "1.0", "1.00", "0E+6111", "0E-6176", "9.999999999999999999999999999999999E+6144", "1E-6176", "NaN",
    "Infinity", "-Infinity", "12345678901234567890.12345678901234", "-1E+3", "0.000001", "1E-7",
]
STRINGS = [
    "", "plain", "\"quotes\\and\\slashes/", "".join(map(chr, range(32))), "\x7f\x80\x9f", "\u2028\u2029", "\ufeff", "\ufffd\uffff",
    "é e\u0301 日本 \U0001f600 \U0010ffff", "a\x00b", "</script>",
    "\\u0041",
]
KEYS = ["", "$", "$x", "a.b", ".", "$a.b", "\"", "\\", "\n", "é", "__proto__", "constructor", "0", "length"]


def raw(kind, value):
    """Encodes a value that pymongo does not write, as a document with the field v."""
    body = bytes([kind]) + b"v\0" + value
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def text(value):
    return struct.pack("<i", len(value) + 1) + value + b"\0"


def extremes():
    yield from DOUBLES
    yield from map(Int64, INTEGERS)
    yield from (number for number in INTEGERS if abs(number) < 2**31)
    yield from map(DatetimeMS, DATES)
    yield from map(Decimal128, DECIMALS)
    yield from STRINGS
    yield from ({key: 1} for key in KEYS)
    yield from (Timestamp(seconds, count) for seconds in (0, 1, 2**32 - 1) for count in (0, 2**32 - 1))
    yield from (Regex(pattern, options) for pattern in ("", "a/\"\\b", "é") for options in ("", "imsux", "i"))
    yield from (Binary(bytes(range(size)), kind) for size in (0, 1, 2, 3, 4, 16) for kind in (0, 1, 2, 3, 4, 5, 6, 128, 255))
    yield from (Code("f(\"x\")"), Code("", {}), Code("é\n", {"a": Int64(2**60), "b": {"c": []}}))
    yield from (MinKey(), MaxKey(), ObjectId("65a1b2c3d4e5f60718293a0f"), None, True, False, {}, [], [[]], [{}])
    yield [1, Int64(2), 3.0, "4", None, [5, {"a": [6]}]]
    # Keys that begin with a dollar sign, as in JSON Schema.
    yield {"$ref": "#/$defs/x", "$defs": {"x": {"type": "string", "minimum": 1.0}}, "$schema": "https://json-schema.org"}


def nested(levels):
    value = {"end": Int64(2**62)}
    for level in range(levels):
        value = {"k": value} if level % 2 else [value]
    return value


def raw_extremes():
    yield raw(0x06, b"")
    yield raw(0x0E, text("symbol \"é\"".encode()))
    yield raw(0x0C, text(b"db.coll\"ection") + bytes(range(12)))
    yield raw(0x0B, b"a\0xusmi\0")
    yield raw(0x01, struct.pack("<Q", 0xFFF8000000000001))
    # A duplicate key: parsers of both formats keep the last value.
    yield raw(0x03, struct.pack("<i", 19) + b"\x10a\0" + struct.pack("<i", 1) + b"\x10a\0" + struct.pack("<i", 2) + b"\0")
    yield raw(0x03, bson.encode({}))


def anything(source, levels=4):
    choice = source.randrange(12 if levels else 9)
    if choice == 0:
        return struct.unpack("<d", source.randbytes(8))[0]
    if choice == 1:
        return Int64(source.randrange(-(2**63), 2**63) >> source.randrange(64))
    if choice == 2:
        return source.randrange(-(2**31), 2**31)
    if choice == 3:
        return DatetimeMS(source.randrange(-(2**63), 2**63) >> source.randrange(40))
    if choice == 4:
        return "".join(chr(source.choice([source.randrange(0xD800), source.randrange(128)])) for _ in range(source.randrange(8)))
    if choice == 5:
        high = source.randrange(0, 0x3040) << 49 | source.randrange(0x1ED09BEAD87C0)
        return Decimal128.from_bid(struct.pack("<QQ", source.randrange(2**64), high | source.randrange(2) << 63))
    if choice == 6:
        return Binary(source.randbytes(source.randrange(10)), source.choice([0, 5, 128]))
    if choice == 7:
        return source.choice([None, True, False, MinKey(), MaxKey(), Timestamp(source.randrange(2**32), source.randrange(2**32))])
    if choice == 8:
        return ObjectId(source.randbytes(12))
    if choice == 9:
        return [anything(source, levels - 1) for _ in range(source.randrange(5))]
    return {f"k{index}{source.choice(KEYS)}": anything(source, levels - 1) for index in range(source.randrange(5))}


def make(seed):
    source = random.Random(seed)
    for value in extremes():
        # The value of a free-form field is an object or an array.
        for whole in ([value], {"a": value, "b": [value]}):
            print(bson.encode({"v": whole}).hex())
    for levels in (50, 99, 100, 101, 150, 180):
        print(bson.encode({"v": nested(levels)}).hex())
    for document in raw_extremes():
        # The whole document as the value of a field.
        body = b"\x03v\0" + document
        print((struct.pack("<i", len(body) + 5) + body + b"\0").hex())
    for _ in range(1000):
        print(bson.encode({"v": [anything(source)]}).hex())


def same(left, right, strictly=True):
    """Whether two values are equal. If `strictly`, numbers must also have the same type."""
    if isinstance(left, (bool, type(None))) or isinstance(right, (bool, type(None))):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        if strictly and isinstance(left, float) != isinstance(right, float):
            return False
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        if not strictly and (isinstance(left, float) or isinstance(right, float)):
            # JavaScript writes a double with the fewest digits that identify it, and no fraction if it is integral.
            left, right = float(left), float(right)
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    if isinstance(left, dict) and isinstance(right, dict):
        pairs = zip(left.items(), right.items())
        return len(left) == len(right) and all(a == b and same(x, y, strictly) for (a, x), (b, y) in pairs)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(x, y, strictly) for x, y in zip(left, right))
    if isinstance(left, Code) and isinstance(right, Code):
        return str(left) == str(right) and (left.scope is None) == (right.scope is None) and same(
            left.scope or {}, right.scope or {}, strictly)
    if isinstance(left, Decimal128) and isinstance(right, Decimal128):
        # A number has several encodings, but its text has only one.
        return str(left) == str(right)
    return type(left) is type(right) and left == right


# Reads lines of JSON and writes them again. JSON.stringify does not write -0, and JavaScript's objects do not keep the
# order of numeric keys.
JAVASCRIPT = r"""
const write = (v) =>
  typeof v === 'number' ? (Object.is(v, -0) ? '-0.0' : JSON.stringify(v))
  : Array.isArray(v) ? '[' + v.map(write).join(',') + ']'
  : v !== null && typeof v === 'object'
    ? '{' + Object.keys(v).map((k) => JSON.stringify(k) + ':' + write(v[k])).join(',') + '}'
  : JSON.stringify(v);
const lines = require('fs').readFileSync(0, 'utf8').split('\n');
lines.pop();
for (const line of lines) console.log(write(JSON.parse(line)));
"""


def check(path):
    with open(path, encoding="utf-8", newline="\n") as file:
        lines = file.read().split("\n")[:-1]
    pairs = [line.split("\t", 1) for line in lines]
    values = [bson.decode(bytes.fromhex(document), CODEC)["v"] for document, _ in pairs]
    failures = 0

    def compare(texts, reader, strictly):
        nonlocal failures
        for (document, _), value, text in zip(pairs, values, texts):
            try:
                read = json_util.loads(text, json_options=OPTIONS)
            except Exception as error:  # Any exception means that the text cannot be read.
                read = error
            if not same(value, read, strictly):
                failures += 1
                print(f"{reader}: {document[:200]}: {value!r:.300} was read from {text:.300} as {read!r:.300}")

    texts = [text for _, text in pairs]
    compare(texts, "json_util", True)
    for text in texts:
        json.loads(text)
    node = shutil.which("node")
    if node:
        run = subprocess.run(
            [node, "-e", JAVASCRIPT], input="".join(text + "\n" for text in texts), encoding="utf-8",
            stdout=subprocess.PIPE, check=True)
        written = run.stdout.split("\n")[:-1]
        assert len(written) == len(texts), "node must write as many lines as it reads"
        compare(written, "node", False)
    else:
        print("skipped the check with JavaScript: node is not installed")
    if failures:
        sys.exit(f"{failures} failures")
    print(f"passed {len(pairs)}")


if __name__ == "__main__":
    {"make": lambda: make(int(sys.argv[2])), "check": lambda: check(sys.argv[2])}[sys.argv[1]]()
