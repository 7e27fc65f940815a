// The calls of --handler: declared by the user's module, answered by its function in a worker of its own.

import {listOf} from '../../../flag.js'
import {isSystemError} from '../../../ffi/errors.js'
import {duplicateCloseOnExec} from '../../../ffi/libc.js'
import {buffer, dirFd, int32, mode, path, pointer, size, string, uint32} from '../../caller/argument-kinds.js'
import {loadHandlerFunctions, loadHandlers} from './load.js'
import type {HandlerFunctions} from './load.js'
import {answerOfHandler, handlerRefusal} from './result.js'
import {CallerGone} from '../../caller/caller.js'
import {handler, handlerPolicy} from './policy.js'
import type {HandlerArgument, HandlerComparison, HandlerDeclaration, HandlerPolicy} from './policy.js'
import {defineFamily} from '../../family.js'
import type {AnyCall, Argument, Caller, Comparison, Family, Performed} from '../../family.js'

/** Without functions, as every worker but that of the handlers has it: for the filter, the log and handing over. */
export const handlerFamily: Family<HandlerPolicy, undefined> = handlerFamilyWith(new Map())

export function handlerFamilyWith(functions: HandlerFunctions): Family<HandlerPolicy, undefined> {
  return defineFamily<HandlerPolicy, undefined>({
    name: 'handler',
    summary: "calls that a module of the user's own answers",
    strategies: [{name: 'handler', summary: "the module's function answers", needs: 'nothing'}],
    policy: handlerPolicy,
    load: (values) => loadHandlers(listOf(values, handler)),
    // Read again whenever a worker has to be replaced.
    prepare: ({calls}) => ({
      executed: [...new Set(calls.map(({file}) => file))].map((file) => ({
        flag: handler.name,
        path: Buffer.from(file),
      })),
    }),
    calls: ({calls}) => calls.map((declaration) => callOf(declaration, functions)),
    start: () => undefined,
    withHandlers: async (policy) => handlerFamilyWith(await loadHandlerFunctions(policy)),
  })
}

function callOf(declaration: HandlerDeclaration, functions: HandlerFunctions): AnyCall {
  const {name, number, timeLimitMs, condition} = declaration
  return {
    name,
    ...(number === undefined ? {} : {number}),
    arguments: Object.fromEntries(declaration.arguments.map((argument) => [argument.name, kindOf(argument)])),
    ...(condition === undefined ? {} : {condition: condition.map((group) => group.map(comparisonOf))}),
    lane: 'handler',
    timeLimitMs,
    decide: () => ({kind: 'perform', reason: 'a handler answers it'}),
    perform: (values: Readonly<Record<string, unknown>>, caller) => answer(name, values, caller, functions),
  }
}

/** Whatever the function does, this call alone is refused for it. */
function answer(
  name: string,
  values: Readonly<Record<string, unknown>>,
  caller: Caller,
  functions: HandlerFunctions,
): Performed {
  const handle = functions.get(name)
  if (handle === undefined) throw new Error(`nothing here handles ${name}`)
  let result: unknown
  try {
    result = handle(values, caller)
  } catch (error) {
    // Of the caller's memory and paths the kernel's own word is the answer.
    if (error instanceof CallerGone || isSystemError(error)) throw error
    return handlerRefusal(`the handler of ${name} threw: ${messageOf(error)}`)
  }
  try {
    return answerOfHandler(name, result, duplicateCloseOnExec)
  } catch (error) {
    return handlerRefusal(`what the handler of ${name} returned can't be used: ${messageOf(error)}`)
  }
}

function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error)
  } catch {
    return 'something without a text'
  }
}

function kindOf({kind, index, limit = 0, length = 0}: HandlerArgument): Argument<unknown> {
  switch (kind) {
    case 'int':
      return int32(index)
    case 'uint':
      return uint32(index)
    case 'size':
      return size(index)
    case 'pointer':
      return pointer(index)
    case 'fd':
      return dirFd(index)
    case 'mode':
      return mode(index)
    case 'path':
      return path(index)
    case 'string':
      return string(index, limit)
    case 'bytes':
      return buffer(index, length, limit)
    default:
      throw new Error(`unknown kind ${String(kind satisfies never)}`)
  }
}

function comparisonOf({argument, width, operator, value, mask}: HandlerComparison): Comparison {
  return {argument, width, operator, value: BigInt(value), ...(mask === undefined ? {} : {mask: BigInt(mask)})}
}
