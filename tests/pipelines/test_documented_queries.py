import pytest
from episodes import Fill, episode

from bench.million import documented_queries
from pipelines.filter import filter_lake
from pipelines.recipe import parse_recipe

QUERIES = documented_queries()


def test_the_list_is_read_whole() -> None:
    assert len(QUERIES) >= 10


@pytest.mark.parametrize("name", QUERIES)
def test_every_documented_query_has_an_answer(fill: Fill, name: str) -> None:
    made = [episode("q", failing=index, gold=[], reward=float(index % 2)) for index in range(4)]
    fill(made, dataset="a")
    lake = fill([*made, made[0]], dataset="b")
    filter_lake(lake, parse_recipe("name: v1\nsteps: [{where: correct}]", "r"))
    assert lake.sql(QUERIES[name]).fetchall()
