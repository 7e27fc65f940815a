// Replaces this process by another program, which keeps the pid, the parent and the terminal.

import {FD_CLOEXEC, F_GETFD, F_SETFD} from '../kernel/constants.js'
import {ERRNO} from '../kernel/errno.js'
import {addressOf, cString, declare} from './declare.js'
import {isSystemError} from './errors.js'

const fcntl = declare('fcntl', ['fd', 'int', 'long'])
const callExecve = declare('execve', ['path', 'buffer', 'buffer'])

/** Does not return. Node has made every descriptor close-on-exec that it was started with: keep the three streams. */
export function execve(program: string, words: readonly Buffer[], environment: readonly Buffer[]): never {
  const own = [words, environment].map((strings) => strings.map(cString))
  const [argv, envp] = own.map((strings) => new BigUint64Array([...strings.map(addressOf), 0n]))
  callExecve(program, argv!, envp!)
  // The strings must not be collected before the kernel has read them.
  throw new Error(`execve has returned with ${own.length} vectors`)
}

/** Nothing happens where there is no such descriptor. */
export function keepOverExec(fd: number): void {
  try {
    fcntl(fd, F_SETFD, fcntl(fd, F_GETFD, 0) & ~FD_CLOEXEC)
  } catch (error) {
    // Closed by whoever started us.
    if (!isSystemError(error, ERRNO.EBADF)) throw error
  }
}
