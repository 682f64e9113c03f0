"""What a plan of timelab means, in plain Python: expressions, the steps of a plan, and their partial results.

It knows no engine: an engine hands blocks to it, and moves them about. A block is (rows, columns), a column a list,
null is None. Texts compare by code points, which is the order of their bytes in UTF-8. An error is a RuntimeError
"timelab:KIND:MESSAGE", so that any engine can carry it.
"""
import math, re, sys, unicodedata
from decimal import Decimal, Context, ROUND_HALF_UP
from fractions import Fraction

LEAST, MOST = -(1 << 63), (1 << 63) - 1
WHITE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
NULL_TEXTS = ("NA", "N/A", "n/a", "NULL", "null", "None")
# Characters that got another case after Unicode 14, which this Python may know.
CHANGED = ("\u019b", "\u0264")
EXACT = Context(prec=2400, rounding=ROUND_HALF_UP)


def fail(kind, message):
    raise RuntimeError("timelab:%s:%s" % (kind, message))


# Expressions ---------------------------------------------------------------------------------------------------------

def whole(x):
    """An int that fits 64 bits."""
    if LEAST <= x <= MOST:
        return x
    fail("overflow", "int overflow: %d" % x)


def add(a, b):
    return None if a is None or b is None else whole(a + b)


def sub(a, b):
    return None if a is None or b is None else whole(a - b)


def mul(a, b):
    return None if a is None or b is None else whole(a * b)


def floor_div(a, b):
    if a is None or b is None:
        return None
    if b == 0:
        fail("zero_division", "division by zero: %d // 0" % a)
    return whole(a // b)


def rem(a, b):
    if a is None or b is None:
        return None
    if b == 0:
        fail("zero_division", "division by zero: %d %% 0" % a)
    return a % b


def glue(*parts):
    if any(part is None for part in parts):
        return None
    if isinstance(parts[0], str):
        return "".join(parts)
    return [item for part in parts for item in part]


def add_f(a, b):
    return None if a is None or b is None else a + b


def sub_f(a, b):
    return None if a is None or b is None else a - b


def mul_f(a, b):
    return None if a is None or b is None else a * b


def divide(a, b):
    if b != 0:
        return a / b
    if a != a or a == 0:
        return math.nan
    return math.copysign(math.inf, math.copysign(1.0, a) * math.copysign(1.0, b))


def div_f(a, b):
    return None if a is None or b is None else divide(a, b)


def floor_f(x):
    return float(math.floor(x)) if math.isfinite(x) else x


def ceil_f(x):
    return float(math.ceil(x)) if math.isfinite(x) else x


def floor_div_f(a, b):
    if a is None or b is None:
        return None
    quotient = divide(a, b)
    down = floor_f(quotient)
    if quotient != down or not math.isfinite(down) or b == 0:
        return down
    if math.isinf(b):
        return -1.0 if a != 0 and (a < 0) != (b < 0) else down
    rest = Fraction(a) - Fraction(down) * Fraction(b)
    return down - 1.0 if rest != 0 and (rest < 0) != (b < 0) else down


def rem_f(a, b):
    if a is None or b is None:
        return None
    if a != a or b != b or math.isinf(a) or b == 0:
        return math.nan
    rest = math.fmod(a, b)
    return rest + b if rest != 0 and (rest < 0) != (b < 0) else rest


def float_key(x):
    return (1, 0.0) if x != x else (0, x)


def key_maker(ty):
    """A function from values that are not null to something that is equal and ordered as they are."""
    if ty == "float":
        return float_key
    if isinstance(ty, list):
        inner = key_maker(ty[1])
        return lambda items: tuple((1,) if item is None else (0, inner(item)) for item in items)
    return lambda value: value


def group_key_maker(ty):
    inner = key_maker(ty)
    if ty == "float":
        # Floats are their own keys, but for NaN.
        return lambda value: value if value == value else "nan"
    if isinstance(ty, list):
        return lambda value: None if value is None else inner(value)
    return lambda value: value


COMPARE = {
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}


def comparer(sign, ty):
    test, key = COMPARE[sign], key_maker(ty)
    if ty == "float" or isinstance(ty, list):
        return lambda a, b: None if a is None or b is None else test(key(a), key(b))
    return lambda a, b: None if a is None or b is None else test(a, b)


def container(ty):
    key = key_maker(ty)

    def contains(item, items):
        if item is None or items is None:
            return None
        wanted = key(item)
        return any(other is not None and key(other) == wanted for other in items)
    return contains


def both(*parts):
    result = True
    for part in parts:
        value = part()
        if value is False:
            return False
        if value is None:
            result = None
    return result


def either(*parts):
    result = False
    for part in parts:
        value = part()
        if value is True:
            return True
        if value is None:
            result = None
    return result


def negated(a):
    return None if a is None else not a


def neg(a):
    return None if a is None else whole(-a)


def neg_f(a):
    return None if a is None else -a


def first_of(*parts):
    for part in parts:
        value = part()
        if value is not None:
            return value
    return None


def at(items, index):
    if items is None or index is None:
        return None
    if index < 0:
        index += len(items)
    return items[index] if 0 <= index < len(items) else None


def widener(source, target):
    if source == "int" and target == "float":
        return lambda value: None if value is None else float(value)
    if isinstance(source, list) and isinstance(target, list):
        inner = widener(source[1], target[1])
        return lambda items: None if items is None else [inner(item) for item in items]
    return lambda value: value


def known_cases(text):
    for character in text:
        if character in CHANGED or (ord(character) > 127 and unicodedata.category(character) == "Cn"):
            fail("objection", "the case of the character U+%04X is not known to this Python" % ord(character))


def lower(text):
    if not text.isascii():
        known_cases(text)
    return text.lower()


def upper(text):
    if not text.isascii():
        known_cases(text)
    return text.upper()


SEPARATORS = re.compile("[\x1c-\x1f]")
NOT_WHITE = re.compile("[^" + WHITE + "]+")


def words(text):
    # `split` takes four control characters for white space too.
    return NOT_WHITE.findall(text) if SEPARATORS.search(text) else text.split()


def split(text, separator):
    if separator == "":
        fail("domain", "the separator is empty; chars(x) returns the characters")
    return text.split(separator)


def slice_of(items, start, count):
    length = len(items)
    start = length + start if start < 0 else start
    end = start + max(count, 0)
    start, end = min(max(start, 0), length), min(max(end, 0), length)
    return items[start:max(end, start)]


def sort_list(ty):
    key = key_maker(ty)
    order = lambda item: (1,) if item is None else (0, key(item))
    return lambda items: sorted(items, key=order)


def extreme(choose, ty):
    key = key_maker(ty)
    return lambda items: choose((item for item in items if item is not None), key=key, default=None)


def sum_floats(numbers):
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):
        total = 0.0
        for number in numbers:
            total += number
        return total


