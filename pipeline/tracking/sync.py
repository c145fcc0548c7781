"""Send to the tracking store what earlier runs could not: python -m pipeline.tracking.sync."""

import sys

from pipeline import paths
from pipeline.errors import UserError, address
from pipeline.process import keep_imports
from pipeline.tracking.records import PATIENCE, Recording


def main(uri: str) -> int:
    """
    Send the runs in the spool that no process writes any more.

    Parameters
    ----------
    uri : str
        URI of the store.

    Returns
    -------
    int
        The number of runs that the store did not take.

    Raises
    ------
    UserError
        When the store cannot be reached.
    """
    keep_imports()
    recording = Recording(uri, required=True)
    kept = recording.finish(PATIENCE)
    sent = len(recording.left) - kept
    print(f"sent {sent} run{'' if sent == 1 else 's'} to {address(uri)}")
    return kept


if __name__ == "__main__":
    try:
        paths.enter_project()
        sys.exit(main(paths.store_uri()) > 0)
    except KeyboardInterrupt:
        sys.exit(130)
    except UserError as error:
        sys.exit(f"error: {error}")
