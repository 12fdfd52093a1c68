"""Live: the orchestrator's commands carried out on dask.distributed."""