def int_range(a, b):
    if b - a > 10_000_000:
        fail("domain", "range(%d, %d) has more than 10000000 elements; a..b returns them as rows" % (a, b))
    return list(range(a, b))


def power(base, exponent):
    if exponent < 0:
        fail("domain", "pow(%d, %d): an int has no negative powers" % (base, exponent))
    if base in (0, 1):
        return 1 if exponent == 0 else base
    if base == -1:
        return 1 if exponent % 2 == 0 else -1
    if exponent > 64:
        fail("overflow", "int overflow: pow(%d, %d)" % (base, exponent))
    return whole(base ** exponent)


def power_f(a, b):
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and math.fmod(b, 2) != 0 else math.inf
    except ValueError:
        if a == 0:
            is_odd = math.isfinite(b) and math.fmod(b, 2) in (1.0, -1.0)
            return math.copysign(math.inf, a) if is_odd else math.inf
        return math.nan


def round_f(x):
    if not math.isfinite(x):
        return x
    down = math.trunc(x)
    return float(down + (1 if x > 0 else -1)) if abs(x - down) >= 0.5 else math.copysign(float(down), x)


def round_to(x, digits):
    if not math.isfinite(x) or x == 0 or digits > 1100:
        return x
    if digits < -400:
        return math.copysign(0.0, x)
    exact = Decimal(x)
    if -exact.as_tuple().exponent <= digits:
        return x
    return math.copysign(float(exact.quantize(Decimal((0, (1,), -digits)), context=EXACT)), x)


