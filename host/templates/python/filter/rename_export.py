"""Gives an export of a component its right name: rename_export.py FROM.wasm decide accept TO.wasm

A Python component cannot export a function that is called like one of the C library inside of it, as `accept` is: componentize-py
stops with "duplicate items detected". So the module is built with another name of the same length, and the name is put right here.
"""

import sys

COMPONENT_EXPORTS = 11  # the number of that section in a component's binary


def renamed(component: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new), "the names have to be of the same length"
    at, found, made = 8, 0, component[:8]
    while at < len(component):
        kind, start = component[at], at
        length, at = leb128(component, at + 1)
        section = component[start : at + length]
        at += length
        if kind == COMPONENT_EXPORTS:
            name, wanted = bytes([len(old)]) + old, bytes([len(new)]) + new
            found += section.count(name)
            section = section.replace(name, wanted)
        made += section
    assert found == 1, f"the component exports {old.decode()} {found} times, not once"
    return made


def leb128(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


if __name__ == "__main__":
    source, old, new, target = sys.argv[1:]
    with open(source, "rb") as file:
        component = file.read()
    with open(target, "wb") as file:
        file.write(renamed(component, old.encode(), new.encode()))
