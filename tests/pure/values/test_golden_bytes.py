# SPDX-License-Identifier: Apache-2.0
"""What 0.6 workers and clients read and write, byte for byte.

Each row is checked in a fresh interpreter: whatever this test process has imported or registered must not matter.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from flamepy import codec
from flamepy.core.cache import ObjectRef
from flamepy.runner.types import RunnerContext, RunnerRequest

PROJECT = str(Path(codec.__file__).parents[2])

REQUEST = (
    "80059558000000000000008c14666c616d6570792e72756e6e65722e7479706573948c0d52756e6e6572526571756573749493942981947d"
    "94288c066d6574686f64948c03616464948c0461726773944b014b0286948c066b7761726773944e75622e"
)
CONTEXT = (
    "8005959f000000000000008c14666c616d6570792e72756e6e65722e7479706573948c0d52756e6e6572436f6e746578749493942981947d"
    "94288c10657865637574696f6e5f6f626a656374948c086275696c74696e73948c036c656e9493948c08737461746566756c94898c096175"
    "746f7363616c6594888c067761726d7570944b008c0d6d696e5f696e7374616e636573944b008c0d6d61785f696e7374616e636573944e75"
    "622e"
)
REFERENCE = (
    "80059563000000000000008c12666c616d6570792e636f72652e6361636865948c094f626a6563745265669493942981947d94288c08656e"
    "64706f696e74948c0d677270633a2f2f683a39303930948c036b6579948c076170702f732f6f948c0776657273696f6e944b0175622e"
)
PICKLED = [
    pytest.param("flamepy.runner.types", "RunnerRequest(method='add', args=(1, 2))", REQUEST, id="request"),
    pytest.param("flamepy.runner.types", "RunnerContext(execution_object=len)", CONTEXT, id="context"),
    pytest.param("flamepy.core.cache", "ObjectRef('grpc://h:9090', 'app/s/o', 1)", REFERENCE, id="reference"),
]


def printed_by_a_fresh_interpreter(code: str) -> str:
    environ = {**os.environ, "PYTHONPATH": PROJECT}
    return subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, check=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize(("module", "expression", "golden"), PICKLED)
@pytest.mark.parametrize(
    "pickler",
    [
        pytest.param("from flamepy.codec.pickling import encode\ndumps = lambda value: encode(value).data", id="ours"),
        pytest.param("from cloudpickle import dumps", id="cloudpickle"),
    ],
)
def test_pinned_classes_are_pickled_by_name_into_these_bytes(
    module: str, expression: str, golden: str, pickler: str
) -> None:
    code = f"from {module} import *\n{pickler}\nprint(dumps({expression}).hex())"
    assert printed_by_a_fresh_interpreter(code) == golden


@pytest.mark.parametrize(
    ("golden", "expected"),
    [
        pytest.param(REQUEST, RunnerRequest("add", (1, 2)), id="request"),
        pytest.param(CONTEXT, RunnerContext(len), id="context"),
        pytest.param(REFERENCE, ObjectRef("grpc://h:9090", "app/s/o", 1), id="reference"),
    ],
)
def test_pinned_classes_are_read_from_these_bytes(golden: str, expected: object) -> None:
    assert pickle.loads(bytes.fromhex(golden)) == expected


def test_what_0_6_pickles_opens_in_an_interpreter_that_has_imported_nothing() -> None:
    code = f"import pickle; print(pickle.loads(bytes.fromhex({REFERENCE!r})))"
    assert printed_by_a_fresh_interpreter(code) == "ObjectRef(endpoint='grpc://h:9090', key='app/s/o', version=1)"


ENCODED = (
    "3f00000002656e64706f696e74000e000000677270633a2f2f683a3930393000026b657900080000006170702f732f6f001076657273696f"
    "6e000100000000"
)
ENCODED_INT64 = "3100000002656e64706f696e7400020000006500026b657900020000006b001276657273696f6e00010000000000000000"


def test_a_reference_is_encoded_as_bson() -> None:
    assert ObjectRef("grpc://h:9090", "app/s/o", 1).encode().hex() == ENCODED


def test_a_reference_is_decoded_with_either_width_of_version() -> None:
    assert ObjectRef.decode(bytes.fromhex(ENCODED)) == ObjectRef("grpc://h:9090", "app/s/o", 1)
    assert ObjectRef.decode(bytes.fromhex(ENCODED_INT64)) == ObjectRef("e", "k", 1)
