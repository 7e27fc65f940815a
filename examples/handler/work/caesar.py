"""Calls caesar(2), which only caesar.js has: python3 caesar.py 'Hello, kernel' 3"""

import ctypes
import os
import sys

NR_CAESAR = 5000
libc = ctypes.CDLL(None, use_errno=True)
text = ctypes.create_string_buffer(os.fsencode(sys.argv[1]))
moved = libc.syscall(
    ctypes.c_long(NR_CAESAR), text, ctypes.c_size_t(len(text.value)), ctypes.c_int(int(sys.argv[2]))
)
if moved < 0:
    sys.exit(f'caesar: {os.strerror(ctypes.get_errno())}')
print(os.fsdecode(text.value), moved)
