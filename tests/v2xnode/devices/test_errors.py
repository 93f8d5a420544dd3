import pytest

from v2xnode.devices import errors
from v2xnode.devices.errors import DeviceError, DeviceRefused


def test_every_error_of_a_device_is_a_device_error_with_a_code_of_its_own() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, DeviceError)]
    assert len(kinds) >= 5
    assert len({kind.code for kind in kinds}) == len(kinds)


@pytest.mark.parametrize(("code", "shown"), [(None, "device_refused"), ("live", "live")])
def test_a_refusal_may_name_its_own_code(code: str | None, shown: str) -> None:
    error = DeviceRefused("It is live.", code)
    assert (error.code, str(error)) == (shown, "It is live.")
