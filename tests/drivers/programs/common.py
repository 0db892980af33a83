# What the Python programs share: the values that every driver writes and reads, and how results are printed.
import datetime as dt
import decimal
import sys
import uuid

D = decimal.Decimal


def check(name):
    print("##", name, flush=True)


def show(value):
    """One spelling for what two drivers' types print differently."""
    if isinstance(value, memoryview):
        value = bytes(value)
    print(repr(value))


def end():
    check("end")
    sys.stdout.flush()


UTC = dt.timezone.utc
COLUMNS = ("id", "i2", "i4", "i8", "num", "num2", "f4", "f8", "b", "t", "vc", "c", "ba", "d", "ti", "ts", "tstz", "iv", "u", "ia", "ta", "na", "md")
NUMERIC_EDGES = ["0", "-0.00", "1e-16383", "9" * 400, "-" + "9" * 100 + "." + "1" * 50, "NaN", "0.1", "10000", "9999.9999", "100000000.00000001"]
ROWS = [
    (1, 1, 2, 3, D("1.5"), D("2.25"), 0.5, 0.1, True, "text", "var", "c", b"\x00\x01\xff\\'", dt.date(2024, 2, 29), dt.time(23, 59, 59, 999999), dt.datetime(2024, 2, 29, 1, 2, 3, 456789),
     dt.datetime(2024, 2, 29, 1, 2, 3, 456789, UTC), dt.timedelta(days=3, seconds=5, microseconds=7), uuid.UUID("12345678-1234-5678-1234-567812345678"), [1, 2, 3], ["a", "", "NULL", 'q"u\\o', "ä,{}"], [D("1.1"), D("-2")], "happy"),
    (2, -32768, -2147483648, -9223372036854775808, D("-1e30"), D("-9999999999.99"), -3.4028235e38, -1.7976931348623157e308, False, "", "", "", b"", dt.date(1, 1, 1), dt.time(0, 0), dt.datetime(1, 1, 1),
     dt.datetime(1, 1, 1, tzinfo=UTC), dt.timedelta(0), uuid.UUID(int=0), [], [], [], "sad"),
    (3, 32767, 2147483647, 9223372036854775807, D("0"), D("9999999999.99"), 1e-37, 5e-324, True, "snowman \u2603 \U0001f600 'q' \"d\" \\b\t\n\r", "x" * 20, "abcde", bytes(range(256)), dt.date(9999, 12, 31), dt.time(12, 0), dt.datetime(9999, 12, 31, 23, 59, 59, 999999),
     dt.datetime(2024, 7, 1, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30))), dt.timedelta(days=-1, microseconds=-1), uuid.UUID(int=2**128 - 1), [None, 5], [None, "x"], [None], "ok"),
    (4,) + (None,) * 22,
    (-5, 0, 0, 0, D("0.000000000000000001"), D("0"), float("inf"), float("-inf"), False, "x" * 100_000, "ä", "ä", b"x" * 70_000, dt.date(1970, 1, 1), dt.time(0, 0, 1), dt.datetime(1970, 1, 1),
     dt.datetime(1970, 1, 1, tzinfo=UTC), dt.timedelta(days=400), uuid.UUID(int=1), list(range(1000)), ["x" * 1000] * 5, [D(1) / D(8)], "sad"),
]
JSONS = ['{"a": [1, 2.50, null, true], "b": {"c": "\\u00e4\\"\\\\"}}', "null", "[]", '"x"', "1e3"]
