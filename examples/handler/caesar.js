// A system call that no kernel has: caesar(buffer, length, shift) moves the letters of the buffer along the alphabet and
// returns how many it moved. Tried out in work/, since the container must not be able to write to this file, with
//
//   interceptor run --handler ../caesar.js -- python3 caesar.py 'Hello, kernel' 3

const MAX_BYTES = 65_536

export default {
  name: 'caesar',
  // Far above what kernels use, on every ABI: without the handler it is ENOSYS.
  number: 5000,
  arguments: {
    buffer: {kind: 'pointer', index: 0},
    length: {kind: 'size', index: 1},
    shift: {kind: 'int', index: 2},
  },
  timeLimitMs: 500,
  handle({buffer, length, shift}, caller) {
    if (!(length <= MAX_BYTES)) return {errno: 'E2BIG', reason: `at most ${MAX_BYTES} bytes are moved`}
    // A bad address ends the call with EFAULT, as it would in the kernel.
    const bytes = caller.memory.bytes(buffer, length)
    let moved = 0
    for (const [index, byte] of bytes.entries()) {
      const first = byte >= 0x61 ? 0x61 : 0x41
      if (byte < first || byte >= first + 26) continue
      bytes[index] = first + ((((byte - first + shift) % 26) + 26) % 26)
      moved++
    }
    caller.memory.write(buffer, bytes)
    return {value: moved, reason: `moved ${moved} letters by ${shift}`}
  },
}
