"""Strings that match a service model's patterns, as short or as long as wanted."""
import re

try:
    from re import _parser, _constants
except ImportError:  # before Python 3.11
    import sre_parse as _parser
    import sre_constants as _constants


def full_match(pattern, s):
    """Java's meaning of a model's pattern: the whole string, ASCII classes."""
    return re.fullmatch(pattern, s, re.ASCII) is not None


def sample(pattern, length=0):
    """A string that matches, stretched towards length characters where a repetition allows it."""
    tree = _parser.parse(pattern, re.ASCII)
    shortest = _string(tree, [0])
    for extra in range(max(0, length - len(shortest)), -1, -1):
        s = _string(tree, [extra])
        if len(s) <= max(length, len(shortest)) and full_match(pattern, s):
            return s
    return None


def _string(tree, budget):
    return "".join(_node(op, arg, budget) for op, arg in tree)


def _node(op, arg, budget):
    if op in (_constants.AT, _constants.ASSERT_NOT):
        return ""
    if op is _constants.LITERAL:
        return chr(arg)
    if op is _constants.ANY:
        return "a"
    if op is _constants.NOT_LITERAL:
        return "a" if arg != ord("a") else "b"
    if op is _constants.IN:
        return _one_of(arg)
    if op is _constants.BRANCH:
        return _string(arg[1][0], budget)
    if op is _constants.SUBPATTERN:
        return _string(arg[-1], budget)
    if op in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
        low, high, body = arg
        s = "".join(_string(body, [0]) for _ in range(low))
        unit = _string(body, [0])
        if len(unit) == 1:
            more = min(budget[0], (1 << 30 if high is _constants.MAXREPEAT else int(high)) - low)
            budget[0] -= more
            s += unit * more
        return s
    raise ValueError(f"no sample for {op}")


def _one_of(items):
    def has(c):
        for op, arg in items:
            if op is _constants.NEGATE:
                continue
            if op is _constants.LITERAL and arg == ord(c):
                return True
            if op is _constants.RANGE and arg[0] <= ord(c) <= arg[1]:
                return True
            if op is _constants.CATEGORY and re.fullmatch({_constants.CATEGORY_SPACE: r"\s", _constants.CATEGORY_WORD: r"\w",
                                                           _constants.CATEGORY_DIGIT: r"\d"}[arg], c, re.ASCII):
                return True
        return False
    negated = items[0][0] is _constants.NEGATE
    return next(c for c in "a0x-_:/.A {" + "".join(map(chr, range(32, 127))) if has(c) != negated)
