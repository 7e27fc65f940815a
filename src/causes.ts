// Says why something failed underneath, in our words and once, for every line that names a cause.

import {SystemError, errnoText} from './ffi/errors.js'

/** Where the words of strerror(3) leave a person guessing. */
const WORDS: Readonly<Record<string, string>> = {
  EISDIR: 'it is a directory',
  ELOOP: 'there are too many symbolic links on the way',
  ENOTDIR: 'something on the way is no directory',
  EROFS: 'the file system is read-only',
}

/** The message, then each cause behind a colon: `cannot start make: unshare: operation not permitted`. */
export function withCauses(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const parts = [error.message]
  let {cause} = error
  for (let depth = 0; cause !== undefined && cause !== null && depth < 8; depth++) {
    const text = causeText(cause)
    // A wrapped message that already ends with its cause is not said twice.
    if (text !== '' && !parts.at(-1)!.endsWith(text)) parts.push(text)
    cause = cause instanceof Error ? cause.cause : undefined
  }
  return parts.join(': ')
}

/** Node repeats the name of the error, the call and the path (`ENOENT: no such file or directory, open 'x'`). */
function causeText(cause: unknown): string {
  if (typeof cause === 'string') return cause
  if (!(cause instanceof Error)) return ''
  if (cause instanceof SystemError || !isNodeSystemError(cause)) return cause.message
  return WORDS[cause.code] ?? errnoText(-cause.errno)
}

/** What a system call that failed means to a person: `the file system is read-only`. */
export function causeOf({code, errno}: SystemError): string {
  return WORDS[code] ?? errnoText(errno)
}

function isNodeSystemError(error: Error): error is Error & {readonly code: string; readonly errno: number} {
  return 'code' in error && typeof error.code === 'string' && 'errno' in error && typeof error.errno === 'number'
}
