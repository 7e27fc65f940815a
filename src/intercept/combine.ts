// One system call that several families take part in: each is asked where those before it leave the call to the kernel.

import type {AnyCall, Arguments, Caller, CallerFacts, Condition, Performed, Values, Verdict} from './family.js'

/** A family's call with the policy that it is decided by. */
export interface Part {
  readonly call: AnyCall
  readonly policy: unknown
}

/**
 * The parts as one call. Its `state` is the list of their states, in the same order; each part keeps its own policy.
 * Arguments of one name must be of one kind in all parts: they are read once.
 *
 * @throws Error where a part may block or is answered by code that is not ours
 */
export function combine(parts: readonly Part[]): AnyCall {
  const calls = parts.map(({call}) => call)
  const name = calls[0]?.name ?? ''
  if (calls.some(({lane = 'hot'}) => lane !== 'hot')) throw new Error(`${name} can't be combined: it may block`)
  const condition = eitherOf(calls.map((call) => call.condition))
  return {
    name,
    arguments: allArguments(calls),
    ...(condition === undefined ? {} : {condition}),
    ...(calls.every(({precheck}) => precheck !== undefined)
      ? {precheck: (states) => precheckOf(calls, states as States)}
      : {}),
    decide: (values: Values<Arguments>, facts: CallerFacts): Verdict => deciding(parts, values, facts).verdict,
    perform: (values: Values<Arguments>, caller: Caller, states: States): Performed =>
      firstThatActs(parts, (part, index) => {
        const verdict = decide(part, values, caller.facts)
        return verdict.kind === 'perform' ? part.call.perform(values, caller, states[index]) : verdict
      }),
    attemptWithoutPermission(values: Values<Arguments>, caller: Caller, states: States): void {
      const {part, index} = deciding(parts, values, caller.facts)
      part.call.attemptWithoutPermission?.(values, caller, states[index])
    },
  }
}

/** In the order in which the call takes them. */
function allArguments(calls: readonly AnyCall[]): Arguments {
  const entries = calls.flatMap((call) => Object.entries(call.arguments as Arguments))
  return Object.fromEntries(entries.sort(([, a], [, b]) => a.index - b.index))
}

type States = readonly unknown[]

/** The part whose verdict is that of the whole call. */
export function deciding<P extends Part>(
  parts: readonly P[],
  values: Values<Arguments>,
  facts: CallerFacts,
): {readonly part: P; readonly index: number; readonly verdict: Verdict} {
  return firstThatActs(parts, (part, index) => {
    const verdict = decide(part, values, facts)
    return {part, index, verdict, kind: verdict.kind, silent: verdict.kind === 'continue' && verdict.silent === true}
  })
}

function decide({call, policy}: Part, values: Values<Arguments>, facts: CallerFacts): Verdict {
  return call.decide(values, facts, policy)
}

/** Whatever any of them would look at. */
function eitherOf(conditions: readonly (Condition | undefined)[]): Condition | undefined {
  const known = conditions.filter((condition) => condition !== undefined)
  return known.length < conditions.length ? undefined : known.flat()
}

/** What is left to the kernel by all of them is told in the words of the one that has something to say. */
function firstThatActs<P, T extends {readonly kind: string; readonly silent?: boolean}>(
  parts: readonly P[],
  ask: (part: P, index: number) => T,
): T {
  let result: T | undefined
  for (const [index, part] of parts.entries()) {
    const answer = ask(part, index)
    if (answer.kind !== 'continue') return answer
    if (result === undefined || result.silent === true) result = answer
  }
  return result!
}

function precheckOf(calls: readonly AnyCall[], states: States): Verdict | undefined {
  const verdicts = calls.map((call, index) => call.precheck?.(states[index]))
  return verdicts.includes(undefined) ? undefined : verdicts[0]
}
