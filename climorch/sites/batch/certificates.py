"""One key and certificate for all roles of a session, in one file."""

from __future__ import annotations

from distributed.security import Security

__all__ = ["security_from"]


def security_from(path: str) -> Security:
    """Return what Dask needs to let in only who has a file.

    Parameters
    ----------
    path : str
        Of the certificate, which is its own authority, and its key, as PEM.
    """
    return Security(
        require_encryption=True,
        tls_ca_file=path,
        tls_scheduler_cert=path,
        tls_scheduler_key=path,
        tls_worker_cert=path,
        tls_worker_key=path,
        tls_client_cert=path,
        tls_client_key=path,
    )
