"""The canonical shape and text of a query (pure): `parse_query(print_query(node)).node == node` for every node that
`normal` made."""

import re
from collections.abc import Iterable

from traces.query_terms import KEYS, And, Node, Not, Or, Term, Text, print_value, quoted

EVERYTHING = And(())
KEY_AT = re.compile(r"([A-Za-z_]{1,40})(?:\.([^\s:()\"*\\]{1,100}))?:", re.ASCII)
# Looks like a key but is none of ours; the slash keeps addresses out of it.
WORD = re.compile(r'[^\s()"]+')


def normal(node: Node) -> Node:
    """The canonical shape: groups flattened, single members unwrapped, neighbouring words joined, no double not."""
    match node:
        case Not(inner):
            inner = normal(inner)
            return inner.node if isinstance(inner, Not) else Not(inner)
        case And(nodes):
            members = _joined(_flat(And, nodes))
            return members[0] if len(members) == 1 else And(tuple(members))
        case Or(nodes):
            members = list(dict.fromkeys(_flat(Or, nodes)))
            return members[0] if len(members) == 1 else Or(tuple(members))
        case Text(text, False):
            words = text.split()
            return Text(" ".join(words)) if all(map(_is_bare, words)) else Text(text.strip(), True)
        case _:
            return node


def _flat(kind: type[And] | type[Or], nodes: Iterable[Node]) -> list[Node]:
    found: list[Node] = []
    for node in map(normal, nodes):
        found += node.nodes if isinstance(node, kind) else [node]
    return [node for node in found if node != EVERYTHING]


def _joined(nodes: list[Node]) -> list[Node]:
    """Words that stand side by side are one text; the same part twice is one part."""
    found: list[Node] = []
    for node in nodes:
        last = found[-1] if found else None
        if isinstance(node, Text) and not node.is_phrase:
            if isinstance(last, Text) and not last.is_phrase:
                found.pop()
                node = Text(f"{last.text} {node.text}")
            found.append(node)
        elif node not in found:
            found.append(node)
    return found


def _is_bare(word: str) -> bool:
    """Whether the word is read back as itself."""
    is_word = bool(WORD.fullmatch(word)) and word.upper() not in ("OR", "AND", "NOT")
    key = KEY_AT.match(word)
    return is_word and word[0] != "-" and not (key and not word.startswith("//", key.end()))


def print_query(node: Node) -> str:
    """The canonical text of a node that `normal` made."""
    if isinstance(node, And):
        return " ".join(map(_printed, node.nodes))
    return _printed(node)


def _printed(node: Node) -> str:
    match node:
        case Term(key, values, name):
            texts = [print_value(KEYS[key], value) for value in values]
            one = texts[0] if len(texts) == 1 else f"({' OR '.join(texts)})"
            return f"{key}{'.' if name else ''}{name}:{one}"
        case Text(text, is_phrase):
            return quoted(text) if is_phrase else text
        case Not(inner):
            # Words after a minus would lose it from the second one on.
            is_words = isinstance(inner, Text) and not inner.is_phrase and " " in inner.text
            inside = _printed(inner)
            return f"-({inside})" if is_words or isinstance(inner, And) else f"-{inside}"
        case Or(nodes):
            return f"({' OR '.join(map(_printed_option, nodes))})"
        case And(nodes):
            return f"({' '.join(map(_printed, nodes))})"


def _printed_option(node: Node) -> str:
    return print_query(node) if isinstance(node, And) else _printed(node)
