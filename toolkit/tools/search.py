"""`web_search`: the passages that a retriever finds, as text that a model can read.

    [1] Paris
    Paris is the capital of France.
    [2] Seine
    The Seine is a river in northern France.

Texts are shown word for word. Equal passages give equal text: scores and ids are left out, because a model can
do nothing with them.
"""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.contracts import Passage, Retriever, Tool
from toolkit.tools.declaration import tool


def web_search(retriever: Retriever, k: int = 3) -> Tool:
    """The tool `web_search(query: str) -> str` over `retriever`, which shows the `k` best passages."""

    @tool(effect="read")
    async def web_search(query: str) -> str:
        """Search a collection of texts and return the passages that fit the query best.

        Args:
            query: What to look for, in a few words: names, and what you want to know of them.
        """
        if not query.strip():
            raise ValueError("the query is empty; say what to look for")
        (passages,) = await retriever.search([query], k)
        return shown_passages(query, passages)

    return web_search


def shown_passages(query: str, passages: Sequence[Passage]) -> str:
    """The passages as the model reads them, best first; says so if there is none."""
    if not passages:
        return f"No passage was found for {query!r}. Try other words."
    return "\n".join(
        f"[{place}] {' '.join(passage.title.split())}\n{passage.text.strip()}"
        for place, passage in enumerate(passages, 1)
    )
