"""Minipedia: a seeded fictional country with an article on everything and questions with plans.

It stands in for Wikipedia and its question sets where no web and no model weights can be had.
Reading order: `kind` and `kinds` (what there is and how one speaks of it), `world` (who and what
exists), `articles` (what the corpus says), `chains`, `comparisons`, `aggregates`, `arithmetic`
(what can be asked), `toolkit.tasks.plan` (how it is answered), `generator` (all of it as rows).

    from toolkit.tasks.minipedia import Minipedia

    minipedia = Minipedia(seed=0, size=2000)
    corpus = list(minipedia.articles("train"))
    for task in minipedia.tasks("train", limit=500): ...

Not covered: places in space, events that change facts, more than one language.
"""

from toolkit.tasks.minipedia.articles import Article
from toolkit.tasks.minipedia.generator import DATASET, FAMILIES, Minipedia
from toolkit.tasks.minipedia.names import SYLLABLES
from toolkit.tasks.minipedia.spec import SPLITS, Spec, Split, parse_spec
from toolkit.tasks.plan import Compare, Compute, Lookup, Plan, references, stands_in

__all__ = [
    "DATASET",
    "FAMILIES",
    "SPLITS",
    "SYLLABLES",
    "Article",
    "Compare",
    "Compute",
    "Lookup",
    "Minipedia",
    "Plan",
    "Spec",
    "Split",
    "parse_spec",
    "references",
    "stands_in",
]
