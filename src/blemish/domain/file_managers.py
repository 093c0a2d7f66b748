"""Files that file managers leave in folders: no person means them as images."""

from __future__ import annotations

_NAMES = frozenset(
    {
        ".directory",
        ".ds_store",
        ".localized",
        "desktop.ini",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "icon\r",
        "thumbs.db",
    }
)
_FOLDERS = frozenset(
    {
        "$recycle.bin",
        ".appledouble",
        ".fseventsd",
        ".spotlight-v100",
        ".trashes",
        "@eadir",
        "__macosx",
    }
)


def is_file_manager_file(path: str) -> bool:
    """Return whether a file manager wrote a file, by its path with slashes.

    Source: macOS writes `._NAME` beside each file on a disk of another system, `.DS_Store` into
    each folder and `__MACOSX` into archives; Windows `Thumbs.db` and `desktop.ini`; KDE
    `.directory`; Synology `@eaDir`.
    """
    *folders, name = path.casefold().split("/")
    return name.startswith("._") or name in _NAMES or not _FOLDERS.isdisjoint(folders)
