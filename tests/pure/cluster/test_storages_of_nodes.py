# SPDX-License-Identifier: Apache-2.0
"""Where packages for a cluster may lie: its nodes fetch them, before any code of ours is there."""

from __future__ import annotations

import pytest

from flamepy.cache.flight.client import FlightClient
from flamepy.engine.cluster.cache_storage import CacheStorage
from flamepy.engine.cluster.provisioner import ClusterProvisioner
from flamepy.errors import InvalidConfig


@pytest.fixture
def provisioner() -> ClusterProvisioner:
    client = FlightClient("grpc://cache:9090")  # connects when it is used
    return ClusterProvisioner(CacheStorage(lambda: client))


@pytest.mark.parametrize(
    ("url", "used"),
    [
        (None, "grpc://cache:9090"),
        ("grpc://cache", "grpc://cache:9090"),
        ("file:///opt/packages", "file:///opt/packages"),
        ("http://host:8000/packages", "http://host:8000/packages"),
    ],
)
def test_packages_go_where_the_configuration_says_else_to_the_cache(
    provisioner: ClusterProvisioner, url: str | None, used: str
) -> None:
    assert str(provisioner.storage(url)) == used


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3://bucket/packages", ", whose nodes fetch packages over file, http, https or from its own object cache"),
        ("grpc://other:9090", ", whose nodes fetch packages over"),
        ("https://ada:s3cret@host/packages", ", which would show the user in it to all clients: name the user in"),
    ],
)
def test_a_place_that_nodes_cannot_fetch_from_is_refused_before_anything_is_packed(
    provisioner: ClusterProvisioner, url: str, says: str
) -> None:
    with pytest.raises(InvalidConfig) as refused:
        provisioner.storage(url, source="flame.yaml")
    shown = url.replace("ada:s3cret@", "")
    assert str(refused.value).startswith(f"flame.yaml: package.storage {shown} cannot be used with a cluster{says}")
