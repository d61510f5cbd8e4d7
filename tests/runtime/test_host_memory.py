"""What was freed is there for the next call, in the threads that compute too."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's own memory")

# Prints how many pages of 64 MiB the system gives anew, once as many have been freed.
PAGES = """
import ctypes, resource, threading
{statement}
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    memory = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(1 << 26)))
    libc.memset(memory, 1, ctypes.c_size_t(1 << 26))
    libc.free(memory)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
def twice():
    pages()
    print(pages())
for thread in [threading.Thread(target=twice) for _ in range(2)]:
    thread.start()
    thread.join()
twice()
"""
KEPT = "from jaxret.runtime import host_memory; host_memory.keep()"


def pages(statement: str) -> list[int]:
    command = [sys.executable, "-c", PAGES.format(statement=statement)]
    return [int(line) for line in subprocess.check_output(command, text=True).splitlines()]


def test_no_page_is_taken_twice():
    assert max(pages(KEPT)) < 8 < min(pages(""))  # 32 where the system's pages are large
