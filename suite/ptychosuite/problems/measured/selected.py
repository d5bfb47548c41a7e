"""An array in a file of which some patterns are chosen."""

from __future__ import annotations

from typing import Any

import numpy as np


class Selected:
    """The patterns ``numbers``, in rising order along ``axis`` of an array that is read when it is sliced."""

    def __init__(self, array: Any, axis: int, numbers: np.ndarray) -> None:
        self._array, self._axis, self._numbers = array, axis, numbers
        shape = list(array.shape)
        shape[axis] = len(numbers)
        self.shape, self.dtype = tuple(shape), array.dtype

    def __getitem__(self, key: tuple[Any, ...]) -> np.ndarray:
        """What ``key`` selects, an index or a slice for every axis; of the chosen patterns a slice."""
        wanted = self._numbers[key[self._axis]]
        first, last = int(wanted[0]), int(wanted[-1])
        selection = list(key)
        selection[self._axis] = slice(first, last + 1)  # h5py reads a slice far faster than a list
        block = np.asarray(self._array[tuple(selection)])
        axis = sum(isinstance(each, slice) for each in key[: self._axis])
        return np.take(block, wanted - first, axis=axis)
