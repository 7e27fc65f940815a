// One system call that two families take part in: the second is asked where the first leaves it to the kernel.

import type {AnyCall, Arguments, Caller, CallerFacts, Performed, Values, Verdict} from '../family.js'

/** A family's call with what it is asked with. */
export interface Part {
  readonly call: AnyCall
  readonly policy: unknown
  readonly state: unknown
}

/** Arguments of one name must be of one kind in both: they are read once. */
export function combine(first: Part, second: Part): AnyCall {
  const {call} = first
  if (call.lane === 'slow' || second.call.lane === 'slow')
    throw new Error(`${call.name} can't be combined: it may block`)
  const parts = [first, second]
  return {
    name: call.name,
    arguments: {...argumentsOf(call), ...argumentsOf(second.call)},
    early() {
      const [one, other] = parts.map((part) => part.call.early?.(part.state))
      return one === undefined || other === undefined ? undefined : one
    },
    decide: (values: Values<Arguments>, facts: CallerFacts): Verdict =>
      firstThatActs(parts, (part) => decide(part, values, facts)),
    perform: (values: Values<Arguments>, caller: Caller): Performed =>
      firstThatActs(parts, (part) => {
        const verdict = decide(part, values, caller.facts)
        return verdict.kind === 'perform' ? part.call.perform(values, caller, part.state) : verdict
      }),
  }
}

function argumentsOf(call: AnyCall): Arguments {
  return call.arguments as Arguments
}

function decide({call, policy}: Part, values: Values<Arguments>, facts: CallerFacts): Verdict {
  return call.decide(values, facts, policy)
}

/** What is left to the kernel by all of them is told in the words of the one that has something to say. */
function firstThatActs<T extends Performed | Verdict>(parts: readonly Part[], ask: (part: Part) => T): T {
  let result: T | undefined
  for (const part of parts) {
    const answer = ask(part)
    if (answer.kind !== 'continue') return answer
    if (result === undefined || (result.kind === 'continue' && result.quiet === true)) result = answer
  }
  return result!
}
