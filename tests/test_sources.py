"""Where images came from: texts that are written when they are asked for, and are otherwise as a list of them is."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.sources import Sources


def test_a_text_is_written_when_it_is_asked_for():
    written = []

    def text(place):
        written.append(place)
        return f"i{place}"

    sources = Sources(text, range(1_000_000))
    part = sources[10:20][[3, -1]][np.array([True, False])]
    assert (len(sources), len(part), written) == (1_000_000, 1, [])
    assert part[0] == "i13"
    assert written == [13]


def test_some_are_those_that_a_list_gives():
    texts = [f"i{place}" for place in range(7)]
    sources = Sources.of(texts)
    assert Sources.of(sources) is sources
    for key in (slice(2, None), slice(None, None, -2), slice(7, 9)):
        assert list(sources[key]) == texts[key]
    assert list(sources[[4, 4, 0]][::-1]) == ["i0", "i4", "i4"]
    assert sources[-1] == "i6"
    with pytest.raises(IndexError):
        _ = sources[7]


def test_they_equal_whatever_holds_the_same_texts():
    sources = Sources.numbered("mnist/test", np.array([3, 1]))
    assert sources == ["mnist/test:3", "mnist/test:1"]
    assert sources == ("mnist/test:3", "mnist/test:1")
    assert sources != ["mnist/test:3"]
    assert sources != ["mnist/test:3", "mnist/test:2"]
    assert Sources.of(["ab"]) != "ab"
    assert "mnist/test:1" in sources


def test_a_person_sees_the_first_and_how_many_there_are():
    assert repr(Sources.numbered("a", range(2))) == "['a:0', 'a:1']"
    assert repr(Sources.numbered("a", range(1007))).endswith("'a:5', and 1,001 more]")
