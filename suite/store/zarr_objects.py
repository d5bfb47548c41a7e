"""Zarr's view of object storage, with errors that a user can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zarr.storage import ObjectStore

if TYPE_CHECKING:
    from obstore.store import S3Store
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

    from suite.store.place import Place


class ReadableObjectStore(ObjectStore):  # type: ignore[misc]  # Zarr is Any to mypy
    """Chunks are fetched when somebody looks at them, far from here: the error is made readable here."""

    def __init__(self, place: Place, client: S3Store, read_only: bool) -> None:
        super().__init__(client, read_only=read_only)
        self._place = place

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        with self._place.refusals():
            return await super().get(key, prototype, byte_range)

    def with_read_only(self, read_only: bool = False) -> ReadableObjectStore:
        return ReadableObjectStore(self._place, self.store, read_only)
