import pytest
from sft_rows import Workshop


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One tiny base for all tests of training."""
    return Workshop(tmp_path_factory.mktemp("workshop"))
