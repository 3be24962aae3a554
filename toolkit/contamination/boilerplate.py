"""How much each word of a question tells, by how many other questions use the phrase that it stands in.

Competition problems end alike ("where m and n are relatively prime positive integers, find m + n"), so that a shared
13-gram of such words says nothing. A word counts 1/k where the commonest phrase of five words around it stands in k
other questions, and 1 where it stands in at most one other: the pair that is compared needs one.
Questions that hold most of a question's phrases are variants of it and no witnesses: eight copies of a leaked
question do not make it boilerplate.
Not covered: what is common elsewhere but not in the questions at hand; a leaked excerpt that many unlike questions
quote.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

PHRASE = 5
"""Words of a phrase."""
VARIANT_SHARE = 0.8
"""Questions with this share of a question's phrases are variants of it."""

Gram = tuple[str, ...]


def grams(words: Sequence[str], n: int) -> list[Gram]:
    """All runs of `n` words, in their order; empty where there are fewer words."""
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def word_weights(questions: Sequence[Sequence[str]], witnesses: Iterable[Sequence[str]]) -> list[list[float]]:
    """The weight, in (0, 1], of each word of each of `questions`.

    Args:
        questions: words of the questions that are weighed.
        witnesses: words of all questions at hand, `questions` and copies of them included; read once.
    """
    phrases = [set(grams(words, PHRASE)) for words in questions]
    holders: dict[Gram, list[int]] = defaultdict(list)
    for index, found in enumerate(phrases):
        for phrase in found:
            holders[phrase].append(index)
    seen: Counter[Gram] = Counter()
    by_variants: list[Counter[Gram]] = [Counter() for _ in questions]
    for words in witnesses:
        known = {phrase for phrase in grams(words, PHRASE) if phrase in holders}
        seen.update(known)
        shared = Counter(index for phrase in known for index in holders[phrase])
        for index, count in shared.items():
            if count >= VARIANT_SHARE * len(phrases[index]):
                by_variants[index].update(known & phrases[index])
    return [_weights(words, seen, by_variants[index]) for index, words in enumerate(questions)]


def _weights(words: Sequence[str], seen: Counter[Gram], by_variants: Counter[Gram]) -> list[float]:
    weights = [1.0] * len(words)
    for start, phrase in enumerate(grams(words, PHRASE)):
        weight = 1 / max(1, seen[phrase] - by_variants[phrase])
        for place in range(start, start + PHRASE):
            weights[place] = min(weights[place], weight)
    return weights
