import pytest

from v2xnode.devices import errors
from v2xnode.devices.errors import DeviceError, DeviceRefused
from v2xnode.errors import LocalError


def test_every_error_of_a_device_is_a_local_one_with_a_code_of_its_own() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, DeviceError)]
    assert len(kinds) >= 5
    assert issubclass(DeviceError, LocalError)
    assert len({kind.code for kind in kinds} | {LocalError.code}) == len(kinds) + 1


@pytest.mark.parametrize(("code", "shown"), [("", "device_refused"), ("live", "live")])
def test_a_refusal_may_name_its_own_code(code: str, shown: str) -> None:
    error = DeviceRefused("It is live.", code=code)
    assert (error.code, str(error)) == (shown, "It is live.")
    assert error.as_json() == {"code": shown, "sentence": "It is live."}
