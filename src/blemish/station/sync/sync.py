"""Sends stored images to the server, into trials that people review.

plan on the disk -> images and verdicts to S3 -> trial started -> trial through -> images marked

Every step may be repeated: objects have the same keys, a trial has the plan's name, and the server
has one trial of a name. So a sync that was killed goes on where it was, and sends nothing twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from blemish.station.config import SyncConfig
from blemish.station.errors import StationError
from blemish.station.sync.plan import PlanFile, SyncPlan
from blemish.station.sync.server_client import ServerClient
from blemish.station.verdict import Verdict

IMAGES_IN_TRIAL = 500
"""A trial takes up to 2,000; a person reviews one in an hour or two."""

POLL_S = 1.0
MEDIA_TYPES = {
    ".bmp": "image/bmp",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".webp": "image/webp",
}


class UnsyncedRecords(Protocol):
    """What sync needs from the records."""

    def unsynced(self, *, limit: int, only_uncertain: bool) -> Sequence[Verdict]:
        """Return verdicts with stored images that the server does not have, oldest first."""
        ...

    def mark_synced(self, image_ids: Sequence[str]) -> None:
        """Remember durably that the server has images."""
        ...


@dataclass(frozen=True, kw_only=True)
class Sync:
    """Sends what the records have and the server does not."""

    config: SyncConfig
    records: UnsyncedRecords
    plans: PlanFile
    server: ServerClient
    new_trial_name: Callable[[], str]
    say: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep

    def run(self) -> int:
        """Send everything; return how many images the server has now that it had not.

        Raises:
            StationError: the server is away or refuses; the next run goes on from there.
        """
        count = 0
        plan = self.plans.read()
        if plan is not None:
            self.say(f"Trial {plan.trial_name} is not through; it goes on.")
            count += self._send(plan, is_new=False)
        while verdicts := self._unsynced():
            plan = self.plans.write(self.new_trial_name(), verdicts)
            count += self._send(plan, is_new=True)
        return count

    def _unsynced(self) -> Sequence[Verdict]:
        return self.records.unsynced(
            limit=IMAGES_IN_TRIAL, only_uncertain=self.config.only_uncertain
        )

    def _send(self, plan: SyncPlan, *, is_new: bool) -> int:
        project, name = self.config.project, plan.trial_name
        trial = None if is_new else self.server.trial(project, name)
        sent: Sequence[Verdict] = plan.verdicts
        if trial is None:
            sent = self._upload(plan, is_new=is_new)
            if sent:
                self.server.start_trial(
                    project,
                    model_version=self.config.model_version,
                    trial_name=name,
                    refs=[f"s3://{self.config.bucket}/{self._key(verdict)}" for verdict in sent],
                )
        if sent:
            self._wait(plan)
        self.records.mark_synced([verdict.id for verdict in plan.verdicts])
        self.plans.remove()
        return len(sent)

    def _upload(self, plan: SyncPlan, *, is_new: bool) -> Sequence[Verdict]:
        """Upload the images and their verdicts; return those whose images were there."""
        sent = [verdict for verdict in plan.verdicts if self._upload_image(verdict, is_new=is_new)]
        if len(sent) < len(plan.verdicts):
            removed = len(plan.verdicts) - len(sent)
            self.say(f"Images that the records removed before they were sent: {removed}.")
        lines = [
            json.dumps(verdict.to_json() | {"source-ref": self._ref(verdict)}) for verdict in sent
        ]
        key = f"{self.config.prefix}{plan.trial_name}.verdicts.jsonl"
        data = "".join(f"{line}\n" for line in lines).encode()
        if sent:
            self.server.put_object(
                self.config.bucket, key, data, media_type="application/jsonlines"
            )
        return sent

    def _upload_image(self, verdict: Verdict, *, is_new: bool) -> bool:
        """Upload an image unless the server has it; return whether it has it now."""
        bucket, key = self.config.bucket, self._key(verdict)
        if not is_new and self.server.has_object(bucket, key):
            return True
        assert verdict.image_path is not None
        try:
            data = verdict.image_path.read_bytes()
        except FileNotFoundError:
            return False
        except OSError as error:
            message = f"{verdict.image_path} cannot be read: {error.strerror}."
            raise StationError(message) from None
        media_type = MEDIA_TYPES.get(verdict.image_path.suffix, "application/octet-stream")
        self.server.put_object(bucket, key, data, media_type=media_type)
        return True

    def _wait(self, plan: SyncPlan) -> None:
        """Wait until the server has judged the images.

        Raises:
            StationError: the trial failed; its images go into another one with the next run.
        """
        name, is_said = plan.trial_name, False
        while True:
            trial = self.server.trial(self.config.project, name)
            if trial is None or trial.status == "FAILED":
                self.plans.write(self.new_trial_name(), plan.verdicts)
                reason = "it is gone" if trial is None else trial.message
                raise StationError(f"Trial {name} failed: {reason} Run the command again.")
            if trial.status == "SUCCEEDED":
                self.say(f"Trial {name}: {trial.message or 'through'} Review it in the console.")
                return
            if not is_said:
                self.say(f"Trial {name} has {len(plan.verdicts)} images; the server judges them.")
                is_said = True
            self.sleep(POLL_S)

    def _key(self, verdict: Verdict) -> str:
        suffix = PurePosixPath(verdict.image_path or "").suffix
        return f"{self.config.prefix}{verdict.id}{suffix}"

    def _ref(self, verdict: Verdict) -> str:
        return f"s3://{self.config.bucket}/{self._key(verdict)}"
