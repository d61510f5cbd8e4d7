"""Fetching files: resumed where they broke off, checked before they are believed.

    download(url, destination, sha256=...) -> Path
    remote_size(url) -> bytes, or None where the server does not say
    unpack(archive, folder) -> list of files        extract(archive, member, destination)

Addresses are http(s)://, ftp:// and gdrive:ID (a file on Google Drive).
"""

from jaxret.fetch.archive import extract, unpack
from jaxret.fetch.checks import human_size
from jaxret.fetch.transfer import download, remote_size

__all__ = ["download", "extract", "human_size", "remote_size", "unpack"]
