import pytest

from toolkit.errors import InputError
from toolkit.llm.openai_server import Endpoint, parse_endpoint

URL = "http://127.0.0.1:8000/v1"


def test_an_endpoint_is_read_with_its_options() -> None:
    text = f"{URL}/,weight=2,in_flight=64,key_env=MY_KEY,timeout_s=30"
    found = parse_endpoint(text, key_env="OTHER", environment={"MY_KEY": "secret", "OTHER": "other"})
    assert found == Endpoint(f"{URL}/", "secret", timeout_s=30.0, weight=2.0, in_flight=64)
    assert found.url == URL


def test_the_default_key_is_used_where_there_is_one() -> None:
    assert parse_endpoint(URL, key_env="KEY", environment={"KEY": "k"}).api_key == "k"
    assert parse_endpoint(URL, key_env="KEY", environment={}).api_key is None


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("", "expected an address"),
        ("localhost:8000", "expected an address"),
        ("ftp://host/v1", "expected an address"),
        ("http://", "expected an address"),
        ("http://host:99999/v1", "expected an address"),
        (f"{URL},wieght=2", "got 'wieght'"),
        (f"{URL},weight", "got 'weight'"),
        (f"{URL},weight=", "got 'weight'"),
        (f"{URL},weight=1,weight=2", "got 'weight'"),
        (f"{URL},weight=heavy", "expected a number"),
        (f"{URL},weight=0", "weight must be above 0"),
        (f"{URL},weight=nan", "weight must be above 0"),
        (f"{URL},timeout_s=-1", "timeout_s must be above 0"),
        (f"{URL},in_flight=0", "in_flight must be at least 1"),
        (f"{URL},in_flight=2.5", "expected a number"),
        (f"{URL},key_env=NOT_SET", "NOT_SET is not set"),
    ],
)
def test_an_endpoint_that_will_not_do_is_refused_with_what_was_expected(text: str, finding: str) -> None:
    with pytest.raises(InputError, match=finding):
        parse_endpoint(text, environment={})


@pytest.mark.parametrize(
    "text", ["http://me:secret@host/v1", "http://host/v1?key=secret", "http://me:secret@host/v1,x"]
)
def test_a_secret_in_an_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_endpoint(text, environment={})
    assert "secret" not in str(caught.value)
