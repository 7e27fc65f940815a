// What a user's handler returned, as an answer; anything that is none refuses the call. Pure but for the descriptor.

import {ERRNO, MAX_ERRNO, errnoNumber} from '../../../kernel/errno.js'
import type {Performed} from '../../family.js'
import {isMembers} from './declaration.js'

const STRATEGY = 'handler'
const REASON_MAX = 400
const FD_MAX = 2 ** 31 - 1

export function handlerRefusal(cause: string): Extract<Performed, {kind: 'refuse'}> {
  return {kind: 'refuse', errno: ERRNO.EPERM, reason: cause.slice(0, REASON_MAX)}
}

/** `duplicate`: a descriptor of ours for the answer, so that the handler keeps its own. */
export function answerOfHandler(name: string, result: unknown, duplicate: (fd: number) => number): Performed {
  const nonsense = (cause: string): Performed => handlerRefusal(`the handler of ${name} returned ${cause}`)
  if (result instanceof Promise) return nonsense('a promise: it must answer at once')
  if (!isMembers(result)) return nonsense(`${result === null ? 'null' : typeof result} instead of an object`)
  const given = ['value', 'errno', 'descriptor', 'continue'].filter((key) => result[key] !== undefined)
  if (given.length !== 1)
    return nonsense(given.length === 0 ? 'neither value, errno, descriptor nor continue' : given.join(' and '))
  const {reason} = result
  if (reason !== undefined && typeof reason !== 'string') return nonsense('a reason that is no text')
  const told = reason === undefined ? {} : {reason: reason.slice(0, REASON_MAX)}
  switch (given[0]) {
    case 'value': {
      const {value} = result
      // What lies above is an errno to whoever called (IS_ERR_VALUE in the kernel).
      if (!Number.isSafeInteger(value) || (value as number) < 0) return nonsense('a value that is no natural number')
      return {kind: 'done', value: value as number, strategy: STRATEGY, ...told}
    }
    case 'errno': {
      const errno = typeof result['errno'] === 'string' ? errnoNumber(result['errno']) : result['errno']
      if (!Number.isInteger(errno) || (errno as number) < 1 || (errno as number) > MAX_ERRNO)
        return nonsense('an errno that does not exist')
      return {kind: 'failed', errno: errno as number, strategy: STRATEGY, reason: "the handler's answer", ...told}
    }
    case 'descriptor': {
      const {descriptor, closeOnExec = true} = result
      if (!Number.isInteger(descriptor) || (descriptor as number) < 0 || (descriptor as number) > FD_MAX)
        return nonsense('a descriptor that is no number')
      return {
        kind: 'descriptor',
        fd: duplicate(descriptor as number),
        closeOnExec: closeOnExec === true,
        strategy: STRATEGY,
      }
    }
    default:
      if (result['continue'] !== true) return nonsense('a continue that is not true')
      return {kind: 'continue', reason: 'the handler hands it to the kernel', ...told}
  }
}
