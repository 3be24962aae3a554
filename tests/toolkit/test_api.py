import subprocess
import sys

import pytest
from episodes import Fill, episode

import toolkit
from toolkit.errors import InputError


def test_the_exported_names_are_these() -> None:
    assert sorted(toolkit.__all__) == dir(toolkit) == ["Lake", "Sandbox", "ask", "generate", "open_lake", "tool"]
    assert all(callable(getattr(toolkit, name)) for name in toolkit.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        toolkit.nothing  # noqa: B018


def test_importing_the_package_loads_nothing_else() -> None:
    program = (
        "import sys, toolkit; print(sorted(name for name in sys.modules if name in ('duckdb', 'polars', 'pyarrow')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_times_come_out_as_python_values(fill: Fill) -> None:
    lake = fill([episode("q", reward=1.0)])
    assert lake.sql("SELECT scored_at FROM scores").fetchall()[0][0].tzinfo is not None


def test_an_unknown_shape_is_answered_with_the_known_ones(fill: Fill) -> None:
    with pytest.raises(InputError, match="no shape 'nope'; the shapes are trl, openai, nested"):
        fill([episode("q")]).selection("v1", shape="nope")
