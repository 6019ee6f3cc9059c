"""Where cases announce themselves."""

CASES = []


def case(api, versions=None, trap=None):
    """A case runs once for each version of `api` that both brokers serve: `def a_sentence(side, version)`.

    `versions` narrows that: "top" is the newest alone, a range is a range. `trap` is the number in README.md.
    """
    def register(function):
        CASES.append((api, versions, trap, function))
        return function
    return register
