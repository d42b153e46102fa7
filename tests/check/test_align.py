"""Alignment of two lists of items, by its properties."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st
from support.descriptions import desc, dump, field, unused

from vmdump.check.align import is_balanced, may_agree, pair_up, regions, same_size, side_by_side, total_size
from vmdump.check.stream import Item, Lowering
from vmdump.check.tree_view import Native

FIELDS = st.one_of(
    st.builds(field, st.sampled_from("abcdef"), st.sampled_from(["uint8", "uint16", "uint32"])),
    st.builds(unused, st.integers(1, 8)),
)
LISTS = st.lists(FIELDS, max_size=8).map(
    lambda fields: (
        Lowering(loading=False, detailed=True, nums=True)
        .lower(Native(dump(dev=desc("dev", *fields))).devices["dev"].vmsd, 1)
        .items
    )
)


def anchors(source: list[Item], destination: list[Item]) -> list[tuple[int, int]]:
    """Anchored pairs, as indices."""
    at = {id(item): index for items in (source, destination) for index, item in enumerate(items)}
    return [(at[id(pair[0])], at[id(pair[1])]) for pair, _, _ in regions(source, destination) if pair is not None]


@given(LISTS, LISTS)
def test_regions_lose_nothing(source: list[Item], destination: list[Item]) -> None:
    """Anchors and regions are both lists, in order; anchors have one name and size."""
    found = list(regions(source, destination))
    assert list(chain.from_iterable([pair[0]] if pair else left for pair, left, _ in found)) == source
    assert list(chain.from_iterable([pair[1]] if pair else right for pair, _, right in found)) == destination
    for pair, _, _ in found:
        assert pair is None or (pair[0].name == pair[1].name and same_size(*pair))


@given(LISTS)
def test_equal_lists_are_all_anchors(items: list[Item]) -> None:
    """A list is anchored to itself, item by item."""
    assert anchors(items, items) == [(index, index) for index in range(len(items))]


@given(LISTS, LISTS)
def test_regions_are_symmetric(source: list[Item], destination: list[Item]) -> None:
    """Both directions choose the same anchors, unless the lists rank equal."""
    assert anchors(source, destination) == [(i, j) for j, i in anchors(destination, source)]


@given(LISTS, LISTS)
def test_pairs_lose_nothing(source: list[Item], destination: list[Item]) -> None:
    """The pieces of a region are both lists, in order; a pair has an item of each side."""
    pieces = pair_up(source, destination)
    assert list(chain.from_iterable(left for left, _, _ in pieces)) == source
    assert list(chain.from_iterable(right for _, right, _ in pieces)) == destination
    assert all(len(left) == len(right) == 1 for left, right, paired in pieces if paired)


@given(LISTS, LISTS)
def test_pairs_of_a_balanced_region_are_balanced(source: list[Item], destination: list[Item]) -> None:
    """A region of one size is either kept in one piece, or split into pieces of one size each."""
    pieces = pair_up(source, destination)
    if is_balanced(source, destination):
        assert len(pieces) <= 1 or all(is_balanced(left, right) for left, right, _ in pieces)
        assert may_agree(source, destination)


@given(LISTS, LISTS)
def test_side_by_side(source: list[Item], destination: list[Item]) -> None:
    """The shorter list is padded."""
    pairs = list(side_by_side(source, destination, "regrouped"))
    assert [left for left, _, _ in pairs if left is not None] == source
    assert [right for _, right, _ in pairs if right is not None] == destination
    assert len(pairs) == max(len(source), len(destination))


@given(LISTS)
def test_total_size(items: list[Item]) -> None:
    """Of fields without tests and run-time lengths it is the sum."""
    assert total_size(items) == sum(item.size for item in items)