def round_int(i, digits):
    if digits >= 0:
        return i
    if digits < -19:
        return 0
    unit = 10 ** -digits
    sign = -1 if i < 0 else 1
    return whole(sign * ((abs(i) + unit // 2) // unit * unit))


def total(function):
    """A function of a float that has a value for each."""
    def value(x):
        try:
            return function(x)
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan
    return value


def logarithm(function):
    return lambda x: -math.inf if x == 0 else math.nan if x < 0 or x != x else function(x)


FLOATS = {
    "floor": floor_f, "ceil": ceil_f, "exp": total(math.exp), "ln": logarithm(math.log), "log2": logarithm(math.log2),
    "sin": total(math.sin), "cos": total(math.cos), "tan": total(math.tan),
}

INT = re.compile("[+-]?[0-9]+")
FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
NAMED = re.compile("[+-]?(?:nan|inf|infinity)", re.IGNORECASE | re.ASCII)


def int_from_float(x):
    if not math.isfinite(x) or not -9223372036854775808.0 <= math.trunc(x) < 9223372036854775808.0:
        fail("domain", "int(%s): this value does not fit into an int" % float_text(x))
    return math.trunc(x)


def parsed_int(text):
    if not INT.fullmatch(text):
        return None
    # Python refuses very long numbers.
    digits = text.lstrip("+-").lstrip("0")
    if len(digits) > 19:
        return None
    value = int(text)
    return value if LEAST <= value <= MOST else None


def int_from_text(text):
    value = parsed_int(text.strip(WHITE))
    if value is None:
        fail("domain", "int(%s): this text is not an int" % text[:40])
    return value


def parsed_float(text):
    if NAMED.fullmatch(text):
        return float(text)
    if not FLOAT.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def float_from_text(text):
    value = parsed_float(text.strip(WHITE))
    if value is None:
        fail("domain", "float(%s): this text is not a number" % text[:40])
    return value


def bool_from_text(text):
    value = {"true": True, "false": False}.get(text.strip(WHITE))
    if value is None:
        fail("domain", "bool(%s): neither true nor false" % text[:40])
    return value


def float_text(x):
    if x != x:
        return "NaN"
    if math.isinf(x):
        return "inf" if x > 0 else "-inf"
    sign, digits, exponent = Decimal(repr(x)).as_tuple()
    minus = "-" if sign else ""
    if x == 0:
        return minus + "0.0"
    digits = "".join(map(str, digits))
    kept = digits.rstrip("0")
    exponent += len(digits) - len(kept)
    digits = kept
    if 1e-5 <= abs(x) < 1e16:
        if exponent >= 0:
            return minus + digits + "0" * exponent + ".0"
        before = len(digits) + exponent
        if before > 0:
            return minus + digits[:before] + "." + digits[before:]
        return minus + "0." + "0" * -before + digits
    point = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return "%s%se%d" % (minus, point, exponent + len(digits) - 1)


def text_of(value):
    if isinstance(value, str):
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    return float_text(value) if isinstance(value, float) else str(value)


def formatter(places):
    """`places`: texts, and for each value in between so many decimal places, or null."""
    def format_all(*values):
        out = [places[0]]
        for i, value in enumerate(values):
            count = places[1 + 2 * i]
            if count is None or isinstance(value, (str, bool)):
                out.append(text_of(value))
            elif isinstance(value, int):
                out.append("%d%s%s" % (value, "." if count else "", "0" * count))
            else:
                out.append("%.*f" % (count, round_to(value, count)) if math.isfinite(value) else float_text(value))
            out.append(places[2 + 2 * i])
        return "".join(out)
    return format_all


def strict(function):
    """Null where an argument is."""
    def call(*values):
        for value in values:
            if value is None:
                return None
        return function(*values)
    return call


FUNCTIONS = {
    "Lower": lower, "Upper": upper, "Trim": lambda text: text.strip(WHITE), "LenText": len, "LenList": len,
    "Split": split, "Words": words, "Chars": list, "ContainsText": lambda text, part: part in text,
    "StartsWith": str.startswith, "EndsWith": str.endswith, "Replace": str.replace,
    "SliceText": slice_of, "SliceList": slice_of, "ReverseText": lambda text: text[::-1],
    "ReverseList": lambda items: items[::-1], "SortedText": lambda text: "".join(sorted(text)),
    "JoinList": lambda items, between: between.join(item for item in items if item is not None),
    "SumInts": lambda items: whole(sum(item for item in items if item is not None)),
    "SumFloats": lambda items: sum_floats([item for item in items if item is not None]),
    "Range": int_range, "AbsInt": lambda i: whole(abs(i)), "AbsFloat": abs, "Round": round_f, "RoundInt": round_int,
    "RoundFloat": round_to, "Sqrt": lambda x: math.sqrt(x) if x >= 0 else math.nan, "PowInt": power,
    "PowFloat": power_f, "Same": lambda value: value, "IntFromFloat": int_from_float, "IntFromText": int_from_text,
    "IntFromBool": int, "FloatFromInt": float, "FloatFromText": float_from_text, "TextFrom": text_of,
    "BoolFromInt": lambda i: i != 0, "BoolFromText": bool_from_text,
}

INTS = {"+": add, "-": sub, "*": mul, "//": floor_div, "%": rem}
NUMBERS = {"+": add_f, "-": sub_f, "*": mul_f, "/": div_f, "//": floor_div_f, "%": rem_f}


def constant(value, ty):
    """A value as the plan writes it: NaN and infinities are texts."""
    if value is None:
        return None
    if ty == "float":
        return float(value)
    if isinstance(ty, list):
        return [constant(item, ty[1]) for item in value]
    return value


class Code:
    """Writes expressions as Python and keeps what they refer to."""

    def __init__(self, functions):
        self.known, self.functions = {}, functions

    def name(self, value):
        name = "k%d" % len(self.known)
        self.known[name] = value
        return name

    def call(self, function, parts):
        return "%s(%s)" % (self.name(function), ", ".join(parts))

    def write(self, e):
        op = e[0]
        if op == "col":
            return "c%d" % e[1]
        if op == "param":
            return "p%d" % e[1]
        if op == "acc":
            return "acc"
        if op == "const":
            return self.name(constant(e[1], e[2]))
        if op == "list":
            return "[%s]" % ", ".join(map(self.write, e[1]))
        if op == "chain":
            ty, text = e[1], self.write(e[2])
            if ty not in ("int", "float"):
                return self.call(glue, [text] + [self.write(operand) for _, operand in e[3]])
            table = INTS if ty == "int" else NUMBERS
            for sign, operand in e[3]:
                text = self.call(table[sign], [text, self.write(operand)])
            return text
        if op == "cmp":
            return self.call(comparer(e[2], e[1]), [self.write(e[3]), self.write(e[4])])
        if op == "in":
            return self.call(container(e[1]), [self.write(e[2]), self.write(e[3])])
        if op in ("and", "or"):
            return self.call(both if op == "and" else either, ["lambda: " + self.write(part) for part in e[1]])
        if op == "not":
            return self.call(negated, [self.write(e[1])])
        if op == "neg":
            return self.call(neg if e[1] == "int" else neg_f, [self.write(e[2])])
        if op == "if":
            text = self.write(e[2])
            for test, then in reversed(e[1]):
                text = "(%s if (%s) is True else %s)" % (self.write(then), self.write(test), text)
            return text
        if op == "index":
            return self.call(at, [self.write(e[1]), self.write(e[2])])
        if op == "widen":
            return self.call(widener(e[1], e[2]), [self.write(e[3])])
        if op == "apply":
            return self.call(self.functions[e[1]], [self.write(part) for part in e[2]])
        name, args, extra = e[1], e[2], e[3]
        if name == "Coalesce":
            return self.call(first_of, ["lambda: " + self.write(part) for part in args])
        parts = [self.write(part) for part in args]
        if name == "IsNull":
            return "((%s) is None)" % parts[0]
        if name == "Matches":
            pattern = re.compile(extra)
            return self.call(strict(lambda text: pattern.search(text) is not None), parts[:1])
        if name == "Format":
            return self.call(strict(formatter(extra)), parts)
        if name == "ContainsList":
            contains = container(extra)
            return self.call(strict(lambda items, item: contains(item, items)), parts)
        if name in ("MinList", "MaxList"):
            return self.call(strict(extreme(min if name == "MinList" else max, extra)), parts)
        if name == "SortedList":
            return self.call(strict(sort_list(extra)), parts)
        if name == "FloatToFloat":
            return self.call(strict(FLOATS[extra]), parts)
        return self.call(strict(FUNCTIONS[name]), parts)


def compiled(functions):
    """The functions of the user, each of which calls those before it."""
    made = []
    for function in functions:
        code = Code(made)
        text = code.write(function["body"])
        params = ", ".join("p%d" % i for i in range(function["params"]))
        made.append(eval("lambda %s: %s" % (params, text), code.known))
    return made


def columns_of(e, found):
    if isinstance(e, list):
        if len(e) == 2 and e[0] == "col":
            found.add(e[1])
        elif e and e[0] == "const":
            pass
        else:
            for part in e:
                columns_of(part, found)
    return found


def evaluate(e, block, functions):
    """The column of an expression."""
    rows, columns = block
    if e[0] == "col":
        return columns[e[1]]
    code = Code(functions)
    text = code.write(e)
    used = sorted(columns_of(e, set()))
    if not used:
        names, code.known["rows"] = "_", range(rows)
    elif len(used) == 1:
        names, code.known["rows"] = "c%d" % used[0], columns[used[0]]
    else:
        names, code.known["rows"] = ", ".join("c%d" % i for i in used), None
        code.known["rows"] = zip(*(columns[i] for i in used))
    return eval("[%s for %s in rows]" % (text, names), code.known)


def taken(block, places):
    return len(places), [[column[i] for i in places] for column in block[1]]


def grouping(keys, types, block, functions):
    """A hashable key for each row."""
    columns = []
    for e, ty in zip(keys, types):
        make, column = group_key_maker(ty), evaluate(e, block, functions)
        columns.append(column if ty in ("int", "text", "bool") else [make(value) for value in column])
    if len(columns) == 1:
        return columns[0]
    return list(zip(*columns)) if columns else [()] * block[0]


# Steps that take any block by itself ---------------------------------------------------------------------------------

def project(block, step, functions):
    return block[0], [evaluate(e, block, functions) for e in step["cols"]]


def keep(block, step, functions):
    flags = evaluate(step["pred"], block, functions)
    return taken(block, [i for i, flag in enumerate(flags) if flag is True])


def explode(block, step, functions):
    columns = [evaluate(e, block, functions) for e in step["cols"]]
    lists = [[items or () for items in column] for column, is_list in zip(columns, step["lists"]) if is_list]
    lengths = [len(items) for items in lists[0]]
    for other in lists[1:]:
        for length, items in zip(lengths, other):
            if len(items) != length:
                fail("shape", "lists of different lengths: %d and %d" % (length, len(items)))
    out = []
    for column, is_list in zip(columns, step["lists"]):
        if is_list:
            out.append([item for items in column if items for item in items])
        else:
            out.append([value for value, length in zip(column, lengths) for _ in range(length)])
    return len(out[0]), out


def first_rows(block, step, functions):
    count = step["count"]
    return (min(block[0], count), [column[:count] for column in block[1]])


def backwards(block, step, functions):
    return block[0], [column[::-1] for column in block[1]]


def sort_block(block, step, functions):
    order = list(range(block[0]))
    for e, descending, ty in reversed(step["keys"]):
        column, key = evaluate(e, block, functions), key_maker(ty)
        if descending:
            order.sort(key=lambda i: (0,) if column[i] is None else (1, key(column[i])), reverse=True)
        else:
            order.sort(key=lambda i: (1,) if column[i] is None else (0, key(column[i])))
    if step["limit"] is not None:
        order = order[:step["limit"]]
    return taken(block, order)


def distinct_block(block, step, functions):
    by = step["by"]
    if by is None:
        by = [["col", i] for i in range(len(block[1]))]
    seen, places = set(), []
    for i, key in enumerate(grouping(by, step["types"], block, functions)):
        if key not in seen:
            seen.add(key)
            places.append(i)
    return taken(block, places)


def join_block(block, step, functions, right):
    kind = step["kind"]
    table = {}
    right_rows, right_columns = right
    by = [evaluate(e, right, functions) for e in step["right_on"]]
    keys = grouping(step["right_on"], step["types"], right, functions)
    for i in range(right_rows):
        if all(column[i] is not None for column in by):
            table.setdefault(keys[i], []).append(i)
    by = [evaluate(e, block, functions) for e in step["left_on"]]
    keys = grouping(step["left_on"], step["types"], block, functions)
    left, matched = [], []
    for i in range(block[0]):
        found = table.get(keys[i], ()) if all(column[i] is not None for column in by) else ()
        if kind == "Semi" or kind == "Anti":
            if bool(found) == (kind == "Semi"):
                left.append(i)
        elif found:
            left.extend([i] * len(found))
            matched.extend(found)
        elif kind == "Left":
            left.append(i)
            matched.append(None)
    rows, columns = taken(block, left)
    if kind in ("Inner", "Left"):
        for place in step["right_columns"]:
            column = right_columns[place]
            columns.append([None if i is None else column[i] for i in matched])
    return rows, columns


# Steps that need all rows --------------------------------------------------------------------------------------------

def stacked(blocks):
    blocks = [block for block in blocks if block[0]] or list(blocks[:1])
    if len(blocks) == 1:
        return blocks[0]
    return sum(block[0] for block in blocks), [
        [value for block in blocks for value in block[1][i]] for i in range(len(blocks[0][1]))
    ]


def cut(block, step, functions):
    end = None if step["length"] is None else step["offset"] + step["length"]
    columns = [column[step["offset"]:end] for column in block[1]]
    rows = max(0, min(block[0], block[0] if end is None else end) - step["offset"])
    return rows, columns


def number(block, step, functions):
    return block[0], block[1] + [list(range(block[0]))]


def zip_blocks(block, step, functions, *others):
    for other in others:
        if other[0] != block[0]:
            fail("shape", "`zip` needs tables of the same length, got %d rows and %d rows" % (block[0], other[0]))
    return block[0], block[1] + [column for other in others for column in other[1]]


def pairs(block, step, functions):
    column, rows = block[1][0], block[0]
    left = [column[i] for i in range(rows) for _ in range(i + 1, rows)]
    return len(left), [left, [column[j] for i in range(rows) for j in range(i + 1, rows)]]


class Compensated:
    """A sum that keeps what rounding loses (Neumaier 1974)."""
    __slots__ = ("sum", "lost")

    def __init__(self):
        self.sum, self.lost = 0.0, 0.0

    def add(self, x):
        result = self.sum + x
        lost = (self.sum - result) + x if abs(self.sum) >= abs(x) else (x - result) + self.sum
        if math.isfinite(lost):
            self.lost += lost
        self.sum = result


def float_sum(values):
    made = Compensated()
    for value in values:
        made.add(value)
    return [made.sum, made.lost]


def added_sums(a, b):
    made = Compensated()
    made.sum, made.lost = a
    made.add(b[0])
    made.lost += b[1]
    return [made.sum, made.lost]


def deviation(values, ty):
    count = len(values)
    if count < 2:
        return None
    if ty == "int":
        sums = count * sum(value * value for value in values) - sum(values) ** 2
        return math.sqrt(Fraction(sums, count * (count - 1)))
    if not all(map(math.isfinite, values)):
        return math.nan
    try:
        mean = math.fsum(values) / count
        return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    except OverflowError:
        scale = 2.0 ** -600
        scaled = [value * scale for value in values]
        mean = math.fsum(scaled) / count
        return math.sqrt(math.fsum((value - mean) ** 2 for value in scaled) / (count - 1)) / scale


def quantile(values, q):
    if not values:
        return None
    values = sorted(map(float, values), key=float_key)
    place = q * (len(values) - 1)
    low, high = values[math.floor(place)], values[math.ceil(place)]
    share = place - math.floor(place)
    distance = high - low
    if float_key(low) == float_key(high) or share == 0:
        return low
    if math.isinf(distance) and math.isfinite(low) and math.isfinite(high):
        return low * (1 - share) + high * share
    return low + distance * share


def spread_of_quartiles(values):
    high, low = quantile(values, 0.75), quantile(values, 0.25)
    return None if high is None else high - low


class Aggregate:
    """One aggregate: the state of the values of a group in a block, two states made one, and the result of one."""

    def __init__(self, agg, functions):
        self.func, self.ty, self.extra = agg["func"], agg["ty"], agg["extra"]
        self.key = key_maker(self.ty)
        self.group_key = group_key_maker(self.ty)
        if self.func == "Reduce":
            code = Code(functions)
            self.step = eval("lambda acc, c0: " + code.write(self.extra), code.known)

    def state(self, values):
        func = self.func
        if func == "Rows":
            return len(values)
        if func == "First":
            return values[0]
        if func == "Last":
            return values[-1]
        if func == "Collect":
            return values
        values = [value for value in values if value is not None]
        if func == "Count":
            return len(values)
        if func == "Sum":
            return sum(values) if self.ty == "int" else float_sum(values)
        if func == "Mean":
            return [sum(values) if self.ty == "int" else float_sum(values), len(values)]
        if func in ("Min", "Max"):
            return (min if func == "Min" else max)(values, key=self.key, default=None)
        if func == "Distinct":
            return {self.group_key(value) for value in values}
        if func == "Reduce":
            return self.reduced(values)
        return values

    def reduced(self, values):
        if not values:
            return None
        acc = values[0]
        for value in values[1:]:
            acc = self.step(acc, value)
        return acc

    def merge(self, a, b):
        func = self.func
        if func in ("Rows", "Count"):
            return a + b
        if func == "Sum":
            return a + b if self.ty == "int" else added_sums(a, b)
        if func == "Mean":
            return [a[0] + b[0] if self.ty == "int" else added_sums(a[0], b[0]), a[1] + b[1]]
        if func == "First":
            return a
        if func == "Last":
            return b
        if func in ("Min", "Max"):
            present = [value for value in (a, b) if value is not None]
            return (min if func == "Min" else max)(present, key=self.key, default=None)
        if func == "Distinct":
            return a | b
        if func == "Reduce":
            return self.reduced([value for value in (a, b) if value is not None])
        return a + b

    def result(self, state):
        func = self.func
        if func == "Sum":
            return whole(state) if self.ty == "int" else state[0] + state[1]
        if func == "Mean":
            if state[1] == 0:
                return None
            return state[0] / state[1] if self.ty == "int" else (state[0][0] + state[0][1]) / state[1]
        if func == "Distinct":
            return len(state)
        if func == "Median":
            return quantile(state, 0.5)
        if func == "Quantile":
            return quantile(state, self.extra)
        if func == "Std":
            return deviation(state, self.ty)
        if func == "NumbersToFloat":
            return spread_of_quartiles(state)
        if func == "JoinText":
            return self.extra.join(state)
        return state


def grouped(block, step, functions):
    """The partial groups of a block: the place of each key, the first values of the keys, the states."""
    aggs = [Aggregate(agg, functions) for agg in step["aggs"]]
    rows = block[0]
    keys = grouping(step["keys"], step["types"], block, functions)
    if not step["keys"]:
        places = {(): list(range(rows))} if rows else {}
    else:
        places = {}
        for i, key in enumerate(keys):
            found = places.get(key)
            if found is None:
                places[key] = [i]
            else:
                found.append(i)
    values = [None if agg["arg"] is None else evaluate(agg["arg"], block, functions) for agg in step["aggs"]]
    states = []
    for agg, column in zip(aggs, values):
        if column is None:
            states.append([len(found) for found in places.values()])
        else:
            states.append([agg.state([column[i] for i in found]) for found in places.values()])
    firsts = [found[0] for found in places.values()]
    shown = [[column[i] for i in firsts] for column in (evaluate(e, block, functions) for e in step["keys"])]
    return list(places), shown, states


def merged_groups(parts, step, functions):
    aggs = [Aggregate(agg, functions) for agg in step["aggs"]]
    index, keys = {}, []
    shown, states = [[] for _ in step["keys"]], [[] for _ in aggs]
    for part_keys, part_shown, part_states in parts:
        for at_part, key in enumerate(part_keys):
            place = index.get(key)
            if place is None:
                index[key] = len(keys)
                keys.append(key)
                for column, part in zip(shown, part_shown):
                    column.append(part[at_part])
                for column, part in zip(states, part_states):
                    column.append(part[at_part])
            else:
                for agg, column, part in zip(aggs, states, part_states):
                    column[place] = agg.merge(column[place], part[at_part])
    return keys, shown, states


def finished_groups(part, step, functions):
    aggs = [Aggregate(agg, functions) for agg in step["aggs"]]
    keys, shown, states = part
    if not keys and not step["keys"]:
        keys, states = [()], [[agg.state([])] if agg.func not in ("First", "Last") else [None] for agg in aggs]
    return len(keys), shown + [[agg.result(state) for state in column] for agg, column in zip(aggs, states)]


# Sources -------------------------------------------------------------------------------------------------------------

def numbers(start, end):
    return end - start, [list(range(start, end))]


def values(data, types):
    columns = [[constant(value, ty) for value in column] for column, ty in zip(data, types)]
    return len(columns[0]) if columns else 0, columns


def unchanged(path, length):
    import os
    try:
        found = os.path.getsize(path)
    except OSError as error:
        fail("file", "%s: %s" % (path, error.strerror))
    if found != length:
        fail("file", "%s: it has %d bytes where the engine runs, and %d here" % (path, found, length))


def decoded(data, lossy, path):
    if lossy:
        return data.decode("utf-8", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        fail("file", "%s: not UTF-8 text at byte %d of a part" % (path, error.start))


def text_lines(path, length, start, end, lossy):
    """The lines that begin in a range of bytes."""
    unchanged(path, length)
    with open(path, "rb") as file:
        if start:
            file.seek(start - 1)
            file.readline()
        begin = file.tell()
        if begin >= end:
            return 0, [[]]
        data = file.read(end - begin)
        if not data.endswith(b"\n"):
            data += file.readline()
    text = decoded(data, lossy, path)
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return len(lines), [[line[:-1] if line.endswith("\r") else line for line in lines]]


def csv_records(text, separator, comment):
    """The records of a file: lists of (text, whether it was quoted), and the number of their line."""
    lines = re.findall("[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\\Z", text)
    at_line, count, after_return = 0, len(lines), False
    while at_line < count:
        line = lines[at_line]
        at_line += 1
        if after_return and line == "\r\n":
            after_return = False
            continue
        after_return = False
        if comment and line.startswith(comment):
            after_return = line.endswith("\r")
            continue
        begin = at_line
        if '"' not in line:
            after_return = line.endswith("\r")
            yield [(field, False) for field in line.rstrip("\r\n").split(separator)], begin
            continue
        fields, text_of_field, place = [], "", 0
        while True:
            bare = len(line) - (2 if line.endswith("\r\n") else 1 if line.endswith(("\r", "\n")) else 0)
            quoted = place < bare and line[place] == '"'
            text_of_field = ""
            if quoted:
                place += 1
                while True:
                    end = line.find('"', place, bare)
                    if end < 0:
                        text_of_field += line[place:]
                        if at_line == count:
                            fail("file", "a quote is opened and never closed")
                        line, place = lines[at_line], 0
                        at_line += 1
                        bare = len(line) - (2 if line.endswith("\r\n") else 1 if line.endswith(("\r", "\n")) else 0)
                        continue
                    text_of_field += line[place:end]
                    place = end + 1
                    if place < bare and line[place] == '"':
                        text_of_field += '"'
                        place += 1
                        continue
                    break
            end = line.find(separator, place, bare)
            end = bare if end < 0 else end
            fields.append((text_of_field + line[place:end], quoted))
            place = end + 1
            if place > bare:
                break
        after_return = line.endswith("\r")
        yield fields, begin


def headers(fields, options):
    """The names of the columns: an empty one or one that stands twice gets one of its own."""
    names, seen, counts = [], set(), {}
    for i, (field, _) in enumerate(fields):
        given = options["names"] or []
        if options["header"] and field:
            base = field
        else:
            base = given[i] if i < len(given) else "column_%d" % (i + 1)
        name, count = base, counts.get(base, 2)
        while name in seen:
            name = "%s_%d" % (base, count)
            count += 1
        counts[base] = count
        seen.add(name)
        names.append(name)
    return names


def is_code(text):
    if text.startswith("+"):
        return not (len(text) > 1 and text[1].isascii() and text[1].isalpha())
    digits = text[1:] if text.startswith("-") else text
    return len(digits) > 1 and digits[0] == "0" and digits[1] in "0123456789"


def csv_value(text, quoted, field, nulls):
    if (text == "" and not quoted) or (nulls is not None and text in nulls):
        return None
    ty = field["ty"]
    if ty == "text":
        return text
    if text == "":
        return None
    value = None
    if ty == "bool":
        value = {"true": True, "false": False}.get(text)
    elif ty == "int":
        if field["stated"] or not is_code(text):
            value = parsed_int(text)
    elif ty == "float":
        large = len(text) >= 19 and re.fullmatch("-?[0-9]+", text) and parsed_int(text) is None
        if field["stated"] or not (is_code(text) or large):
            value = parsed_float(text)
    if value is None and not (nulls is None and text in NULL_TEXTS):
        fail("file", "column `%s` is %s, got %s" % (field["name"], ty, text[:40]))
    return value


def csv_file(path, length, options, fields, wanted):
    unchanged(path, length)
    with open(path, "rb") as file:
        data = file.read()
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    text = decoded(data, options["lossy"], path)
    columns, rows = [[] for _ in wanted], 0
    header_read = not options["header"]
    names = [field["name"] for field in fields]
    for record, line in csv_records(text, options["separator"], options["comment"]):
        is_blank = len(record) == 1 and record[0] == ("", False)
        if is_blank and (not header_read or len(fields) != 1):
            continue
        if not header_read:
            if headers(record, options) != names:
                fail("file", "%s: its columns are not those of the first file" % path)
            header_read = True
            continue
        if len(record) != len(fields) and not options["ragged"]:
            fail("file", "%s, line %d: %d fields, but the table has %d columns" % (
                path, line, len(record), len(fields)))
        rows += 1
        for column, place in zip(columns, wanted):
            if place < len(record):
                column.append(csv_value(record[place][0], record[place][1], fields[place], options["nulls"]))
            else:
                column.append(None)
    return rows, columns


# What an engine calls ------------------------------------------------------------------------------------------------

READ = {"numbers": numbers, "values": values, "text": text_lines, "csv": csv_file}
STEPS = {
    "project": project, "filter": keep, "explode": explode, "first": first_rows, "reverse": backwards,
    "sort": sort_block, "distinct": distinct_block, "join": join_block, "slice": cut, "number": number,
    "zip": zip_blocks, "pairs": pairs, "groups": grouped,
}


def run_part(read, given, steps, functions, check, others):
    """Makes or takes a block, and does the steps that follow. `check` raises where the run was stopped."""
    functions = compiled(functions)
    if read is not None:
        block = READ[read[0]](*read[1:])
    else:
        block = given
    for step in steps:
        check()
        block = STEPS[step["do"]](block, step, functions, *[others[i] for i in step.get("others", ())])
    return block


def merge_parts(parts, how, step, functions, last, check):
    """Makes one of several parts, in their order."""
    functions = compiled(functions)
    check()
    if how == "groups":
        merged = merged_groups(parts, step, functions)
        return finished_groups(merged, step, functions) if last else merged
    block = stacked(parts)
    if how == "sort":
        return sort_block(block, step, functions)
    if how == "distinct":
        return distinct_block(block, step, functions)
    if how == "slice":
        return cut(block, step, functions) if last else block
    if how == "number":
        return number(block, step, functions) if last else block
    if how == "pairs":
        return pairs(block, step, functions) if last else block
    return block
