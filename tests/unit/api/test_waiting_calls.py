from __future__ import annotations

from blemish.api.datasets import DatasetOperations
from blemish.domain.entities import DatasetStatus
from blemish.domain.limits import OURS
from blemish.service.datasets.datasets import APPLIED
from blemish.service.datasets.validation import DatasetValidation
from blemish.service.region_masks import RegionMasks
from blemish.wire.calls import Call
from tests.asgi_client import CALLER
from tests.unit.house import House
from tests.unit.manifests import json_line


def test_a_call_that_waits_is_answered_when_its_changes_are_applied(house: House) -> None:
    house.project()
    house.images(normal=1)
    house.put("a.png")
    validation = DatasetValidation(
        house.database,
        datasets=house.datasets,
        objects=house.objects,
        region_masks=RegionMasks(house.objects, max_bytes=OURS.detect_body_bytes),
        limits=OURS,
        mixed_sizes=False,
        mask_orientation=None,
    )
    operations = DatasetOperations(datasets=house.datasets, validation=validation)
    changes = json_line("a.png", "anomaly")

    answer = operations.update_dataset_entries(
        call=Call(
            request_id="1",
            received_at=house.clock.time,
            source_ip=None,
            user_agent=None,
            caller=CALLER,
            waits=True,
        ),
        project_name="circuits",
        dataset_type="train",
        changes=changes.encode(),
    )

    assert answer["Status"] is DatasetStatus.UPDATE_COMPLETE
    assert answer[APPLIED].stats == house.stats()
    assert house.entry_lines()[-1] == changes
