// Failed system calls as errors.

import {getSystemErrorMap} from 'node:util'

import {errnoName} from '../kernel/errno.js'

/** What a person reads: `no such file or directory`. */
export function errnoText(errno: number): string {
  return getSystemErrorMap().get(-errno)?.[1] ?? errnoName(errno)
}

/** A system call failed. Only ever a cause: what was attempted is said by the error that wraps it. */
export class SystemError extends Error {
  /** The kernel's name of the call. */
  readonly syscall: string
  /** Positive. */
  readonly errno: number
  /** `ENOENT` and the like. */
  readonly code: string

  constructor(syscall: string, errno: number) {
    super(`${syscall}: ${errnoText(errno)}`)
    this.name = 'SystemError'
    this.syscall = syscall
    this.errno = errno
    this.code = errnoName(errno)
  }
}

/** Whether `error` is a failed system call, and with that errno where one is given. */
export function isSystemError(error: unknown, errno?: number): error is SystemError {
  return error instanceof SystemError && (errno === undefined || error.errno === errno)
}
