"""What a training leaves in the folder of its attempt.

The driver of a training on a cluster imports this module, so it needs no engine that trains.
"""

from __future__ import annotations

from pathlib import Path

from blemish.engine.bundle import Bundle
from blemish.service.models.bundles import write_sealed
from blemish.service.training.runner import TrainingSpec
from blemish.storage.encryption.encryption import Encryption


def seal_bundle(spec: TrainingSpec, bundle: Bundle, *, encryption: Encryption) -> None:
    """Write the sealed bundle into the attempt's folder.

    Raises:
        EncryptionError: it cannot be sealed.
        OSError: the disk has no room for it.
    """
    folder = Path(spec.folder) / "bundle"
    folder.mkdir()
    write_sealed(
        bundle, folder, name=spec.bundle, kms_key_id=spec.kms_key_id, encryption=encryption
    )
