from __future__ import annotations

import pytest

from blemish.api.service_model import service_model
from blemish.wire.errors import UnknownOperationError
from blemish.wire.routing import Router, uri_labels

ROUTER = Router(service_model())
BASE = "/2020-11-20"


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/projects", "ListProjects"),
        ("POST", "/projects", "CreateProject"),
        ("GET", "/projects/models", "DescribeProject"),
        ("GET", "/projects/models/models", "ListModels"),
        ("POST", "/projects/a/models/latest/detect", "DetectAnomalies"),
        ("PATCH", "/projects/a/datasets/train/entries", "UpdateDatasetEntries"),
        ("GET", "/tags/arn%3Aaws%3Alookoutvision%3A%3A%3Amodel%2Fa%2F1", "ListTagsForResource"),
    ],
)
def test_method_and_path_name_the_operation(method: str, path: str, name: str) -> None:
    assert ROUTER.operation(method, BASE + path).name == name


@pytest.mark.parametrize("name", [".", "..", "%2E%2E", "a%2F..%2Fb", "%", "\udcff", "a\nb"])
def test_a_label_may_be_anything_but_empty_or_divided(name: str) -> None:
    assert ROUTER.operation("GET", f"{BASE}/projects/{name}").name == "DescribeProject"
    assert uri_labels("/projects/{projectName}", f"/projects/{name}") == {"projectName": name}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", ""),
        ("OPTIONS", "*"),
        ("PUT", f"{BASE}/projects"),
        ("HEAD", f"{BASE}/projects"),
        ("get", f"{BASE}/projects"),
        ("GET", f"{BASE}/projects/"),
        ("GET", f"{BASE}/projects//models"),
        ("GET", f"{BASE}/projects/a/b"),
        ("GET", f"/x{BASE}/projects"),
        ("GET", f"{BASE}/tags/arn:aws:lookoutvision:::model/a/1"),
    ],
)
def test_what_no_operation_has_is_unknown(method: str, path: str) -> None:
    with pytest.raises(UnknownOperationError):
        ROUTER.operation(method, path)


def test_what_stands_between_labels_is_taken_literally() -> None:
    assert uri_labels("/v1.0/{name}", "/v1.0/a") == {"name": "a"}
    assert uri_labels("/v1.0/{name}", "/v1x0/a") is None
